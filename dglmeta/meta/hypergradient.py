r"""Exact gradients through one look-ahead step, by forward-mode derivatives.

Each training sample i has outputs o_i(w) and coefficients c_i(theta) (say, its weight by a network
theta), and an inner loss l_i(o_i, c_i) of these alone. A fold F leaves some samples out and looks
ahead on the others, w_F = w - lr g_F; its meta loss is taken there. With v_F = lr times the
gradient of the meta loss at w_F, over the m_F samples that are kept,

    g_F = (1/m_F) sum_{i not in F} (do_i/dw)^T dl_i/do,
    d meta_F / dc_i = -(1/m_F) d/dc_i [ dl_i/do . do_i ],    do_i = (do_i/dw) v_F,    i not in F,

and an ordinary backward pass takes it from c to theta. The bracket is a directional derivative of
the outputs: one forward-mode pass, in the place of a backward pass through a backward pass.

Both lines are linear in the samples, so folds share the passes over all of them: g_F is the
gradient of all samples less that of F's own; and the directions v_F are added up for one pass over
all samples, from which each fold takes its own few away.

Source: derived from SELAR's Algorithm 1 (arXiv 2007.08294); reading a mixed second derivative in
forward-over-reverse order is Pearlmutter's (Neural Computation 6, 1994).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

__all__ = ["Fold", "Hypergradient", "WeightHypergradient", "hypergradient", "weight_hypergradient"]

# In the order of hypergradient's arguments.
Outputs = Callable[[Params], Tensor]
Coefficients = Callable[[Tensor, Params], Tensor]
Losses = Callable[[Tensor, Tensor], Tensor]


class Fold(NamedTuple):
    """Samples to leave out of a look-ahead, and the loss to take there."""

    held_out: Tensor
    """(m,) int64: their places on the last axis of the outputs; m may be 0."""
    outputs: Outputs
    """The outputs (..., m) of these samples alone."""
    meta_loss: Outputs
    """Parameters -> () loss."""


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
    losses: Losses,
    folds: Sequence[Fold],
    params: Mapping[str, Tensor],
    theta: Mapping[str, Tensor],
    *,
    lr: float | Mapping[str, Tensor],
    mode: str = "jvp",
) -> Hypergradient:
    """Gradient of the mean meta loss after one look-ahead SGD step with respect to ``theta``.

    Parameters
    ----------
    outputs : callable
        ``outputs(params)``, (..., n): every per-sample quantity (logits, losses) that the inner
        losses need, samples on the last axis. The only place where the model runs on all samples.
    coefficients : callable
        ``coefficients(at, theta)``, (..., n): per-sample weights or mixing factors. ``at`` holds
        the values of the outputs, as constants. Samples may depend on each other here.
    losses : callable
        ``losses(o, c)``, (n,): the inner loss of each sample, from its own outputs and
        coefficients alone.
    folds : sequence of Fold
        The result is the mean over them; one at least.
    params, theta : dict of name to tensor
        The model's weights w, and what is being learned about the loss. Neither is written.
    lr : float, or dict of name to tensor
        Step size of the look-ahead, > 0; or one for every entry of w, taken as a constant, so
        that the look-ahead goes where a preconditioned optimiser would go. (A whole Adam step
        from zero state nearly kills the hypergradient: its size hardly depends on the gradient.)
    mode : {"jvp", "double_backward"}
        The second differentiates through the look-ahead itself: slower, and the check.

    Raises
    ------
    ConfigError
        If ``mode`` is unknown, or there is no fold.

    Notes
    -----
    One forward, one backward and one forward-mode pass at w over all samples; and for each fold
    the same over its own samples, and a forward and a backward pass of its meta loss. No graph of
    a graph is ever held.
    """
    if mode not in ("jvp", "double_backward"):
        raise ConfigError(
            f"hypergradient: expected mode 'jvp' or 'double_backward', got {mode!r}. "
            f"The first is fast, the second a check."
        )
    if not folds:
        raise ConfigError("hypergradient: expected at least one fold, got none. Add one.")
    w, theta = leaves(params), leaves(theta)
    if mode == "double_backward":
        return _by_double_backward(outputs, coefficients, losses, folds, w, theta, lr)
    at, pullback = value_and_pullback(outputs, w)
    c = coefficients(at, theta)
    o_leaf, c_leaf = at.clone().requires_grad_(), c.detach().requires_grad_()
    (slope,) = torch.autograd.grad(losses(o_leaf, c_leaf).sum(), o_leaf, create_graph=True)
    of_all = pullback(slope.detach())
    direction: Params = {name: torch.zeros(()) for name in w}
    of_own, meta_losses = at.new_zeros(()), []
    for fold in folds:
        m_kept = at.shape[-1] - len(fold.held_out)
        own_slope = slope[..., fold.held_out]
        own = _own_gradient(fold, w, own_slope.detach())
        size = scale(lr, 1 / m_kept) if isinstance(lr, Mapping) else lr / m_kept
        ahead = leaves(sgd_step(w, {name: g - own[name] for name, g in of_all.items()}, size))
        meta_loss = fold.meta_loss(ahead)
        v = scale(gradient(meta_loss, ahead), size)
        direction = {name: d + v[name] for name, d in direction.items()}
        of_own = of_own + (own_slope * _own_tangent(fold, w, v, like=own_slope)).sum()
        meta_losses.append(meta_loss.detach())
    along = (slope * pushforward(outputs, w, direction)).sum() - of_own
    (c_gradient,) = torch.autograd.grad(along, c_leaf)
    gradients = gradient(c, theta, -c_gradient / len(folds))
    return Hypergradient(gradients, torch.stack(meta_losses), at, pullback)


def _own_gradient(fold: Fold, w: Params, slope: Tensor) -> Params:
    """Gradient of the losses of the fold's own samples; a scalar 0 where it has none."""
    if not len(fold.held_out):
        return {name: torch.zeros(()) for name in w}
    return value_and_pullback(fold.outputs, w)[1](slope)


def _own_tangent(fold: Fold, w: Params, v: Params, *, like: Tensor) -> Tensor:
    """Directional derivative of the outputs of the fold's own samples."""
    if not len(fold.held_out):
        return torch.zeros_like(like)
    return pushforward(fold.outputs, w, v)


def _by_double_backward(
    outputs: Outputs,
    coefficients: Coefficients,
    losses: Losses,
    folds: Sequence[Fold],
    w: Params,
    theta: Params,
    lr: float | Mapping[str, Tensor],
) -> Hypergradient:
    """Differentiate the meta loss at the look-ahead through the look-ahead, fold by fold."""
    o = outputs(w)
    each = losses(o, coefficients(o.detach(), theta))  # (n,)
    meta_losses = []
    for fold in folds:
        kept = torch.ones_like(each).index_fill(0, fold.held_out, 0)
        step = gradient((kept * each).sum() / kept.sum(), w, create_graph=True)
        meta_losses.append(fold.meta_loss(sgd_step(w, step, lr)))
    every = torch.stack(meta_losses)
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
    fold = Fold(torch.zeros(0, dtype=torch.int64), lambda p: losses(p)[:0], meta_loss)
    result = hypergradient(
        losses,
        lambda at, theta: apply(theta, at),
        lambda o, c: c * o * len(o),  # the inner loss is a sum, not a mean
        [fold],
        params,
        parameters_of(weigh),
        lr=lr,
        mode=mode,
    )
    return WeightHypergradient(result.gradients, result.meta_loss[0])
