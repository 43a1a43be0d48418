"""Targets that a chain of steps joins to a source, or does not, each of them equally likely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dglmeta.kernels.cpu.chain import Chain
from dglmeta.kernels.cpu.path_draw import (
    EDGES_A_TRY,
    NONE,
    TARGETS,
    TRIES_AT_ONCE,
    UNDECIDED,
    Draws,
)
from dglmeta.kernels.cpu.reach import first_nodes
from dglmeta.kernels.gpu.device import WARP, array_module, blocks_for, launch, multiprocessors
from dglmeta.kernels.gpu.path_try import number_paths, onward_counts
from dglmeta.kernels.gpu.reach import meeting_level, reach_in_batches, scratch_bytes
from dglmeta.kernels.rng import as_word

__all__ = ["EDGES_A_TRY", "NONE", "UNDECIDED", "Draws", "draw_targets"]

THREADS = 128

WARPS_A_MULTIPROCESSOR = 32
"""Enough to wait for memory together."""


def draw_targets(
    forward: Chain,
    backward: Chain,
    n_nodes: tuple[int, ...],
    onward: Sequence[Any],
    sources: Any,
    per_source: int,
    seed: int,
    middle: int,
    *,
    joined: bool,
    most_edges: int,
) -> Draws:
    """Targets for each source, uniform and with replacement from those joined to it, or not joined.

    As :func:`dglmeta.kernels.cpu.path_draw.draw_targets`: the same targets. A warp a source tries,
    at once or, beyond two steps, in batches of :func:`dglmeta.kernels.gpu.reach.reach_in_batches`;
    then warps with lists of their own take what is left. Waits for the device twice, to learn for
    how many sources to try and to list. Bytes: the result, a quarter an edge, at most
    ``scratch_bytes()`` or the lists of one warp.
    """
    xp = array_module()
    sources = xp.ascontiguousarray(sources, dtype="int64")
    n_tries, n_drawn = (xp.zeros(len(sources), "int64") for _ in range(2))
    targets = xp.full((len(sources), per_source), UNDECIDED, "int64")
    first_step = forward.indptr[0], forward.indices[0]
    n_paths = onward_counts(*first_step, onward[0] if onward else None, sources)
    to_list = xp.minimum(n_paths, sum(len(a) for a in forward.indices))
    tried = xp.flatnonzero(to_list > EDGES_A_TRY * per_source)
    wanted = (per_source, n_nodes[-1], joined, as_word(seed), as_word(TARGETS + joined))
    if len(tried):
        limits = n_paths, to_list, most_edges
        chains = forward, backward, n_nodes
        _try(*chains, onward, sources, tried, middle, wanted, limits, (targets, n_drawn, n_tries))
    may_list = to_list <= max(most_edges, EDGES_A_TRY * per_source)
    listed = xp.flatnonzero((n_drawn < per_source) & may_list)
    if len(listed):
        most_found = max(most_edges, EDGES_A_TRY * per_source)
        found = n_drawn, n_tries
        _list(forward, n_nodes, sources, listed, wanted, most_found, found, targets)
    return Draws(targets, n_tries)


def _try(
    forward: Chain,
    backward: Chain,
    n_nodes: tuple[int, ...],
    onward: Sequence[Any],
    sources: Any,
    tried: Any,
    middle: int,
    wanted: tuple[Any, ...],
    limits: tuple[Any, ...],
    out: tuple[Any, ...],
) -> None:
    """Fill targets of the sources at places ``tried`` by trying; how many, and the tries."""
    n_steps, (_, _, joined, *_) = len(n_nodes) - 1, wanted
    numbering = number_paths(forward, onward if joined else [])
    meet = meeting_level(n_steps, middle)
    shared_bytes = THREADS // WARP * TRIES_AT_ONCE * (n_steps + 1) * 8
    for batch in reach_in_batches(forward, n_nodes, sources[tried], meet):
        places = tried[batch.begin : batch.end]
        launch(
            "path_draw", "try_targets", blocks_for(len(places) * WARP, THREADS), THREADS,
            forward.table, backward.table, n_steps, middle, meet, batch.first,
            numbering.onward, numbering.before, sources, places, len(places), *wanted, *limits,
            batch.reached, 0 if batch.reached is None else batch.reached.shape[1], *out,
            shared_bytes=shared_bytes, INDEX=forward.kind.dtype,
            TRIES_AT_ONCE=TRIES_AT_ONCE, EDGES_A_TRY=EDGES_A_TRY,
        )  # fmt: skip


def _list(
    forward: Chain,
    n_nodes: tuple[int, ...],
    sources: Any,
    listed: Any,
    wanted: tuple[Any, ...],
    most_found: int,
    found: tuple[Any, Any],
    targets: Any,
) -> None:
    """Fill the rest of the targets at places ``listed`` from all that is reached.

    A warp's scratch is a bit and an entry of a list a node of every level, at the last level an
    entry for no more than ``most_found``.
    """
    xp = array_module()
    n_steps, first = len(n_nodes) - 1, first_nodes(n_nodes)
    n_words = int(first[-1]) // 32
    n_listed = int(first[n_steps]) + min(n_nodes[-1], most_found)
    bytes_each = 4 * n_words + forward.kind.dtype.itemsize * n_listed
    most_warps = multiprocessors() * WARPS_A_MULTIPROCESSOR
    n_warps = max(min(scratch_bytes() // bytes_each, most_warps, len(listed)), 1)
    words = xp.zeros(n_warps * n_words, "uint32")
    nodes = xp.empty(n_warps * n_listed, forward.kind.dtype)
    launch(
        "path_draw", "list_targets", blocks_for(n_warps * WARP, THREADS), THREADS,
        forward.table, n_steps, xp.asarray(first), sources, listed, len(listed), *wanted, *found,
        xp.zeros(1, "int64"), n_warps, words, nodes, n_listed, targets,
        shared_bytes=THREADS // WARP * (n_steps + 1) * 8, INDEX=forward.kind.dtype,
        TRIES_AT_ONCE=TRIES_AT_ONCE, EDGES_A_TRY=EDGES_A_TRY,
    )  # fmt: skip
