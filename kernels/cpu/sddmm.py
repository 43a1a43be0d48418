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
    empty_lines,
    load,
    load_first,
    load_wide,
    prefetch_block,
    prefetch_wide,
    total,
    zeros,
    zeros_wide,
)

__all__ = ["sddmm"]

AHEAD = 32
"""Edges between asking for a vector and reading it."""

EDGES_AT_ONCE = 128
"""Edges that all blocks of features pass over in turn."""


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
    scores = empty_lines((len(indices), n_heads), x.dtype)
    work_ns = len(indices) * (1 + n_heads * (1 + d / 8))
    run_blocks(_rows, row_blocks(indptr, work_ns), indptr, indices, edge_ids, x, z, scores)
    return scores


# One function, as Numba counts references to the arrays that go in and out of another one. A block
# of the row's features stays in registers while edges pass; their sums rest in s between blocks.
@njit(cache=True, nogil=True)
def _rows(begin, end, indptr, indices, edge_ids, x, z, scores):
    one, far = np.uint64(1), np.uint64(AHEAD)
    width, wide, at_once = np.uint64(WIDTH), np.uint64(WIDE), np.uint64(EDGES_AT_ONCE)
    n_heads, d = np.uint64(x.shape[1]), np.uint64(x.shape[2])
    final, stride, tail = np.uint64(len(indices) - 1), n_heads * d, d % width
    for i in range(np.uint64(begin), np.uint64(end)):
        first, stop = np.uint64(indptr[i]), np.uint64(indptr[i + one])
        while first < stop:
            last = min(first + at_once, stop)
            for h in range(n_heads):
                k, until, begun = h * d, (h + one) * d - tail, False
                while k + wide <= until:
                    own = load_wide(x, i * stride + k)
                    for p in range(first, last):
                        later = min(p + far, final)
                        prefetch_wide(z, np.uint64(indices[later]) * stride + k)
                        at = np.uint64(indices[p]) * stride + k
                        score = total(add_product(zeros_wide(x), own, load_wide(z, at)))
                        e = edge_at(edge_ids, p)
                        scores[e, h] = scores[e, h] + score if begun else score
                    k += wide
                    begun = True
                while k < until:
                    own = load(x, i * stride + k)
                    for p in range(first, last):
                        later = min(p + far, final)
                        prefetch_block(z, np.uint64(indices[later]) * stride + k)
                        at = np.uint64(indices[p]) * stride + k
                        score = total(add_product(zeros(x), own, load(z, at)))
                        e = edge_at(edge_ids, p)
                        scores[e, h] = scores[e, h] + score if begun else score
                    k += width
                    begun = True
                if tail or not begun:
                    own = load_first(x, i * stride + k, tail)
                    for p in range(first, last):
                        later = min(p + far, final)
                        prefetch_block(z, np.uint64(indices[later]) * stride + k)
                        at = np.uint64(indices[p]) * stride + k
                        score = total(add_product(zeros(x), own, load_first(z, at, tail)))
                        e = edge_at(edge_ids, p)
                        scores[e, h] = scores[e, h] + score if begun else score
            first = last
