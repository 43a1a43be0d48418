"""Forms of losses for classes of unequal size; :mod:`losses` has them by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional

from dglmeta.data import NodeSplit
from dglmeta.errors import DataError
from dglmeta.tasks.imbalance.constants import Constants
from dglmeta.tasks.imbalance.tam import TopologyMargins

if TYPE_CHECKING:
    from dglmeta.tasks.expression.compiled import Expression

__all__ = [
    "ExpressionLoss",
    "FocalLoss",
    "MarginLoss",
    "SoftmaxLoss",
    "cross_entropies",
    "focal_losses",
]

Ids = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]


def cross_entropies(logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy of every sample in nats, (..., n), from logits (..., n, K) and label (n,)."""
    index = label[:, None].expand(*logits.shape[:-1], 1)
    return -logits.log_softmax(-1).gather(-1, index)[..., 0]


def focal_losses(logits: Tensor, sign: Tensor, gamma: float) -> Tensor:
    """Sigmoid focal loss of every sample in nats, summed over classes.

    ``sum over k of (1 - q_k)^gamma (-log q_k)``, q_k the probability of what is so of class k.

    Parameters
    ----------
    logits : (..., n, K)
    sign : (n, K)
        1 for the class of the sample, -1 for others.
    gamma : float
        At least 0, which makes it the binary cross-entropy.

    Returns
    -------
    losses : (..., n)
    """
    toward = sign * logits
    wrong = functional.softplus(-toward)  # -log q
    return (wrong * (-gamma * functional.softplus(toward)).exp()).sum(-1)


@dataclass(frozen=True, eq=False)
class SoftmaxLoss:
    """Cross-entropy of shifted logits, weighted by node."""

    rows: Ids
    kept: Constants

    @classmethod
    def of(
        cls,
        split: NodeSplit,
        *,
        shift: Reals | None = None,
        weight: Reals | None = None,
        prior: Reals | None = None,
    ) -> SoftmaxLoss:
        """``weight`` (n,) of losses; (K,) logits gain ``shift``, and lose ``prior`` to predict."""
        node, label = split.train
        flat = np.zeros(split.n_classes)
        kept = Constants(
            label=label,
            shift=flat if shift is None else shift,
            weight=np.ones(len(label)) if weight is None else weight,
            prior=flat if prior is None else prior,
        )
        return cls(node, kept)

    def __call__(self, logits: Tensor, epoch: int) -> Tensor:
        """(..., n) losses of logits (..., n, K)."""
        kept = self.kept.beside(logits)
        _check_logits(logits, len(self.rows), len(kept["shift"]))
        return kept["weight"] * cross_entropies(logits + kept["shift"], kept["label"])

    def predict(self, logits: Tensor) -> Tensor:
        """Logits less the prior, where there is one."""
        return logits - self.kept.beside(logits)["prior"]


@dataclass(frozen=True, eq=False)
class FocalLoss:
    """Sigmoid focal loss summed over classes, weighted by node."""

    rows: Ids
    kept: Constants
    gamma: float

    @classmethod
    def of(cls, split: NodeSplit, weight: Reals, gamma: float) -> FocalLoss:
        """Weights are (n,)."""
        node, label = split.train
        sign = 2 * np.eye(split.n_classes)[label] - 1
        return cls(node, Constants(sign=sign, weight=weight), gamma)

    def __call__(self, logits: Tensor, epoch: int) -> Tensor:
        """(..., n) losses of logits (..., n, K)."""
        kept = self.kept.beside(logits)
        _check_logits(logits, *kept["sign"].shape)
        return kept["weight"] * focal_losses(logits, kept["sign"], self.gamma)

    def predict(self, logits: Tensor) -> Tensor:
        """Logits as they are."""
        return logits


@dataclass(frozen=True, eq=False)
class MarginLoss:
    """Balanced softmax with TAM's margins after some epochs."""

    base: SoftmaxLoss
    margins: TopologyMargins
    n_classes: int
    warm_up: float

    @property
    def rows(self) -> Ids:
        """Labelled nodes, then their other neighbours."""
        return self.margins.rows

    def __call__(self, logits: Tensor, epoch: int) -> Tensor:
        """(..., n) losses of logits (..., n_rows, K)."""
        _check_logits(logits, len(self.rows), self.n_classes)
        own = logits[..., : len(self.base.rows), :]
        if epoch >= self.warm_up:
            own = own + self.margins(logits)
        return self.base(own, epoch)

    def predict(self, logits: Tensor) -> Tensor:
        """Logits as they are."""
        return logits


@dataclass(frozen=True, eq=False)
class ExpressionLoss:
    """The mean over classes of an expression of logits, labels and the sizes of classes."""

    rows: Ids
    kept: Constants
    expression: Expression

    def __call__(self, logits: Tensor, epoch: int) -> Tensor:
        """(..., n) losses of logits (..., n, K)."""
        from dglmeta.tasks.expression.compiled import expression_loss

        kept = self.kept.beside(logits)
        _check_logits(logits, len(self.rows), len(kept["counts"]))
        flat = logits.reshape(-1, logits.shape[-1])
        label = kept["label"].expand(logits.shape[:-1]).reshape(-1)
        losses = expression_loss(self.expression, flat, label, kept["counts"])
        return losses.reshape(logits.shape[:-1])

    def predict(self, logits: Tensor) -> Tensor:
        """Logits as they are."""
        return logits


def _check_logits(logits: Tensor, n_rows: int, n_classes: int) -> None:
    if logits.shape[-2:] != (n_rows, n_classes):
        raise DataError(
            f"ClassLoss: expected logits (..., {n_rows}, {n_classes}), got {tuple(logits.shape)}. "
            f"Take those of loss.rows, in that order."
        )
