"""Targets that a chain of steps joins to a source, or does not, each of them equally likely.

A path from the source is drawn uniformly and kept if it is the one of its pair (``path_try``); or,
where paths outnumber the nodes they may end on, a node is drawn and kept if it is joined. Where
that does not find enough, or little is reached, all that is reached is listed and drawn from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.chain import Chain, addresses, prefetch_columns, prefetch_row
from dglmeta.kernels.cpu.path_try import is_first, largest_degree, number_paths, walk
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.reach import clear, first_nodes, is_marked, reach, scratch, search
from dglmeta.kernels.rng import as_word, random_below, random_uint64, stream

__all__ = ["EDGES_A_TRY", "NONE", "UNDECIDED", "Draws", "draw_targets"]

TARGETS = 0x74617267657473
"""First of two blocks of random streams: of targets joined and of those not ("targets")."""

EDGES_A_TRY = 100
"""What a try costs beside the edges it looks at, in edges followed while listing."""

TRIES_AT_ONCE = 16
"""Tries whose reads of memory wait together."""

SOURCES_AHEAD = 2
"""How many sources ahead columns are asked for, and offsets twice as many."""

NONE, UNDECIDED = -1, -2
"""In place of a target: there is none; none was found and listing would take too long."""


class Draws(NamedTuple):
    """What ``draw_targets`` found."""

    targets: npt.NDArray
    """(n, per_source) int64."""
    n_tries: npt.NDArray
    """(n,) int64: targets tried for each source before listing."""


def draw_targets(
    forward: Chain,
    backward: Chain,
    n_nodes: tuple[int, ...],
    onward: Sequence[npt.NDArray],
    sources: npt.NDArray,
    per_source: int,
    seed: int,
    middle: int,
    *,
    joined: bool,
    most_edges: int,
) -> Draws:
    """Targets for each source, uniform and with replacement from those joined to it, or not joined.

    Parameters
    ----------
    forward, backward : Chain
        Step j from level j to j + 1, and the same edges from level j + 1 to j.
    n_nodes : (L + 1,) integers
        Of each level.
    onward : (L - 1,) arrays of int64
        Paths to the last level from each node of levels 1..L-1, as ``onward_counts`` counts them.
    sources : (n,) integers
    per_source : int
    seed : int
    middle : int
        In [1, L] and at least L - 2: where searches from both ends meet. Results are uniform for
        any, but not equal.
    joined : bool
        Whether the targets are to be joined to their source, or not to be.
    most_edges : int
        A source is given up if its tries followed so many edges and listing takes more than that.

    Returns
    -------
    draws : Draws
        A source without any such target has ``NONE`` throughout; one given up has ``UNDECIDED``
        in the places not filled.

    Notes
    -----
    What a source draws depends on (seed, source) and the graph alone: not on the other sources nor
    on threads. At most about twice the edges that the cheaper of trying and listing would follow;
    bytes: the result, and an eighth a node of every level, 8 a node reached and 8 an edge of the
    largest row of a source, a thread. Parallel over sources.
    """
    draws = Draws(
        np.full((len(sources), per_source), UNDECIDED, np.int64), np.zeros(len(sources), np.int64)
    )
    work_ns = 5.0 * EDGES_A_TRY * per_source * len(sources)
    blocks = row_blocks(range(len(sources) + 1), work_ns)
    tables = (forward.table, backward.table, forward.kind, first_nodes(n_nodes), addresses(onward))
    limits = (n_nodes[-1], sum(len(a) for a in forward.indices), most_edges)
    args = (sources, as_word(seed), middle, joined, *limits)
    run_blocks(_draw, blocks, *tables, *args, *draws)
    return draws


@njit(cache=True, nogil=True)
def _draw(
    begin,
    end,
    forward,
    backward,
    kind,
    first,
    onward,
    sources,
    seed,
    middle,
    joined,
    n_targets,
    n_edges,
    most_edges,
    targets,
    n_tries,
):
    marks, nodes = scratch(first)
    n_levels, per_source = len(first) - 1, targets.shape[1]
    n_found, trail = np.zeros(n_levels, np.int64), np.empty(n_levels, np.uint64)
    paths = np.empty((TRIES_AT_ONCE, n_levels), np.uint64)
    before = np.empty(largest_degree(forward, sources[begin:end]) + 1, np.int64)
    for r in range(begin, end):
        if r + 2 * SOURCES_AHEAD < end:
            prefetch_row(forward, 0, sources[r + 2 * SOURCES_AHEAD])
            prefetch_columns(forward, 0, sources[r + SOURCES_AHEAD], kind)
        key = stream(seed, TARGETS + joined, sources[r])
        n_paths = number_paths(forward, kind, onward, sources[r], before)
        to_list = min(n_paths, n_edges)
        n_drawn, depth = 0, 0
        if to_list > EDGES_A_TRY * per_source:
            depth = middle
            reach(forward, kind, sources[r], 0, depth, first, marks, nodes, n_found)
            n_drawn, n_tries[r] = _try(
                forward,
                backward,
                kind,
                first,
                onward,
                sources[r],
                before,
                n_paths if joined and n_paths < n_targets else 0,
                n_targets,
                middle,
                joined,
                key,
                min(to_list, most_edges),
                marks,
                trail,
                paths,
                targets[r],
            )
        if n_drawn < per_source and to_list <= max(most_edges, EDGES_A_TRY * per_source):
            reach(forward, kind, sources[r], depth, n_levels - 1, first, marks, nodes, n_found)
            depth = n_levels - 1
            found = nodes[first[depth] :][: n_found[depth]]
            rest = targets[r, n_drawn:]
            _draw_listed(found, marks, first[depth], n_targets, joined, key, n_tries[r], rest)
        clear(depth, first, marks, nodes, n_found)


@njit(cache=True, nogil=True)
def _try(
    forward,
    backward,
    kind,
    first,
    onward,
    source,
    before,
    n_paths,
    n_targets,
    middle,
    joined,
    key,
    most_edges,
    marks,
    trail,
    paths,
    targets,
):
    """Fill targets by trying paths, or nodes if n_paths is 0; returns how many, and the tries."""
    last = len(trail) - 1
    n_drawn, n_tries, n_edges = 0, 0, 0
    fits = np.ones(TRIES_AT_ONCE, np.bool_)
    while n_drawn < len(targets) and n_edges < most_edges:
        n = min(len(targets) - n_drawn, TRIES_AT_ONCE)
        for t in range(n):
            bits = random_uint64(key, n_tries + t)
            if n_paths:
                number = random_below(bits, n_paths)
                fits[t] = walk(forward, kind, onward, source, before, number, paths, t)
            else:
                paths[t, last] = random_below(bits, n_targets)
            prefetch_row(backward, last - 1, paths[t, last])
        for t in range(n):
            prefetch_columns(backward, last - 1, paths[t, last], kind)
        for t in range(n):
            target = paths[t, last]
            found, n_looked_at = search(backward, kind, target, middle, first[middle], marks, trail)
            n_edges += n_looked_at + EDGES_A_TRY
            if n_paths:
                found = fits[t] and is_first(backward, kind, middle, first, marks, trail, paths, t)
            if found == joined:
                targets[n_drawn] = target
                n_drawn += 1
        n_tries += n
    return n_drawn, n_tries


@njit(cache=True, nogil=True)
def _draw_listed(found, marks, here, n_targets, joined, key, n_before, targets):
    """Fill targets from those found, which are marked, or from the others."""
    n_fitting = len(found) if joined else n_targets - len(found)
    draw = n_before
    for t in range(len(targets)):
        if n_fitting == 0:
            targets[t] = NONE
        elif joined:
            targets[t] = found[random_below(random_uint64(key, draw), n_fitting)]
        else:
            node = random_below(random_uint64(key, draw), n_targets)
            while is_marked(marks, here + np.uint64(node)):
                draw += 1
                node = random_below(random_uint64(key, draw), n_targets)
            targets[t] = node
        draw += 1
