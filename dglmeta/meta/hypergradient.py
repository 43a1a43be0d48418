r"""Exact gradients through one look-ahead step, by one forward-mode derivative.

The inner loss L(o, c) sees the weights w only through per-sample outputs o(w), and theta (say, a
network that weighs samples) only through per-sample coefficients c(theta). With the look-ahead
w' = w - lr dL/dw and v the gradient of the meta loss at w',

    d meta_loss(w') / dc = -d/dc [ dL/do (o, c) . do ],        do = (do/dw) lr v,

and an ordinary backward pass takes it from c to theta. The bracket is the directional derivative
of L along v, so one forward-mode derivative of the outputs replaces the backward pass through a
backward pass.

Source: derived from SELAR's Algorithm 1 (arXiv 2007.08294); reading a mixed second derivative in
forward-over-reverse order is Pearlmutter's (Neural Computation 6, 1994).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dglmeta.errors import ConfigError
from dglmeta.meta.functional import (
    Params,
    as_function,
    gradient,
    leaves,
    parameters_of,
    pushforward,
    scale,
    sgd_step,
    value_and_pullback,
)

__all__ = ["Hypergradient", "WeightHypergradient", "hypergradient", "weight_hypergradient"]

# In the order of hypergradient's arguments.
Outputs = Callable[[Params], Tensor]
Coefficients = Callable[[Tensor, Params], Tensor]
InnerLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
MetaLoss = Callable[[Params, Tensor], Tensor]


class Hypergradient(NamedTuple):
    """Result of :func:`hypergradient`."""

    gradients: Params
    """d (mean meta loss over folds) / d theta, by name."""
    meta_loss: Tensor
    """(C,) meta loss at each fold's look-ahead."""
    outputs: Tensor
    """Per-sample outputs at w, as constants."""
    pullback: Callable[[Tensor], Params]
    """Cotangent of the outputs -> gradient in w, from the forward pass already done at w."""


def hypergradient(
    outputs: Outputs,
    coefficients: Coefficients,
    inner_loss: InnerLoss,
    meta_loss: MetaLoss,
    params: Mapping[str, Tensor],
    theta: Mapping[str, Tensor],
    folds: Tensor,
    *,
    lr: float | Mapping[str, Tensor],
    mode: str = "jvp",
) -> Hypergradient:
    """Gradient of the meta loss after one look-ahead SGD step with respect to ``theta``.

    Parameters
    ----------
    outputs : callable
        ``outputs(params)``: every per-sample quantity (logits, losses) that the inner loss needs,
        in one tensor. The only place where the model runs on all samples.
    coefficients : callable
        ``coefficients(at, theta)``: per-sample weights or mixing factors, in one tensor. ``at``
        holds the values of the outputs, as constants.
    inner_loss : callable
        ``inner_loss(o, c, fold)``, a () tensor; cheap functions of outputs and coefficients.
    meta_loss : callable
        ``meta_loss(params, fold)``, a () tensor.
    params, theta : dict of name to tensor
        The model's weights w, and what is being learned about the loss. Neither is written.
    folds : (C, ...) tensor
        One slice is handed to ``inner_loss`` and ``meta_loss`` a fold; the result is the mean over
        folds. All folds share the forward pass at w.
    lr : float, or dict of name to tensor
        Step size of the look-ahead, > 0; or one for every entry of w, taken as a constant, so
        that the look-ahead goes where a preconditioned optimiser would go. (A whole Adam step
        from zero state nearly kills the hypergradient: its size hardly depends on the gradient.)
    mode : {"jvp", "double_backward"}
        The second differentiates through the look-ahead itself: slower, and the check.

    Raises
    ------
    ConfigError
        If ``mode`` is unknown.

    Notes
    -----
    One forward pass at w; then for each fold a backward pass at w, a forward and a backward pass
    at its look-ahead, and a forward-mode pass at w. No graph of a graph is ever held.
    """
    if mode not in ("jvp", "double_backward"):
        raise ConfigError(
            f"hypergradient: expected mode 'jvp' or 'double_backward', got {mode!r}. "
            f"The first is fast, the second a check."
        )
    w, theta = leaves(params), leaves(theta)
    if mode == "double_backward":
        return _by_double_backward(
            outputs, coefficients, inner_loss, meta_loss, w, theta, folds, lr
        )
    at, pullback = value_and_pullback(outputs, w)
    c = coefficients(at, theta)
    c_gradient, losses = torch.zeros_like(c), []
    for fold in folds:
        o_leaf, c_leaf = at.clone().requires_grad_(), c.detach().requires_grad_()
        (cotangent,) = torch.autograd.grad(
            inner_loss(o_leaf, c_leaf, fold), o_leaf, create_graph=True
        )
        ahead = leaves(sgd_step(w, pullback(cotangent.detach()), lr))
        loss = meta_loss(ahead, fold)
        o_dot = pushforward(outputs, w, scale(gradient(loss, ahead), lr))
        along = (cotangent * o_dot).sum()  # the directional derivative of L
        c_gradient -= torch.autograd.grad(along, c_leaf)[0] / len(folds)
        losses.append(loss.detach())
    return Hypergradient(gradient(c, theta, c_gradient), torch.stack(losses), at, pullback)


def _by_double_backward(
    outputs: Outputs,
    coefficients: Coefficients,
    inner_loss: InnerLoss,
    meta_loss: MetaLoss,
    w: Params,
    theta: Params,
    folds: Tensor,
    lr: float | Mapping[str, Tensor],
) -> Hypergradient:
    """Differentiate the meta loss at the look-ahead through the look-ahead, fold by fold."""
    o = outputs(w)
    c = coefficients(o.detach(), theta)
    losses = []
    for fold in folds:
        step = gradient(inner_loss(o, c, fold), w, create_graph=True)
        losses.append(meta_loss(sgd_step(w, step, lr), fold))
    every = torch.stack(losses)
    gradients = gradient(every.mean(), theta, retain_graph=True)
    return Hypergradient(
        gradients, every.detach(), o.detach(), lambda t: gradient(o, w, t, retain_graph=True)
    )


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
    >>> start = {"w": torch.ones(())}
    >>> g = weight_hypergradient(losses, Constant(), lambda p: p["w"], start, lr=0.1)
    >>> g.gradients["a"]  # -lr times d losses / d w, which is 2 and -2 at w = 1
    tensor([-0.2000,  0.2000])
    """
    apply = as_function(weigh)
    result = hypergradient(
        losses,
        lambda at, theta: apply(theta, at),
        lambda o, c, _fold: (c * o).sum(),
        lambda p, _fold: meta_loss(p),
        params,
        parameters_of(weigh),
        torch.zeros(1),
        lr=lr,
        mode=mode,
    )
    return WeightHypergradient(result.gradients, result.meta_loss[0])
