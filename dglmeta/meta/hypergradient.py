r"""Exact gradients through one look-ahead step, by one forward-mode derivative.

The inner loss L(o(w), theta) sees the weights w only through the per-sample outputs o(w), and
theta (for instance a network that weighs samples) only through cheap functions of them. With the
look-ahead w' = w - lr dL/dw and v the gradient of the meta loss at w',

    d meta_loss(w') / d theta = -lr  d/d theta [ dL/do (o, theta) . do ],   do = (do/dw) v.

The bracket is the directional derivative of L along v, so one JVP of the outputs replaces the
backward pass through a backward pass.

Source: derived in the notes to SELAR (arXiv 2007.08294, Algorithm 1, lines 5-9); the identity is
the mixed second derivative read in forward-over-reverse order (Pearlmutter 1994).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import grad, grad_and_value, jvp, vjp, vmap

from dglmeta.errors import ConfigError
from dglmeta.meta.functional import Params, as_function, detach, parameters_of, sgd_step

__all__ = ["Hypergradient", "WeightHypergradient", "hypergradient", "weight_hypergradient"]

MODES = ("jvp", "double_backward")


class Hypergradient(NamedTuple):
    """Result of :func:`hypergradient`."""

    gradients: Params
    """d mean-over-folds meta loss / d theta, by name."""
    meta_loss: Tensor
    """(C,) meta loss at each fold's look-ahead."""
    outputs: Tensor
    """Per-sample outputs at w, detached."""
    pullback: Callable[[Tensor], tuple[Params]]
    """Cotangent of the outputs -> (gradient in w,); reuses the forward pass at w."""


def hypergradient(
    outputs: Callable[[Params], Tensor],
    inner_loss: Callable[[Tensor, Tensor, Params, Any], Tensor],
    meta_loss: Callable[[Params, Any], Tensor],
    params: Mapping[str, Tensor],
    theta: Mapping[str, Tensor],
    folds: Any,
    *,
    lr: float,
    mode: str = "jvp",
) -> Hypergradient:
    """Gradient of the meta loss after one look-ahead SGD step with respect to ``theta``.

    Parameters
    ----------
    outputs : callable
        ``outputs(params)``: every per-sample quantity (logits, losses) the inner loss needs, one
        tensor; the only place where the model runs.
    inner_loss : callable
        ``inner_loss(o, at, theta, fold)``, a () tensor. ``at`` holds the same values as ``o`` as
        constants, for whatever describes a sample without being differentiated in w.
    meta_loss : callable
        ``meta_loss(params, fold)``, a () tensor.
    params, theta : dict of name to tensor
        Model weights w and what is being learned about the loss. Neither is written.
    folds : tensor or pytree of tensors
        Leading axis C: one slice is handed to ``inner_loss`` and ``meta_loss`` per fold; all folds
        share the forward pass at w. The result is the mean over folds.
    lr : float
        Step size of the plain-SGD look-ahead, > 0. (An Adam step from zero state would nearly
        kill the hypergradient.)
    mode : {"jvp", "double_backward"}
        The second differentiates through the look-ahead step itself: slower, and the check.

    Raises
    ------
    ConfigError
        If ``mode`` is unknown.

    Notes
    -----
    One forward and C backward passes at w, C forward and backward passes at the look-aheads, C
    JVPs at w; each C is one batched call. No graph of a graph is ever held.
    """
    if mode not in MODES:
        raise ConfigError(f"hypergradient: expected mode among {MODES}, got {mode!r}.")
    at_w = detach(params)
    o, pullback = vjp(outputs, at_w)
    o = o.detach()
    compute = _by_jvp if mode == "jvp" else _by_double_backward
    gradients, losses = compute(
        outputs, inner_loss, meta_loss, at_w, detach(theta), folds, lr, o, pullback
    )
    return Hypergradient(detach(gradients), losses.detach(), o, pullback)


