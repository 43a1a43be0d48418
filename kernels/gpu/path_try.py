"""Paths along a chain of steps: counted, numbered, and one told apart for every joined pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from dglmeta.kernels.cpu.chain import Chain
from dglmeta.kernels.cpu.path_try import MOST_PATHS
from dglmeta.kernels.gpu.chain import addresses
from dglmeta.kernels.gpu.device import WARP, array_module, blocks_for, launch
from dglmeta.kernels.gpu.reach import meeting_level, reach_in_batches

__all__ = ["MOST_PATHS", "Numbering", "number_paths", "onward_counts", "try_paths"]

THREADS = 256

TEAM = 8
"""Threads that share a short row; TEAM in path_try.cu."""

CHUNK = 32
"""Edges summed at a time; CHUNK in path.cuh."""


class Numbering(NamedTuple):
    """What the paths of a chain are numbered by; the arrays must outlive the tables."""

    onward: Any
    """(L - 1,) uint64: addresses of the onward counts."""
    before: Any
    """(L - 1,) uint64: addresses of the paths before each chunk of edges of each step."""
    arrays: tuple[Any, ...]


def onward_counts(indptr: Any, indices: Any, onward: Any | None, rows: Any | None = None) -> Any:
    """Sum over each row's edges of the paths onward from their columns: the paths from the row.

    As :func:`dglmeta.kernels.cpu.path_try.onward_counts`. Eight threads a row, a block a long one.
    """
    xp = array_module()
    if onward is None:
        ends = indptr[1:] if rows is None else indptr[rows + 1]
        return ends - (indptr[:-1] if rows is None else indptr[rows])
    if rows is not None:
        rows = xp.ascontiguousarray(rows, dtype="int64")
    counts = xp.empty(len(indptr) - 1 if rows is None else len(rows), "int64")
    launch(
        "path_try", "sum_rows", blocks_for(len(counts) * TEAM, THREADS), THREADS,
        indptr, indices, onward, rows, len(counts), counts,
        INDEX=indices.dtype,
    )  # fmt: skip
    return counts


def number_paths(forward: Chain, onward: Sequence[Any]) -> Numbering:
    """Sums by which a thread finds the edges of a path with a given number.

    Cost O(edges of all steps but the last), a launch and a running sum a step; bytes: a quarter an
    edge.
    """
    xp = array_module()
    before = []
    for indices, counts in zip(forward.indices, onward, strict=False):
        chunks = xp.zeros(blocks_for(len(indices), CHUNK) + 1, "int64")
        launch(
            "path_try", "sum_chunks", blocks_for(len(indices), THREADS), THREADS,
            indices, len(indices), counts, chunks,
            INDEX=indices.dtype,
        )  # fmt: skip
        before.append(xp.cumsum(chunks))
    return Numbering(addresses(onward), addresses(before), (*onward, *before))


def try_paths(
    forward: Chain,
    backward: Chain,
    n_nodes: tuple[int, ...],
    onward: Sequence[Any],
    sources: Any,
    before: Any,
    numbers: Any,
    middle: int,
) -> tuple[Any, Any, Any]:
    """The ends of some paths, and whether each is the one path of all those that join its ends.

    As :func:`dglmeta.kernels.cpu.path_try.try_paths`; the numbers may come in any order. A thread a
    path walks it, a warp searches back; beyond two steps, in as many launches as there are batches
    of sources in :func:`dglmeta.kernels.gpu.reach.reach_in_batches`. Bytes beside the results: 8
    (L + 1) and 1 a path, a quarter an edge, and those batches.
    """
    xp = array_module()
    n, n_steps = len(numbers), len(n_nodes) - 1
    src, dst, chosen = xp.empty(n, "int64"), xp.empty(n, "int64"), xp.empty(n, "bool")
    if n == 0:
        return src, dst, chosen
    numbering = number_paths(forward, onward)
    paths, fits = xp.empty((n, n_steps + 1), "int64"), xp.empty(n, "bool")
    sources = xp.ascontiguousarray(sources, dtype="int64")
    launch(
        "path_try", "walk_paths", blocks_for(n, THREADS), THREADS,
        forward.table, n_steps, numbering.onward, numbering.before,
        sources, before, len(sources), numbers, n, paths, fits,
        INDEX=forward.kind.dtype,
    )  # fmt: skip
    meet = meeting_level(n_steps, middle)
    distinct, place = sources, None
    if meet > 1:
        distinct, place = xp.unique(paths[:, 0], return_inverse=True)
        place = xp.ascontiguousarray(place, dtype="int64")
    for batch in reach_in_batches(forward, n_nodes, distinct, meet):
        launch(
            "path_try", "choose", blocks_for(n * WARP, THREADS), THREADS,
            forward.table, backward.table, n_steps, meet, batch.first,
            paths, fits, n, place, batch.begin, batch.end,
            batch.reached, 0 if batch.reached is None else batch.reached.shape[1],
            src, dst, chosen,
            INDEX=forward.kind.dtype,
        )  # fmt: skip
    return src, dst, chosen
