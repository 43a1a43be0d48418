"""Softmax over the edges of each row, and its derivative."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.edges import edge_at
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.simd import (
    WIDTH,
    add_scaled,
    address_of,
    exp,
    larger,
    largest,
    load,
    splat,
    store,
    total,
    zeros,
)

__all__ = [
    "edge_softmax",
    "edge_softmax_gradient",
    "exponentials",
    "largest_score",
    "room_for_a_row",
]


def edge_softmax(
    indptr: npt.NDArray, edge_ids: npt.NDArray | None, scores: npt.NDArray
) -> npt.NDArray:
    """Softmax over each row's edges: ``exp(s[e] - m) / sum_f exp(s[f] - m)``, m the row's largest.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    edge_ids : (n_edges,) int64 or None
        Id of the edge at each position; None for the positions themselves.
    scores : (n_edges, k) float32 or float64
        By edge id. -inf gives 0, unless the whole row is -inf, which gives NaN as in torch.

    Returns
    -------
    alpha : (n_edges, k), dtype of scores
        By edge id; every row that has edges sums to 1.

    Notes
    -----
    Cost O(n_edges k); bytes: the result, and for each thread its longest row. Parallel over rows,
    the same bits for any number of threads. Results below the smallest normal number are 0.

    Examples
    --------
    >>> edge_softmax(np.array([0, 2, 3]), None, np.array([[1000.0], [1000.0], [7.0]]))[:, 0]
    array([0.5, 0.5, 1. ])
    """
    alpha = np.empty(scores.shape, scores.dtype)
    blocks = row_blocks(indptr, 2 * scores.size)
    run_blocks(_softmax_rows, blocks, indptr, edge_ids, scores, alpha)
    return alpha


def edge_softmax_gradient(
    indptr: npt.NDArray, edge_ids: npt.NDArray | None, alpha: npt.NDArray, grad: npt.NDArray
) -> npt.NDArray:
    """The softmax's Jacobian times a vector: ``a[e] (g[e] - sum_f a[f] g[f])``, f of e's row.

    The Jacobian is symmetric, so this is the derivative in both forward and reverse mode.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    edge_ids : (n_edges,) int64 or None
        Id of the edge at each position; None for the positions themselves.
    alpha, grad : (n_edges, k) float32 or float64
        By edge id: what ``edge_softmax`` gave, and the vector.

    Returns
    -------
    product : (n_edges, k), dtype of alpha
        By edge id.

    Notes
    -----
    Cost O(n_edges k); bytes: the result, and k numbers a block. Parallel over rows, the same bits
    for any number of threads.

    Examples
    --------
    >>> alpha, grad = np.array([[0.5], [0.5]]), np.array([[1.0], [3.0]])
    >>> edge_softmax_gradient(np.array([0, 2]), None, alpha, grad)[:, 0]
    array([-0.5,  0.5])
    """
    product = np.empty(alpha.shape, alpha.dtype)
    blocks = row_blocks(indptr, 2 * alpha.size)
    run_blocks(_gradient_rows, blocks, indptr, edge_ids, alpha, grad, product)
    return product


@njit(cache=True, nogil=True)
def room_for_a_row(begin, end, indptr, n_heads, like):
    """(n_heads, longest row, and some more): scores of a row's edges, each head in one piece."""
    longest = 0
    for i in range(begin, end):
        longest = max(longest, indptr[i + 1] - indptr[i])
    return np.empty((n_heads, longest + WIDTH), like.dtype)


@njit(cache=True, nogil=True)
def largest_score(scores, first, n):
    """The largest of n scores of one head, from the address; what follows them is overwritten."""
    top = splat(scores, -np.inf)
    store(scores, first + n, top)
    for q in range(first, first + n, np.uint64(WIDTH)):
        top = larger(top, load(scores, q))
    return largest(top)


@njit(cache=True, nogil=True)
def exponentials(scores, first, n, shift):
    """Replace n scores of one head by ``exp(s - shift)``, at most 1; return their sum.

    What follows them is overwritten.
    """
    store(scores, first + n, splat(scores, -np.inf))  # counts for nothing
    sums, least = zeros(scores), splat(scores, -shift)
    for q in range(first, first + n, np.uint64(WIDTH)):
        power = exp(add_scaled(least, 1, load(scores, q)))
        sums = add_scaled(sums, 1, power)
        store(scores, q, power)
    return total(sums)


# With one head the loops over heads would cost more than what is in them.
@njit(cache=True, nogil=True)
def _softmax_rows(begin, end, indptr, edge_ids, scores, alpha):
    n_heads, only, one = np.uint64(scores.shape[1]), np.uint64(0), scores.dtype.type(1)
    row = room_for_a_row(begin, end, indptr, scores.shape[1], scores)  # (n_heads, edges)
    row_at, stride = address_of(row), np.uint64(row.shape[1])
    for i in range(begin, end):
        first, n = np.uint64(indptr[i]), np.uint64(indptr[i + 1] - indptr[i])
        if n_heads == 1:
            for q in range(n):
                row[only, q] = scores[edge_at(edge_ids, first + q), only]
        else:
            for q in range(n):
                e = edge_at(edge_ids, first + q)
                for h in range(n_heads):
                    row[h, q] = scores[e, h]
        for h in range(n_heads if n else only):
            at = h * stride
            share = one / exponentials(row_at, at, n, largest_score(row_at, at, n))
            for q in range(n):
                row[h, q] *= share
        if n_heads == 1:
            for q in range(n):
                alpha[edge_at(edge_ids, first + q), only] = row[only, q]
        else:
            for q in range(n):
                e = edge_at(edge_ids, first + q)
                for h in range(n_heads):
                    alpha[e, h] = row[h, q]


@njit(cache=True, nogil=True)
def _gradient_rows(begin, end, indptr, edge_ids, alpha, grad, product):
    n_heads, only = np.uint64(alpha.shape[1]), np.uint64(0)
    mean = np.empty(n_heads, alpha.dtype)
    for i in range(begin, end):
        first, last = np.uint64(indptr[i]), np.uint64(indptr[i + 1])
        mean[:] = 0
        if n_heads == 1:
            for p in range(first, last):
                e = edge_at(edge_ids, p)
                mean[only] += alpha[e, only] * grad[e, only]
            for p in range(first, last):
                e = edge_at(edge_ids, p)
                product[e, only] = alpha[e, only] * (grad[e, only] - mean[only])
            continue
        for p in range(first, last):
            e = edge_at(edge_ids, p)
            for h in range(n_heads):
                mean[h] += alpha[e, h] * grad[e, h]
        for p in range(first, last):
            e = edge_at(edge_ids, p)
            for h in range(n_heads):
                product[e, h] = alpha[e, h] * (grad[e, h] - mean[h])
