"""Sparse times dense: every row's weighted sum of its neighbours' vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.edges import edge_at
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks

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
    n_cols, n_heads, d = x.shape
    out = np.empty((len(indptr) - 1, n_heads, d), x.dtype)
    y = out
    if n_heads > 1 and (weight is None or weight.shape[1] == 1):
        # Heads that share a weight are one wide head.
        x, y = x.reshape(n_cols, 1, n_heads * d), out.reshape(len(out), 1, n_heads * d)
    work_ns = len(indices) * (1 + n_heads * d / 8)
    run_blocks(_rows, row_blocks(indptr, work_ns), indptr, indices, edge_ids, weight, x, y)
    return out


@njit(cache=True, nogil=True)
def _rows(begin, end, indptr, indices, edge_ids, weight, x, y):
    for i in range(begin, end):
        total = y[i]  # (H, d)
        total[:] = 0
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            neighbour = x[np.uint64(indices[p])]  # (H, d)
            for h in range(x.shape[1]):
                if weight is None:
                    for k in range(x.shape[2]):
                        total[h, k] += neighbour[h, k]
                else:
                    w = weight[edge_at(edge_ids, p), h]
                    for k in range(x.shape[2]):
                        total[h, k] += w * neighbour[h, k]
