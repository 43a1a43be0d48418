"""Settings of SAME."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dglmeta.errors import ConfigError
from dglmeta.nn.multi_task import NORMS, TASKS
from dglmeta.systems.checks import (
    check_at_least_zero,
    check_choices,
    check_positive,
    check_shares,
)
from dglmeta.tasks.episodes import Shares

__all__ = ["VARIANTS", "Config", "Variant"]


MOST_HELD_OUT = 80
"""Per cent of a graph's edges in support and target together."""


class Variant(NamedTuple):
    """What a way of learning several tasks switches on."""

    adapts: str = ""
    """What descends on the support sets: "all", "heads", or nothing."""
    together: bool = False
    """Whether all tasks descend on the sum of their losses, and not each on its own."""
    pretrains: bool = False
    """Whether all three tasks are learned before those that are asked for."""
    trains: bool = True
    """Whether anything is learned."""
    probed: bool = True
    """Whether it is usually judged by a linear model on its embeddings, and not by its heads."""


VARIANTS = {
    "isame": Variant(adapts="all"),
    "esame": Variant(adapts="heads"),
    "maml": Variant(adapts="all", together=True),
    "anil": Variant(adapts="heads", together=True),
    "classical": Variant(probed=False),
    "finetune": Variant(pretrains=True, probed=False),
    "untrained": Variant(trains=False),
}


@dataclass(frozen=True)
class Config:
    """Settings of SAME and of what it is compared with.

    Parameters
    ----------
    variant : {"isame", "esame", "maml", "anil", "classical", "finetune", "untrained"}
        What adapts to a task, alone: everything, or its head; the same with all tasks at once;
        or nothing, the sum of the losses being descended on, with one task the usual training;
        that after all three tasks were learned so; or an encoder as it begins, to compare with.
    tasks : tuple of str
        Of "gc", "nc", "lp": classes of graphs, classes of nodes, links.
    judged : tuple of str
        Tasks that are measured; those that are trained when empty.
    measure : {"auto", "probe", "heads"}
        By a linear model on the frozen embeddings; or by the trained heads. "auto" is heads for
        classical training and fine-tuning, and a probe otherwise.
    protocol : {"clean", "paper"}
        What we stand for; or the published program with its quirks, for comparison with the
        printed tables: see :mod:`dglmeta.systems.parts.same.published`.
    task_weights : tuple of float
        lambda of each trained task in the outer loss, or of all three; all 1 when empty.
    features : tuple of str
        Of "attributes", "feat", "degrees". When empty: attributes, or the degree profile of a node
        where there are none. The features of some sets tell the label of a node.
    d : int
        Width of every layer of the encoder.
    layers : int
        Their number.
    norm : {"l2", "layer", "none"}
        Of a layer's rows: length 1; mean 0 and variance 1 before the ReLU; or nothing.
    residual : bool
        Whether layers after the first add what they read.
    hidden : bool
        Whether the heads of graphs and links have a layer of their own before the last.
    batch : int
        Graphs an episode, dealt to its tasks.
    shares : tuple of int
        Per cent in support: of graphs, of each class of nodes, of a graph's edges; and of edges in
        target. The published protocol has its own.
    inner_steps, inner_lr : int, float
        Gradient steps on the support sets, and their size.
    order : int
        2 takes the outer gradient through the inner steps, 1 takes those for constants.
    lr, weight_decay : float
        Adam step size and L2 penalty.
    averaging : float
        In [0, 1): what is evaluated is the running mean of theta with this share of what was, at
        every step (Polyak averaging); 0 evaluates theta itself.
    passes, pretrain_passes : int
        How often an epoch goes through the training graphs; and the pretraining of "finetune".
    epochs, patience : int
        At most so many epochs; stop so many after the best one.
    """

    variant: str = "isame"
    tasks: tuple[str, ...] = TASKS
    judged: tuple[str, ...] = ()
    measure: str = "auto"
    protocol: str = "clean"
    task_weights: tuple[float, ...] = ()
    features: tuple[str, ...] = ()
    d: int = 256
    layers: int = 3
    norm: str = "l2"
    residual: bool = True
    hidden: bool = True
    batch: int = 16
    shares: tuple[int, ...] = tuple(Shares())
    inner_steps: int = 1
    inner_lr: float = 0.04
    order: int = 2
    lr: float = 5e-4
    weight_decay: float = 0.0
    averaging: float = 0.0
    passes: int = 5
    pretrain_passes: int = 100
    epochs: int = 100
    patience: int = 20

    def __post_init__(self) -> None:
        where = "SAME.Config"
        choices = {
            "variant": VARIANTS,
            "measure": ("auto", "probe", "heads"),
            "protocol": ("clean", "paper"),
            "norm": NORMS,
            "order": (1, 2),
        }
        check_choices(where, self, choices)
        positive = ("d", "layers", "batch", "inner_lr", "lr", "passes", "epochs", "patience")
        check_positive(where, self, positive)
        check_at_least_zero(where, self, ("inner_steps", "weight_decay", "pretrain_passes"))
        check_shares(where, self, ("averaging",))
        self._check_tasks(where)
        self._check_shares(where)

    def _check_tasks(self, where: str) -> None:
        for name, least in (("tasks", 1), ("judged", 0)):
            given = getattr(self, name)
            if len(set(given)) != len(given) or len(given) < least or not set(given) <= set(TASKS):
                raise ConfigError(
                    f"{where}: expected {name} among {list(TASKS)}, each once, got {list(given)}. "
                    f"Name {'one at least' if least else 'some or none'}."
                )
        untrained = set(self.judged) - set(self.trained)
        if untrained and self.measured_by == "heads":
            raise ConfigError(
                f"{where}: expected judged among the trained tasks {list(self.trained)} where "
                f"heads are measured, got {sorted(untrained)} too. Set measure to probe."
            )
        if len(self.task_weights) not in (0, len(self.trained), len(TASKS)):
            raise ConfigError(
                f"{where}: expected a weight for each of {list(self.trained)}, for each of "
                f"{list(TASKS)}, or none, got {list(self.task_weights)}. Give {len(self.trained)}."
            )
        if not all(isinstance(w, int | float) and w >= 0 for w in self.task_weights):
            raise ConfigError(
                f"{where}: expected task_weights to be numbers >= 0, got "
                f"{list(self.task_weights)}. Correct them."
            )

    def _check_shares(self, where: str) -> None:
        fits = len(self.shares) == len(Shares()) and all(
            isinstance(share, int) and 0 < share < 100 for share in self.shares
        )
        if not fits or sum(self.shares[2:]) > MOST_HELD_OUT:
            raise ConfigError(
                f"{where}: expected four shares of 1 to 99 per cent, of edges {MOST_HELD_OUT} in "
                f"all at most, got {list(self.shares)}. Give such as {list(Shares())}."
            )

    @property
    def trained(self) -> tuple[str, ...]:
        """The tasks in their usual order."""
        return tuple(task for task in TASKS if task in self.tasks)

    @property
    def measured(self) -> tuple[str, ...]:
        """The tasks that are measured, in their usual order."""
        return tuple(task for task in TASKS if task in (self.judged or self.tasks))

    @property
    def measured_by(self) -> str:
        """Either "probe" or "heads"."""
        if self.measure != "auto":
            return self.measure
        return "probe" if VARIANTS[self.variant].probed else "heads"

    def weight(self, task: str) -> float:
        """Lambda of a trained task."""
        weights = self.task_weights
        if not weights:
            return 1.0
        given = self.trained if len(weights) == len(self.trained) else TASKS
        return weights[given.index(task)]
