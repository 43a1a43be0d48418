"""Sparse times dense: every row's weighted sum of its neighbours' vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.edges import edge_at
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.simd import WIDTH, add_scaled, load, store, zeros

__all__ = ["spmm"]


def spmm(
    indptr: npt.NDArray,
    indices: npt.NDArray,
    edge_ids: npt.NDArray | None,
    weight: npt.NDArray | None,
    x: npt.NDArray,
) -> npt.NDArray:
    """Sum of the neighbours' vectors of each row, by head: ``y[i,h,:] = sum_e w[e,h] x[j(e),h,:]``.

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
    out = np.empty((len(indptr) - 1, n_heads, d), x.dtype)
    if n_heads > 1 and (weight is None or weight.shape[1] == 1):
        n_heads, d = 1, n_heads * d  # heads that share a weight are one wide head
    work_ns = len(indices) * (1 + n_heads * d / 8)
    flat_x, flat_y = x.reshape(-1), out.reshape(-1)
    run_blocks(
        _rows, row_blocks(indptr, work_ns), indptr, indices, edge_ids, weight, n_heads, d,
        flat_x, flat_y,
    )  # fmt: skip
    return out


@njit(cache=True, nogil=True)
def _rows(begin, end, indptr, indices, edge_ids, weight, n_heads, d, x, y):
    """Blocks of ``WIDTH`` features in registers, what is left over one by one."""
    stride = np.uint64(n_heads * d)
    in_blocks = d - d % WIDTH
    for i in range(np.uint64(begin), np.uint64(end)):
        first, last = np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)])
        for h in range(n_heads):
            for k in range(h * d, h * d + in_blocks, WIDTH):
                total = zeros(x)
                for p in range(first, last):
                    lanes = load(x, np.uint64(indices[p]) * stride + np.uint64(k))
                    if weight is None:
                        total = add_scaled(total, x.dtype.type(1), lanes)
                    else:
                        total = add_scaled(total, weight[edge_at(edge_ids, p), h], lanes)
                store(y, i * stride + np.uint64(k), total)
            for k in range(h * d + in_blocks, (h + 1) * d):
                rest = x.dtype.type(0)
                for p in range(first, last):
                    value = x[np.uint64(indices[p]) * stride + np.uint64(k)]
                    if weight is None:
                        rest += value
                    else:
                        rest += weight[edge_at(edge_ids, p), h] * value
                y[i * stride + np.uint64(k)] = rest
