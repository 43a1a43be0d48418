"""What a node with a class loses in a batch of any labelled nodes: cross-entropy or an expression.

:mod:`dglmeta.tasks.imbalance.losses` has losses of all training nodes at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from dglmeta.data import LinkSplit, NodeSplit
from dglmeta.errors import ConfigError, DataError
from dglmeta.tasks.expression.compiled import Expression, expression_loss
from dglmeta.tasks.expression.named import NAMED_LOSSES, PREFIX, named_loss

__all__ = ["CROSS_ENTROPY", "ExpressionLosses", "loss_expression", "node_losses"]

CROSS_ENTROPY = "cross-entropy"


class ExpressionLosses(nn.Module):
    """Losses of nodes by an expression of logits, labels and the sizes of classes.

    Parameters
    ----------
    expression : Expression
    split : NodeSplit
        Sizes of classes are their numbers of training nodes.

    Raises
    ------
    DataError
        If a class has no training node.

    Examples
    --------
    >>> from dglmeta.data import LabelledNodes
    >>> train = LabelledNodes(np.array([0, 1, 2]), np.array([0, 0, 1]))
    >>> valid, test = (LabelledNodes(np.array([k]), np.array([0])) for k in (3, 4))
    >>> losses = ExpressionLosses(named_loss("B"), NodeSplit("paper", 2, train, valid, test))
    >>> losses(torch.zeros(3, 2), torch.tensor([1, 0, 1]))
    tensor([0.5000, 0.5000, 0.5000])
    """

    if TYPE_CHECKING:
        counts: Tensor

    def __init__(self, expression: Expression, split: NodeSplit) -> None:
        super().__init__()
        self.expression = expression
        counts = np.bincount(split.train.label, minlength=split.n_classes)
        if not counts.all():
            raise DataError(
                f"ExpressionLosses: expected training nodes of all {split.n_classes} classes, got "
                f"none of class {counts.argmin()}. Label one, or take {CROSS_ENTROPY!r}."
            )
        self.register_buffer("counts", torch.from_numpy(counts.astype(np.float32)), False)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """(n,) losses of logits (n, K) and classes (n,); as :func:`expression_loss`."""
        return expression_loss(self.expression, logits, label, self.counts)


def loss_expression(name: str) -> Expression | None:
    """The expression that a loss is named after; None for cross-entropy.

    Parameters
    ----------
    name : str
        "cross-entropy"; or "autolinc:" and the name of a published loss or a formula, as for
        :func:`~dglmeta.tasks.named_losses.named_loss`.

    Raises
    ------
    ConfigError
        If there is no such loss, with those that there are; or if logits do not occur in it.

    Examples
    --------
    >>> loss_expression("autolinc:D").infix, loss_expression("cross-entropy")
    ('tanh(u - y/n)^2', None)
    """
    if name == CROSS_ENTROPY:
        return None
    if not name.startswith(PREFIX):
        raise ConfigError(
            f"loss: expected {CROSS_ENTROPY!r}, or {PREFIX!r} and a formula such as (y - n*u)^2 or "
            f"the name of a published loss, got {name!r}. Published are {', '.join(NAMED_LOSSES)}."
        )
    expression = named_loss(name)
    if "u" not in expression.tokens:
        raise ConfigError(
            f"loss: expected a formula with the logits u, got {expression.infix!r}, which nothing "
            f"can be learned from. Take another."
        )
    return expression


def node_losses(name: str, split: NodeSplit | LinkSplit) -> ExpressionLosses | None:
    """Losses (n,) of the classes of nodes, from logits (n, K) and classes (n,).

    Parameters
    ----------
    name : str
        As for :func:`loss_expression`.
    split : NodeSplit or LinkSplit
        Of a primary task.

    Returns
    -------
    losses : ExpressionLosses, or None
        None for cross-entropy, and for links, whose loss is their own.

    Raises
    ------
    ConfigError
        If there is no such loss, or the split is of links and it is not cross-entropy.
    DataError
        If a class has no training node.
    """
    expression = loss_expression(name)
    if expression is None:
        return None
    if isinstance(split, LinkSplit):
        raise ConfigError(
            f"loss: expected {CROSS_ENTROPY!r} where links are predicted, got {name!r}. Leave it "
            f"out, or classify nodes."
        )
    return ExpressionLosses(expression, split)
