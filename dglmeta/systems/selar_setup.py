"""What SELAR begins with: tasks, model, V and optimisers, made of a data set and its settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dglmeta.data import Dataset, LinkSplit, NodeSplit
from dglmeta.errors import ConfigError, DeviceError
from dglmeta.graph import Adjacency, HeteroCSR, Homogeneous, MetaPath
from dglmeta.meta import Params, parameters_of
from dglmeta.nn import (
    GAT,
    GCN,
    GIN,
    GTN,
    HAN,
    SAGE,
    SGC,
    Encoder,
    FeatureMatrix,
    HintMixer,
    HintNets,
    JointModel,
    Located,
    Messages,
    Samples,
    SampleWeighter,
    StackedSGC,
    with_loops,
)
from dglmeta.paths.hubs import find_hubs
from dglmeta.systems.selar_config import STRATEGIES, Config
from dglmeta.tasks import (
    AUXILIARY,
    ClassTask,
    JointTasks,
    MetaPathTask,
    PairTask,
    Primary,
    Surroundings,
    View,
    primary_task,
)
from dglmeta.train import Replay

__all__ = ["State", "begin", "can_replay"]

HOMOGENEOUS = {"gcn": GCN, "gat": GAT, "gin": GIN, "sgc": SGC, "stacked-sgc": StackedSGC, "sage": SAGE}
"""Encoders that see nodes and edges of all types as of one."""

CAPTURABLE = ("gcn", "gin", "sgc", "stacked-sgc", "sage", "gtn")
"""Encoders whose step waits for nothing on a GPU, so that it can be replayed as one graph."""

MOST_EDGES_WHOLE = 1_000_000
"""Graphs of more edges are sampled in batches, unless the settings say how."""

FEATURES = "feat"
"""Name under which a data set keeps the features of nodes."""


class Weighing(nn.Module):
    """Theta: V, and with hints V_H."""

    def __init__(self, n_auxiliary: int, hidden: int, *, hints: bool) -> None:
        super().__init__()
        self.weighter = SampleWeighter(n_auxiliary, hidden)
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
    row_optimizer: torch.optim.Optimizer | None
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
        if isinstance(self.model.encoder, HAN) or (view.nodes is None and self.tasks.target is None):
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
            w["embedding"] = w["embedding"].detach()[view.nodes]
        return w

    def move(self, gradients: Params, view: View) -> None:
        """One step of Adam; of embeddings, only the rows in use move and decay."""
        if self.row_optimizer is not None and view.nodes is not None:
            p, of_rows = self.model.embedding, gradients.pop("embedding")
            (group,) = self.row_optimizer.param_groups
            decay = group["lr"] * self.optimizer.param_groups[0]["weight_decay"]
            p.data[view.nodes] *= 1 - decay
            at = view.nodes[None]
            p.grad = torch.sparse_coo_tensor(at, of_rows, p.shape, check_invariants=False)
            self.row_optimizer.step()
            p.grad = None
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
        n = view.graph.adjacency.n_src
        kept = torch.rand(n, self.model.embedding.shape[1], generator=generator) >= share
        return kept / (1 - share)


def begin(config: Config, ds: Dataset, seed: int, split_seed: int, device: str) -> State:
    """Split the data, label the auxiliary tasks, initialise w and Theta."""
    strategy = STRATEGIES[config.strategy]
    split = ds.splits(split_seed)
    primary = primary_task(config.task, ds, split)
    training = split.training_graph(ds.csr)
    everything = training.homogeneous(both_ways=True)
    auxiliary = _auxiliary(config, ds, training, split, seed) if strategy.auxiliary else []
    around = _surroundings(config, everything, training, split, device)
    target = primary.target_edges(around.everything) if config.protocol == "clean" else None
    tasks = JointTasks(primary.training, auxiliary, around, target=target, device=device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _model(config, ds, training, tasks).to(device)
        weighing = Weighing(len(auxiliary), config.weighter_hidden, hints=strategy.hints)
    weighing = weighing.to(device)
    form = {"fused": True, "capturable": device == "cuda"}
    by_rows = bool(around.fanouts) and model.features is None
    graph_part = [*([] if by_rows else [model.embedding]), *model.encoder.parameters()]
    rest = [p for name, p in model.named_parameters() if name.startswith(("heads", "class", "hint"))]
    groups = [
        {"params": graph_part, "weight_decay": config.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    averaged = None
    if config.averaging:
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.averaging))
        averaged.n_averaged = averaged.n_averaged.cpu()  # read at every step
    return State(
        training,
        primary,
        tasks,
        model,
        averaged,
        torch.optim.Adam(groups, lr=config.lr, **form),
        torch.optim.SparseAdam([model.embedding], lr=config.lr) if by_rows else None,
        weighing,
        torch.optim.Adam(weighing.parameters(), lr=config.weighter_lr, **form),
    )


def can_replay(config: Config) -> bool:
    """Whether a step waits for nothing on a GPU, and takes its batch as tensors alone."""
    return config.encoder in CAPTURABLE and not config.dropout and config.protocol == "clean"


def _auxiliary(
    config: Config, ds: Dataset, training: HeteroCSR, split: LinkSplit | NodeSplit, seed: int
) -> list[PairTask | ClassTask]:
    """The auxiliary tasks, labelled in the training graph alone."""
    target = split.target if isinstance(split, LinkSplit) else None
    tasks: list[PairTask | ClassTask] = []
    for kind in config.auxiliary:
        if kind != "metapath":
            tasks.append(AUXILIARY[kind].from_graph(training, seed=seed))
            continue
        for path in config.metapaths or ds.metapaths:
            if config.labels:
                tasks.append(MetaPathTask.from_store(config.labels, path, training))
            else:
                tasks.append(MetaPathTask.from_graph(training, path, target=target))
    return tasks


def _surroundings(
    config: Config,
    everything: Homogeneous,
    training: HeteroCSR,
    split: LinkSplit | NodeSplit,
    device: str,
) -> Surroundings:
    """The whole graph, or a sampler of it; with hubs where there are hint networks."""
    fanouts = config.fanouts
    if not fanouts and everything.adjacency.n_edges > MOST_EDGES_WHOLE:
        fanouts = (10,) * config.n_layers
    if config.protocol == "paper" and not fanouts:
        fanouts = (8,) * config.n_layers
    hints = STRATEGIES[config.strategy].hints
    if device == "cuda" and (fanouts or hints):
        raise DeviceError(
            "SELAR: expected --device cpu with sampled graphs or hint networks, got cuda. Both "
            "run on the CPU in this version; give --strategy selar and a graph below a million "
            "edges, or --device cpu."
        )
    if fanouts and config.look_ahead == "adam":
        raise ConfigError(
            "SELAR.Config: expected look_ahead 'sgd' where batches are sampled, got 'adam'. "
            "A sampled batch holds only some rows of the embeddings; set look_ahead to 'sgd'."
        )
    whole = Homogeneous(
        everything.adjacency.to(device), everything.offsets, everything.edge_offsets
    )
    return Surroundings(
        whole,
        fanouts=fanouts,
        hint_fanouts=(fanouts or config.hint_fanouts) if hints else (),
        hubs=_hubs(config, everything, training, split) if hints else None,
        hubs_hear_only=config.protocol == "paper",
    )


def _hubs(
    config: Config, everything: Homogeneous, training: HeteroCSR, split: LinkSplit | NodeSplit
) -> np.ndarray:
    """Nodes over all types that serve as hubs: the items most rated, or those of most edges."""
    if isinstance(split, LinkSplit):
        target = split.target[2]
        if config.protocol == "paper":  # as published, negatives count too
            counts = np.bincount(split.train.dst, minlength=training.n_nodes[target])
            found = {target: np.argsort(-counts, kind="stable")[: config.n_hubs]}
        else:
            found = find_hubs(training, config.n_hubs, edge_type=split.target)
    else:
        found = find_hubs(training, config.n_hubs)
    return np.concatenate([ids + everything.offsets[t] for t, ids in found.items()])


def _model(config: Config, ds: Dataset, training: HeteroCSR, tasks: JointTasks) -> JointModel:
    """w, before the first step."""
    encoder = _encoder(config, ds, training, tasks)
    features = _features(training, tasks.device)
    inputs = tasks.graph.adjacency.n_src if features is None else features
    n_hints = len(tasks.auxiliary_pairs)
    hints = None
    if STRATEGIES[config.strategy].hints:
        if n_hints < 1:
            raise ConfigError(
                "SELAR.Config: expected an auxiliary task about pairs with strategy 'selar+hint', "
                "got none. Add 'metapath' to auxiliary, or leave hints out."
            )
        hints = HintNets(n_hints, config.d)
    return JointModel(
        encoder,
        inputs,
        config.d,
        tasks.n_pair_tasks,
        tasks.class_kinds,
        hints,
        teach_through_hints=config.teach_through_hints or config.protocol == "paper",
    )


def _encoder(config: Config, ds: Dataset, training: HeteroCSR, tasks: JointTasks) -> Encoder:
    d = config.d
    if config.encoder == "gtn":
        return GTN(tasks.graph.n_edge_types, d, d, n_layers=config.n_layers)
    if config.encoder == "han":
        return _han(config, ds, training, tasks)
    return HOMOGENEOUS[config.encoder](d, d, n_layers=config.n_layers)


def _han(config: Config, ds: Dataset, training: HeteroCSR, tasks: JointTasks) -> HAN:
    """HAN over the data set's meta-paths that end where they begin and tell no training link."""
    paths = [MetaPath.parse(p, training.schema) for p in config.metapaths or ds.metapaths]
    paths = [p for p in paths if p.source == p.target]
    if tasks.target is not None:
        target = tasks.primary.target
        paths = [p for p in paths if all(step.edge_type != target for step in p.steps)]
    if not paths or tasks.surroundings.fanouts:
        raise ConfigError(
            f"SELAR.Config: expected meta-paths that end at the type they begin with, not along "
            f"the target edge, and a graph that is not sampled, with encoder 'han', got "
            f"{list(map(str, paths))} and fanouts {tasks.surroundings.fanouts}. Give metapaths "
            f"such as item-tag-item, or another encoder."
        )
    return HAN(training.schema, paths, config.d, config.d)


def _features(training: HeteroCSR, device: str) -> FeatureMatrix | None:
    """Features of all nodes in one sparse matrix; None where some type has none."""
    data = [training.node_data.get(t, {}).get(FEATURES) for t in training.schema.node_types]
    if any(x is None for x in data) or len({x.shape[1:] for x in data}) != 1:
        return None
    dense = np.concatenate(data)
    nodes, columns = np.nonzero(dense)
    adj = Adjacency.from_coo(nodes, columns, dense.shape).to(device)
    values = torch.from_numpy(dense[nodes, columns].astype(np.float32)).to(device)
    return FeatureMatrix(adj, None if bool((values == 1).all()) else values)
