"""Graph attention between rows and columns that share blocks, without a list of their pairs.

A row attends to every column that lies in a block with it, once for each such block. A pair's
weight ``exp(leaky_relu(r_i + c_j))`` is a product, ``e^r_i e^c_j`` where ``r_i + c_j > 0`` and
``e^(a r_i) e^(a c_j)`` elsewhere, a the slope. With both sides of a block sorted by score the pairs
of either kind are those of each row with a run of columns from one end, and the runs of rows in
order contain one another: one sum that grows, read once a row, serves them all. The gradient in the
columns is the same with sides exchanged. That in the rows is, with ``g_i`` the gradient of ``y_i``,
``y+`` and ``a+`` the parts of y and of the weights that come from positive arguments, ::

    dr_i = (1 - slope) (<g_i, y+_i> - <g_i, y_i> a+_i)

Factors are taken relative to each block's largest and each row's largest, so that none exceeds 1;
sums are float64 and never differences, so that nothing is lost where scores lie far apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.block_sums import (
    add_up,
    clear,
    members_in_order,
    set_factors,
    starts_of,
)
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.simd import WIDTH, empty_lines

__all__ = ["BlockAttended", "Members", "block_attention", "block_attention_gradient"]


class Members(NamedTuple):
    """In which blocks each node lies: a structure of nodes by blocks."""

    indptr: npt.NDArray
    """(n + 1,) int64"""
    blocks: npt.NDArray
    """(n_members,) int32 or int64, in [0, n_blocks); one named twice counts twice."""


class Side(NamedTuple):
    """The members of one side, for each head block after block, in each by rising score."""

    members: npt.NDArray
    """(H, n_members) int32, or int64 where there are too many: the node."""
    runs: npt.NDArray
    """(H, n_members), like members: with how many of the other side, from the lowest on, the sum
    of scores is at most 0."""
    factors: npt.NDArray
    """(H, 2, n_members and some more) float64: where that is so, and elsewhere, a pair's weight is
    the product of its two sides' factors."""


class BlockAttended(NamedTuple):
    """What ``block_attention`` returns: the result, and what its gradient needs."""

    y: npt.NDArray
    rows: Side
    columns: Side


def block_attention(
    rows: Members,
    columns: Members,
    n_blocks: int,
    row_score: npt.NDArray,
    col_score: npt.NDArray,
    x: npt.NDArray,
    slope: float,
) -> BlockAttended:
    """``y[i] = sum_b sum_j in b softmax(leaky(r_i + c_j)) x[j]`` over the blocks b of row i.

    Parameters
    ----------
    rows, columns : Members
        Of n_rows and of n_cols nodes.
    n_blocks : int
    row_score, col_score : (n_rows, H) and (n_cols, H) float32 or float64
        r and c.
    x : (n_cols, H, d), dtype of the scores, C-contiguous
    slope : float
        At most 1; of the leaky ReLU where its argument is not positive.

    Returns
    -------
    y : (n_rows, H, d)
        Zero in rows that share no block with a column.
    rows, columns : Side
        What the gradient needs beside it.

    Notes
    -----
    Cost O(H (members d + n log n)), whatever the number of pairs; bytes: the results, of which 24 a
    member and head beside y, 8 a node and head, and for each thread 40 a node. Parallel over heads,
    the same bits for any number of threads.

    References
    ----------
    Velickovic et al., arXiv 1710.10903, eq. 3.

    Examples
    --------
    >>> one = Members(np.array([0, 1, 2]), np.array([0, 0]))
    >>> scores, x = np.zeros((2, 1)), np.array([[[2.0]], [[6.0]]])
    >>> block_attention(one, one, 1, scores, scores, x, 0.2).y.ravel()
    array([4., 4.])
    """
    y = empty_lines((len(row_score), *x.shape[1:]), x.dtype)
    most = max(len(a) for a in (rows.blocks, columns.blocks, row_score, col_score))
    ids = np.int32 if most < 2**31 else np.int64
    of_rows, of_columns = (_side(x.shape[1], len(side.blocks), ids) for side in (rows, columns))
    run_blocks(
        _rows, _head_blocks(rows, columns, x.shape), *rows, *columns, n_blocks, row_score,
        col_score, _order(row_score), _order(col_score), x, float(slope), y, *of_rows, *of_columns,
    )  # fmt: skip
    return BlockAttended(y, of_rows, of_columns)


def block_attention_gradient(
    rows: Members,
    columns: Members,
    n_blocks: int,
    row_score: npt.NDArray,
    col_score: npt.NDArray,
    x: npt.NDArray,
    slope: float,
    attended: BlockAttended,
    grad: npt.NDArray,
) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """The gradients of ``block_attention`` in the scores and in x.

    Parameters
    ----------
    rows, columns, n_blocks, row_score, col_score, x, slope
        As ``block_attention`` had them.
    attended : BlockAttended
        What it gave.
    grad : (n_rows, H, d), like y, C-contiguous
        Gradient of y.

    Returns
    -------
    d_row_score, d_col_score : (n_rows, H) and (n_cols, H)
    d_x : (n_cols, H, d)

    Notes
    -----
    Cost O(H members d); bytes: the results, and for each thread a head of x or of y, whichever is
    more, and 24 a node.
    """
    d_row_score, d_col_score = (np.empty(s.shape, x.dtype) for s in (row_score, col_score))
    d_x = empty_lines(x.shape, x.dtype)
    run_blocks(
        _columns, _head_blocks(rows, columns, x.shape), rows.blocks, columns.blocks, n_blocks, x,
        float(slope), attended.y, *attended.rows, *attended.columns, grad, d_row_score, d_col_score,
        d_x,
    )  # fmt: skip
    return d_row_score, d_col_score, d_x


