"""Derivative and batching rules of the ops, one ``torch.autograd.Function`` a kernel.

Each rule is written with the differentiable ops themselves, so that reverse mode, forward mode
and :func:`torch.func.vmap` nest in any order and to any depth. Four of the kernels are closed
under differentiation::

    SpMM        y = A_w x           adjoint in x: SpMM of adj.T;  in w: SDDMM
    SDDMM       s = <x_i, z_j>      adjoint in x, z: SpMM of adj and of adj.T
    SegmentSum  y_i = sum of v_e    adjoint: Expand
    Expand      v_e = x_i           adjoint: SegmentSum

A batch axis is never looped over: it becomes one more axis of features or heads, and the kernel
is called once. Shapes here are general: ``...`` is any number of axes, ``*heads`` too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.forward_ad import _set_fwd_grad_enabled as _forward_mode

from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops import backend

__all__ = [
    "EdgeSoftmax",
    "Expand",
    "SDDMM",
    "SegmentArgmax",
    "SegmentSum",
    "SpMM",
    "apply_plain",
    "one_feature_axis",
    "transforming",
]

try:
    from torch._C import _are_functorch_transforms_active as _transforming
    from torch._C._functorch import unwrap_if_dead as _unwrap
except ImportError:  # a torch that moved them: the official, slower way is always right

    def _transforming() -> bool:
        return True


def transforming() -> bool:
    """Whether tensors may carry more than values and reverse-mode graphs: tangents, batches.

    True inside a :mod:`torch.func` transform and at a level of forward mode.
    """
    return _transforming() or getattr(forward_ad, "_current_level", 0) >= 0


def _only_values() -> bool:
    """Whether nothing is recorded and nothing carried along: true in most backward passes."""
    return not torch.is_grad_enabled() and not transforming()


def apply_plain(
    function: type[torch.autograd.Function], compute: Callable[..., Tensor], *args: Any
) -> Tensor:
    """``function.apply(*args)`` outside of transforms, without what it looks at on the way.

    Where nothing is recorded, as in most backward passes, it is the bare computation.
    """
    args = tuple([a if a is None or type(a) is Adjacency else _unwrap(a) for a in args])
    if _only_values():
        return compute(*args)
    return super(torch.autograd.Function, function).apply(*args)


class Rule(torch.autograd.Function):
    """A Function whose ``apply`` takes no keywords or defaults, and so costs a third."""

    @classmethod
    def apply(cls, *args: Any) -> Tensor:
        """Run the rule; torch's own ``apply`` inspects the signature of ``forward`` each time."""
        if _transforming():
            return super().apply(*args)
        return apply_plain(cls, cls.forward, *args)


