"""Graph attention in one pass over the edges: scores, softmax and weighted sum, and the gradients.

Nothing of the size of the edges is written, forward or backward. Forward keeps the logarithm of
each row's sum of exponentials, from which backward computes any edge's weight again. With
``u = r_i + c_j`` the score's argument, ``s = leaky_relu(u)``, ``a = exp(s - lse_i)`` the weight and
``g_i`` the gradient of ``y_i``, the gradient of s is ``a (<g_i, x_j> - <g_i, y_i>)``. It sums to
zero over a row, so that of ``r_i`` needs only the edges with ``u > 0``, whose weighted sum of
vectors ``y+`` and of weights ``a+`` forward keeps too::

    dr_i = (1 - slope) (<g_i, y+_i> - <g_i, y_i> a+_i)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.edges import prefetch
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.simd import (
    WIDE,
    WIDTH,
    add_product,
    add_scaled,
    address_of,
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
from dglmeta.kernels.cpu.softmax import exponentials, largest_score, room_for_a_row

__all__ = ["Attended", "attention", "attention_gradient"]

AHEAD = 32
"""Edges between asking for a vector and reading it."""


class Attended(NamedTuple):
    """What ``attention`` returns: the result, and what its gradient needs."""

    y: npt.NDArray
    log_sum: npt.NDArray
    positive_y: npt.NDArray
    positive_weight: npt.NDArray


def attention(
    indptr: npt.NDArray,
    indices: npt.NDArray,
    row_score: npt.NDArray,
    col_score: npt.NDArray,
    x: npt.NDArray,
    slope: float,
) -> Attended:
    """Attention of each row to its neighbours: ``y[i] = sum_j softmax_j(leaky(r_i + c_j)) x[j]``.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    indices : (n_edges,) int32 or int64
        Columns, in [0, n_cols).
    row_score, col_score : (n_rows, H) and (n_cols, H) float32 or float64
        r and c.
    x : (n_cols, H, d), dtype of the scores, C-contiguous
    slope : float
        Of the leaky ReLU where its argument is not positive.

    Returns
    -------
    y : (n_rows, H, d)
        Zero in rows without edges.
    log_sum : (n_rows, H)
        Logarithm of the row's sum of exponentials; 0 in rows without edges.
    positive_y, positive_weight : (n_rows, H, d) and (n_rows, H)
        The parts of y and of the weights that come from edges with a positive argument.

    Notes
    -----
    Cost O(n_edges H d); bytes: the results, and for each thread its longest row. Parallel over
    rows, the same bits for any number of threads. The row's largest score is subtracted first.

    References
    ----------
    Velickovic et al., arXiv 1710.10903, eq. 3; recomputing weights from the logarithm of their
    sum: Dao et al., arXiv 2205.14135, section 3.1.

    Examples
    --------
    >>> scores, x = np.zeros((1, 1)), np.array([[[2.0]], [[6.0]]])
    >>> attention(np.array([0, 2]), np.array([0, 1]), scores, np.zeros((2, 1)), x, 0.2).y
    array([[[4.]]])
    """
    n_rows, (_, n_heads, d) = len(indptr) - 1, x.shape
    y, positive_y = (empty_lines((n_rows, n_heads, d), x.dtype) for _ in range(2))
    log_sum, positive_weight = np.empty((2, n_rows, n_heads), x.dtype)
    work_ns = len(indices) * n_heads * (3 + d / 8)
    run_blocks(
        _rows, row_blocks(indptr, work_ns), indptr, indices, row_score, col_score, x,
        x.dtype.type(slope), y, log_sum, positive_y, positive_weight,
    )  # fmt: skip
    return Attended(y, log_sum, positive_y, positive_weight)


def attention_gradient(
    col_indptr: npt.NDArray,
    col_indices: npt.NDArray,
    row_score: npt.NDArray,
    col_score: npt.NDArray,
    x: npt.NDArray,
    slope: float,
    attended: Attended,
    grad: npt.NDArray,
) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """The gradients of ``attention`` in the scores and in x.

    Parameters
    ----------
    col_indptr, col_indices : (n_cols + 1,) and (n_edges,)
        The same edges by column: the rows that each column's edges come from.
    row_score, col_score, x, slope
        As ``attention`` had them.
    attended : Attended
        What it gave.
    grad : (n_rows, H, d), like y, C-contiguous
        Gradient of y.

    Returns
    -------
    d_row_score, d_col_score : (n_rows, H) and (n_cols, H)
    d_x : (n_cols, H, d)

    Notes
    -----
    Cost O(n_edges H d), one pass over the edges by column; bytes: the results, 3 n_rows H numbers,
    and for each thread two numbers an edge and head of its longest column.
    """
    n_rows, n_heads, d = grad.shape
    slope = x.dtype.type(slope)
    about_rows = np.empty((n_rows, 3, n_heads), x.dtype)
    d_row_score = np.empty((n_rows, n_heads), x.dtype)
    blocks = row_blocks(range(n_rows + 1), grad.size / 2)
    run_blocks(_row_gradients, blocks, row_score, slope, *attended, grad, about_rows, d_row_score)
    d_col_score, d_x = np.empty(col_score.shape, x.dtype), empty_lines(x.shape, x.dtype)
    blocks = row_blocks(col_indptr, len(col_indices) * n_heads * (4 + d / 4))
    run_blocks(
        _columns, blocks, col_indptr, col_indices, about_rows, col_score, x, slope, grad,
        d_col_score, d_x,
    )  # fmt: skip
    return d_row_score, d_col_score, d_x


@njit(cache=True, nogil=True)
def _rows(
    begin, end, indptr, indices, row_score, col_score, x, slope, y, log_sum, positive_y,
    positive_weight,
):  # fmt: skip
    """Forward: the weights of a row's edges, then their sums of vectors."""
    n_heads, d, far = np.uint64(x.shape[1]), np.uint64(x.shape[2]), np.uint64(AHEAD)
    width, wide, final = np.uint64(WIDTH), np.uint64(WIDE), np.uint64(len(indices) - 1)
    stride, tail, zero, one = n_heads * d, d % width, x.dtype.type(0), x.dtype.type(1)
    weight = room_for_a_row(begin, end, indptr, x.shape[1], x)  # (n_heads, edges)
    positive = room_for_a_row(begin, end, indptr, x.shape[1], x)  # the same where u > 0, or 0
    weight_at, room = address_of(weight), np.uint64(weight.shape[1])
    for i in range(np.uint64(begin), np.uint64(end)):
        first, n = np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)] - indptr[i])
        for q in range(n):
            j = np.uint64(indices[first + q])
            for h in range(n_heads):
                u = row_score[i, h] + col_score[j, h]
                weight[h, q] = u if u > zero else slope * u
                positive[h, q] = one if u > zero else zero
        for h in range(n_heads):
            log_sum[i, h] = positive_weight[i, h] = zero
            if n:
                shift = largest_score(weight_at, h * room, n)
                whole = exponentials(weight_at, h * room, n, shift)
                log_sum[i, h] = shift + np.log(whole)
                share, part_of_one = one / whole, zero
                for q in range(n):
                    weight[h, q] *= share
                    positive[h, q] *= weight[h, q]
                    part_of_one += positive[h, q]
                positive_weight[i, h] = part_of_one
            k, until, to = h * d, (h + np.uint64(1)) * d - tail, i * stride
            while k + wide <= until:
                both, part = zeros_wide(x), zeros_wide(x)
                for q in range(n):
                    later = np.uint64(indices[min(first + q + far, final)])
                    prefetch_wide(x, later * stride + k)
                    there = load_wide(x, np.uint64(indices[first + q]) * stride + k)
                    both = add_scaled(both, weight[h, q], there)
                    part = add_scaled(part, positive[h, q], there)
                store(y, to + k, both)
                store(positive_y, to + k, part)
                k += wide
            while k < until:
                both, part = zeros(x), zeros(x)
                for q in range(n):
                    later = np.uint64(indices[min(first + q + far, final)])
                    prefetch_block(x, later * stride + k)
                    there = load(x, np.uint64(indices[first + q]) * stride + k)
                    both = add_scaled(both, weight[h, q], there)
                    part = add_scaled(part, positive[h, q], there)
                store(y, to + k, both)
                store(positive_y, to + k, part)
                k += width
            if tail:
                both, part = zeros(x), zeros(x)
                for q in range(n):
                    later = np.uint64(indices[min(first + q + far, final)])
                    prefetch_block(x, later * stride + k)
                    there = load_first(x, np.uint64(indices[first + q]) * stride + k, tail)
                    both = add_scaled(both, weight[h, q], there)
                    part = add_scaled(part, positive[h, q], there)
                store_first(y, to + k, both, tail)
                store_first(positive_y, to + k, part, tail)


