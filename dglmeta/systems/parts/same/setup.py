"""How a run of SAME begins: graphs as rows, an encoder and heads made."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dglmeta.data import Dataset, GraphDataset, GraphSplit
from dglmeta.data.graph_dataset import NODE
from dglmeta.errors import DataError
from dglmeta.meta import Params, descend
from dglmeta.nn.multi_task import TASKS, EncoderForm, MultiTaskModel, Question, TaskGraphs
from dglmeta.ops.backend import bridge_of
from dglmeta.systems.parts.same.config import VARIANTS, Config
from dglmeta.systems.parts.same.published import PublishedEpisodes
from dglmeta.systems.seeding import seeded
from dglmeta.tasks.episodes import Episode, Episodes, Shares
from dglmeta.tasks.episodes.holdout import LinkHoldout, hold_out_links, published_holdout
from dglmeta.tasks.graphs import GraphRows, graph_rows, task_graphs

__all__ = ["State", "begin"]

Ids = npt.NDArray[np.int64]

SHARES = (0.1, 0.2)
"""Of the graphs, those to choose by and those to test on."""


class Draws(Protocol):
    """Anything that makes episodes out of graphs."""

    def draw(self, numbers: Ids, rng: np.random.Generator) -> list[Episode]:
        """One pass over the graphs of these numbers."""


@dataclass
class State:
    """Everything that changes in training, and what it is trained on."""

    ds: GraphDataset
    config: Config
    rows: GraphRows
    split: GraphSplit
    holdout: LinkHoldout
    device: str
    model: MultiTaskModel
    averaged: AveragedModel | None
    optimizer: torch.optim.Optimizer
    losses: list[float] = field(default_factory=list)  # outer losses of the epoch

    @property
    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """What a checkpoint holds."""
        parts = {"model": self.model, "averaged": self.averaged, "optimizer": self.optimizer}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def judged(self) -> MultiTaskModel:
        """What is evaluated: theta, or its running mean."""
        return self.model if self.averaged is None else self.averaged.module

    def learn(self, found: Params, loss: float) -> None:
        """Move theta down an outer gradient."""
        descend(self.optimizer, self.model, found)
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)
        self.losses.append(loss)

    @property
    def published(self) -> bool:
        """Whether the published protocol is followed."""
        return self.config.protocol == "paper"

    @property
    def form(self) -> EncoderForm:
        """What the encoder does beside its parameters."""
        return EncoderForm(self.config.norm, self.config.residual)

    @property
    def pooling(self) -> str:
        """How the nodes of a graph are put together."""
        return "sum" if self.published else "mean"

    @cached_property
    def episodes(self) -> Draws:
        """What is trained on."""
        return self._episodes(self.config.trained)

    @cached_property
    def every_task(self) -> Draws:
        """What is pretrained on."""
        return self._episodes(TASKS)

    @cached_property
    def whole(self) -> TaskGraphs:
        """All graphs, with messages over all edges."""
        return task_graphs(self.rows, self._all, self.rows.edges).to(self.device)

    @cached_property
    def without_links(self) -> TaskGraphs:
        """All graphs, with messages over the edges that are not asked about."""
        return task_graphs(self.rows, self._all, self.holdout.messages).to(self.device)

    def task_loss(self, task: str, logits: Tensor, question: Question) -> Tensor:
        """() mean cross-entropy; under "paper" of links as if probabilities were logits (4).

        Of several models the sum of their means.
        """
        ptr = question.model_ptr
        how = "none" if ptr else "mean"
        if task != "lp":
            losses = cross_entropy(logits, question.label, reduction=how)
        else:
            logits = logits.sigmoid() if self.published else logits
            losses = binary_cross_entropy_with_logits(logits, question.label, reduction=how)
        if not ptr:
            return losses
        size = torch.tensor(ptr, device=losses.device).diff()
        share = (1 / size.to(losses.dtype)).repeat_interleave(size)
        return torch.dot(losses, share)

    @property
    def _all(self) -> Ids:
        return np.arange(len(self.ds))

    def _episodes(self, tasks: tuple[str, ...]) -> Draws:
        variant = VARIANTS[self.config.variant]
        options: dict[str, Any] = {
            "batch": self.config.batch,
            "joint": variant.adapts != "all",
            "every": not variant.adapts,
        }
        if self.published:
            return PublishedEpisodes(self.rows, tasks, **options)
        return Episodes(self.rows, tasks, shares=Shares(*self.config.shares), **options)


def begin(
    config: Config, ds: Dataset | GraphDataset, seed: int, split_seed: int, device: str = "cpu"
) -> State:
    """The state before the first step, on the device "cpu" or "cuda".

    Raises
    ------
    DataError
        If the data set is a single graph, or lacks the labels of a task.
    """
    if not isinstance(ds, GraphDataset):
        raise DataError(
            f"{ds.name}: expected a data set of many graphs for same, got a single one. Give "
            f"enzymes, dhfr, proteins or toy-graphs."
        )
    split = ds.splits(split_seed, shares=SHARES)
    published = config.protocol == "paper"
    scaling = "rows" if published else "standard"
    rows = graph_rows(ds, _features(config, ds), scaling=scaling, train=split.train)
    pretrained = VARIANTS[config.variant].pretrains
    headed = TASKS if pretrained else config.trained
    n_classes = {task: _n_classes(ds, rows, task) for task in headed}
    for task in config.measured:
        _n_classes(ds, rows, task)
    with seeded(seed):
        model = MultiTaskModel(
            rows.x.shape[1],
            config.d,
            n_classes,
            n_layers=config.layers,
            additive=published,
            hidden=config.hidden,
        ).to(bridge_of(device).device_type)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
    )
    averaged = None
    if config.averaging:
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.averaging))
    holdout = published_holdout(rows) if published else hold_out_links(rows, seed=split_seed)
    return State(ds, config, rows, split, holdout, device, model, averaged, optimizer)


def _features(config: Config, ds: GraphDataset) -> tuple[str, ...]:
    """Those asked for; else attributes, or degrees where there are none."""
    given = ds.graphs[0].node_data.get(NODE, {})
    return config.features or (("attributes",) if "attributes" in given else ("degrees",))


def _n_classes(ds: GraphDataset, rows: GraphRows, task: str) -> int:
    """How many classes a task tells apart.

    Raises
    ------
    DataError
        If the data set has none for it.
    """
    label = {"gc": rows.graph_label, "nc": rows.node_label, "lp": np.zeros(1, np.int64)}[task]
    if label is None:
        what = "classes of graphs" if task == "gc" else "labels of nodes"
        raise DataError(
            f"{ds.name}: expected {what} for the task {task}, got none. Leave {task} out of tasks."
        )
    return int(label.max()) + 1
