"""Whether a chain of steps joins given pairs of nodes, and by how many paths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.chain import Chain, column, prefetch_columns, prefetch_row, row
from dglmeta.kernels.cpu.order import counting_order
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.reach import (
    clear,
    first_nodes,
    is_marked,
    reach,
    scratch,
    search,
)

__all__ = ["connected_pairs", "count_pairs", "group_by_key"]

OFFSETS_AHEAD, COLUMNS_AHEAD = 16, 8
"""How many pairs ahead the offsets, and then the columns, of a target are asked for."""


def connected_pairs(
    forward: Chain,
    backward: Chain,
    n_nodes: tuple[int, ...],
    sources: npt.NDArray,
    targets: npt.NDArray,
    middle: int,
    pair_ns: float = 300,
) -> npt.NDArray:
    """Whether at least one path joins each pair: meet in the middle.

    What the first ``middle`` steps reach from a source is marked once for all its pairs; each
    target is then looked back from until a mark is met.

    Parameters
    ----------
    forward, backward : Chain
        Step j from level j to j + 1, and the same edges from level j + 1 to j.
    n_nodes : (L + 1,) integers
        Of each level.
    sources, targets : (n,) integers
        Ids at level 0 and at level L. Pairs are taken by source: those of one source share work.
    middle : int
        In [1, L] and at least L - 2. Where the halves meet; the answer is the same for any.
    pair_ns : float
        Rough time of a pair, in nanoseconds, to decide on threads.

    Returns
    -------
    connected : (n,) bool

    Notes
    -----
    Cost O(pairs + edges the first half follows, for every source + edges looked at, for every
    pair); bytes: the result, 16 a pair unless sources come in order, and an eighth a node of every
    level and 8 a node reached, a thread. Parallel over pairs.

    Examples
    --------
    >>> from dglmeta.kernels.cpu.chain import link
    >>> there = np.array([0, 1, 2, 3]), np.array([0, 0, 1])  # users 0 and 1 rated item 0
    >>> back = np.array([0, 2, 3]), np.array([0, 1, 2])
    >>> chain = link([there, back])
    >>> pairs = np.array([0, 0]), np.array([1, 2])
    >>> connected_pairs(chain, link([back, there]), (3, 2, 3), *pairs, middle=1)
    array([ True, False])
    """
    connected = np.empty(len(sources), np.bool_)
    _run(_connect, forward, backward, n_nodes, sources, targets, middle, pair_ns, connected)
    return connected


def count_pairs(
    forward: Chain,
    backward: Chain,
    n_nodes: tuple[int, ...],
    sources: npt.NDArray,
    targets: npt.NDArray,
    middle: int,
    pair_ns: float = 1000,
) -> npt.NDArray:
    """How many paths join each pair; parallel edges count each.

    Parameters
    ----------
    forward, backward, n_nodes, sources, targets, middle, pair_ns
        As for ``connected_pairs``.

    Returns
    -------
    counts : (n,) int64
        Modulo 2**64 where they do not fit.

    Notes
    -----
    Cost and bytes as for ``connected_pairs``, and 8 bytes a node of every level, a thread; nothing
    stops a search early. Parallel over pairs.
    """
    counts = np.empty(len(sources), np.int64)
    _run(_count, forward, backward, n_nodes, sources, targets, middle, pair_ns, counts)
    return counts


def group_by_key(keys: npt.NDArray, n_keys: int) -> npt.NDArray | None:
    """Positions in the order of their keys, equal keys in their old order; None if in order.

    Parameters
    ----------
    keys : (n,) integers in [0, n_keys)

    Returns
    -------
    order : (n,) int32 or int64, or None

    Notes
    -----
    A counting sort, O(n + n_keys) and 8 bytes for each; for few keys of many a stable argsort.
    """
    if np.all(keys[1:] >= keys[:-1]):
        return None
    if 8 * len(keys) < n_keys:
        return np.argsort(keys, kind="stable")
    return counting_order(keys, n_keys)[1]


def _run(
    worker: Callable[..., object],
    forward: Chain,
    backward: Chain,
    n_nodes: tuple[int, ...],
    sources: npt.NDArray,
    targets: npt.NDArray,
    middle: int,
    pair_ns: float,
    out: npt.NDArray,
) -> None:
    """Share the pairs among threads, those of one source side by side."""
    order = group_by_key(sources, n_nodes[0])
    blocks = row_blocks(range(len(sources) + 1), pair_ns * len(sources))
    chains = forward.table, backward.table, forward.kind, first_nodes(n_nodes)
    run_blocks(worker, blocks, *chains, sources, targets, order, middle, out)


@njit(cache=True, nogil=True)
def _connect(
    begin, end, forward, backward, kind, first, sources, targets, order, middle, connected
):
    marks, nodes = scratch(first)
    n_levels = len(first) - 1
    n_found, trail = np.zeros(n_levels, np.int64), np.empty(n_levels, np.uint64)
    last_step, here = n_levels - 2, first[middle]
    marked_from = -1
    for i in range(begin, end):
        # What the pairs to come will read is fetched while this one is searched.
        if i + OFFSETS_AHEAD < end:
            ahead = pair_at(order, i + OFFSETS_AHEAD)
            prefetch_row(backward, last_step, targets[ahead])
            ahead = pair_at(order, i + COLUMNS_AHEAD)
            prefetch_columns(backward, last_step, targets[ahead], kind)
        pair = pair_at(order, i)
        if sources[pair] != marked_from:
            clear(middle, first, marks, nodes, n_found)
            marked_from = sources[pair]
            reach(forward, kind, marked_from, 0, middle, first, marks, nodes, n_found)
        connected[pair], _ = search(backward, kind, targets[pair], middle, here, marks, trail)


@njit(cache=True, nogil=True)
def _count(begin, end, forward, backward, kind, first, sources, targets, order, middle, counts):
    marks, nodes = scratch(first)
    n_levels = len(first) - 1
    n_found = np.zeros(n_levels, np.int64)
    n_paths = np.empty(first[-1], np.int64)
    marked_from = -1
    for i in range(begin, end):
        pair = pair_at(order, i)
        if sources[pair] != marked_from:
            clear(middle, first, marks, nodes, n_found)
            marked_from = sources[pair]
            reach(forward, kind, marked_from, 0, middle, first, marks, nodes, n_found)
            _count_forward(forward, kind, middle, first, nodes, n_found, n_paths)
        counts[pair] = _count_back(
            backward, kind, targets[pair], middle, first[middle], marks, n_paths
        )


@njit(cache=True, nogil=True)
def pair_at(order, place):
    """The pair at a place of an order; None is the order pairs come in."""
    if order is None:
        return np.uint64(place)
    return np.uint64(order[place])


@njit(cache=True, nogil=True)
def _count_forward(forward, kind, middle, first, nodes, n_found, n_paths):
    """Number of paths to every node that ``reach`` found, in ``n_paths`` by common number."""
    n_paths[first[0]] = 1
    for step in range(middle):
        indices, here, there = forward[step, 1], first[step], first[step + 1]
        for i in range(np.uint64(n_found[step + 1])):
            n_paths[there + np.uint64(nodes[there + i])] = 0
        for i in range(np.uint64(n_found[step])):
            node = np.uint64(nodes[here + i])
            n = n_paths[here + (node if step else np.uint64(0))]
            start, stop = row(forward, step, node)
            for position in range(start, stop):
                n_paths[there + column(indices, position, kind)] += n


@njit(cache=True, nogil=True)
def _count_back(backward, kind, target, middle, here, marks, n_paths):
    """Sum of the paths to all nodes of level ``middle`` that lead on to the target."""
    last = len(backward)
    total = 0
    if last == middle:
        node = here + np.uint64(target)
        total = n_paths[node] if is_marked(marks, node) else 0
    elif last == middle + 1:
        total = _count_row(backward, kind, target, middle, here, marks, n_paths)
    else:
        rows = backward[last - 1, 1]
        start, stop = row(backward, last - 1, target)
        for position in range(start, stop):
            node = column(rows, position, kind)
            total += _count_row(backward, kind, node, middle, here, marks, n_paths)
    return total


@njit(cache=True, nogil=True)
def _count_row(backward, kind, node, middle, here, marks, n_paths):
    """Sum of the paths to the marked nodes in one row of the step back to level ``middle``."""
    indices = backward[middle, 1]
    start, stop = row(backward, middle, node)
    total = 0
    for position in range(start, stop):
        node = here + column(indices, position, kind)
        if is_marked(marks, node):
            total += n_paths[node]
    return total
