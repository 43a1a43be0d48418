"""Adam and its learning rates for many models that step together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from dglmeta.errors import ConfigError, DataError
from dglmeta.kernels.twins import twin
from dglmeta.nn.many_models import Stacked
from dglmeta.ops.backend import Bridge, bridge_of

__all__ = ["ManyAdam", "ManyPlateau"]


class ManyAdam:
    """Adam on parameters with a leading axis of models, a learning rate for each model.

    Every model moves as :class:`torch.optim.Adam` would move it alone: weight decay is L2, added to
    the gradient. All models step together.

    Parameters
    ----------
    stacked : iterable of Stacked
        Parameters (B, ...), float32 or float64, and whether weight decay is for them.
    lr : float or (B,) tensor
        Learning rate, >= 0.
    betas, eps : as in torch
    weight_decay : float
    device : str
        Where the parameters lie, "cpu" or "cuda".

    Attributes
    ----------
    lr : (B,) float64 tensor
        Beside the parameters; may be written to between steps.

    Raises
    ------
    ConfigError
        If there are no parameters, they have not all the same number of models, or ``lr`` is not
        one rate or one each.

    References
    ----------
    Kingma and Ba, arXiv 1412.6980, algorithm 1.

    Examples
    --------
    >>> p = torch.nn.Parameter(torch.ones(2, 3))
    >>> optimizer = ManyAdam([Stacked(p, False)], lr=torch.tensor([0.1, 0.5]))
    >>> p.sum().backward()
    >>> optimizer.step()
    >>> [round(x, 3) for x in p[:, 0].tolist()]
    [0.9, 0.5]
    """

    def __init__(
        self,
        stacked: Iterable[Stacked],
        lr: float | Tensor,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        device: str = "cpu",
    ) -> None:
        self._stacked, self.device = list(stacked), device
        self.lr = _rates(self._stacked, lr)
        self.betas, self.eps, self.weight_decay, self.n_steps = betas, eps, weight_decay, 0
        zeros = [torch.zeros_like(p, requires_grad=False) for p, _ in self._stacked]
        self._moments = [(zero, zero.clone()) for zero in zeros]

    def step(self) -> None:
        """Move every parameter by its gradient; those without one stay, moments and all.

        Raises
        ------
        DataError
            If a parameter is not contiguous.
        """
        self.n_steps += 1
        to = bridge_of(self.device)
        with to.stream():
            rate = to.array(self.lr)
            for (p, decays), moments in zip(self._stacked, self._moments, strict=True):
                if p.grad is not None:
                    _check_contiguous(p)
                    decay = self.weight_decay if decays else 0.0
                    settings = rate, self.n_steps, self.betas, self.eps, decay
                    _move(to, p.detach(), p.grad.contiguous(), moments, settings)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p, _ in self._stacked:
            p.grad = None

    def select(self, keep: Tensor, stacked: Iterable[Stacked]) -> ManyAdam:
        """The optimizer of some of the models, which goes on where this one stands.

        Parameters
        ----------
        keep : (n,) int64 numbers of models, or (B,) bool
        stacked : iterable of Stacked
            Their parameters, in the order of this optimizer's: ``models.select(keep).stacked()``.

        Raises
        ------
        ConfigError
            If these are not parameters of as many models.
        """
        part = ManyAdam(
            stacked, self.lr[keep], betas=self.betas, eps=self.eps,
            weight_decay=self.weight_decay, device=self.device,
        )  # fmt: skip
        part.n_steps = self.n_steps
        part._moments = [(m[keep], v[keep]) for m, v in self._moments]
        return part


class ManyPlateau:
    """Lowers the learning rate of each model whose value has stopped falling.

    A value is better that is below 1 - 1e-4 of the model's best. After more than ``patience``
    steps that were not, the rate is multiplied by ``factor`` and counting begins anew, as
    :class:`torch.optim.lr_scheduler.ReduceLROnPlateau` does for one model.

    Parameters
    ----------
    optimizer : ManyAdam
    factor : float
        In (0, 1).
    patience : int
        Steps, >= 0.

    Raises
    ------
    ConfigError
        If a setting is outside its range.

    Examples
    --------
    >>> optimizer = ManyAdam([Stacked(torch.nn.Parameter(torch.ones(2, 3)), False)], lr=0.1)
    >>> plateau = ManyPlateau(optimizer, patience=0)
    >>> plateau.step(torch.tensor([1.0, 1.0]))
    >>> plateau.step(torch.tensor([0.5, 1.0]))
    >>> optimizer.lr.tolist()
    [0.1, 0.05]
    """

    def __init__(self, optimizer: ManyAdam, *, factor: float = 0.5, patience: int = 100) -> None:
        if not 0 < factor < 1 or patience < 0:
            raise ConfigError(
                f"ManyPlateau: expected a factor in (0, 1) and patience >= 0, got {factor} and "
                f"{patience}. AutoLINC's are 0.5 and 100."
            )
        self._optimizer, self.factor, self.patience = optimizer, factor, patience
        self.best = torch.full_like(optimizer.lr, torch.inf)
        self.n_bad = torch.zeros_like(optimizer.lr, dtype=torch.int64)

    def step(self, values: Tensor) -> None:
        """Take (B,) values of this step; one that is not a number is no better than any."""
        values = values.detach().to(self.best)
        better = values < self.best * (1 - 1e-4)
        self.best = torch.where(better, values, self.best)
        self.n_bad = torch.where(better, 0, self.n_bad + 1)
        tired = self.n_bad > self.patience
        self.n_bad[tired] = 0
        lower = self._optimizer.lr * self.factor
        worth_it = self._optimizer.lr - lower > 1e-8
        self._optimizer.lr = torch.where(tired & worth_it, lower, self._optimizer.lr)

    def select(self, keep: Tensor, optimizer: ManyAdam) -> ManyPlateau:
        """The same for some of the models, whose optimizer is given."""
        part = ManyPlateau(optimizer, factor=self.factor, patience=self.patience)
        part.best, part.n_bad = self.best[keep], self.n_bad[keep]
        return part


def _check_contiguous(p: Tensor) -> None:
    if not p.is_contiguous():
        raise DataError(
            f"ManyAdam: expected contiguous parameters, got strides {p.stride()} of shape "
            f"{tuple(p.shape)}. Make the parameter of a contiguous tensor."
        )


def _move(
    to: Bridge, p: Tensor, grad: Tensor, moments: tuple[Tensor, Tensor], settings: tuple[Any, ...]
) -> None:
    """Step a parameter and its moments, in place."""
    tensors = [t.view(len(p), -1) for t in (p, grad, *moments)]
    arrays = [to.array(t) for t in tensors]
    twin("adam", arrays[0]).adam(*arrays, *settings)
    for tensor, array in zip(tensors, arrays, strict=True):
        there = to.tensor(array)
        if there.data_ptr() != tensor.data_ptr():  # a device that was given copies
            tensor.copy_(there)


def _rates(stacked: list[Stacked], lr: float | Tensor) -> Tensor:
    """(B,) float64, checked against the parameters."""
    sizes = {len(p) if p.ndim else 0 for p, _ in stacked}
    rates = torch.as_tensor(lr, dtype=torch.float64).detach()
    n_models = next(iter(sizes), 0)
    if len(sizes) != 1 or not n_models:
        raise ConfigError(
            f"ManyAdam: expected parameters with one leading axis of models, got {sorted(sizes)} "
            f"models. Give those of one ManyModels."
        )
    if rates.ndim > 1 or len(rates.ravel()) not in {1, n_models} or bool((rates < 0).any()):
        raise ConfigError(
            f"ManyAdam: expected one learning rate >= 0, or one for each of {n_models} models, got "
            f"{rates.tolist()}. Give a number or {n_models} of them."
        )
    return rates.expand(n_models).clone().to(stacked[0].parameter.device)
