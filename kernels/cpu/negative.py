"""Is there an edge, and a uniform column to which there is none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.rng import as_word, random_below, random_uint64, stream

__all__ = ["contains", "random_numbers", "sample_negatives"]

NEGATIVES = 0x6E65676174697665
"""Block of the random streams used here, apart from those of other kernels ("negative")."""

NUMBERS = 0x6E756D62657273
"""Block of the random streams of ``random_numbers`` ("numbers")."""


def random_numbers(seed: int, begin: int, end: int, n: int) -> npt.NDArray:
    """Numbers ``begin..end-1`` of a sequence of uniform integers in [0, n).

    Parameters
    ----------
    seed : int
    begin, end : int
    n : int
        At least 1.

    Returns
    -------
    numbers : (end - begin,) int64

    Notes
    -----
    Number p depends on (seed, p) alone. Cost O(end - begin); bytes: the result. Parallel.

    Examples
    --------
    >>> numbers = random_numbers(0, 0, 4, 100)
    >>> bool(random_numbers(0, 2, 4, 100)[0] == numbers[2])
    True
    """
    numbers = np.empty(end - begin, np.int64)
    blocks = row_blocks(range(end - begin + 1), 3 * (end - begin))
    run_blocks(_draw_numbers, blocks, as_word(seed), as_word(begin), n, numbers)
    return numbers


def contains(
    indptr: npt.NDArray, indices: npt.NDArray, rows: npt.NDArray, cols: npt.NDArray
) -> npt.NDArray:
    """Whether there is an edge from each row to its column.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    indices : (n_edges,) int32 or int64
        Sorted within rows.
    rows, cols : (n,) integers
        Rows in [0, n_rows); any columns.

    Returns
    -------
    found : (n,) bool

    Notes
    -----
    Cost O(n log degree); bytes: the result only. Parallel over pairs.

    Examples
    --------
    >>> contains(np.array([0, 2]), np.array([1, 3]), np.array([0, 0]), np.array([2, 3]))
    array([False,  True])
    """
    found = np.empty(len(rows), np.bool_)
    blocks = row_blocks(range(len(rows) + 1), 30 * len(rows))
    run_blocks(_find, blocks, indptr, indices, rows, cols, found)
    return found


def sample_negatives(
    indptr: npt.NDArray,
    indices: npt.NDArray,
    rows: npt.NDArray,
    n_cols: int,
    seed: int,
    *,
    forbid_diagonal: bool = False,
) -> npt.NDArray:
    """One column for each given row, uniform among those to which the row has no edge.

    A rank is drawn and the free column of that rank is found: exact, nothing is rejected, and full
    rows cost no more than empty ones.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    indices : (n_edges,) int32 or int64
        Sorted within rows; parallel edges are welcome.
    rows : (n,) integers
        In [0, n_rows); a row given twice is drawn for twice, independently.
    n_cols : int
        More than every column of the given rows.
    seed : int
    forbid_diagonal : bool
        Leave out the column equal to the row as well.

    Returns
    -------
    cols : (n,) int64
        -1 where no column is free.

    Notes
    -----
    Cost O(sum of the degrees of rows), a fast scan for parallel edges; bytes: the result only.
    Parallel over rows; result r depends on (seed, r) and its row alone.

    Examples
    --------
    >>> indptr, indices = np.array([0, 3, 7]), np.array([0, 1, 3, 0, 1, 2, 3])
    >>> sample_negatives(indptr, indices, np.array([0, 1]), n_cols=4, seed=0)
    array([ 2, -1])
    """
    cols = np.empty(len(rows), np.int64)
    mean_degree = len(indices) / max(len(indptr) - 1, 1)
    blocks = row_blocks(range(len(rows) + 1), (50 + mean_degree) * len(rows))
    args = (indptr, indices, rows, n_cols, as_word(seed), forbid_diagonal)
    run_blocks(_draw, blocks, *args, cols)
    return cols


@njit(cache=True, nogil=True)
def _draw_numbers(begin, end, seed, start, n, numbers):
    for i in range(begin, end):
        key = stream(seed, NUMBERS, start + np.uint64(i))
        numbers[i] = random_below(random_uint64(key, 0), n)


@njit(cache=True, nogil=True)
def lower_bound(indices, first, last, column):
    """First position in [first, last) whose entry is not less than ``column``; else last."""
    while first < last:
        middle = (first + last) // 2
        if indices[middle] < column:
            first = middle + 1
        else:
            last = middle
    return first


@njit(cache=True, nogil=True)
def _find(begin, end, indptr, indices, rows, cols, found):
    for r in range(begin, end):
        last = indptr[rows[r] + 1]
        position = lower_bound(indices, indptr[rows[r]], last, cols[r])
        found[r] = position < last and indices[position] == cols[r]


@njit(cache=True, nogil=True)
def _draw(begin, end, indptr, indices, rows, n_cols, seed, forbid_diagonal, cols):
    for r in range(begin, end):
        row = indices[indptr[rows[r]] : indptr[rows[r] + 1]]
        n_distinct = _count_distinct(row)
        n_free = n_cols - n_distinct
        skipped = n_free  # rank of the free column to leave out, if there is one
        if forbid_diagonal and rows[r] < n_cols:
            below = lower_bound(row, 0, len(row), rows[r])
            if below == len(row) or row[below] != rows[r]:
                skipped = rows[r] - _count_distinct(row[:below])
                n_free -= 1
        if n_free == 0:
            cols[r] = -1
            continue
        rank = random_below(random_uint64(stream(seed, NEGATIVES, r), 0), n_free)
        rank += rank >= skipped
        cols[r] = _free_column(row, rank, n_distinct == len(row))


@njit(cache=True, nogil=True)
def _count_distinct(row):
    n = min(len(row), 1)
    for p in range(1, len(row)):
        n += row[p] != row[p - 1]
    return n


@njit(cache=True, nogil=True)
def _free_column(row, rank, distinct):
    """The column that has ``rank`` smaller ones not in ``row``, a sorted array."""
    if distinct:
        # Before entry p there are row[p] - p free columns; count the entries with at most rank.
        first, last = 0, len(row)
        while first < last:
            middle = (first + last) // 2
            if row[middle] - middle <= rank:
                first = middle + 1
            else:
                last = middle
        return rank + first
    column, previous = rank, -1
    for entry in row:
        column += entry != previous and entry <= column
        previous = entry
    return column
