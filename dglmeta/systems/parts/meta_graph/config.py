"""Settings of Meta-Graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dglmeta.errors import ConfigError
from dglmeta.nn.signature import VARIANTS
from dglmeta.systems.checks import check_at_least_zero, check_choices, check_positive
from dglmeta.tasks import FEATURES

__all__ = ["METHODS", "Config", "Method"]


@dataclass(frozen=True)
class Method:
    """What a method of few-shot link prediction switches on."""

    trains: bool = True
    """Whether it learns from the training graphs."""
    inner: bool = True
    """Whether what it learns is where gradient descent should begin."""
    signature: bool = False
    structure: bool = True
    """Whether messages pass between nodes."""
    adapts: bool = True
    """Whether it descends on the known edges of a new graph."""


METHODS = {
    "meta-graph": Method(signature=True),
    "maml": Method(),
    "mlp": Method(structure=False),
    "finetune": Method(inner=False),
    "no-finetune": Method(trains=False),
    "random": Method(trains=False, adapts=False),
    "adamic-adar": Method(trains=False, adapts=False),
    "deepwalk": Method(trains=False, adapts=False),
}


@dataclass(frozen=True)
class Config:
    """Settings of Meta-Graph and of what it is compared with.

    Parameters
    ----------
    method : {"meta-graph", "maml", "mlp", "finetune", "no-finetune", "random", ...}
        Meta-Graph; the same without a signature; that without messages either; training on all
        training graphs at once, then descent on a new one; a fresh encoder on each new graph; one
        that is not trained at all; or adamic-adar and deepwalk, which learn nothing from others.
    variant : {"modulation", "gating", "weights", "two-weights"}
        What a graph's signature does to the encoder.
    protocol : {"clean", "paper"}
        What we stand for; or the published program with its quirks, for comparison with the
        printed tables: see :mod:`dglmeta.systems.parts.meta_graph.published`.
    train_fraction : float
        Share of a graph's edges that are known; a fifth is for validation, the rest for the test.
    graph_split : {"dealt", "leave-one-out"}
        Graphs dealt at random, 80, 10 and 10 per cent (or as published); or the one whose number
        is the split seed to test on, and the next one to choose by.
    features : tuple of str
        Of "given", "centred", "degrees", "neighbours": those of the data set; these less their mean
        over the graph and of one length; the degree profile of a node; the mean of what its
        neighbours were given. Made of known edges only.
    skip : bool
        Let each layer read a node's own row beside the mean it hears. Never as published.
    d_hidden, d : int
        Widths of the hidden layer and of the embedding.
    minus : int
        Coordinates of the embedding whose products are subtracted in a pair's logit (an indefinite
        inner product), so that nodes of high degree need not be likely neighbours of their like.
    folds : int
        Folds the known edges are dealt into; those of a fold are asked about with messages over
        the others. 1: with messages over themselves, too, as published.
    variational : bool
        Add noise to the embedding in training, as its posterior says; the mean itself without.
    inner_steps, inner_lr : int, float
        Gradient steps on a training graph, and their size there and on a new graph.
    clip : float
        Bound of the norm of gradients, inner and outer.
    order : int
        2 takes the outer gradient through the inner steps, 1 takes those for constants.
    adapted : {"all", "last"}
        What the inner steps move: everything, or the second layer only (ANIL).
    lr, weight_decay : float
        Adam step size and L2 penalty of what is learned over graphs.
    graphs : int
        Graphs a step.
    passes : int
        How often an epoch goes through the training graphs.
    adapt_steps, adapt_patience : int
        On a new graph, at most so many steps; stop so many after the best by its validation edges.
    adapt_lr : float
        Size of these steps; 0 for inner_lr.
    adapt_optimizer : {"sgd", "adam"}
        How a new graph is descended on.
    epochs, patience : int
        At most so many epochs; stop so many after the best one.
    """

    method: str = "meta-graph"
    variant: str = "modulation"
    protocol: str = "clean"
    train_fraction: float = 0.1
    graph_split: str = "dealt"
    features: tuple[str, ...] = ("given", "degrees", "neighbours")
    skip: bool = True
    d_hidden: int = 32
    d: int = 16
    minus: int = 0
    folds: int = 5
    variational: bool = False
    inner_steps: int = 5
    inner_lr: float = 0.05
    clip: float = 1.0
    order: int = 2
    adapted: str = "all"
    lr: float = 1e-2
    weight_decay: float = 0.0
    graphs: int = 16
    passes: int = 4
    adapt_steps: int = 100
    adapt_patience: int = 50
    adapt_lr: float = 0.0
    adapt_optimizer: str = "sgd"
    epochs: int = 20
    patience: int = 6

    def __post_init__(self) -> None:
        where = "MetaGraph.Config"
        check_choices(
            where,
            self,
            {
                "method": METHODS,
                "variant": VARIANTS,
                "protocol": ("clean", "paper"),
                "graph_split": ("dealt", "leave-one-out"),
                "order": (1, 2),
                "adapted": ("all", "last"),
                "adapt_optimizer": ("sgd", "adam"),
            },
        )
        positive = ("d_hidden", "d", "folds", "inner_lr", "clip", "lr", "graphs", "passes")
        check_positive(where, self, (*positive, "adapt_patience", "epochs", "patience"))
        check_at_least_zero(where, self, ("inner_steps", "adapt_steps", "adapt_lr", "weight_decay"))
        if not 0 <= self.minus <= self.d or (self.minus and self.protocol == "paper"):
            raise ConfigError(
                f"{where}: expected minus from 0 to d = {self.d}, and 0 under the protocol paper, "
                f"got {self.minus}. Change it."
            )
        unknown = [name for name in self.features if name not in FEATURES]
        if unknown or not self.features:
            raise ConfigError(
                f"{where}: expected features among {list(FEATURES)}, got {list(self.features)}. "
                f"Name one at least."
            )
        if not 0 < self.train_fraction < 0.8:
            raise ConfigError(
                f"{where}: expected train_fraction in (0, 0.8), as a fifth is for validation, got "
                f"{self.train_fraction}."
            )

    def moved(self, names: Iterable[str]) -> list[str] | None:
        """Which parameters of the encoder descend on a graph; None for all of them."""
        if self.adapted == "all":
            return None
        return [name for name in names if name.endswith("_out")]
