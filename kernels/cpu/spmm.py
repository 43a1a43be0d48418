"""Sparse times dense: every row's weighted sum of its neighbours' vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.edges import FETCHED, fetch, last_of_rows, room_for_rows
from dglmeta.kernels.cpu.pool import balanced_blocks, get_num_threads, row_blocks, run_blocks
from dglmeta.kernels.cpu.simd import (
    WIDE,
    WIDTH,
    add_scaled,
    empty_lines,
    load,
    load_first,
    load_wide,
    prefetch_block,
    prefetch_wide,
    store,
    store_first,
    zeros,
    zeros_wide,
)

__all__ = ["NARROW_BYTES", "spmm"]

AHEAD = 32
"""Edges between asking for a vector and adding it: about the time memory takes to answer."""

EDGES_AT_ONCE = 128
"""Edges that all blocks of features pass over in turn: their ids and weights stay in the cache."""

NARROW_BYTES = 128
"""Up to here a vector is rather added to where it belongs than read where it is needed."""


def spmm(
    indptr: npt.NDArray,
    indices: npt.NDArray,
    edge_ids: npt.NDArray | None,
    weight: npt.NDArray | None,
    x: npt.NDArray,
    row_scale: npt.NDArray | None = None,
    col_scale: npt.NDArray | None = None,
    by_column: tuple[npt.NDArray, npt.NDArray] | None = None,
) -> npt.NDArray:
    """Sum of the neighbours' vectors, by head: ``y[i,h,:] = r[i] sum_e w[e,h] c[j] x[j,h,:]``.

    The sum runs over the edges e of row i in the order of their positions; j(e) is the column.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    indices : (n_edges,) int32 or int64
        Columns, in [0, n_cols), sorted within a row.
    edge_ids : (n_edges,) int64 or None
        Id of the edge at each position; None for the positions themselves.
    weight : (n_edges, H) or (n_edges, 1) float, or None
        By edge id; one column serves all heads; None is all ones.
    x : (n_cols, H, d) float32 or float64, C-contiguous
    row_scale, col_scale : (n_rows,) and (n_cols,), dtype of x, or None
        r and c; None is all ones. Cheaper than weights that are products of both.
    by_column : (n_cols + 1,) and (n_edges,) integers, or None
        The same edges by column, in the order of their ids, where they have that order: where each
        column's begin, and their rows. Only the time depends on it.

    Returns
    -------
    y : (n_rows, H, d), dtype of x
        Zero in rows without edges.

    Notes
    -----
    Cost O(n_edges H d); bytes: the result, and where there are weights and ids, for each thread
    65,536 numbers or its longest row. Parallel over rows, the same bits for any number of threads.
    Sums are kept in the dtype of x: relative error up to (degree x machine epsilon).

    Examples
    --------
    >>> x = np.array([[[1.0, 2.0]], [[10.0, 20.0]]])
    >>> spmm(np.array([0, 2, 3]), np.array([0, 1, 1]), None, None, x)[:, 0]
    array([[11., 22.],
           [10., 20.]])
    """
    _, n_heads, d = x.shape
    y = empty_lines((len(indptr) - 1, n_heads, d), x.dtype)
    if n_heads > 1 and (weight is None or weight.shape[1] == 1):
        n_heads, d = 1, n_heads * d  # heads that share a weight are one wide head
    if y.size == 0:
        return y
    scales = (row_scale, col_scale)
    if by_column is not None and _is_scattered(indices, edge_ids, weight, n_heads, d, x):
        blocks = balanced_blocks(indptr, get_num_threads())
        run_blocks(_owned_rows, blocks, *by_column, weight, *scales, d, x, y)
        return y
    blocks = row_blocks(indptr, len(indices) * (1 + n_heads * d / 8))
    if weight is None or edge_ids is None:
        worker = _narrow_rows if n_heads == 1 and d <= WIDTH else _rows
        run_blocks(worker, blocks, indptr, indices, 0, weight, *scales, n_heads, d, x, y)
    else:
        run_blocks(
            _rows_by_id, blocks, indptr, indices, edge_ids, weight, *scales, n_heads, d, x, y
        )
    return y


def _is_scattered(indices, edge_ids, weight, n_heads, d, x) -> bool:
    """Whether weights in order are worth more than sums in registers.

    Every thread passes over all columns, and finds its rows' edges in each.
    """
    return (
        weight is not None
        and edge_ids is not None
        and n_heads == 1
        and d * x.itemsize <= NARROW_BYTES
        and len(indices) > max(FETCHED, 2 * get_num_threads() * len(x))
    )


# One function, as Numba counts references to the arrays that go in and out of another one: twice
# the time. Blocks of features stay in registers while edges pass; their sums rest in y between.
@njit(cache=True, nogil=True)
def _rows(
    begin, end, indptr, indices, before, weight, row_scale, col_scale, n_heads, d, x, y
):  # fmt: skip
    """Weights are by position, less the edges ``before`` the first of them."""
    width, wide, at_once = np.uint64(WIDTH), np.uint64(WIDE), np.uint64(EDGES_AT_ONCE)
    one, far, before = np.uint64(1), np.uint64(AHEAD), np.uint64(before)
    final = np.uint64(len(indices) - 1)
    d, stride = np.uint64(d), np.uint64(n_heads * d)
    tail = d % width
    for i in range(np.uint64(begin), np.uint64(end)):
        row, start, stop = i * stride, np.uint64(indptr[i]), np.uint64(indptr[i + one])
        if start == stop:
            y[i] = 0
        first = start
        while first < stop:
            last = min(first + at_once, stop)
            for h in range(np.uint64(n_heads)):
                k, until = h * d, (h + one) * d - tail
                while k + wide <= until:
                    total = zeros_wide(y) if first == start else load_wide(y, row + k)
                    for p in range(first, last):
                        later = np.uint64(indices[min(p + far, final)])
                        prefetch_wide(x, later * stride + k)
                        j = np.uint64(indices[p])
                        factor = _factor(weight, p - before, h, col_scale, j)
                        total = add_scaled(total, factor, load_wide(x, j * stride + k))
                    if row_scale is not None and last == stop:
                        total = add_scaled(zeros_wide(y), row_scale[i], total)
                    store(y, row + k, total)
                    k += wide
                while k < until:
                    total = zeros(y) if first == start else load(y, row + k)
                    for p in range(first, last):
                        later = np.uint64(indices[min(p + far, final)])
                        prefetch_block(x, later * stride + k)
                        j = np.uint64(indices[p])
                        factor = _factor(weight, p - before, h, col_scale, j)
                        total = add_scaled(total, factor, load(x, j * stride + k))
                    if row_scale is not None and last == stop:
                        total = add_scaled(zeros(y), row_scale[i], total)
                    store(y, row + k, total)
                    k += width
                if tail:
                    total = zeros(y) if first == start else load_first(y, row + k, tail)
                    for p in range(first, last):
                        later = np.uint64(indices[min(p + far, final)])
                        prefetch_block(x, later * stride + k)
                        j = np.uint64(indices[p])
                        factor = _factor(weight, p - before, h, col_scale, j)
                        total = add_scaled(total, factor, load_first(x, j * stride + k, tail))
                    if row_scale is not None and last == stop:
                        total = add_scaled(zeros(y), row_scale[i], total)
                    store_first(y, row + k, total, tail)
            first = last


@njit(cache=True, nogil=True)
def _narrow_rows(
    begin, end, indptr, indices, before, weight, row_scale, col_scale, n_heads, d, x, y
):  # fmt: skip
    """One head that fits into one block."""
    one, far, before, head = np.uint64(1), np.uint64(AHEAD), np.uint64(before), np.uint64(0)
    final, d = np.uint64(len(indices) - 1), np.uint64(d)
    start = np.uint64(indptr[begin])
    for i in range(np.uint64(begin), np.uint64(end)):
        stop, total = np.uint64(indptr[i + one]), zeros(y)
        for p in range(start, stop):
            later = np.uint64(indices[min(p + far, final)])
            prefetch_block(x, later * d)
            j = np.uint64(indices[p])
            factor = _factor(weight, p - before, head, col_scale, j)
            total = add_scaled(total, factor, load_first(x, j * d, d))
        if row_scale is not None:
            total = add_scaled(zeros(y), row_scale[i], total)
        store_first(y, i * d, total, d)
        start = stop


@njit(cache=True, nogil=True)
def _factor(weight, p, h, col_scale, j):
    """What the vector of column j is multiplied by; 1 where neither is given, at no cost."""
    if weight is None:
        return 1.0 if col_scale is None else col_scale[j]
    w = weight[p, h]
    return w if col_scale is None else w * col_scale[j]


# Apart, the reads of weights wait for memory side by side; among the vectors, each in its turn.
@njit(cache=True, nogil=True)
def _rows_by_id(
    begin, end, indptr, indices, edge_ids, weight, row_scale, col_scale, n_heads, d, x, y
):  # fmt: skip
    """Some rows at a time: fetches their weights into the order of positions, then sums."""
    fetched = room_for_rows(begin, end, indptr, weight)
    i = begin
    while i < end:
        until = last_of_rows(i, end, indptr, weight)
        fetch(indptr[i], indptr[until], edge_ids, weight, fetched)
        given = (i, until, indptr, indices, indptr[i], fetched, row_scale, col_scale)
        if n_heads == 1 and d <= WIDTH:
            _narrow_rows(*given, n_heads, d, x, y)
        else:
            _rows(*given, n_heads, d, x, y)
        i = until


@njit(cache=True, nogil=True)
def _owned_rows(begin, end, col_indptr, rows, weight, row_scale, col_scale, d, x, y):
    """All columns in turn, each added to its neighbours among the rows: sums in the same order."""
    width, one, head = np.uint64(WIDTH), np.uint64(1), np.uint64(0)
    begin, end, d = np.uint64(begin), np.uint64(end), np.uint64(d)
    tail = d % width
    y[begin:end] = 0
    for j in range(np.uint64(len(x))):
        first, last = np.uint64(col_indptr[j]), np.uint64(col_indptr[j + one])
        if begin:
            first = _first_from(rows, first, last, begin)
        for k in range(np.uint64(0), d - tail, width):
            message, p = load(x, j * d + k), first
            while p < last and np.uint64(rows[p]) < end:
                at = np.uint64(rows[p]) * d + k
                factor = _factor(weight, p, head, col_scale, j)
                store(y, at, add_scaled(load(y, at), factor, message))
                p += one
        if tail:
            k, p = d - tail, first
            message = load_first(x, j * d + k, tail)
            while p < last and np.uint64(rows[p]) < end:
                at = np.uint64(rows[p]) * d + k
                factor = _factor(weight, p, head, col_scale, j)
                store_first(y, at, add_scaled(load_first(y, at, tail), factor, message), tail)
                p += one
    if row_scale is not None:
        for i in range(begin, end):
            y[i] *= row_scale[i]


@njit(cache=True, nogil=True)
def _first_from(rows, first, last, row):
    """The first position of rows, sorted from first to last, that holds no lower row."""
    n = last - first
    while n:
        half = (n + np.uint64(1)) >> np.uint64(1)
        first += half if np.uint64(rows[first + half - np.uint64(1)]) < row else np.uint64(0)
        n -= half
    return first
