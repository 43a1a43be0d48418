"""Settings of AutoLINC."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from dglmeta.errors import ConfigError
from dglmeta.systems.checks import (
    check_at_least_zero,
    check_choices,
    check_positive,
    check_shares,
    require,
)

__all__ = ["CHECKS", "ENCODERS", "PUBLISHED", "QUARTERS", "SEARCH", "Config"]

ENCODERS = ("gcn", "gat", "sage")

SEARCH = "search"
"""The loss that is not known yet."""

PUBLISHED = "published"
"""The loss in print for the data and encoder."""

SEARCHERS = ("tree", "evolution", "random")

CHECKS = ("finite", "equality", "separation", "monotonicity", "performance")
"""Reasons not to train a candidate, or not to its end; that it has u, y and n is always asked."""

QUARTERS = 4
"""Parts of the short training, after each of which candidates are judged."""

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


SEARCHING = (
    "searcher", "time_budget", "candidates", "length", "masked", "exploration", "checks", "round",
    "proxy_epochs", "proxy_d", "proxy_features", "proxy_lr", "draws", "finalists",
)  # fmt: skip
"""Settings of the search alone."""


@dataclass(frozen=True)
class Config:
    """Settings of AutoLINC and of what it is compared with.

    Parameters
    ----------
    loss : str
        "search" for the best that is found; or one that is known: "cross-entropy", "re-weight",
        "balanced-softmax", "pc-softmax", "focal", "renode", "tam", "autolinc:A" or any other of
        the published ones by name, or a formula such as "autolinc:(u - y / n)^2". "published" is
        the one in print for the data and encoder; "found:" and a run's folder, what it found.
    encoder : {"gcn", "gat", "sage"}
        What is trained: two layers.
    rho : float
        Imbalance: a class of the majority has so many times the training nodes of a minority's.
    label_ratio : float
        Share of the nodes that are to train with; 0 keeps the data's own training nodes and takes
        some of the minority's away.
    valid_per_class : int
        Validation nodes of each class where training nodes are drawn.
    d, n_heads : int
        Width of the hidden layer; heads of a "gat" that share it.
    dropout : float
        Of the hidden layer.
    normalise : bool
        Whether rows of features are divided by their sum.
    lr, weight_decay : float
        Adam step size; L2 penalty of all layers but the last.
    plateau : int
        The step size is halved after so many epochs in which validation cross-entropy did not fall.
    epochs, patience : int
        At most so many steps; stop so many after the best one.
    searcher : {"tree", "evolution", "random"}
        How candidates are found.
    time_budget : str
        For how long is searched, such as "1h", "30m" or "90s".
    candidates : int
        The search ends with the round in which so many were trained; 0 for no such bound.
    length : int
        Greatest number of operators and variables of a formula.
    masked : bool
        Whether steps that lead to no complete formula with u, y and n are not taken. A search
        without takes the published hundred roll-outs an expansion.
    exploration : float
        c of the UCT rule. The square root of 2 is that of UCB1; with half of it the search kept to
        the first good subtrees it met.
    checks : tuple of str
        Of "finite", "equality", "separation", "monotonicity", "performance": reasons not to train
        a candidate to its end.
    round : int
        Candidates that are to be trained together, about.
    proxy_epochs, proxy_d, proxy_features : int
        The short training that candidates are compared by: its steps, the width of its hidden
        layer, and to how many columns features are projected, 0 for all of them as they are.
    proxy_lr : float
        Its Adam step size.
    draws : int
        Candidates that were not given up are trained on so many draws of the training nodes (and
        from as many seeds), one after another while they are above the tenth best, and compared by
        the mean; where ``label_ratio`` draws them, only seeds differ.
    finalists : int
        The best by proxy that are trained in full, on the task's own draw and others than those of
        the search; after a quarter and half of these draws the better half goes on. The best by
        validation is the found one.
    """

    loss: str = SEARCH
    encoder: str = "gcn"
    rho: float = 10.0
    label_ratio: float = 0.0
    valid_per_class: int = 30
    d: int = 256
    n_heads: int = 4
    dropout: float = 0.5
    normalise: bool = True
    lr: float = 0.01
    weight_decay: float = 5e-4
    plateau: int = 100
    epochs: int = 2000
    patience: int = 2000
    searcher: str = "tree"
    time_budget: str = "1h"
    candidates: int = 0
    length: int = 10
    masked: bool = True
    exploration: float = math.sqrt(2)
    checks: tuple[str, ...] = CHECKS
    round: int = 64
    proxy_epochs: int = 200
    proxy_d: int = 64
    proxy_features: int = 128
    proxy_lr: float = 0.01
    draws: int = 8
    finalists: int = 12

    def __post_init__(self) -> None:
        where = "AutoLINC.Config"
        check_choices(where, self, {"encoder": ENCODERS, "searcher": SEARCHERS})
        positive = ("valid_per_class", "d", "n_heads", "lr", "plateau", "epochs", "patience")
        searching = ("length", "round", "proxy_epochs", "proxy_d", "proxy_lr", "draws", "finalists")
        check_positive(where, self, positive + searching)
        at_least_zero = "weight_decay", "label_ratio", "candidates", "proxy_features", "exploration"
        check_at_least_zero(where, self, at_least_zero)
        if self.proxy_epochs < QUARTERS:
            raise ConfigError(
                f"{where}: expected proxy_epochs >= {QUARTERS}, got {self.proxy_epochs}. Train for "
                f"one at least between the {QUARTERS} times that candidates are judged."
            )
        require(where, self, "rho", self.rho >= 1, ">= 1", "1 is balanced.")
        check_shares(where, self, ("dropout",))
        if self.encoder == "gat" and (self.d % self.n_heads or self.proxy_d % self.n_heads):
            raise ConfigError(
                f"{where}: expected d and proxy_d to be shared evenly by {self.n_heads} heads, got "
                f"{self.d} and {self.proxy_d}. Give multiples of n_heads."
            )
        unknown = sorted(set(self.checks) - set(CHECKS))
        if unknown or len(set(self.checks)) < len(self.checks):
            raise ConfigError(
                f"{where}: expected checks among {list(CHECKS)}, each once, got "
                f"{list(self.checks)}. Name some or none."
            )
        self.seconds  # noqa: B018 - a budget that cannot be read is refused here

    @property
    def searches(self) -> bool:
        """Whether the loss is to be found first."""
        return self.loss == SEARCH

    @property
    def idle(self) -> tuple[str, ...]:
        """Settings that have no part in a run of these: those of the search, if there is none."""
        return () if self.searches else SEARCHING

    @property
    def seconds(self) -> float:
        """The time budget of the search.

        Raises
        ------
        ConfigError
            If it cannot be read.
        """
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", self.time_budget.strip().lower())
        if found is None or not float(found[1]) > 0:
            raise ConfigError(
                f"AutoLINC.Config: expected a time_budget such as 1h, 30m or 90s, got "
                f"{self.time_budget!r}."
            )
        return float(found[1]) * UNITS[found[2]]
