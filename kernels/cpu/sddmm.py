"""Sampled dense times dense: a dot product for every edge, and nothing for other pairs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.edges import edge_at
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.simd import (
    WIDE,
    WIDTH,
    add_product,
    load,
    load_first,
    load_wide,
    prefetch_wide,
    total,
    zeros,
    zeros_wide,
)

__all__ = ["sddmm"]

AHEAD = 16
"""Edges between asking for a vector and reading it."""


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
    threads.

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


# One function, as Numba counts references to the arrays that go in and out of another one.
@njit(cache=True, nogil=True)
def _rows(begin, end, indptr, indices, edge_ids, x, z, scores):
    zero, width, wide = np.uint64(0), np.uint64(WIDTH), np.uint64(WIDE)
    n_heads, d = np.uint64(x.shape[1]), np.uint64(x.shape[2])
    final = np.uint64(len(indices) - 1)
    in_wide, in_blocks = d - d % wide, d - d % width
    for i in range(np.uint64(begin), np.uint64(end)):
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)])):
            e, j = edge_at(edge_ids, p), np.uint64(indices[p])
            later = np.uint64(indices[min(p + np.uint64(AHEAD), final)])
            for h in range(n_heads):
                a, b, ahead = (
                    (i * n_heads + h) * d,
                    (j * n_heads + h) * d,
                    (later * n_heads + h) * d,
                )
                score = x.dtype.type(0)
                if in_wide:
                    products = zeros_wide(x)
                    for k in range(zero, in_wide, wide):
                        prefetch_wide(z, ahead + k)
                        products = add_product(products, load_wide(x, a + k), load_wide(z, b + k))
                    score = total(products)
                if in_wide < d:
                    rest = zeros(x)
                    for k in range(in_wide, in_blocks, width):
                        rest = add_product(rest, load(x, a + k), load(z, b + k))
                    if in_blocks < d:
                        k, n = in_blocks, d - in_blocks
                        rest = add_product(rest, load_first(x, a + k, n), load_first(z, b + k, n))
                    score += total(rest)
                scores[e, h] = score
