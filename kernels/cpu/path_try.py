"""Paths along a chain of steps: counted, numbered, and one told apart for every joined pair.

A path drawn uniformly ends more often where more paths end. So of those that join a pair only one
is kept, that whose nodes, read backwards, come first, over the first of parallel edges: every
joined pair is then kept equally often.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.chain import Chain, addresses, column, entry, row
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.reach import clear, first_nodes, reach, scratch, search, trace

__all__ = [
    "MOST_PATHS",
    "is_first",
    "largest_degree",
    "number_paths",
    "onward_counts",
    "try_paths",
    "walk",
]

MOST_PATHS = 1 << 61
"""Counts of paths stop here: far from overflow, and far more than are ever drawn from."""


def onward_counts(
    indptr: npt.NDArray,
    indices: npt.NDArray,
    onward: npt.NDArray | None,
    rows: npt.NDArray | None = None,
) -> npt.NDArray:
    """Sum over each row's edges of the paths onward from their columns: the paths from the row.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    indices : (n_edges,) int32 or int64
    onward : (n_cols,) int64 or None
        In [0, MOST_PATHS]; None is all ones.
    rows : (n,) integers, optional
        Only these.

    Returns
    -------
    counts : (n_rows or n,) int64
        At most ``MOST_PATHS``, which stands for more as well.

    Notes
    -----
    Cost O(edges of the rows); bytes: the result. Parallel over rows.

    Examples
    --------
    >>> onward_counts(np.array([0, 2, 2]), np.array([0, 1]), np.array([5, 7])).tolist()
    [12, 0]
    """
    if onward is None:
        ends = indptr[1:] if rows is None else indptr[rows + 1]
        return ends - (indptr[:-1] if rows is None else indptr[rows])
    n_rows = len(indptr) - 1 if rows is None else len(rows)
    offsets = indptr if rows is None else range(n_rows + 1)
    counts = np.empty(n_rows, np.int64)
    work_ns = 2.0 * len(indices) * n_rows / max(len(indptr) - 1, 1)
    run_blocks(_sum, row_blocks(offsets, work_ns), indptr, indices, onward, rows, counts)
    return counts


def try_paths(
    forward: Chain,
    backward: Chain,
    n_nodes: tuple[int, ...],
    onward: Sequence[npt.NDArray],
    sources: npt.NDArray,
    before: npt.NDArray,
    numbers: npt.NDArray,
    middle: int,
) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """The ends of some paths, and whether each is the one path of all those that join its ends.

    Of the paths that join a pair exactly one is: with numbers drawn uniformly, the pairs of those
    that are is uniform over all joined pairs.

    Parameters
    ----------
    forward, backward : Chain
        Step j from level j to j + 1, and the same edges from level j + 1 to j.
    n_nodes : (L + 1,) integers
        Of each level.
    onward : (L - 1,) arrays of int64
        Paths to the last level from each node of levels 1..L-1, as ``onward_counts`` counts them.
    sources : (n_sources,) integers
    before : (n_sources + 1,) int64
        Paths from the sources before each, and from all.
    numbers : (n,) int64
        In [0, before[-1]), rising: the paths are numbered by source, then by edge at every step.
    middle : int
        In [1, L] and at least L - 2: where searches from both ends meet; the answer is the same.

    Returns
    -------
    src, dst : (n,) int64
    chosen : (n,) bool

    Notes
    -----
    Cost, for each path, that of a search; for each of their sources, its reach to level ``middle``.
    Bytes: the results, and an eighth a node of every level, 8 a node reached and 8 an edge of the
    largest row, a thread. Parallel over paths.
    """
    src, dst = np.empty(len(numbers), np.int64), np.empty(len(numbers), np.int64)
    chosen = np.empty(len(numbers), np.bool_)
    if len(numbers) == 0:
        return src, dst, chosen
    blocks = row_blocks(range(len(numbers) + 1), 1000.0 * len(numbers))
    tables = (forward.table, backward.table, forward.kind, first_nodes(n_nodes), addresses(onward))
    run_blocks(_try_numbers, blocks, *tables, sources, before, numbers, middle, src, dst, chosen)
    return src, dst, chosen


@njit(cache=True, nogil=True)
def _sum(begin, end, indptr, indices, onward, rows, counts):
    for r in range(begin, end):
        i = np.uint64(r) if rows is None else np.uint64(rows[r])
        total = 0
        for position in range(np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)])):
            total = min(total + onward[np.uint64(indices[position])], MOST_PATHS)
        counts[r] = total


@njit(cache=True, nogil=True)
def _try_numbers(
    begin,
    end,
    forward,
    backward,
    kind,
    first,
    onward,
    sources,
    before_source,
    numbers,
    middle,
    src,
    dst,
    chosen,
):
    marks, nodes = scratch(first)
    n_levels = len(first) - 1
    n_found, trail = np.zeros(n_levels, np.int64), np.empty(n_levels, np.uint64)
    paths = np.empty((1, n_levels), np.uint64)
    at = _last_at_most(before_source, 0, len(sources), numbers[begin])
    last_source = _last_at_most(before_source, at, len(sources), numbers[end - 1])
    before = np.empty(largest_degree(forward, sources[at : last_source + 1]) + 1, np.int64)
    at = -1
    for i in range(begin, end):
        if at < 0 or numbers[i] >= before_source[at + 1]:
            at = _last_at_most(before_source, at + 1, len(sources), numbers[i])
            clear(middle, first, marks, nodes, n_found)
            reach(forward, kind, sources[at], 0, middle, first, marks, nodes, n_found)
            number_paths(forward, kind, onward, sources[at], before)
        number = numbers[i] - before_source[at]
        fits = walk(forward, kind, onward, sources[at], before, number, paths, 0)
        src[i], dst[i] = sources[at], paths[0, n_levels - 1]
        search(backward, kind, dst[i], middle, first[middle], marks, trail)
        chosen[i] = fits and is_first(backward, kind, middle, first, marks, trail, paths, 0)


@njit(cache=True, nogil=True)
def largest_degree(forward, sources):
    """Most edges that leave one of the sources."""
    most = np.uint64(0)
    for i in range(len(sources)):
        start, stop = row(forward, 0, sources[i])
        most = max(most, stop - start)
    return np.int64(most)


@njit(cache=True, nogil=True)
def number_paths(forward, kind, onward, source, before):
    """Number the paths from a source in the order of their first edges; returns how many."""
    indices = forward[0, 1]
    start, stop = row(forward, 0, source)
    total = 0
    before[0] = 0
    for position in range(start, stop):
        n_paths = _paths_onward(onward, 1, column(indices, position, kind))
        total = min(total + n_paths, MOST_PATHS)
        before[position - start + np.uint64(1)] = total
    return total


@njit(cache=True, nogil=True)
def _paths_onward(onward, level, node):
    """Number of paths from a node of a level to the last; one from the last itself."""
    if level > len(onward):
        return 1
    return entry(onward[level - 1], node)


@njit(cache=True, nogil=True)
def _last_at_most(before, low, high, number):
    """The last place in [low, high) where ``before`` is at most a number; there is one."""
    while high - low > 1:
        middle = (low + high) // 2
        if before[middle] <= number:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def walk(forward, kind, onward, source, before, number, paths, t):
    """Put the nodes of a numbered path into ``paths[t]``; whether its edges are first copies.

    Of parallel edges, side by side in their row, the first is the one that counts.
    """
    start, stop = row(forward, 0, source)
    edge = _last_at_most(before, 0, np.int64(stop - start), number)
    position, number = start + np.uint64(edge), np.uint64(number - before[edge])
    paths[t, 0] = source
    all_first = True
    for step in range(len(forward)):
        indices = forward[step, 1]
        if step:
            start, stop = row(forward, step, paths[t, step])
            position = start
            if step == len(forward) - 1:
                position += number
            else:
                n = np.uint64(_paths_onward(onward, step + 1, column(indices, position, kind)))
                while number >= n:
                    number -= n
                    position += np.uint64(1)
                    n = np.uint64(_paths_onward(onward, step + 1, column(indices, position, kind)))
        node = column(indices, position, kind)
        if position > start and column(indices, position - np.uint64(1), kind) == node:
            all_first = False
        paths[t, step + 1] = node
    return all_first


@njit(cache=True, nogil=True)
def is_first(backward, kind, middle, first, marks, trail, paths, t):
    """Whether ``paths[t]`` goes where the search back from its end, done before, goes first."""
    level = len(trail) - 2
    while level >= middle and trail[level] == paths[t, level]:
        level -= 1
    same = level < middle
    if same:
        trace(backward, kind, middle, first, marks, trail)
        level = middle - 1
        while level > 0 and trail[level] == paths[t, level]:
            level -= 1
        same = level <= 0
    return same
