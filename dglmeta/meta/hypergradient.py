r"""Exact gradients through one look-ahead step, by Jacobian-vector products.

Each training sample i has outputs o_i(w) and coefficients c_i(theta) (say, its weight by a network
theta), and an inner loss l_i(o_i, c_i) of these alone. A fold F leaves some samples out and looks
ahead on the m others, w_F = w - lr g_F; its meta loss is taken there. With J = do/dw,

    g_F = J^T u_F,    u_F = (1/m) dl_i/do where i is kept, else 0,
    d meta_F / dc = -d/dc < u_F(c), do >,    do = J v_F,    v_F = lr d meta / dw at w_F,

and an ordinary backward pass takes it from c to theta. So one forward pass at w serves all folds
and the training step that follows, and no graph of a look-ahead is ever built.

Source: derived from SELAR's Algorithm 1 (arXiv 2007.08294); reading a mixed second derivative as a
directional derivative is Pearlmutter's (Neural Computation 6, 1994).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dglmeta.errors import ConfigError
from dglmeta.meta.functional import (
    Linearization,
    Params,
    as_function,
    detach,
    gradient,
    leaves,
    parameters_of,
    scale,
    sgd_step,
)

__all__ = ["Fold", "Hypergradient", "WeightHypergradient", "hypergradient", "weight_hypergradient"]

# In the order of hypergradient's arguments.
Outputs = Callable[[Params], Tensor]
Coefficients = Callable[[Tensor, Params], Tensor]
Losses = Callable[[Tensor, Tensor], Tensor]


class Fold(NamedTuple):
    """Samples to leave out of a look-ahead, and the loss to take there."""

    held_out: Tensor
    """(n_held_out,) int64: their places on the last axis of the outputs; may be none."""
    meta_loss: Outputs
    """Parameters -> () loss."""


class Hypergradient(NamedTuple):
    """Result of :func:`hypergradient`."""

    gradients: Params
    """d (mean meta loss over folds) / d theta, by name."""
    meta_loss: Tensor
    """(C,) meta loss at each fold's look-ahead."""
    at: Linearization
    """The outputs at w and their Jacobian products, from the forward pass already done there."""


def hypergradient(
    outputs: Outputs,
    coefficients: Coefficients,
    losses: Losses,
    folds: Sequence[Fold],
    params: Mapping[str, Tensor],
    theta: Mapping[str, Tensor],
    *,
    lr: float | Mapping[str, Tensor],
    moved: Collection[str] | None = None,
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
    moved : collection of str, optional
        Names of the parameters that the look-ahead moves; all when absent. To leave out those
        that no meta loss depends on saves time and changes nothing.
    mode : {"jvp", "double_backward"}
        The second differentiates through the look-ahead itself: slower, and the check.

    Raises
    ------
    ConfigError
        If ``mode`` is unknown, or there is no fold.

    Notes
    -----
    One forward pass at w; and for each fold a backward pass there, a forward and a backward pass of
    its meta loss, and a backward pass through the first backward pass. That last one stops at the
    cotangent, where double backward goes on to the coefficients of every fold.
    """
    if mode not in ("jvp", "double_backward"):
        raise ConfigError(
            f"hypergradient: expected mode 'jvp' or 'double_backward', got {mode!r}. "
            f"The first is fast, the second a check."
        )
    if not folds:
        raise ConfigError("hypergradient: expected at least one fold, got none. Add one.")
    params, theta = detach(params), leaves(theta)
    if mode == "double_backward":
        return _by_double_backward(outputs, coefficients, losses, folds, params, theta, lr, moved)
    at = Linearization(outputs, params)
    c = coefficients(at.value, theta)
    o_leaf, c_leaf = at.value.clone().requires_grad_(), c.detach().requires_grad_()
    (slope,) = torch.autograd.grad(losses(o_leaf, c_leaf).sum(), o_leaf, create_graph=True)
    along, meta_losses = [], []
    for fold in folds:
        kept_slope = slope * _kept(fold, slope)
        step, pushforward = at.pullback_and_pushforward(kept_slope, moved)
        ahead = leaves(sgd_step({name: params[name] for name in step}, step, lr))
        meta_loss = fold.meta_loss({**params, **ahead})
        o_dot = pushforward(scale(gradient(meta_loss, ahead), lr))
        along.append((kept_slope * o_dot).sum())
        meta_losses.append(meta_loss.detach())
    (c_gradient,) = torch.autograd.grad(torch.stack(along).mean(), c_leaf)
    return Hypergradient(gradient(c, theta, -c_gradient), torch.stack(meta_losses), at)


def _by_double_backward(
    outputs: Outputs,
    coefficients: Coefficients,
    losses: Losses,
    folds: Sequence[Fold],
    params: Mapping[str, Tensor],
    theta: Params,
    lr: float | Mapping[str, Tensor],
    moved: Collection[str] | None,
) -> Hypergradient:
    """Differentiate the meta loss at the look-ahead through the look-ahead, fold by fold."""
    at = Linearization(outputs, params)
    w, o = at.leaves, at.output
    each = losses(o, coefficients(o.detach(), theta))  # (n,)
    meta_losses = []
    for fold in folds:
        step = gradient((_kept(fold, o) * each).sum(), w, create_graph=True)
        meta_losses.append(fold.meta_loss(sgd_step(w, step, lr, moved)))
    every = torch.stack(meta_losses)
    gradients = gradient(every.mean(), theta, retain_graph=True)
    return Hypergradient(gradients, every.detach(), at)


def _kept(fold: Fold, like: Tensor) -> Tensor:
    """(n,) 0 for the samples held out, 1 / m for the m others."""
    n = like.shape[-1]
    share = torch.full((n,), 1 / (n - len(fold.held_out)), dtype=like.dtype, device=like.device)
    return share.index_fill_(0, fold.held_out, 0)


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
    fold = Fold(torch.zeros(0, dtype=torch.int64), meta_loss)
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
