"""What SELAR begins with: tasks, model, V and optimisers, made of a data set and its settings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dglmeta.data import Dataset, LinkSplit, NodeSplit
from dglmeta.errors import ConfigError, DeviceError
from dglmeta.graph import Adjacency, HeteroCSR, Homogeneous, MetaPath
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
    HintNets,
    JointModel,
    StackedSGC,
)
from dglmeta.paths.hubs import find_hubs
from dglmeta.systems.parts.selar.config import STRATEGIES, Config
from dglmeta.systems.parts.selar.state import State, Weighing
from dglmeta.systems.seeding import seeded
from dglmeta.tasks import (
    AUXILIARY,
    ClassTask,
    JointTasks,
    LinkPrediction,
    MetaPathTask,
    PairTask,
    Surroundings,
    primary_task,
    split_of,
)
from dglmeta.tasks.expression.node_losses import node_losses
from dglmeta.train import RowAdam

__all__ = ["begin", "can_replay", "fanouts_of"]

ENCODERS = {
    "gcn": GCN,
    "gat": GAT,
    "gin": GIN,
    "sgc": SGC,
    "stacked-sgc": StackedSGC,
    "sage": SAGE,
}
"""Those that see nodes and edges of all types as of one."""

CAPTURABLE = ("gcn", "gin", "sgc", "stacked-sgc", "sage", "gtn")
"""Encoders whose step waits for nothing on a GPU, so that it can be replayed as one graph."""

MOST_EDGES_WHOLE = 1_000_000
"""Graphs of more edges are sampled in batches, unless the settings say how."""

FEATURES = "feat"
"""Name under which a data set keeps the features of nodes."""


def begin(config: Config, ds: Dataset, seed: int, split_seed: int, device: str) -> State:
    """Split the data, label the auxiliary tasks, initialise w and Theta."""
    strategy = STRATEGIES[config.strategy]
    split = split_of(config.task, ds, split_seed)
    primary = primary_task(config.task, ds, split, negatives=config.negatives)
    if config.protocol == "paper" and type(primary) is not LinkPrediction:
        raise ConfigError(
            f"SELAR.Config: expected protocol 'clean' where {ds.name} asks for "
            f"{type(primary).__name__}, got 'paper'. The published program predicts links only."
        )
    training = split.training_graph(ds.csr)
    everything = training.homogeneous(both_ways=True)
    auxiliary = _auxiliary(config, ds, training, split, seed) if strategy.auxiliary else []
    around = _surroundings(config, everything, training, split, device)
    target = primary.target_edges(around.everything) if config.protocol == "clean" else None
    tasks = JointTasks(primary.training, auxiliary, around, target=target, device=device)
    with seeded(seed):
        model = _model(config, ds, training, tasks, split).to(device)
        weighing = Weighing(
            len(auxiliary),
            config.weighter_hidden,
            hints=strategy.hints,
            equal=config.protocol == "clean",
        )
    weighing = weighing.to(device)
    form = {"fused": True, "capturable": device == "cuda"}
    by_rows = bool(around.fanouts) and model.features is None
    graph_part = [*([] if by_rows else [model.embedding]), *model.encoder.parameters()]
    heads = ("heads", "class_heads", "hints")
    rest = [p for name, p in model.named_parameters() if name.split(".")[0] in heads]
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
        RowAdam(model.embedding, config.lr, weight_decay=config.weight_decay) if by_rows else None,
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
                stored = MetaPathTask.from_store(config.labels, path, training, target=target)
                tasks.append(stored)
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
    fanouts = fanouts_of(config, everything.adjacency.n_edges, device)
    hints = STRATEGIES[config.strategy].hints
    if device == "cuda" and (fanouts or hints):
        raise DeviceError(
            "SELAR: expected --device cpu with sampled graphs or hint networks, got cuda. Both "
            "run on the CPU in this version; give --strategy selar and no --fanouts, or "
            "--device cpu."
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


def fanouts_of(config: Config, n_edges: int, device: str) -> tuple[int, ...]:
    """Neighbours sampled a hop: as asked for, as published, or on a processor for many edges."""
    if config.fanouts:
        return config.fanouts
    if config.protocol == "paper":
        return (8,) * config.n_layers
    return (10,) * config.n_layers if device == "cpu" and n_edges > MOST_EDGES_WHOLE else ()


def _hubs(
    config: Config, everything: Homogeneous, training: HeteroCSR, split: LinkSplit | NodeSplit
) -> npt.NDArray[np.int64]:
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


def _model(
    config: Config,
    ds: Dataset,
    training: HeteroCSR,
    tasks: JointTasks,
    split: LinkSplit | NodeSplit,
) -> JointModel:
    """w, before the first step."""
    encoder = _encoder(config, ds, training, tasks)
    features = _features(training, tasks.device, config.unit_features)
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
        primary_losses=node_losses(config.loss, split),
    )


def _encoder(config: Config, ds: Dataset, training: HeteroCSR, tasks: JointTasks) -> Encoder:
    d = config.d
    if config.encoder == "gtn":
        return GTN(tasks.graph.n_edge_types, d, d, n_layers=config.n_layers)
    if config.encoder == "han":
        return _han(config, ds, training, tasks)
    return ENCODERS[config.encoder](d, d, n_layers=config.n_layers)


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


def _features(training: HeteroCSR, device: str, unit: bool) -> FeatureMatrix | None:
    """Features of all nodes in one sparse matrix; None where some type has none."""
    data = [training.node_data.get(t, {}).get(FEATURES) for t in training.schema.node_types]
    if any(x is None for x in data) or len({x.shape[1:] for x in data}) != 1:
        return None
    dense = np.concatenate(data)
    nodes, columns = np.nonzero(dense)
    adj = Adjacency.from_coo(nodes, columns, dense.shape).to(device)
    values = torch.from_numpy(dense[nodes, columns].astype(np.float32))
    if unit:
        values /= torch.from_numpy(np.sqrt(np.bincount(nodes, values.numpy() ** 2))[nodes])
    values = values.to(device)
    return FeatureMatrix(adj, None if bool((values == 1).all()) else values)
