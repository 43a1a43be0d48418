"""Sparse times dense: every row's weighted sum of its neighbours' vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.edges import edge_at
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.simd import (
    WIDE,
    WIDTH,
    add_scaled,
    load,
    load_first,
    load_wide,
    prefetch_wide,
    store,
    store_first,
)

__all__ = ["spmm"]

AHEAD = 16
"""Edges between asking for a vector and adding it: about the time memory takes to answer."""

EDGES_AT_ONCE = 128
"""Edges that all blocks of features pass over in turn: their ids and weights stay in the cache."""


def spmm(
    indptr: npt.NDArray,
    indices: npt.NDArray,
    edge_ids: npt.NDArray | None,
    weight: npt.NDArray | None,
    x: npt.NDArray,
    row_scale: npt.NDArray | None = None,
    col_scale: npt.NDArray | None = None,
) -> npt.NDArray:
    """Sum of the neighbours' vectors, by head: ``y[i,h,:] = r[i] sum_e w[e,h] c[j] x[j,h,:]``.

    The sum runs over the edges e of row i in the order of their positions; j(e) is the column.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    indices : (n_edges,) int32 or int64
        Columns, in [0, n_cols).
    edge_ids : (n_edges,) int64 or None
        Id of the edge at each position; None for the positions themselves.
    weight : (n_edges, H) or (n_edges, 1) float, or None
        By edge id; one column serves all heads; None is all ones.
    x : (n_cols, H, d) float32 or float64, C-contiguous
    row_scale, col_scale : (n_rows,) and (n_cols,), dtype of x, or None
        r and c; None is all ones. Cheaper than weights that are products of both.

    Returns
    -------
    y : (n_rows, H, d), dtype of x
        Zero in rows without edges.

    Notes
    -----
    Cost O(n_edges H d); bytes: the result only. Parallel over rows, the same bits for any number of
    threads. Sums are kept in the dtype of x: relative error up to (degree x machine epsilon).

    Examples
    --------
    >>> x = np.array([[[1.0, 2.0]], [[10.0, 20.0]]])
    >>> spmm(np.array([0, 2, 3]), np.array([0, 1, 1]), None, None, x)[:, 0]
    array([[11., 22.],
           [10., 20.]])
    """
    _, n_heads, d = x.shape
    y = np.empty((len(indptr) - 1, n_heads, d), x.dtype)
    if n_heads > 1 and (weight is None or weight.shape[1] == 1):
        n_heads, d = 1, n_heads * d  # heads that share a weight are one wide head
    work_ns = len(indices) * (1 + n_heads * d / 8)
    run_blocks(
        _rows, row_blocks(indptr, work_ns), indptr, indices, edge_ids, weight, row_scale, col_scale,
        n_heads, d, x, y,
    )  # fmt: skip
    return y


# One function, as Numba counts references to the arrays that go in and out of another one: twice
# the time. Blocks of features stay in registers while edges pass; their sums rest in y between.
@njit(cache=True, nogil=True)
def _rows(
    begin, end, indptr, indices, edge_ids, weight, row_scale, col_scale, n_heads, d, x, y
):  # fmt: skip
    width, wide, at_once = np.uint64(WIDTH), np.uint64(WIDE), np.uint64(EDGES_AT_ONCE)
    final = np.uint64(len(indices) - 1)
    d, stride = np.uint64(d), np.uint64(n_heads * d)
    tail = d % width
    y[begin:end] = 0
    for i in range(np.uint64(begin), np.uint64(end)):
        row = i * stride
        for first in range(np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)]), at_once):
            last = min(first + at_once, np.uint64(indptr[i + np.uint64(1)]))
            for h in range(np.uint64(n_heads)):
                k, until = h * d, (h + np.uint64(1)) * d - tail
                while k + wide <= until:
                    total = load_wide(y, row + k)
                    for p in range(first, last):
                        later = np.uint64(indices[min(p + np.uint64(AHEAD), final)])
                        prefetch_wide(x, later * stride + k)
                        j = np.uint64(indices[p])
                        factor = _factor(weight, edge_ids, p, h, col_scale, j)
                        total = add_scaled(total, factor, load_wide(x, j * stride + k))
                    store(y, row + k, total)
                    k += wide
                while k < until:
                    total = load(y, row + k)
                    for p in range(first, last):
                        j = np.uint64(indices[p])
                        factor = _factor(weight, edge_ids, p, h, col_scale, j)
                        total = add_scaled(total, factor, load(x, j * stride + k))
                    store(y, row + k, total)
                    k += width
                if tail:
                    total = load_first(y, row + k, tail)
                    for p in range(first, last):
                        j = np.uint64(indices[p])
                        factor = _factor(weight, edge_ids, p, h, col_scale, j)
                        total = add_scaled(total, factor, load_first(x, j * stride + k, tail))
                    store_first(y, row + k, total, tail)
        if row_scale is not None:
            y[i] *= row_scale[i]


@njit(cache=True, nogil=True)
def _factor(weight, edge_ids, p, h, col_scale, j):
    """What the vector of column j is multiplied by; 1 where neither is given, at no cost."""
    if weight is None:
        return 1.0 if col_scale is None else col_scale[j]
    w = weight[edge_at(edge_ids, p), h]
    return w if col_scale is None else w * col_scale[j]