def _side(n_heads: int, n_members: int, ids: npt.DTypeLike) -> Side:
    """Room for one."""
    members, runs = (np.empty((n_heads, n_members), ids) for _ in range(2))
    return Side(members, runs, np.empty((n_heads, 2, n_members + WIDTH)))


def _order(score: npt.NDArray) -> npt.NDArray:
    """(H, n) integers: nodes by rising score, for each head."""
    by_head = np.ascontiguousarray(score.T)
    if score.dtype != np.float32:
        return np.argsort(by_head, axis=1)
    # In one integer the score, whose bits order as it does once negative ones are flipped, and the
    # node: sorted in half the time.
    keys = by_head.view(np.int32).astype(np.int64)
    keys ^= (keys >> 31) & 0x7FFFFFFF
    keys = (keys << 32) | np.arange(len(score))
    keys.sort(axis=1)
    return keys & 0xFFFFFFFF


def _head_blocks(rows: Members, columns: Members, shape: tuple[int, ...]) -> Sequence[int]:
    """Heads for each thread."""
    _, n_heads, d = shape
    work_ns = (len(rows.blocks) + len(columns.blocks)) * n_heads * (40 + d / 2)
    return row_blocks(range(n_heads + 1), work_ns)


@njit(cache=True, nogil=True)
def _rows(
    begin, end, row_indptr, row_blocks, col_indptr, col_blocks, n_blocks, row_score, col_score,
    row_order, col_order, x, slope, y, row_members, row_runs, row_factors, col_members, col_runs,
    col_factors,
):  # fmt: skip
    """Forward, for some heads: sums of powers and of their products with x, then the quotient."""
    row_starts, col_starts = starts_of(row_blocks, n_blocks), starts_of(col_blocks, n_blocks)
    ones, total = np.ones(len(x)), np.empty(len(y))
    for h in range(begin, end):
        rows, columns, factors = row_members[h], col_members[h], row_factors[h]
        members_in_order(row_indptr, row_blocks, row_starts, row_order[h], rows)
        members_in_order(col_indptr, col_blocks, col_starts, col_order[h], columns)
        r, c = row_score[:, h].astype(np.float64), col_score[:, h].astype(np.float64)
        set_factors(
            row_starts, rows, r, col_starts, columns, c, slope, row_runs[h], col_runs[h], factors,
            col_factors[h],
        )  # fmt: skip
        clear(y, h)
        total[:] = 0
        for high in range(2):
            add_up(
                high, row_starts, rows, row_runs[h], factors[high], col_starts, columns,
                col_factors[h, high], x, h, ones, y, h, total,
            )  # fmt: skip
        for i in range(len(y)):
            total[i] = 1 / total[i] if total[i] else 0.0
            for k in range(y.shape[2]):
                y[i, h, k] *= total[i]
        for p in range(len(rows)):
            factors[0, p] *= total[rows[p]]
            factors[1, p] *= total[rows[p]]


@njit(cache=True, nogil=True)
def _columns(
    begin, end, row_blocks, col_blocks, n_blocks, x, slope, y, row_members, row_runs, row_factors,
    col_members, col_runs, col_factors, grad, d_row_score, d_col_score, d_x,
):  # fmt: skip
    """Backward, for some heads: rows once more, where positive, then columns."""
    row_starts, col_starts = starts_of(row_blocks, n_blocks), starts_of(col_blocks, n_blocks)
    part = np.empty((max(len(x), len(y)), 1, x.shape[2]), x.dtype)
    ones, less = np.ones(len(x)), np.empty((2, len(x)))
    along, weight = np.empty(len(y)), np.empty(len(y))
    for h in range(begin, end):
        rows, columns = row_members[h], col_members[h]
        part[:] = 0
        weight[:], less[:] = 0, 0
        add_up(
            1, row_starts, rows, row_runs[h], row_factors[h, 1], col_starts, columns,
            col_factors[h, 1], x, h, ones, part, 0, weight,
        )  # fmt: skip
        for i in range(len(y)):
            along[i] = dot(grad, h, y, h, i)
            d_row_score[i, h] = (1 - slope) * (dot(grad, h, part, 0, i) - along[i] * weight[i])
        part[:] = 0
        clear(d_x, h)
        for high in range(2):
            add_up(
                high, col_starts, columns, col_runs[h], col_factors[h, high], row_starts, rows,
                row_factors[h, high], grad, h, along, part if high else d_x, 0 if high else h,
                less[high],
            )  # fmt: skip
        for j in range(len(x)):
            low, high = dot(x, h, d_x, h, j) - less[0, j], dot(x, h, part, 0, j) - less[1, j]
            d_col_score[j, h] = slope * low + high
            for k in range(x.shape[2]):
                d_x[j, h, k] += part[j, 0, k]


@njit(cache=True, nogil=True, fastmath={"reassoc"})  # else it would not be vectorised
def dot(a, h, b, g, i):
    """``<a[i, h], b[i, g]>``."""
    total = 0.0
    for k in range(np.uint64(a.shape[2])):
        total += np.float64(a[i, h, k]) * b[i, g, k]
    return total