def _by_jvp(
    outputs: Any, inner_loss: Any, meta_loss: Any, w: Params, theta: Params, folds: Any, lr: float,
    o: Tensor, pullback: Any,
) -> tuple[Params, Tensor]:  # fmt: skip
    """The identity of this module's docstring, all folds at once."""
    cotangents = vmap(grad(inner_loss), (None, None, None, 0))(o, o, theta, folds)  # (C, ...)
    (inner_gradients,) = vmap(pullback)(cotangents)
    look_ahead = sgd_step(w, inner_gradients, lr)
    v, losses = vmap(grad_and_value(meta_loss))(look_ahead, folds)
    tangents = vmap(lambda direction: jvp(outputs, (w,), (direction,))[1])(v)  # (C, ...)

    def directional(theta: Params, fold: Any, tangent: Tensor) -> Tensor:
        return jvp(lambda x: inner_loss(x, o, theta, fold), (o,), (tangent,))[1]

    def mean_directional(theta: Params) -> Tensor:
        return -lr * vmap(directional, (None, 0, 0))(theta, folds, tangents).mean()

    return grad(mean_directional)(theta), losses


def _by_double_backward(
    outputs: Any, inner_loss: Any, meta_loss: Any, w: Params, theta: Params, folds: Any, lr: float,
    o: Tensor, pullback: Any,
) -> tuple[Params, Tensor]:  # fmt: skip
    """Differentiate the meta loss at the look-ahead through the look-ahead, fold by fold."""

    def look_ahead_loss(theta: Params, fold: Any) -> Tensor:
        step = grad(lambda p: inner_loss(outputs(p), o, theta, fold))(w)
        return meta_loss(sgd_step(w, step, lr), fold)

    n_folds = len(torch.utils._pytree.tree_leaves(folds)[0])
    results = [
        grad_and_value(look_ahead_loss)(theta, torch.utils._pytree.tree_map(lambda f: f[c], folds))
        for c in range(n_folds)
    ]
    mean = {name: torch.stack([g[name] for g, _ in results]).mean(0) for name in theta}
    return mean, torch.stack([loss for _, loss in results])


class WeightHypergradient(NamedTuple):
    """Result of :func:`weight_hypergradient`."""

    gradients: Params
    """d meta loss / d parameters of the weighing module, by name."""
    meta_loss: Tensor
    """() meta loss at the look-ahead."""


def weight_hypergradient(
    losses: Callable[[Params], Tensor],
    weigh: nn.Module,
    meta_loss: Callable[[Params], Tensor],
    params: Mapping[str, Tensor],
    *,
    lr: float,
    mode: str = "jvp",
) -> WeightHypergradient:
    """Gradient for a network that weighs samples: L(w) = sum_i weigh(losses)_i losses_i(w).

    Parameters
    ----------
    losses : callable
        ``losses(params)``, per-sample losses (n,).
    weigh : nn.Module
        (n,) losses, as constants -> (n,) weights. Whatever else describes the samples it closes
        over. The gradient is for its parameters.
    meta_loss : callable
        ``meta_loss(params)``, a () tensor.
    params, lr, mode
        As in :func:`hypergradient`.

    Examples
    --------
    >>> class Constant(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.a = nn.Parameter(torch.tensor([1.0, 1.0]))
    ...     def forward(self, losses):
    ...         return self.a
    >>> losses = lambda p: torch.stack([p["w"] ** 2, (p["w"] - 2) ** 2])
    >>> g = weight_hypergradient(losses, Constant(), lambda p: p["w"], {"w": torch.ones(())}, lr=0.1)
    >>> g.gradients["a"]  # -lr * d losses / d w
    tensor([-0.2000,  0.2000])
    """
    apply = as_function(weigh)

    def inner_loss(o: Tensor, at: Tensor, theta: Params, _fold: Tensor) -> Tensor:
        return (apply(theta, at) * o).sum()

    one_fold = torch.zeros(1)
    result = hypergradient(
        losses,
        inner_loss,
        lambda p, _fold: meta_loss(p),
        params,
        parameters_of(weigh),
        one_fold,
        lr=lr,
        mode=mode,
    )
    return WeightHypergradient(result.gradients, result.meta_loss[0])