@njit(cache=True, nogil=True, fastmath={"reassoc"})  # else the sums would not be vectorised
def _row_gradients(
    begin, end, row_score, slope, y, log_sum, positive_y, positive_weight, grad, about_rows,
    d_row_score,
):  # fmt: skip
    """What a row tells its edges, side by side: r, the logarithm of the sum, and <g, y>."""
    for i in range(np.uint64(begin), np.uint64(end)):
        for h in range(np.uint64(y.shape[1])):
            whole = part = y.dtype.type(0)
            for k in range(np.uint64(y.shape[2])):
                whole += grad[i, h, k] * y[i, h, k]
                part += grad[i, h, k] * positive_y[i, h, k]
            about_rows[i, 0, h] = row_score[i, h]
            about_rows[i, 1, h] = log_sum[i, h]
            about_rows[i, 2, h] = whole
            d_row_score[i, h] = (1 - slope) * (part - whole * positive_weight[i, h])


@njit(cache=True, nogil=True)
def _columns(
    begin, end, col_indptr, col_indices, about_rows, col_score, x, slope, grad, d_col_score, d_x
):
    """Backward: each edge's weight again; its product with g, and the dot product of g and x."""
    n_heads, d, far = np.uint64(x.shape[1]), np.uint64(x.shape[2]), np.uint64(AHEAD)
    width, wide, final = np.uint64(WIDTH), np.uint64(WIDE), np.uint64(len(col_indices) - 1)
    stride, tail, zero, three = n_heads * d, d % width, x.dtype.type(0), np.uint64(3)
    weight = room_for_a_row(begin, end, col_indptr, x.shape[1], x)  # (n_heads, edges)
    dot = room_for_a_row(begin, end, col_indptr, x.shape[1], x)
    weight_at, room = address_of(weight), np.uint64(weight.shape[1])
    for j in range(np.uint64(begin), np.uint64(end)):
        first, n = np.uint64(col_indptr[j]), np.uint64(col_indptr[j + np.uint64(1)] - col_indptr[j])
        for q in range(n):
            i = np.uint64(col_indices[first + q])
            later = np.uint64(col_indices[min(first + q + far, final)])
            prefetch(about_rows, later * three * n_heads)
            for h in range(n_heads):
                u = about_rows[i, 0, h] + col_score[j, h]
                weight[h, q] = (u if u > zero else slope * u) - about_rows[i, 1, h]
                dot[h, q] = zero
        for h in range(n_heads):
            exponentials(weight_at, h * room, n, zero)
            k, until, to = h * d, (h + np.uint64(1)) * d - tail, j * stride
            while k + wide <= until:
                here, sums = load_wide(x, to + k), zeros_wide(x)
                for q in range(n):
                    later = np.uint64(col_indices[min(first + q + far, final)])
                    prefetch_wide(grad, later * stride + k)
                    there = load_wide(grad, np.uint64(col_indices[first + q]) * stride + k)
                    sums = add_scaled(sums, weight[h, q], there)
                    dot[h, q] += total(add_product(zeros_wide(x), here, there))
                store(d_x, to + k, sums)
                k += wide
            while k < until:
                here, sums = load(x, to + k), zeros(x)
                for q in range(n):
                    later = np.uint64(col_indices[min(first + q + far, final)])
                    prefetch_block(grad, later * stride + k)
                    there = load(grad, np.uint64(col_indices[first + q]) * stride + k)
                    sums = add_scaled(sums, weight[h, q], there)
                    dot[h, q] += total(add_product(zeros(x), here, there))
                store(d_x, to + k, sums)
                k += width
            if tail:
                here, sums = load_first(x, to + k, tail), zeros(x)
                for q in range(n):
                    later = np.uint64(col_indices[min(first + q + far, final)])
                    prefetch_block(grad, later * stride + k)
                    there = load_first(grad, np.uint64(col_indices[first + q]) * stride + k, tail)
                    sums = add_scaled(sums, weight[h, q], there)
                    dot[h, q] += total(add_product(zeros(x), here, there))
                store_first(d_x, to + k, sums, tail)
            d_score = zero
            for q in range(n):
                i = np.uint64(col_indices[first + q])
                slant = 1 if about_rows[i, 0, h] + col_score[j, h] > zero else slope
                d_score += slant * weight[h, q] * (dot[h, q] - about_rows[i, 2, h])
            d_col_score[j, h] = d_score