class SpMM(Rule):
    """``y[i] = sum of weight[e] * x[j]``: weight (n_edges, *heads) or None, x (n_dst, *heads, ...).

    Linear in the weight and in x.
    """

    @staticmethod
    def forward(adj: Adjacency, weight: Tensor | None, x: Tensor) -> Tensor:
        """(n_src, *heads, ...)."""
        return backend.spmm(adj, weight, x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep x for reverse mode only where the weight wants a gradient: it is the big one."""
        ctx.adj, weight, x = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_forward(weight, x)
        ctx.save_for_backward(weight, x if ctx.needs_input_grad[1] else None)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
        """Adjoints in the weight and in x."""
        weight, x = ctx.saved_tensors
        if grad is not None and all(ctx.needs_input_grad[1:]) and _only_values():
            return None, *backend.spmm_gradient(ctx.adj, weight, x, grad)
        grad_weight = grad_x = None
        if grad is not None and ctx.needs_input_grad[1]:
            pair = (one_feature_axis(t, weight.ndim) for t in (grad, x))
            grad_weight = SDDMM.apply(ctx.adj, *pair)
        if grad is not None and ctx.needs_input_grad[2]:
            grad_x = SpMM.apply(ctx.adj.T, weight, grad)
        return None, grad_weight, grad_x

    @staticmethod
    def jvp(ctx: Any, _: None, weight_tangent: Tensor | None, x_tangent: Tensor | None) -> Any:
        """Product rule."""
        weight, x = ctx.saved_tensors
        by_weight = by_x = None
        if weight_tangent is not None:
            by_weight = SpMM.apply(ctx.adj, weight_tangent, x)
        if x_tangent is not None:
            by_x = SpMM.apply(ctx.adj, weight, x_tangent)
        return _sum_of_present(by_weight, by_x)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], adj: Adjacency, weight: Tensor | None, x: Tensor
    ) -> tuple[Tensor, int]:
        """A batch of x alone shares the weights, as features; a batch of weights, as heads."""
        _, weight_dim, x_dim = in_dims
        if weight_dim is None:
            features = 1 if weight is None else weight.ndim
            return SpMM.apply(adj, weight, x.movedim(x_dim, features)), features
        heads = weight.movedim(weight_dim, 1)
        return SpMM.apply(adj, heads, _batch_second(x, x_dim, info.batch_size)), 1


class SDDMM(Rule):
    """``s[e] = <x[i], z[j]>`` over the last axis: x (n_src, *heads, d), z (n_dst, *heads, d).

    Linear in x and in z.
    """

    @staticmethod
    def forward(adj: Adjacency, x: Tensor, z: Tensor) -> Tensor:
        """(n_edges, *heads)."""
        return backend.sddmm(adj, x, z)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep for reverse mode only the factor that a gradient needs."""
        ctx.adj, x, z = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_forward(x, z)
        _, needs_x, needs_z = ctx.needs_input_grad
        ctx.save_for_backward(x if needs_z else None, z if needs_x else None)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
        """Adjoints in x and in z: messages weighted by the gradient, both ways."""
        x, z = ctx.saved_tensors
        grad_x = grad_z = None
        if grad is not None and ctx.needs_input_grad[1]:
            grad_x = SpMM.apply(ctx.adj, grad, z)
        if grad is not None and ctx.needs_input_grad[2]:
            grad_z = SpMM.apply(ctx.adj.T, grad, x)
        return None, grad_x, grad_z

    @staticmethod
    def jvp(ctx: Any, _: None, x_tangent: Tensor | None, z_tangent: Tensor | None) -> Any:
        """Product rule."""
        x, z = ctx.saved_tensors
        by_x = None if x_tangent is None else SDDMM.apply(ctx.adj, x_tangent, z)
        by_z = None if z_tangent is None else SDDMM.apply(ctx.adj, x, z_tangent)
        return _sum_of_present(by_x, by_z)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], adj: Adjacency, x: Tensor, z: Tensor
    ) -> tuple[Tensor, int]:
        """The batch becomes heads."""
        _, x_dim, z_dim = in_dims
        heads = _batch_second(x, x_dim, info.batch_size)
        return SDDMM.apply(adj, heads, _batch_second(z, z_dim, info.batch_size)), 1


class SegmentSum(Rule):
    """``y[i] = sum of values[e]`` over the edges of row i: (n_edges, ...) to (n_src, ...)."""

    @staticmethod
    def forward(adj: Adjacency, values: Tensor) -> Tensor:
        """(n_src, ...)."""
        return backend.segment_sum(adj, values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Linear: the adjacency is all there is to keep."""
        ctx.adj, _ = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        """Every edge gets its row's gradient."""
        return None, Expand.apply(ctx.adj, grad)

    @staticmethod
    def jvp(ctx: Any, _: None, tangent: Tensor) -> Tensor:
        """Linear."""
        return SegmentSum.apply(ctx.adj, tangent)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], adj: Adjacency, values: Tensor
    ) -> tuple[Tensor, int]:
        """The batch becomes features."""
        return SegmentSum.apply(adj, values.movedim(in_dims[1], 1)), 1


