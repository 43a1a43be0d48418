"""How a run of Meta-Graph begins: graphs prepared, an encoder and a signature made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from dglmeta.data import Dataset, FewShotSplit, GraphDataset, GraphSplit, few_shot_split
from dglmeta.data.graph_dataset import NODE
from dglmeta.errors import DataError
from dglmeta.meta import Params, UnrolledGradient
from dglmeta.nn import VGAE, GraphSignature
from dglmeta.ops.backend import bridge_of
from dglmeta.systems.parts.meta_graph.adapt import Path
from dglmeta.systems.parts.meta_graph.config import METHODS, Config
from dglmeta.systems.seeding import seeded
from dglmeta.tasks import FewShotBatch, FewShotGraph

__all__ = ["State", "begin", "edge_seed", "make_modules", "prepare_graph"]


@dataclass
class State:
    """Everything that changes in training, and what it is trained on."""

    ds: GraphDataset
    graphs: list[FewShotGraph]
    seed: int
    noise: int  # width of the noise in training; 0 for none
    split: GraphSplit
    device: str
    model: VGAE
    signature: GraphSignature | None
    optimizer: torch.optim.Optimizer
    losses: list[float] = field(default_factory=list)  # outer losses of the epoch
    paths: dict[str, Path] = field(default_factory=dict)  # of the graphs judged last
    heuristics: dict[str, dict[str, float]] = field(default_factory=dict)  # metrics by split

    @property
    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """What a checkpoint holds."""
        parts = {"model": self.model, "optimizer": self.optimizer}
        return parts if self.signature is None else {**parts, "signature": self.signature}

    @property
    def names(self) -> tuple[str, ...]:
        """Of the graphs."""
        return self.ds.graph_names

    @property
    def learned(self) -> list[nn.Parameter]:
        """Theta and psi."""
        modules = [self.model] if self.signature is None else [self.model, self.signature]
        return [p for module in modules for p in module.parameters()]

    def batch(self, numbers: Iterable[int]) -> FewShotBatch:
        """Some of the graphs, side by side."""
        dtype = self.model.weight_in.dtype
        graphs = [self.graphs[k] for k in numbers]
        return FewShotBatch(graphs, dtype=dtype, noise=self.noise, device=self.device)

    def learn(self, found: UnrolledGradient, signature: Params, n_graphs: int, clip: float) -> None:
        """Move theta and psi down an outer gradient that was summed over graphs."""
        self.optimizer.zero_grad()
        for name, parameter in self.model.named_parameters():
            parameter.grad = found.start[name].sum(dim=0) / n_graphs
        psi = {name: film for name, film in signature.items() if film.requires_grad}
        if psi:
            pulled = [found.conditions[name] / n_graphs for name in psi]
            torch.autograd.backward(list(psi.values()), pulled)
        torch.nn.utils.clip_grad_norm_(self.learned, clip)
        self.optimizer.step()
        self.losses.append(float(found.loss) / n_graphs)


def begin(
    config: Config, ds: Dataset | GraphDataset, seed: int, split_seed: int, device: str = "cpu"
) -> State:
    """The state before the first step, on the device "cpu" or "cuda".

    Raises
    ------
    DataError
        If the data set is a single graph.
    """
    if not isinstance(ds, GraphDataset):
        raise DataError(
            f"{ds.name}: expected a data set of many graphs for meta-graph, got a single one. "
            f"Give firstmm, ohmnet-brain or toy-graphs, or cut it up with ego_networks."
        )
    alone = config.graph_split == "leave-one-out"
    split = ds.leave_one_out(split_seed) if alone else ds.splits(split_seed)
    graphs = [
        prepare_graph(config, ds, number, few_shot_split(
            graph, config.train_fraction, seed=edge_seed(split_seed, number)
        ))
        for number, graph in enumerate(ds.graphs)
    ]  # fmt: skip
    with seeded(seed):
        model, signature = make_modules(config, graphs[0].n_inputs)
    for module in filter(None, (model, signature)):
        module.to(bridge_of(device).device_type)
    learned = [p for m in (model, signature) if m is not None for p in m.parameters()]
    optimizer = torch.optim.Adam(learned, lr=config.lr, weight_decay=config.weight_decay)
    noise = config.d if config.variational else 0
    return State(ds, graphs, seed, noise, split, device, model, signature, optimizer)


def make_modules(config: Config, d_in: int) -> tuple[VGAE, GraphSignature | None]:
    """The encoder and the signature network that the settings ask for, as torch's seed fills them.

    Parameters
    ----------
    config : Config
    d_in : int
        Width of what the first layer reads of a node.
    """
    published = config.protocol == "paper"
    model = VGAE(
        d_in,
        config.d_hidden,
        config.d,
        two_weights=config.method == "meta-graph" and config.variant == "two-weights",
        own=config.skip and not published,
    )
    if not METHODS[config.method].signature:
        return model, None
    signature = GraphSignature(
        d_in,
        (config.d_hidden, 2 * config.d),
        variant=config.variant,
        d_hidden=config.d_hidden,
        published=published,
    )
    return model, signature


def prepare_graph(
    config: Config, ds: GraphDataset, number: int, split: FewShotSplit
) -> FewShotGraph:
    """A graph of the data set as the configured encoder reads it."""
    graph = ds.graphs[number]
    empty = np.zeros((graph.n_nodes[NODE], 0), np.float32)
    given = graph.node_data.get(NODE, {}).get("feat", empty)
    published = config.protocol == "paper"
    return FewShotGraph(
        split,
        given,
        ("given",) if published else config.features,
        n_folds=1 if published else min(config.folds, len(split.train)),
        structure=METHODS[config.method].structure,
        skip=config.skip and not published,
    )


def edge_seed(split_seed: int, number: int, draw: int = 0) -> int:
    """Seed of the split of one graph's edges."""
    return int(np.random.SeedSequence([split_seed, number, draw]).generate_state(1)[0])
