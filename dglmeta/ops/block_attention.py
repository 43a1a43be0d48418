"""Graph attention between nodes that share blocks, in time of the memberships, not of the pairs."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from dglmeta.errors import DataError
from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops import backend
from dglmeta.ops.composed_blocks import composed_block_attention
from dglmeta.ops.door import check_adjacency, check_rows, check_same_kind
from dglmeta.ops.rules import transforming

__all__ = ["block_attention", "pairs_meet_once"]


def block_attention(
    rows: Adjacency,
    columns: Adjacency,
    score_src: Tensor,
    score_dst: Tensor,
    x: Tensor,
    *,
    negative_slope: float = 0.2,
) -> Tensor:
    """Attention of each row to all columns in the same blocks, without a list of such pairs.

    ``y[i] = sum of a[i, b, j] * x[j]`` over the blocks b of row i and the columns j in b, where a
    is the softmax over all these (b, j) of ``leaky_relu(score_src[i] + score_dst[j])``. A pair that
    shares several blocks counts once for each: this is attention over the instances of a meta-path
    through the blocks, and where :func:`pairs_meet_once` over its pairs, as :func:`attention`.

    Parameters
    ----------
    rows : Adjacency
        Shape (n_src, n_blocks): in which blocks each attending node lies.
    columns : Adjacency
        Shape (n_dst, n_blocks): in which blocks each attended node lies; may be ``rows`` itself.
    score_src : (n_src,) or (n_src, H), float32 or float64
        What the attending node adds to the scores of its pairs.
    score_dst : (n_dst,) or (n_dst, H), like score_src
        What the attended node adds.
    x : (n_dst, d), or (n_dst, H, d) with scores of H heads
        Features of attended nodes.
    negative_slope : float
        Of the leaky ReLU, at most 1.

    Returns
    -------
    y : (n_src, d) or (n_src, H, d)
        Zero for a node that shares no block with any.

    Raises
    ------
    DataError
        If a shape, dtype or the slope does not fit.
    DeviceError
        If there are no kernels for the device.

    Notes
    -----
    Exponentials of a sum are products, so the pairs of a block whose scores add up to more than 0
    share one running sum over its nodes in order of score, and the others a second one. Cost
    O((rows.n_edges + columns.n_edges) * H * d) and a sort of the nodes; kept for backward are y and
    24 bytes a membership and head (28 on a GPU): nothing grows with the number of pairs. Sums are
    in float64. On several threads heads run side by side.
    Differentiable any number of times, forward and reverse. Second derivatives and
    :mod:`torch.func` transforms go through tensors of (columns.n_edges, H, d) float64, where a
    number that is not finite reaches other blocks too.

    References
    ----------
    Velickovic et al., arXiv 1710.10903, eq. 3 and 4.

    Examples
    --------
    >>> import torch
    >>> authors = Adjacency.from_coo([0, 1, 1, 2], [0, 0, 1, 1], (3, 2))  # of papers 0, 1, 2
    >>> block_attention(authors, authors, torch.zeros(3), torch.zeros(3), torch.eye(3))
    tensor([[0.5000, 0.5000, 0.0000],
            [0.2500, 0.5000, 0.2500],
            [0.0000, 0.5000, 0.5000]])
    """
    _check(rows, columns, score_src, score_dst, x, negative_slope)
    heads = score_src.shape[1:]
    if not heads:
        score_src, score_dst, x = (t.unsqueeze(1) for t in (score_src, score_dst, x))
    attend = composed_block_attention if transforming() else BlockAttention.apply
    y = attend(rows, columns, score_src, score_dst, x, float(negative_slope))
    return y if heads else y.squeeze(1)


def pairs_meet_once(rows: Adjacency, columns: Adjacency) -> bool:
    """Whether no row shares more than one block with any column.

    Then :func:`block_attention` is :func:`attention` over the pairs that share a block.

    Parameters
    ----------
    rows, columns : Adjacency
        Of (n_src, n_blocks) and (n_dst, n_blocks), as :func:`block_attention` has them.

    Raises
    ------
    DataError
        If they have not the same blocks.

    Notes
    -----
    Cost and bytes of the pairs of blocks that some node joins: the sum of squared degrees of the
    nodes of several blocks, nothing where each lies in one.

    Examples
    --------
    >>> subjects = Adjacency.from_coo([0, 1, 2], [0, 0, 1], (3, 2))
    >>> authors = Adjacency.from_coo([0, 1, 1, 2], [0, 0, 1, 1], (3, 2))
    >>> pairs_meet_once(subjects, authors), pairs_meet_once(authors, authors)
    (True, False)
    """
    _check_blocks("pairs_meet_once", rows, columns)
    r, c = (members.to_scipy() for members in (rows, columns))
    used = (r.sum(0) > 0) & (c.sum(0) > 0)
    if any((part.data[used[part.indices]] > 1).any() for part in (r, c)):
        return False
    shared = [part[part.sum(1) > 1] for part in (r, c)]  # a node of one block joins no two
    joined = [(part.T @ part).tocsr() for part in shared]
    for part in joined:
        part.setdiag(0)
    return int(joined[0].multiply(joined[1]).sum()) == 0


class BlockAttention(torch.autograd.Function):
    """By the kernels: scores (n_src, H) and (n_dst, H), x (n_dst, H, d); y (n_src, H, d)."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Adjacency,
        columns: Adjacency,
        score_src: Tensor,
        score_dst: Tensor,
        x: Tensor,
        slope: float,
    ) -> Tensor:
        """(n_src, H, d)."""
        ctx.structure, ctx.slope = (rows, columns), slope
        to, kernels = backend.bridge_to(rows), _kernels(rows.device)
        with to.stream():
            arrays = (to.array(t) for t in (score_src, score_dst, x))
            kept = kernels.block_attention(*_members(rows, columns), *arrays, slope)
            output, ctx.kept = to.tensor(kept.y), kept._replace(y=None)
        ctx.save_for_backward(score_src, score_dst, x, output)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """By the kernel; through the composition where the gradient is to be differentiated."""
        *inputs, output = ctx.saved_tensors
        needed = ctx.needs_input_grad[2:5]
        if not torch.is_grad_enabled():
            rows = ctx.structure[0]
            to, kernels = backend.bridge_to(rows), _kernels(rows.device)
            with to.stream():
                *arrays, y, slope_of_y = (to.array(t) for t in (*inputs, output, grad))
                gradients = kernels.block_attention_gradient(
                    *_members(*ctx.structure), *arrays, ctx.slope, ctx.kept._replace(y=y),
                    slope_of_y,
                )  # fmt: skip
                return None, None, *map(to.tensor, gradients), None
        # As views, so that derivatives are partial ones where scores were computed from x itself.
        inputs = [t.view_as(t) for t in inputs]
        wanted = [t for t, need in zip(inputs, needed, strict=True) if need]
        rows, columns = ctx.structure
        score_src, score_dst, x = inputs
        y = composed_block_attention(rows, columns, score_src, score_dst, x, ctx.slope)
        found = iter(torch.autograd.grad(y, wanted, grad, create_graph=True))
        return None, None, *(next(found) if need else None for need in needed), None


