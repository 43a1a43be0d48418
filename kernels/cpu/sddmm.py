"""Sampled dense times dense: a dot product for every edge, and nothing for other pairs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.edges import edge_at
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks

__all__ = ["sddmm"]


def sddmm(
    indptr: npt.NDArray,
    indices: npt.NDArray,
    edge_ids: npt.NDArray | None,
    x: npt.NDArray,
    z: npt.NDArray,
) -> npt.NDArray:
    """Dot product of both ends of each edge, by head: ``s[e,h] = <x[i(e),h,:], z[j(e),h,:]>``.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    indices : (n_edges,) int32 or int64
        Columns, in [0, n_cols).
    edge_ids : (n_edges,) int64 or None
        Id of the edge at each position; None for the positions themselves.
    x : (n_rows, H, d) float32 or float64, C-contiguous
    z : (n_cols, H, d), dtype of x, C-contiguous

    Returns
    -------
    s : (n_edges, H), dtype of x
        By edge id.

    Notes
    -----
    Cost O(n_edges H d); bytes: the result only. Parallel over rows, the same bits for any number of
    threads; on processors with wider vectors the last bits may differ.

    Examples
    --------
    >>> x, z = np.array([[[1.0, 2.0]]]), np.array([[[3.0, 4.0]], [[5.0, 6.0]]])
    >>> sddmm(np.array([0, 2]), np.array([0, 1]), None, x, z)
    array([[11.],
           [17.]])
    """
    n_heads, d = x.shape[1:]
    scores = np.empty((len(indices), n_heads), x.dtype)
    work_ns = len(indices) * (1 + n_heads * (1 + d / 8))
    run_blocks(_rows, row_blocks(indptr, work_ns), indptr, indices, edge_ids, x, z, scores)
    return scores


# Without leave to reorder this one sum the compiler may not use vector registers: 2.5 times slower.
@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _dot(a, b):
    total = a.dtype.type(0)
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@njit(cache=True, nogil=True)
def _rows(begin, end, indptr, indices, edge_ids, x, z, scores):
    for i in range(begin, end):
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            j, e = np.uint64(indices[p]), edge_at(edge_ids, p)
            for h in range(x.shape[1]):
                scores[e, h] = _dot(x[i, h], z[j, h])