class Expand(Rule):
    """``v[e] = x[i]`` for every edge e of row i: (n_src, ...) to (n_edges, ...)."""

    @staticmethod
    def forward(adj: Adjacency, x: Tensor) -> Tensor:
        """(n_edges, ...)."""
        return backend.expand(adj, x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Linear: the adjacency is all there is to keep."""
        ctx.adj, _ = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        """Every row gets the sum of its edges' gradients."""
        return None, SegmentSum.apply(ctx.adj, grad)

    @staticmethod
    def jvp(ctx: Any, _: None, tangent: Tensor) -> Tensor:
        """Linear."""
        return Expand.apply(ctx.adj, tangent)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], adj: Adjacency, x: Tensor
    ) -> tuple[Tensor, int]:
        """The batch becomes features."""
        return Expand.apply(adj, x.movedim(in_dims[1], 1)), 1


class EdgeSoftmax(Rule):
    """Softmax of scores (n_edges, ...) over the edges of each row.

    Its Jacobian in a row, diag(y) - y y', is symmetric: forward and reverse mode are the same map.
    """

    @staticmethod
    def forward(adj: Adjacency, scores: Tensor) -> Tensor:
        """(n_edges, ...)."""
        return backend.edge_softmax(adj, scores)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the softmax itself; the scores are not needed again."""
        ctx.adj, _ = inputs
        ctx.save_for_forward(output)
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        """The Jacobian times the gradient."""
        return None, _softmax_jacobian(ctx.adj, ctx.saved_tensors[0], grad)

    @staticmethod
    def jvp(ctx: Any, _: None, tangent: Tensor) -> Tensor:
        """The Jacobian times the tangent."""
        with _forward_mode(True):  # as in _sum_of_present
            return _softmax_jacobian(ctx.adj, ctx.saved_tensors[0], tangent)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], adj: Adjacency, scores: Tensor
    ) -> tuple[Tensor, int]:
        """The batch becomes heads."""
        return EdgeSoftmax.apply(adj, scores.movedim(in_dims[1], 1)), 1


class SegmentArgmax(Rule):
    """Edge of the largest value in each row, the first of equals, -1 in an empty row.

    An integer, so without derivative: it is what selects the maximum, differentiably.
    """

    @staticmethod
    def forward(adj: Adjacency, values: Tensor) -> Tensor:
        """(n_src, ...) int64."""
        return backend.segment_argmax(adj, values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Tell autograd that nothing flows through."""
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[None, None]:
        """Nothing."""
        return None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> None:
        """Nothing."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], adj: Adjacency, values: Tensor
    ) -> tuple[Tensor, int]:
        """The batch becomes features."""
        return SegmentArgmax.apply(adj, values.movedim(in_dims[1], 1)), 1


def _softmax_jacobian(adj: Adjacency, y: Tensor, t: Tensor) -> Tensor:
    """``y * (t - sum of y * t over the row)``, for every row."""
    if _only_values():
        return backend.edge_softmax_gradient(adj, y, t)
    return y * (t - Expand.apply(adj, SegmentSum.apply(adj, y * t)))


def _sum_of_present(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """The sum of two parts of a tangent, where None stands for zero.

    Inside a jvp torch has forward mode switched off, and a plain torch operation would silently
    drop the tangents of the outer levels of a jvp of a jvp; the rules switch it on themselves.
    """
    if a is None or b is None:
        return b if a is None else a
    with _forward_mode(True):
        return a + b


def _batch_second(x: Tensor, dim: int | None, batch_size: int) -> Tensor:
    """Axes as (n, batch, ...); an unbatched tensor is repeated, without a copy."""
    if dim is None:
        return x.unsqueeze(1).expand(-1, batch_size, *x.shape[1:])
    return x.movedim(dim, 1)


def one_feature_axis(x: Tensor, start: int) -> Tensor:
    """Axes from ``start`` on folded into one, which is added where there is none."""
    return x.unsqueeze(-1) if x.ndim == start else x.flatten(start)
