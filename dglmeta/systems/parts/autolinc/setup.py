"""How a run of AutoLINC begins: a graph, an imbalanced split, and a model to train on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array, diags_array
from torch import Tensor

from dglmeta.data import Dataset, GraphDataset, NodeSplit
from dglmeta.data.imbalance import step_imbalance
from dglmeta.errors import DataError
from dglmeta.graph import Adjacency
from dglmeta.nn.many_models import ManyModels
from dglmeta.nn.receptive_field import ReceptiveField
from dglmeta.ops.backend import bridge_of
from dglmeta.systems.clock import Clock
from dglmeta.systems.parts.autolinc.config import Config
from dglmeta.systems.parts.autolinc.found import Found
from dglmeta.tasks.imbalance import ClassLoss, class_loss

__all__ = ["Problem", "State", "begin", "pose", "pose_draws"]

Ids = npt.NDArray[np.int64]

FEATURES = "feat"

AGAIN = 1 << 32
"""Seeds of further draws begin here, as those of splits to train on are small."""


class Problem(NamedTuple):
    """A graph and the classes of some of its nodes, those to train with imbalanced."""

    adj: Adjacency
    """(N, N): messages run along its edges."""
    x: csr_array
    """(N, d) features."""
    split: NodeSplit

    def field(
        self, rows: Ids, x: Tensor | csr_array | None = None, device: str = "cpu"
    ) -> ReceptiveField:
        """What a model reads to answer for some nodes; other features may be given."""
        features = self.x if x is None else x
        return ReceptiveField(self.adj, features, torch.from_numpy(rows), device=device)


def pose(config: Config, ds: Dataset | GraphDataset, split_seed: int) -> Problem:
    """The task that a data set gives.

    Raises
    ------
    DataError
        If there is not one graph of one type of nodes and edges, with features and classes.
    """
    if not isinstance(ds, Dataset) or ds.node_split is None:
        raise DataError(
            f"{ds.name}: expected a single graph with classes of nodes for autolinc. Give cora, "
            f"citeseer, amazon-computers, amazon-photo or toy-citations."
        )
    node_type = ds.node_split.node_type
    among = [kind for kind in ds.csr.schema.edge_types if kind[0] == kind[2] == node_type]
    features = ds.csr.node_data.get(node_type, {}).get(FEATURES)
    if len(among) != 1 or features is None:
        raise DataError(
            f"{ds.name}: expected one type of edges among the labelled nodes {node_type!r}, and "
            f"features {FEATURES!r} of these, got {len(among)} and "
            f"{'some' if features is not None else 'none'}. Give cora, citeseer or "
            f"amazon-computers, or a folder of that form."
        )
    split = step_imbalance(
        ds,
        rho=config.rho,
        seed=split_seed,
        label_ratio=config.label_ratio or None,
        valid_per_class=config.valid_per_class,
    )
    x = csr_array(np.asarray(features, np.float64))
    return Problem(ds.csr.adjacency(among[0]), _of_sum_one(x) if config.normalise else x, split)


def pose_draws(
    config: Config, ds: Dataset | GraphDataset, split_seed: int, n_draws: int
) -> list[Problem]:
    """The task, and ``n_draws`` - 1 times the same with other training nodes of the minority.

    Nodes to choose and test by are the same. Where ``label_ratio`` draws these, too, so that one
    draw's test nodes would be another's to choose by, all draws are the first.

    Raises
    ------
    DataError
        As :func:`pose`.
    """
    first = pose(config, ds, split_seed)
    if config.label_ratio or not isinstance(ds, Dataset):
        return [first] * n_draws
    seeds = [AGAIN * (split_seed + 1) + k for k in range(1, n_draws)]
    splits = [step_imbalance(ds, rho=config.rho, seed=seed) for seed in seeds]
    return [first, *(first._replace(split=split) for split in splits)]


def _of_sum_one(x: csr_array) -> csr_array:
    """Rows divided by their sum; those of sum 0 stay."""
    total = np.asarray(x.sum(axis=1)).ravel()
    return csr_array(diags_array(1 / np.where(total == 0, 1, total)) @ x)


@dataclass
class State:
    """Everything that changes in training, and what it is trained on."""

    config: Config
    problem: Problem
    node_type: str
    loss: ClassLoss
    model: ManyModels
    device: str
    optimizer: torch.optim.Optimizer
    plateau: torch.optim.lr_scheduler.ReduceLROnPlateau
    clock: Clock
    found: Found | None = None
    losses: list[float] = field(default_factory=list)
    _answered: tuple[int, Tensor] | None = None

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        names = ("model", "optimizer", "plateau", "clock", "found")
        parts = {name: getattr(self, name) for name in names}
        return {name: part for name, part in parts.items() if part is not None}

    @cached_property
    def fields(self) -> dict[str, ReceptiveField]:
        """What is read for what the loss reads, "train", and for nodes to choose and test by."""
        split = self.problem.split
        rows = {"train": self.loss.rows, "valid": split.valid.node, "test": split.test.node}
        return {name: self.field(nodes) for name, nodes in rows.items()}

    def field(self, rows: Ids) -> ReceptiveField:
        """What the model reads to answer for some nodes, where it lies."""
        return self.problem.field(rows, device=self.device)

    def logits(self, part: str) -> Tensor:
        """(n, K) of a part's nodes, without dropout; on the host."""
        with torch.no_grad():
            return self.model(self.fields[part])[0].cpu()

    def validation_logits(self) -> Tensor:
        """Those of the validation nodes, computed once an epoch."""
        if self._answered is None or self._answered[0] != self.clock.epoch:
            self._answered = self.clock.epoch, self.logits("valid")
        return self._answered[1]


def begin(
    config: Config,
    ds: Dataset | GraphDataset,
    loss: str,
    seed: int,
    split_seed: int,
    device: str = "cpu",
) -> State:
    """The state before the first step, on the device "cpu" or "cuda"."""
    problem = pose(config, ds, split_seed)
    model = ManyModels(
        config.encoder.upper(),
        problem.x.shape[1],
        config.d,
        problem.split.n_classes,
        seeds=[seed],
        heads=config.n_heads,
    ).to(bridge_of(device).device_type)
    groups: dict[bool, list[Tensor]] = {True: [], False: []}
    for parameter, decays in model.stacked():
        groups[decays].append(parameter)
    optimizer = torch.optim.Adam(
        [
            {"params": groups[True], "weight_decay": config.weight_decay},
            {"params": groups[False]},
        ],
        lr=config.lr,
        fused=True,
    )
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=config.plateau
    )
    node_type = problem.split.node_type
    made = class_loss(loss, problem.split, problem.adj)
    return State(config, problem, node_type, made, model, device, optimizer, plateau, Clock())
