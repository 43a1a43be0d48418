"""Losses for sorting nodes into classes of unequal size, in one form.

They are what AutoLINC is compared with, and the losses it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from dglmeta.data import NodeSplit
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.tasks.expression.named import named_loss
from dglmeta.tasks.imbalance.constants import Constants
from dglmeta.tasks.imbalance.forms import ExpressionLoss, FocalLoss, MarginLoss, SoftmaxLoss
from dglmeta.tasks.imbalance.renode import renode_weights
from dglmeta.tasks.imbalance.tam import TopologyMargins

__all__ = ["CLASS_LOSSES", "DEFAULTS", "ClassLoss", "class_loss"]

Ids = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

SEARCHED = "autolinc:"
"""What a name begins with that goes on with an expression of AutoLINC, or the name of one."""

DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "focal": {"gamma": 2.0},
    "renode": {"gamma": 2.0},
    "tam": {"alpha": 2.5, "beta": 0.5, "phi": 1.2, "warm_up": 5},
}
"""Options of losses that have some. TAM's are searched over: alpha in 0.25, 0.5, 1.5, 2.5; beta in
0.125, 0.25, 0.5; phi from 0.8 to 1.2. [D] each the largest, as none is published for AutoLINC."""


class ClassLoss(Protocol):
    """The loss of labelled nodes, from logits of them and of other nodes that it asks for."""

    @property
    def rows(self) -> Ids:
        """(n_rows,) nodes whose logits it reads; the n labelled ones first, as in the split."""

    def __call__(self, logits: Tensor, epoch: int) -> Tensor:
        """Losses (..., n), whose mean is the loss, of logits (..., n_rows, K); epochs from 0."""

    def predict(self, logits: Tensor) -> Tensor:
        """Logits (..., K) whose greatest is the class of a node, from those of the model."""


def class_loss(name: str, split: NodeSplit, adj: Adjacency, **options: float) -> ClassLoss:
    """A loss by its name.

    Parameters
    ----------
    name : str
        With z the logits, y the class of a node and N_k the training nodes of class k:

        ``cross-entropy``
        ``re-weight``
            Cross-entropy, weighted by ``min N / N_y``; the mean is that of weighted losses.
        ``balanced-softmax``
            Cross-entropy of ``z + log N``.
        ``pc-softmax``
            Cross-entropy; predictions by ``z - log N``.
        ``focal``
            ``mean N / N_y`` times the sum over classes of the sigmoid focal loss, ``gamma``.
        ``renode``
            Focal, times the weights of :func:`dglmeta.tasks.renode.renode_weights`.
        ``tam``
            Balanced softmax; after ``warm_up`` epochs with the margins of
            :class:`dglmeta.tasks.tam.TopologyMargins`, ``alpha``, ``beta`` and ``phi``.
        ``autolinc:`` and an expression in infix, or the name of a published one
            Its mean over the classes.
    split : NodeSplit
        Its training nodes are the labelled ones.
    adj : Adjacency
        Who neighbours whom among the nodes; undirected. Read by ``renode`` and ``tam`` only.
    options : float
        In the place of :data:`DEFAULTS`.

    Returns
    -------
    loss : ClassLoss
        Called with logits (..., n_rows, K) of ``loss.rows``, float32 or float64 on any device, and
        the epoch; leading axes are independent models.

    Raises
    ------
    ConfigError
        If there is no such loss or option, an expression has no logits, or an option is no number
        >= 0.
    DataError
        If a class has no training node, but for ``cross-entropy``; or a training node is not in
        the graph, or edges lead one way, where they are read.

    References
    ----------
    The baselines of AutoLINC, ICML 2024: balanced softmax, Ren et al. 2020; PC softmax, Hong et
    al. 2021; focal loss, Lin et al. 2017, with class factors; ReNode, Chen et al. 2021; TAM, Song
    et al. 2022. That a focal loss is summed over classes, and its factor that of the node's own
    class, is decided here.

    Examples
    --------
    >>> import torch
    >>> from dglmeta.data import LabelledNodes
    >>> train = LabelledNodes(np.array([0, 1, 2]), np.array([0, 0, 1]))
    >>> valid, test = (LabelledNodes(np.array([k]), np.array([0])) for k in (3, 4))
    >>> split = NodeSplit("paper", 2, train, valid, test)
    >>> adj = Adjacency.from_coo([0, 3], [3, 0], (5, 5))
    >>> class_loss("re-weight", split, adj)(torch.zeros(3, 2), epoch=0)
    tensor([0.5199, 0.5199, 1.0397])
    """
    build = _lookup(name)
    return build(name, split, adj, _options(name, options))


Options = Mapping[str, float]
Builder = Callable[[str, NodeSplit, Adjacency, Options], ClassLoss]


def _cross_entropy(name: str, split: NodeSplit, adj: Adjacency, options: Options) -> ClassLoss:
    return SoftmaxLoss.of(split)


def _re_weight(name: str, split: NodeSplit, adj: Adjacency, options: Options) -> ClassLoss:
    counts = _counts(name, split)
    weight = (counts.min() / counts)[split.train.label]
    return SoftmaxLoss.of(split, weight=weight / weight.mean())


def _balanced(name: str, split: NodeSplit, adj: Adjacency, options: Options) -> SoftmaxLoss:
    return SoftmaxLoss.of(split, shift=np.log(_counts(name, split)))


def _pc_softmax(name: str, split: NodeSplit, adj: Adjacency, options: Options) -> ClassLoss:
    return SoftmaxLoss.of(split, prior=np.log(_counts(name, split)))


def _focal(name: str, split: NodeSplit, adj: Adjacency, options: Options) -> ClassLoss:
    return FocalLoss.of(split, _class_factors(name, split), options["gamma"])


def _renode(name: str, split: NodeSplit, adj: Adjacency, options: Options) -> ClassLoss:
    factors = _class_factors(name, split)
    _check_nodes(name, split, adj)
    return FocalLoss.of(split, factors * renode_weights(adj, split.train), options["gamma"])


def _tam(name: str, split: NodeSplit, adj: Adjacency, options: Options) -> ClassLoss:
    base = _balanced(name, split, adj, options)
    _check_nodes(name, split, adj)
    settings = {key: options[key] for key in ("alpha", "beta", "phi")}
    margins = TopologyMargins.of(split, adj, **settings)
    return MarginLoss(base, margins, split.n_classes, options["warm_up"])


def _searched(name: str, split: NodeSplit, adj: Adjacency, options: Options) -> ClassLoss:
    expression = named_loss(name)
    if "u" not in expression.tokens:
        raise ConfigError(
            f"class_loss: expected a loss of the logits u, got {expression.infix!r} for {name!r}, "
            f"which is the same whatever they are. Take one that has u."
        )
    node, label = split.train
    return ExpressionLoss(node, Constants(label=label, counts=_counts(name, split)), expression)


CLASS_LOSSES: Mapping[str, Builder] = {
    "cross-entropy": _cross_entropy,
    "re-weight": _re_weight,
    "balanced-softmax": _balanced,
    "pc-softmax": _pc_softmax,
    "focal": _focal,
    "renode": _renode,
    "tam": _tam,
}
"""By name; names that begin with ``autolinc:`` are losses too."""


def _lookup(name: str) -> Builder:
    if name.startswith(SEARCHED):
        return _searched
    if name not in CLASS_LOSSES:
        raise ConfigError(
            f"class_loss: expected one of {', '.join(CLASS_LOSSES)}, or {SEARCHED}EXPRESSION, "
            f"got {name!r}. Choose one."
        )
    return CLASS_LOSSES[name]


def _options(name: str, given: Mapping[str, float]) -> Options:
    known = DEFAULTS.get(name, {})
    for key, value in given.items():
        if key not in known:
            raise ConfigError(
                f"class_loss({name!r}): expected options among {list(known)}, got {key!r}. "
                f"Leave it out."
            )
        if not (isfinite(value) and value >= 0):
            raise ConfigError(
                f"class_loss({name!r}): expected {key} >= 0, got {value}. Its default is "
                f"{known[key]}."
            )
    return {**known, **given}


def _counts(name: str, split: NodeSplit) -> Reals:
    """(K,) training nodes of each class, none 0."""
    counts = np.bincount(split.train.label, minlength=split.n_classes)
    if not counts.all():
        raise DataError(
            f"class_loss({name!r}): expected training nodes of all {split.n_classes} classes, got "
            f"none of class {counts.argmin()}. Label one, or take 'cross-entropy'."
        )
    return counts.astype(np.float64)


def _class_factors(name: str, split: NodeSplit) -> Reals:
    """(n,) ``mean N / N_y``."""
    counts = _counts(name, split)
    factors: Reals = (counts.mean() / counts)[split.train.label]
    return factors


def _check_nodes(name: str, split: NodeSplit, adj: Adjacency) -> None:
    last = int(split.train.node.max())
    if last >= adj.n_src:
        raise DataError(
            f"class_loss({name!r}): expected training nodes below {adj.n_src}, got {last}. Give "
            f"the graph whose nodes are labelled."
        )
