"""Reductions over the edges of each row, and their adjoint."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.edges import edge_at
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks

__all__ = ["expand", "segment_max", "segment_sum"]


def segment_sum(
    indptr: npt.NDArray, edge_ids: npt.NDArray | None, values: npt.NDArray
) -> npt.NDArray:
    """Sum over each row's edges: ``y[i,:] = sum_e values[e,:]``.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    edge_ids : (n_edges,) int64 or None
        Id of the edge at each position; None for the positions themselves.
    values : (n_edges, k) numbers
        By edge id.

    Returns
    -------
    y : (n_rows, k), dtype of values
        Zero in rows without edges.

    Notes
    -----
    Cost O(n_edges k); bytes: the result only. Parallel over rows, the same bits for any number of
    threads; edges are added in the order of their positions.

    Examples
    --------
    >>> segment_sum(np.array([0, 2, 2, 3]), None, np.array([[1.0], [2.0], [4.0]]))[:, 0]
    array([3., 0., 4.])
    """
    sums = np.empty((len(indptr) - 1, values.shape[1]), values.dtype)
    blocks = row_blocks(indptr, 2 * values.size)
    run_blocks(_sum_rows, blocks, indptr, edge_ids, values, sums)
    return sums


def segment_max(
    indptr: npt.NDArray, edge_ids: npt.NDArray | None, values: npt.NDArray
) -> tuple[npt.NDArray, npt.NDArray]:
    """Largest value among each row's edges, column by column, and the edge that holds it.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    edge_ids : (n_edges,) int64 or None
        Id of the edge at each position; None for the positions themselves.
    values : (n_edges, k) numbers
        By edge id. A NaN is larger than everything.

    Returns
    -------
    largest : (n_rows, k), dtype of values
        Zero in rows without edges.
    arg : (n_rows, k) int64
        Id of the edge, of equal ones that at the first position; -1 in rows without edges.

    Notes
    -----
    Cost O(n_edges k); bytes: the results only. Parallel over rows, the same bits for any number of
    threads.

    Examples
    --------
    >>> largest, arg = segment_max(np.array([0, 2, 2]), None, np.array([[-3.0], [-1.0]]))
    >>> largest[:, 0], arg[:, 0]
    (array([-1.,  0.]), array([ 1, -1]))
    """
    shape = (len(indptr) - 1, values.shape[1])
    largest, arg = np.empty(shape, values.dtype), np.empty(shape, np.int64)
    blocks = row_blocks(indptr, 2 * values.size)
    run_blocks(_max_rows, blocks, indptr, edge_ids, values, largest, arg)
    return largest, arg


def expand(indptr: npt.NDArray, edge_ids: npt.NDArray | None, x: npt.NDArray) -> npt.NDArray:
    """Each edge's copy of its row's values: ``y[e,:] = x[i(e),:]``, the adjoint of ``segment_sum``.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    edge_ids : (n_edges,) int64 or None
        Id of the edge at each position; None for the positions themselves.
    x : (n_rows, k) numbers

    Returns
    -------
    y : (n_edges, k), dtype of x
        By edge id.

    Notes
    -----
    Cost O(n_edges k); bytes: the result only. Parallel over rows.

    Examples
    --------
    >>> expand(np.array([0, 2, 2, 3]), None, np.array([[5.0], [6.0], [7.0]]))[:, 0]
    array([5., 5., 7.])
    """
    copies = np.empty((int(indptr[-1]), x.shape[1]), x.dtype)
    run_blocks(_expand_rows, row_blocks(indptr, copies.size), indptr, edge_ids, x, copies)
    return copies


@njit(cache=True, nogil=True)
def _sum_rows(begin, end, indptr, edge_ids, values, sums):
    for i in range(begin, end):
        total = sums[i]  # (k,)
        total[:] = 0
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            e = edge_at(edge_ids, p)
            for k in range(values.shape[1]):
                total[k] += values[e, k]


@njit(cache=True, nogil=True)
def _max_rows(begin, end, indptr, edge_ids, values, largest, arg):
    for i in range(begin, end):
        best, where = largest[i], arg[i]  # (k,) each
        best[:], where[:] = 0, -1
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            e = edge_at(edge_ids, p)
            for k in range(values.shape[1]):
                value = values[e, k]
                first_nan = value != value and best[k] == best[k]
                if where[k] < 0 or value > best[k] or first_nan:
                    best[k], where[k] = value, e


@njit(cache=True, nogil=True)
def _expand_rows(begin, end, indptr, edge_ids, x, copies):
    for i in range(begin, end):
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            e = edge_at(edge_ids, p)
            for k in range(x.shape[1]):
                copies[e, k] = x[i, k]
