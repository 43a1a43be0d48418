"""How a run of HGCVAE begins: neighbourhoods, networks, and what a step asks of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from dglmeta.data import Dataset, GraphDataset, NodeSplit
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency, HeteroCSR, MetaPath
from dglmeta.nn.path_attention import Neighbourhood, neighbourhood
from dglmeta.nn.variational_han import Hidden, VariationalHAN
from dglmeta.ops.backend import Bridge, bridge_of
from dglmeta.paths import metapath_product, sample_metapath_pairs, sample_unconnected_pairs
from dglmeta.systems.clock import Clock
from dglmeta.systems.parts.hgcvae.config import VARIANTS, Config
from dglmeta.systems.seeding import seeded
from dglmeta.tasks.path_neighbours import top_path_neighbours
from dglmeta.tasks.reconstruction import enhanced_scaled_cosine, scaled_cosine

__all__ = ["State", "begin"]

Ids = npt.NDArray[np.int64]

ACTIVE = 0.01
"""Mean divergence, in nats, from which on a dimension of the posterior tells anything."""


@dataclass
class State:
    """Everything that changes in training, and what it is trained on."""

    ds: Dataset
    config: Config
    split_seed: int
    bridge: Bridge
    """To where it is computed."""
    graph: HeteroCSR
    """That of the data, there."""
    paths: tuple[MetaPath, ...]
    near: list[Neighbourhood]
    x: Tensor | None
    guard: Adjacency | None
    model: VariationalHAN
    head: nn.Linear | None
    optimizer: torch.optim.Optimizer
    clock: Clock = field(default_factory=Clock)
    losses: dict[str, float] = field(default_factory=dict)  # of the last step
    divergence: Tensor | None = None  # of each dimension, at the last step

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        parts = {"model": self.model, "head": self.head, "optimizer": self.optimizer}
        return {**{k: p for k, p in parts.items() if p is not None}, "clock": self.clock}

    @property
    def device(self) -> str:
        """Where tensors are, as torch calls it."""
        return self.bridge.device_type

    @property
    def node_type(self) -> str:
        """The labelled one."""
        return self.paths[0].source

    @property
    def n_nodes(self) -> int:
        """Of that type."""
        return self.ds.csr.n_nodes[self.node_type]

    @cached_property
    def splits(self) -> dict[str, NodeSplit]:
        """Labelled nodes in parts, by what is put behind the names of metrics."""
        given = self.ds.label_splits or {"": self.ds.node_split}
        chosen = {k: split for k, split in given.items() if self.config.labels in (0, k)}
        dealt = self.split_seed
        return {
            f"_{k}" if k else "": split.dealt(dealt) if dealt else split
            for k, split in chosen.items()
        }

    @cached_property
    def labelled(self) -> NodeSplit:
        """What "supervised" learns from."""
        return list(self.splits.values())[-1]

    def hide(self, share: float) -> Hidden:
        """Draw nodes whose features are to be told, and what they read instead."""
        k = round(share * self.n_nodes)
        nodes = torch.randperm(self.n_nodes)[:k]
        n_swapped, n_kept = round(self.config.swapped * k), round(self.config.kept * k)
        tokens, swapped = nodes[n_swapped + n_kept :], nodes[:n_swapped]
        others = torch.randint(self.n_nodes, (n_swapped,))
        drawn = nodes.sort().values, tokens, swapped, others
        return Hidden(*(part.to(self.device) for part in drawn))

    def negatives(self, rng: np.random.Generator) -> Ids:
        """Nodes to be told from, all or some."""
        n = self.n_nodes
        if not self.config.negatives or self.config.negatives >= n:
            return np.arange(n)
        return rng.choice(n, self.config.negatives, replace=False)

    def edge_error(self, z: Tensor, rng: np.random.Generator) -> Tensor:
        """Mean over meta-paths of the cross-entropy of drawn pairs by the logits z_i . z_j.

        Pairs that the path joins, each as likely, and as many that it does not.
        """
        errors = [self._path_error(path, z, rng) for path in self.paths]
        return torch.stack(errors).mean()

    def _path_error(self, path: MetaPath, z: Tensor, rng: np.random.Generator) -> Tensor:
        logits, n = [], self.config.edges
        for sample in (sample_metapath_pairs, sample_unconnected_pairs):
            with self.bridge.stream():
                pairs = sample(self.graph, path, n, int(rng.integers(2**31)))
                src, dst = map(self.bridge.tensor, pairs)
            logits.append((z[src] * z[dst]).sum(-1))
        label = torch.cat([z.new_ones(n), z.new_zeros(n)])
        return binary_cross_entropy_with_logits(torch.cat(logits), label)

    def error(self, cosines: Tensor) -> Tensor:
        """Error of each told row, by the cosine with the real one."""
        if self.config.error == "sce":
            return scaled_cosine(cosines, self.config.gamma)
        return enhanced_scaled_cosine(cosines, self.config.gamma, form=self.config.error)

    def divergence_record(self) -> dict[str, Any]:
        """The divergence from the prior of each dimension, for metrics.jsonl."""
        if self.divergence is None:
            return {}
        each = [round(float(v), 4) for v in self.divergence]
        return {"kl": sum(each), "kl_of_dimensions": each, "active": self._active()}

    def collapse(self) -> dict[str, Any]:
        """How many dimensions of the posterior tell anything, and a word if none does."""
        if self.divergence is None:
            return {}
        n = self._active()
        told = {"active_dimensions": n, "posterior_collapsed": n == 0}
        if n == 0:
            told["advice"] = "lower kl_weight or raise kl_warm_up: the posterior is the prior"
        return told

    def _active(self) -> int:
        return int((self.divergence > ACTIVE).sum()) if self.divergence is not None else 0


def begin(
    config: Config, ds: Dataset | GraphDataset, seed: int, split_seed: int, device: str
) -> State:
    """The state before the first step, on the device "cpu" or "cuda".

    Raises
    ------
    DataError
        If no nodes are labelled, or no meta-path leads from their type back to it.
    ConfigError
        If the data has no split with so many labels, or "features" no features.
    """
    node_type = _labelled_type(config, ds)
    paths = _paths(config, ds, node_type)
    hg, n = ds.csr, ds.csr.n_nodes[node_type]
    x = _features(hg, node_type)
    variant = VARIANTS[config.variant]
    if x is None and config.variant == "features":
        raise ConfigError(
            f"{ds.name}: expected features of {node_type!r} for the variant 'features', got none. "
            f"Leave the variant out."
        )
    with seeded(seed):
        model = VariationalHAN(
            len(paths), n, 0 if x is None else x.shape[1], config.d,
            n_heads=config.n_heads, n_layers=config.n_layers, d_semantic=config.d_semantic,
            feature_dropout=config.dropout, normalise=config.normalise,
        )  # fmt: skip
        head = nn.Linear(config.d, ds.node_split.n_classes) if variant.labelled else None
    bridge = bridge_of(device)
    for part in filter(None, (model, head)):
        part.to(bridge.device_type)
    learned = [*model.parameters(), *(head.parameters() if head else ())]
    optimizer = torch.optim.Adam(learned, lr=config.lr, weight_decay=config.weight_decay)
    guard = _guard(hg, paths, config.guard) if variant.contrasts and config.guard else None
    near = [neighbourhood(hg, path, config.attention).to(device) for path in paths]
    x = x if x is None else x.to(bridge.device_type)
    return State(
        ds, config, split_seed, bridge, hg.to(device), paths, near, x, guard, model, head, optimizer
    )


def _labelled_type(config: Config, ds: Dataset | GraphDataset) -> str:
    if isinstance(ds, GraphDataset) or ds.node_split is None:
        raise DataError(
            f"{ds.name}: expected a heterograph with labelled nodes for hgcvae, got none. Give "
            f"heco-acm, acm, or your own with a label column."
        )
    if config.labels and config.labels not in ds.label_splits:
        raise ConfigError(
            f"{ds.name}: expected labels among {[0, *ds.label_splits]}, got {config.labels}."
        )
    return ds.node_split.node_type


def _paths(config: Config, ds: Dataset, node_type: str) -> tuple[MetaPath, ...]:
    texts = config.metapaths or ds.metapaths
    every = (MetaPath.parse(text, ds.csr.schema) for text in texts)
    paths = tuple(p for p in every if p.source == p.target == node_type)
    if not paths or (config.metapaths and len(paths) < len(texts)):
        raise DataError(
            f"{ds.name}: expected meta-paths from {node_type!r} back to it, got {list(texts)}. "
            f"Name some with metapaths."
        )
    return paths


def _features(hg: HeteroCSR, node_type: str) -> Tensor | None:
    """(n, d_in) rows of sum 1, or None."""
    x = hg.node_data.get(node_type, {}).get("feat")
    if x is None:
        return None
    x = np.asarray(x, np.float32)
    total = x.sum(1, keepdims=True)
    return torch.from_numpy(x / np.where(total > 0, total, 1))


def _guard(hg: HeteroCSR, paths: Sequence[MetaPath], k: int) -> Adjacency:
    count = partial(metapath_product, hg, mode="count")
    return top_path_neighbours([count(path) for path in paths], k)
