"""Learning an initialisation: a few gradient steps inside, a gradient through them outside.

Source: Finn, Abbeel and Levine, arXiv 1703.03400; partial adaptation (the mask): Raghu et al.,
arXiv 1909.09157 (ANIL).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from dglmeta.errors import ConfigError
from dglmeta.meta.functional import Params, detach, sgd_step

__all__ = ["OuterGradient", "adapt", "outer_gradient"]

Loss = Callable[[Params], Tensor]


class OuterGradient(NamedTuple):
    """Gradient of the loss after adaptation with respect to the initialisation."""

    gradients: Params
    """Same names and shapes as the initialisation."""
    loss: Tensor
    """() the outer loss at the adapted parameters, detached."""
    adapted: Params
    """The adapted parameters, detached."""


def adapt(
    loss: Loss,
    params: Mapping[str, Tensor],
    *,
    steps: int = 5,
    lr: float = 1e-2,
    mask: Collection[str] | None = None,
    order: int = 2,
) -> Params:
    """Parameters after ``steps`` steps of gradient descent on ``loss``: w <- w - lr grad loss(w).

    Parameters
    ----------
    loss : callable
        Pure function of a parameter dict, returns a () tensor.
    params : dict of name to tensor
        The initialisation; never written.
    steps : int
        Number of steps, >= 0.
    lr : float
        Step size, > 0.
    mask : collection of str, optional
        Names of the parameters that adapt (ANIL adapts only the head); all when absent.
    order : {1, 2}
        2 keeps the result an exact differentiable function of ``params``; 1 treats the inner
        gradients as constants (first-order MAML).

    Returns
    -------
    adapted : dict of name to tensor
        Differentiable with respect to ``params``.

    Raises
    ------
    ConfigError
        If ``order`` is neither 1 nor 2, ``steps`` is negative, or the mask names no parameter.

    Notes
    -----
    Cost ``steps`` forward and backward passes; with order 2 the graph of all of them is kept.

    Examples
    --------
    >>> start = {"w": torch.tensor(1.0)}
    >>> adapt(lambda p: p["w"] ** 2, start, steps=1, lr=0.25)
    {'w': tensor(0.5000)}
    """
    if order not in (1, 2):
        raise ConfigError(f"adapt: expected order 1 or 2, got {order}. 2 is exact, 1 is cheaper.")
    if steps < 0:
        raise ConfigError(f"adapt: expected steps >= 0, got {steps}. 0 returns the initialisation.")
    adapted = dict(params)
    for _ in range(steps):
        gradients: Params = torch.func.grad(loss)(adapted)
        adapted = sgd_step(adapted, detach(gradients) if order == 1 else gradients, lr, mask)
    return adapted


def outer_gradient(
    inner_loss: Loss,
    outer_loss: Loss,
    params: Mapping[str, Tensor],
    *,
    steps: int = 5,
    lr: float = 1e-2,
    mask: Collection[str] | None = None,
    order: int = 2,
) -> OuterGradient:
    """Gradient of ``outer_loss(adapt(inner_loss, params))`` with respect to ``params``.

    Parameters
    ----------
    inner_loss, outer_loss : callable
        Pure functions of a parameter dict returning () tensors: the loss on the support set and
        the loss on the query set.
    params, steps, lr, mask, order
        As in :func:`adapt`.

    Examples
    --------
    The inner step halves w, so the outer loss is (w / 2)^2 and its gradient w / 2.

    >>> square = lambda p: p["w"] ** 2
    >>> outer_gradient(square, square, {"w": torch.tensor(1.0)}, steps=1, lr=0.25).gradients
    {'w': tensor(0.5000)}
    """

    def after_adaptation(start: Params) -> tuple[Tensor, tuple[Tensor, Params]]:
        adapted = adapt(inner_loss, start, steps=steps, lr=lr, mask=mask, order=order)
        loss = outer_loss(adapted)
        return loss, (loss, adapted)

    gradients, (loss, adapted) = torch.func.grad(after_adaptation, has_aux=True)(detach(params))
    return OuterGradient(gradients, loss.detach(), detach(adapted))
