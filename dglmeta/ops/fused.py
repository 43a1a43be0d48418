"""Several ops in one kernel, for plain tensors: outside of transforms, in reverse mode.

Inside a transform (:func:`dglmeta.ops.rules.transforming`) the ops' doors take the same
computation apart into the ops of :mod:`rules` instead, which nest in any order. The gradients here
are differentiable again: by the same kernel where that is linear, else through those ops.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops import backend
from dglmeta.ops.rules import SDDMM, EdgeSoftmax, Expand, SpMM, apply_plain, one_feature_axis

__all__ = ["Attention", "ScaledSpMM", "composed_attention", "scaled"]


class ScaledSpMM(torch.autograd.Function):
    """``y[i] = r[i] * (sum of weight[e] * c[j] * x[j])``, r and c constant, or None for ones."""

    @classmethod
    def apply(cls, *args: Any) -> Tensor:
        """Run it as quickly as torch allows."""
        return apply_plain(cls, backend.spmm, *args)

    @staticmethod
    def forward(
        ctx: Any,
        adj: Adjacency,
        weight: Tensor | None,
        x: Tensor,
        scale_src: Tensor | None,
        scale_dst: Tensor | None,
    ) -> Tensor:
        """(n_src, *heads, ...)."""
        ctx.adj, ctx.scales = adj, (scale_src, scale_dst)
        ctx.save_for_backward(weight, x if ctx.needs_input_grad[1] else None)
        return backend.spmm(adj, weight, x, scale_src, scale_dst)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Adjoints in the weight and in x."""
        (weight, x), (scale_src, scale_dst) = ctx.saved_tensors, ctx.scales
        grad_weight = grad_x = None
        if ctx.needs_input_grad[1]:
            pair = scaled(x, scale_dst), scaled(grad, scale_src)
            if ctx.needs_input_grad[2] and not torch.is_grad_enabled():
                grad_weight, grad_x = backend.spmm_gradient(ctx.adj, weight, *pair)
                return None, grad_weight, scaled(grad_x, scale_dst), None, None
            ends = (one_feature_axis(t, weight.ndim) for t in reversed(pair))
            grad_weight = SDDMM.apply(ctx.adj, *ends)
        if ctx.needs_input_grad[2]:
            grad_x = ScaledSpMM.apply(ctx.adj.T, weight, grad, scale_dst, scale_src)
        return None, grad_weight, grad_x, None, None


class Attention(torch.autograd.Function):
    """Graph attention: scores (n_src, H) and (n_dst, H), x (n_dst, H, d); y (n_src, H, d)."""

    @staticmethod
    def forward(
        ctx: Any, adj: Adjacency, score_src: Tensor, score_dst: Tensor, x: Tensor, slope: float
    ) -> Tensor:
        """(n_src, H, d)."""
        output, ctx.kept = backend.attention(adj, score_src, score_dst, x, slope)
        ctx.adj, ctx.slope = adj, slope
        ctx.save_for_backward(score_src, score_dst, x, output)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """By the kernel; through the composition where the gradient is to be differentiated."""
        *inputs, output = ctx.saved_tensors
        if not torch.is_grad_enabled():
            gradients = backend.attention_gradient(
                ctx.adj, inputs, ctx.slope, output, ctx.kept, grad
            )
            return None, *gradients, None
        # As views, so that derivatives are partial ones where scores were computed from x itself.
        inputs = [t.view_as(t) for t in inputs]
        wanted = [t for t, need in zip(inputs, ctx.needs_input_grad[1:4], strict=True) if need]
        y = composed_attention(ctx.adj, *inputs, ctx.slope)
        found = iter(torch.autograd.grad(y, wanted, grad, create_graph=True))
        return (
            None,
            *(next(found) if need else None for need in ctx.needs_input_grad[1:4]),
            None,
        )


def composed_attention(
    adj: Adjacency, score_src: Tensor, score_dst: Tensor, x: Tensor, slope: float
) -> Tensor:
    """The same as :class:`Attention`, op by op, with arrays of the size of the edges."""
    scores = Expand.apply(adj, score_src) + Expand.apply(adj.T, score_dst)
    weight = EdgeSoftmax.apply(adj, torch.nn.functional.leaky_relu(scores, slope))
    return SpMM.apply(adj, weight, x)


def scaled(x: Tensor, scale: Tensor | None) -> Tensor:
    """Each row of x times its number; x itself for None."""
    return x if scale is None else x * scale.reshape(-1, *[1] * (x.ndim - 1))
