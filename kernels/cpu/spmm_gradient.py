"""Both gradients of a weighted sum of neighbours, in one pass over the edges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.edges import fetch, last_of_rows, place, room_for_rows
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.sddmm import sddmm
from dglmeta.kernels.cpu.simd import (
    WIDE,
    WIDTH,
    add_product,
    add_scaled,
    empty_lines,
    load,
    load_first,
    load_wide,
    prefetch_block,
    prefetch_wide,
    store,
    store_first,
    total,
    zeros,
    zeros_wide,
)
from dglmeta.kernels.cpu.spmm import NARROW_BYTES, spmm

__all__ = ["spmm_gradient"]

AHEAD = 32
"""Edges between asking for a vector and reading it."""

EDGES_AT_ONCE = 128
"""Edges that all blocks of features pass over in turn."""

Structure = tuple[npt.NDArray, npt.NDArray, npt.NDArray | None]


def spmm_gradient(
    by_row: Structure, by_column: Structure, weight: npt.NDArray, x: npt.NDArray, grad: npt.NDArray
) -> tuple[npt.NDArray, npt.NDArray]:
    """Gradients of ``spmm``: ``dw[e,h] = <g[i,h], x[j,h]>`` and ``dx[j,h] = sum_e w[e,h] g[i,h]``.

    Both need the vectors of g at the rows of each column's edges, which are read once.

    Parameters
    ----------
    by_row, by_column : (indptr, indices, edge_ids)
        The same edges by row, as ``spmm`` had them, and by column.
    weight : (n_edges, H) float
        By edge id.
    x : (n_cols, H, d) float32 or float64, C-contiguous
    grad : (n_rows, H, d), like x
        g, the gradient of the sums.

    Returns
    -------
    d_weight : (n_edges, H)
        By edge id.
    d_x : (n_cols, H, d)

    Notes
    -----
    Cost O(n_edges H d); bytes: the results, and where columns have ids, for each thread 131,072
    numbers or two for each edge and head of its longest column. Parallel over columns, the same
    bits for any number of threads. Narrow vectors are left to ``sddmm`` and ``spmm``, where weights
    can be read in order.

    Examples
    --------
    >>> by_row = np.array([0, 2]), np.array([0, 1]), None
    >>> by_column = np.array([0, 1, 2]), np.array([0, 0]), None
    >>> weight, x, grad = np.array([[5.0], [7.0]]), np.ones((2, 1, 2)), np.array([[[1.0, 3.0]]])
    >>> d_weight, d_x = spmm_gradient(by_row, by_column, weight, x, grad)
    >>> d_weight[:, 0], d_x[:, 0].tolist()
    (array([4., 4.]), [[5.0, 15.0], [7.0, 21.0]])
    """
    indptr, indices, edge_ids = by_column
    n_heads, d = x.shape[1:]
    in_order = by_row[:2] if by_row[2] is None else None
    if edge_ids is not None and in_order is not None and n_heads * d * x.itemsize <= NARROW_BYTES:
        return sddmm(*by_row, grad, x), spmm(*by_column, weight, grad, by_column=in_order)
    d_weight = empty_lines((len(indices), n_heads), x.dtype)
    d_x = empty_lines(x.shape, x.dtype)
    if d_weight.size == 0:
        d_x[:] = 0
        return d_weight, d_x
    blocks = row_blocks(indptr, len(indices) * (1 + n_heads * (1 + d / 4)))
    if edge_ids is None:
        run_blocks(_columns, blocks, indptr, indices, 0, weight, x, grad, d_weight, d_x)
    else:
        run_blocks(
            _columns_by_id, blocks, indptr, indices, edge_ids, weight, x, grad, d_weight, d_x
        )
    return d_weight, d_x


@njit(cache=True, nogil=True)
def _columns_by_id(begin, end, indptr, indices, edge_ids, weight, x, grad, d_weight, d_x):
    """Some columns at a time: fetches their weights, then places the gradients of these."""
    fetched = room_for_rows(begin, end, indptr, weight)
    dots = np.empty_like(fetched)
    j = begin
    while j < end:
        until = last_of_rows(j, end, indptr, weight)
        first, last = indptr[j], indptr[until]
        fetch(first, last, edge_ids, weight, fetched)
        _columns(j, until, indptr, indices, first, fetched, x, grad, dots, d_x)
        place(first, last, edge_ids, dots, d_weight)
        j = until


# One function, as Numba counts references to the arrays that go in and out of another one.
@njit(cache=True, nogil=True)
def _columns(begin, end, indptr, indices, before, weight, x, grad, dots, d_x):
    """Weights and dots are by position, less the edges ``before`` the first of them."""
    one, far, before = np.uint64(1), np.uint64(AHEAD), np.uint64(before)
    width, wide, at_once = np.uint64(WIDTH), np.uint64(WIDE), np.uint64(EDGES_AT_ONCE)
    n_heads, d = np.uint64(x.shape[1]), np.uint64(x.shape[2])
    final, stride, tail = np.uint64(len(indices) - 1), n_heads * d, d % width
    for j in range(np.uint64(begin), np.uint64(end)):
        row, start, stop = j * stride, np.uint64(indptr[j]), np.uint64(indptr[j + one])
        if start == stop:
            d_x[j] = 0
        first = start
        while first < stop:
            last = min(first + at_once, stop)
            for h in range(n_heads):
                k, until, begun = h * d, (h + one) * d - tail, False
                while k + wide <= until:
                    own = load_wide(x, row + k)
                    sums = zeros_wide(x) if first == start else load_wide(d_x, row + k)
                    for p in range(first, last):
                        later = np.uint64(indices[min(p + far, final)])
                        prefetch_wide(grad, later * stride + k)
                        there = load_wide(grad, np.uint64(indices[p]) * stride + k)
                        sums = add_scaled(sums, weight[p - before, h], there)
                        dot = total(add_product(zeros_wide(x), own, there))
                        dots[p - before, h] = dots[p - before, h] + dot if begun else dot
                    store(d_x, row + k, sums)
                    k += wide
                    begun = True
                while k < until:
                    own = load(x, row + k)
                    sums = zeros(x) if first == start else load(d_x, row + k)
                    for p in range(first, last):
                        later = np.uint64(indices[min(p + far, final)])
                        prefetch_block(grad, later * stride + k)
                        there = load(grad, np.uint64(indices[p]) * stride + k)
                        sums = add_scaled(sums, weight[p - before, h], there)
                        dot = total(add_product(zeros(x), own, there))
                        dots[p - before, h] = dots[p - before, h] + dot if begun else dot
                    store(d_x, row + k, sums)
                    k += width
                    begun = True
                if tail or not begun:
                    own = load_first(x, row + k, tail)
                    sums = zeros(x) if first == start else load_first(d_x, row + k, tail)
                    for p in range(first, last):
                        later = np.uint64(indices[min(p + far, final)])
                        prefetch_block(grad, later * stride + k)
                        there = load_first(grad, np.uint64(indices[p]) * stride + k, tail)
                        sums = add_scaled(sums, weight[p - before, h], there)
                        dot = total(add_product(zeros(x), own, there))
                        dots[p - before, h] = dots[p - before, h] + dot if begun else dot
                    store_first(d_x, row + k, sums, tail)
            first = last