@cache
def _kernels(device: str) -> Any:
    # Imported on the first call: Numba takes a tenth of a second.
    room = "cpu" if device == "cpu" else "gpu"
    return import_module(f"dglmeta.kernels.{room}.block_attention")


def _members(rows: Adjacency, columns: Adjacency) -> tuple[Any, Any, int]:
    """As the kernels take them."""
    members = _kernels(rows.device).Members
    return (*(members(a.indptr, a.indices) for a in (rows, columns)), rows.n_dst)


def _check(
    rows: Adjacency, columns: Adjacency, score_src: Any, score_dst: Any, x: Any, slope: float
) -> None:
    """Refuse what does not fit together."""
    op = "block_attention"
    _check_blocks(op, rows, columns)
    check_rows(op, rows, "score_src", score_src, rows.n_src, "row")
    check_rows(op, columns, "score_dst", score_dst, columns.n_src, "column")
    check_rows(op, columns, "x", x, columns.n_src, "column")
    check_same_kind(op, "x", x, "score_src", score_src)
    check_same_kind(op, "x", x, "score_dst", score_dst)
    heads = score_src.shape[1:]
    if len(heads) > 1 or score_dst.shape[1:] != heads or x.shape[1:-1] != heads or x.ndim < 2:
        raise DataError(
            f"ops.{op}: expected scores (n,) with x (n_dst, d), or scores (n, H) with x "
            f"(n_dst, H, d), got score_src {tuple(score_src.shape)}, score_dst "
            f"{tuple(score_dst.shape)} and x {tuple(x.shape)}. Give all three the same heads."
        )
    if not slope <= 1:
        raise DataError(
            f"ops.{op}: expected negative_slope at most 1, got {slope}. For steeper slopes take "
            f"ops.attention over the pairs."
        )


def _check_blocks(op: str, rows: Any, columns: Any) -> None:
    """Refuse anything but two memberships in the same blocks."""
    for members in (rows, columns):
        check_adjacency(op, members)
    if rows.n_dst != columns.n_dst:
        raise DataError(
            f"ops.{op}: expected rows (n_src, n_blocks) and columns (n_dst, n_blocks), got shapes "
            f"{rows.shape} and {columns.shape}. Both run from nodes to the same blocks."
        )
