"""What changes while SELAR trains: w, Theta, their optimisers; and w at the graph of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from dglmeta.graph import HeteroCSR
from dglmeta.meta import Params, parameters_of
from dglmeta.nn import (
    HAN,
    HintMixer,
    HintNets,
    JointModel,
    Located,
    Messages,
    Samples,
    SampleWeighter,
    with_loops,
)
from dglmeta.tasks import JointTasks, Primary, View
from dglmeta.train import Replay, RowAdam

__all__ = ["State", "Weighing"]


class Weighing(nn.Module):
    """Theta: V, and with hints V_H."""

    def __init__(self, n_auxiliary: int, hidden: int, *, hints: bool, equal: bool) -> None:
        super().__init__()
        self.weighter = SampleWeighter(n_auxiliary, hidden, equal=equal)
        self.mixer = HintMixer(n_auxiliary, hidden) if hints else None

    def forward(self, which: str, *descriptors: Any) -> Tensor:
        """(n,) weights by "weighter", or the learner's shares of mixed logits by "mixer"."""
        out: Tensor = getattr(self, which)(*descriptors)
        return out


@dataclass
class State:
    """Everything that changes in training, and what it is trained on."""

    training: HeteroCSR
    primary: Primary
    tasks: JointTasks
    model: JointModel
    averaged: AveragedModel | None
    optimizer: torch.optim.Optimizer
    row_optimizer: RowAdam | None
    weighing: Weighing
    weighing_optimizer: torch.optim.Optimizer
    replay: Replay | None = None  # of a step's tensors, on a GPU
    progress: dict[str, object] = field(default_factory=dict)  # what the epoch's log says

    @property
    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """What a checkpoint holds."""
        names = ("model", "averaged", "optimizer", "row_optimizer", "weighing",
                 "weighing_optimizer")  # fmt: skip
        parts = {name: getattr(self, name) for name in names}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def judged(self) -> JointModel:
        """The model that is evaluated: the running mean, or w itself."""
        return self.model if self.averaged is None else self.averaged.module

    def messages(self, view: View) -> Messages:
        """What the encoder sums over in a view; kept where no batch takes edges out of it."""
        no_edge_leaves = view.nodes is None and self.tasks.target is None
        if isinstance(self.model.encoder, HAN) or no_edge_leaves:
            return self._whole
        return self.model.encoder.messages(view.graph, view.edge_weight)

    @cached_property
    def _whole(self) -> Messages:
        encoder = self.model.encoder
        return encoder.messages(self.training if isinstance(encoder, HAN) else self.tasks.graph)

    def weights(self, view: View) -> Params:
        """w, with the embeddings of the view's nodes alone."""
        w = parameters_of(self.model)
        if self.row_optimizer is not None and view.nodes is not None:
            w["embedding"] = w["embedding"].detach().index_select(0, view.nodes)
        return w

    def move(self, gradients: Params, view: View) -> None:
        """One step of Adam; of embeddings, only the rows in use move and decay."""
        if self.row_optimizer is not None and view.nodes is not None:
            self.row_optimizer.step(view.nodes, gradients.pop("embedding"))
        for name, parameter in self.model.named_parameters():
            parameter.grad = gradients.get(name)
        self.optimizer.step()

    def locate(
        self,
        messages: Messages,
        view: View,
        samples: Samples,
        keep: Tensor | None = None,
        *,
        hints: bool = False,
    ) -> Located:
        """Samples with all that their outputs are computed from."""
        model = self.model
        located = model.locate(messages, samples, view.wanted if hints else None)
        if model.features is not None and view.nodes is not None:
            located = located._replace(features=model.features.rows(view.nodes))
        if hints and view.hint_graph is not None and view.hint_weight is not None:
            adj, at = view.hint_graph.adjacency, located.samples
            n_hints = len(self.tasks.auxiliary_pairs)
            nodes = torch.cat([at.src, at.dst], 1)[len(at.src) - n_hints :]
            sent = Messages(adj.with_loops.T, with_loops(view.hint_weight, adj.n_src))
            located = located._replace(plan=HintNets.plan(sent, nodes))
        return located._replace(keep=keep)

    def dropout(self, view: View, share: float, rng: np.random.Generator) -> Tensor | None:
        """What a step leaves out of the encoder's inputs."""
        if not share:
            return None
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        shape = (view.graph.adjacency.n_src, self.model.embedding.shape[1])
        if self.model.features is not None:
            rows, nodes = self.model.features, view.nodes
            shape = ((rows if nodes is None else rows.rows(nodes)).adjacency.n_edges,)
        kept = torch.rand(shape, generator=generator) >= share
        return kept / (1 - share)
