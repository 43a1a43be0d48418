"""Settings of SELAR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dglmeta.errors import ConfigError
from dglmeta.systems.checks import (
    check_at_least_zero,
    check_choices,
    check_positive,
    check_shares,
    require,
)
from dglmeta.tasks import AUXILIARY
from dglmeta.tasks.expression.node_losses import CROSS_ENTROPY, loss_expression

__all__ = ["STRATEGIES", "Config", "Strategy"]

ENCODERS = ("gcn", "gat", "gin", "sgc", "stacked-sgc", "sage", "gtn", "han")
TASKS = ("auto", "link", "node", "recommendation")


class Strategy(NamedTuple):
    """What a strategy switches on."""

    auxiliary: bool = False
    weighted: bool = False
    hints: bool = False


STRATEGIES = {
    "vanilla": Strategy(),
    "weights-only": Strategy(weighted=True),
    "multi-task": Strategy(auxiliary=True),
    "selar": Strategy(auxiliary=True, weighted=True),
    "selar+hint": Strategy(auxiliary=True, weighted=True, hints=True),
}


@dataclass(frozen=True)
class Config:
    """Settings of SELAR.

    Parameters
    ----------
    encoder : {"gcn", "gat", "gin", "sgc", "stacked-sgc", "sage", "gtn", "han"}
        The authors' "SGC" is stacked-sgc.
    strategy : {"vanilla", "weights-only", "multi-task", "selar", "selar+hint"}
        Primary task alone; with learned sample weights; with auxiliary tasks; with both; and with
        hint networks for the auxiliary tasks too.
    protocol : {"clean", "paper"}
        What we stand for; or the published program with its quirks, for comparison with the
        printed tables (link prediction only): see :mod:`dglmeta.systems.parts.selar.published`.
    task : {"auto", "link", "node", "recommendation"}
        The primary task; by the data set where "auto". Recommendation is link prediction judged
        by its rankings.
    loss : str
        Of the primary task where it classifies nodes: "cross-entropy"; or one that
        :mod:`dglmeta.systems.autolinc` found, as "autolinc:" and a published name, such as D, or
        a formula, such as (y - n*u)^2, n being the training nodes of a class. Those that draw
        logits to y/n are of size 1/n^2; auxiliary tasks, in nats, outweigh them until V learns
        better.
    negatives : {"stored", "drawn"}
        What a link is learned from beside positives: the negatives of the split, as published; or
        beside each positive one of the same source, its target drawn anew in every epoch, so that
        nothing is learned from which rows came to lie in training.
    auxiliary : tuple of str
        Kinds of auxiliary tasks: "metapath", and the names in ``dglmeta.tasks.AUXILIARY``.
    metapaths : tuple of str
        Of the kind "metapath"; those the data set recommends when empty.
    labels : str
        Folder of a label store to draw the meta-path tasks from; drawn from the graph when empty.
    unit_features : bool
        Scale every node's features, where the data has any, to length one.
    d, n_layers : int
        Width of embeddings, and number of encoder layers.
    batch : int
        Primary samples a step, and as many of every auxiliary task.
    fanouts : tuple of int
        Neighbours sampled a node, one number a hop, for the graph of a batch. Empty: the whole
        graph, or, on a processor, from a million edges on ten a hop.
    dropout : float
        In [0, 1): share of the encoder's inputs that are left out in a step.
    lr : float
        Adam step size of the model, and length of the look-ahead.
    look_ahead : {"sgd", "adam"}
        Plain gradient descent, as published; or along the diagonal that Adam would scale the
        gradient by, which is where training really goes.
    normaliser : {"primary", "task"}
        Weights count relative to the mean weight of the primary task, as published; or of their
        own task, so that a short-sighted look-ahead cannot turn a task down.
    weighter_lr, weighter_hidden : float, int
        Adam step size and hidden width of V, and of V_H.
    hint_fanouts : tuple of int
        As ``fanouts``, for the graph of the hint networks, where the batch's graph is the whole.
    teach_through_hints : bool
        Whether the encoder learns from what the hint networks make of its embeddings, too. Costs
        several times the rest of a step.
    n_hubs : int
        Nodes with most edges (items, where there is a target) tied into the hint graph.
    attenuation : float
        Gamma in (0, 1]: the learner's share c of a mixed logit becomes c ** gamma in the training
        step; less than 1 takes hints back.
    weight_decay : float
        L2 penalty on embeddings and encoder.
    averaging : float
        In [0, 1): what is evaluated is the running mean of w over steps with this decay (Polyak
        averaging); 0 evaluates w itself.
    folds : int
        Meta cross-validation folds of each batch; 1 holds a third of it out.
    epochs, patience : int
        At most so many passes over the primary samples; stop so many after the best one.
    """

    encoder: str = "gcn"
    strategy: str = "selar"
    protocol: str = "clean"
    task: str = "auto"
    loss: str = CROSS_ENTROPY
    negatives: str = "stored"
    auxiliary: tuple[str, ...] = ("metapath",)
    metapaths: tuple[str, ...] = ()
    labels: str = ""
    unit_features: bool = False
    d: int = 16
    n_layers: int = 2
    batch: int = 1024
    fanouts: tuple[int, ...] = ()
    dropout: float = 0.0
    lr: float = 1e-2
    look_ahead: str = "sgd"
    normaliser: str = "primary"
    weighter_lr: float = 1e-4
    weighter_hidden: int = 1000
    hint_fanouts: tuple[int, ...] = (8, 8)
    teach_through_hints: bool = False
    n_hubs: int = 5
    attenuation: float = 1.0
    weight_decay: float = 1e-5
    averaging: float = 0.99
    folds: int = 3
    epochs: int = 100
    patience: int = 20

    def __post_init__(self) -> None:
        choices = {
            "encoder": ENCODERS,
            "strategy": STRATEGIES,
            "protocol": ("clean", "paper"),
            "task": TASKS,
            "negatives": ("stored", "drawn"),
            "look_ahead": ("sgd", "adam"),
            "normaliser": ("primary", "task"),
        }
        check_choices("SELAR.Config", self, choices)
        positive = ("d", "n_layers", "batch", "lr", "weighter_lr", "weighter_hidden", "folds")
        check_positive("SELAR.Config", self, (*positive, "epochs", "patience"))
        self._check_ranges()
        loss_expression(self.loss)  # one that there is not is refused here
        if self.protocol == "paper" and self.negatives != "stored":
            raise ConfigError(
                "SELAR.Config: expected negatives 'stored' under protocol 'paper', got 'drawn'. "
                "The published program learns from the negatives of its files; leave them stored."
            )
        unknown = [name for name in self.auxiliary if name not in ("metapath", *AUXILIARY)]
        if unknown or not self.auxiliary:
            raise ConfigError(
                f"SELAR.Config: expected auxiliary among {['metapath', *AUXILIARY]}, got "
                f"{unknown or 'none'}. Give the kinds wanted, or strategy 'vanilla' for none."
            )
        if self.batch < max(3, self.folds):
            raise ConfigError(
                f"SELAR.Config: expected a batch of at least {max(3, self.folds)}, a sample for "
                f"each of {self.folds} folds, got {self.batch}. Raise it or lower folds."
            )

    def _check_ranges(self) -> None:
        where = "SELAR.Config"
        check_shares(where, self, ("averaging", "dropout"))
        check_at_least_zero(where, self, ("weight_decay", "n_hubs"))
        in_range, advice = 0 < self.attenuation <= 1, "1 keeps hints as they are."
        require(where, self, "attenuation", in_range, "in (0, 1]", advice)
        for name in ("fanouts", "hint_fanouts"):
            hops = getattr(self, name)
            if any(not isinstance(n, int) or n < -1 or n == 0 for n in hops):
                raise ConfigError(
                    f"SELAR.Config: expected {name} of -1 or at least 1, got {hops}. "
                    f"Give a number of neighbours for each hop; -1 takes all."
                )
        if self.strategy == "selar+hint" and not self.hint_fanouts:
            raise ConfigError(
                "SELAR.Config: expected hint_fanouts with strategy 'selar+hint', got none. "
                "Give a number of neighbours for each hop, such as 8 8."
            )
