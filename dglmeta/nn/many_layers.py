"""Forward passes of two-layer graph networks, for many models of one form at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from dglmeta.nn.gat import NEGATIVE_SLOPE
from dglmeta.nn.receptive_field import FieldParts
from dglmeta.nn.shared_product import SharedHop

__all__ = ["FORWARD"]

Layer: TypeAlias = nn.ParameterDict


def _gcn(first: Layer, last: Layer, parts: FieldParts, mask: Tensor | None) -> Tensor:
    (received,) = parts.products
    h = _activated(received(first["weight"]), first["bias"], mask)
    return _plus(parts.last.summed(torch.bmm(h, last["weight"])), last["bias"])


def _sage(first: Layer, last: Layer, parts: FieldParts, mask: Tensor | None) -> Tensor:
    own, received = parts.products
    h = own(first["weight_self"]) + received(first["weight_neigh"])
    h = _activated(h, first["bias"], mask)
    self_out = torch.bmm(parts.last.own(h), last["weight_self"])
    return _plus(self_out + parts.last.summed(torch.bmm(h, last["weight_neigh"])), last["bias"])


def _gat(first: Layer, last: Layer, parts: FieldParts, mask: Tensor | None) -> Tensor:
    (sent,), hop, weight = parts.products, cast(SharedHop, parts.first), first["weight"]
    h, scorers = sent(weight), _scorers(first)
    # <p, W x> as <W^T p, x> where there are fewer features than nodes.
    few = weight.shape[1] < h.shape[1]
    scores = sent(torch.bmm(weight, scorers)) if few else torch.bmm(h, scorers)
    h = _activated(_attended(hop, h, scores).clone(), first["bias"], mask)
    y = torch.bmm(h, last["weight"])
    return _plus(_attended(parts.last, y, torch.bmm(y, _scorers(last))), last["bias"])


def _plus(y: Tensor, bias: Tensor) -> Tensor:
    """(B, n, d) plus each model's (d,)."""
    return y + bias[:, None]


def _attended(hop: SharedHop, h: Tensor, scores: Tensor) -> Tensor:
    """Attention over (B, n, heads * d), scored by (B, n, 2 * heads): own scores, then sent ones."""
    own, sent = scores.chunk(2, 2)
    return hop.attend(hop.own(own), sent, h, NEGATIVE_SLOPE)


def _scorers(layer: Layer) -> Tensor:
    """(B, heads * d, 2 * heads): what h is multiplied by for <p, h> and then <q, h> by head."""
    return torch.cat([_by_head(layer[name]) for name in ("attending", "attended")], 2)


def _by_head(vectors: Tensor) -> Tensor:
    """(B, heads * d, heads) from (B, heads, d): column k holds head k's vector in its rows."""
    heads = torch.eye(vectors.shape[1], dtype=vectors.dtype, device=vectors.device)
    return (vectors[..., None] * heads[:, None]).flatten(1, 2)


def _activated(h: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
    """ReLU of (B, n, d) plus the bias, then dropout; h itself is overwritten."""
    return cast(Tensor, _Activated.apply(h, bias, mask))  # type: ignore[no-untyped-call]


class _Activated(torch.autograd.Function):
    """In place, as what goes in and what lies between are needed by no gradient."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
        ctx.mark_dirty(h)
        h.add_(bias[:, None]).clamp_min_(0)
        if mask is not None:
            h.mul_(mask)
        ctx.save_for_backward(h, mask)
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        h, mask = ctx.saved_tensors
        grad = torch.ops.aten.threshold_backward(grad, h, 0)
        if mask is not None:
            grad.mul_(mask)
        return grad, grad.sum(1), None


FORWARD: dict[str, Callable[[Layer, Layer, FieldParts, Tensor | None], Tensor]] = {
    "GCN": _gcn,
    "GAT": _gat,
    "SAGE": _sage,
}
"""Logits of each kind from the parameters of both layers, what is read, and a mask."""
