"""Small data for SELAR: a link to predict, and nodes to classify."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import dglmeta as dm
from dglmeta.data import Dataset, LabelledNodes, NodeSplit
from dglmeta.errors import ConfigError
from dglmeta.graph import HeteroCSR
from dglmeta.systems import SELAR

WRITES, ON = ("author", "writes", "paper"), ("paper", "on", "subject")
SMALL = {"batch": 8, "d": 4, "weighter_hidden": 10}


@pytest.fixture(scope="session")
def toy() -> Dataset:
    return dm.load_dataset("toy")


@pytest.fixture(scope="session")
def labelled() -> Dataset:
    """Papers of two classes, with authors and subjects that mostly keep to one; no features."""
    rng = np.random.default_rng(4)
    label = np.arange(24) % 2
    author = (label[:, None] * 5 + rng.integers(0, 6, (24, 2))).ravel()  # one serves both classes
    subject = np.where(rng.random(24) < 0.8, label, 2)
    edges = {
        WRITES: (author, np.repeat(np.arange(24), 2)),
        ON: (np.arange(24), subject),
    }
    hg = HeteroCSR.from_edges(edges, {"author": 12, "paper": 24, "subject": 3})
    nodes = LabelledNodes(np.arange(24), label)
    split = NodeSplit.at_random("paper", nodes, fractions=(0.5, 0.25, 0.25))
    paths = ("paper-author-paper", "author-paper-author")
    return Dataset("labelled", hg, None, paths, node_split=split)


@pytest.fixture(scope="session")
def described(labelled: Dataset) -> Dataset:
    """The same with features of every node."""
    return with_features(labelled, labelled.csr.schema.node_types)


@pytest.fixture(scope="session")
def partly_described(labelled: Dataset) -> Dataset:
    """The same with features of papers alone."""
    return with_features(labelled, ["paper"])


def with_features(ds: Dataset, node_types: Any) -> Dataset:
    rng = np.random.default_rng(0)
    data = {
        t: {"feat": rng.normal(size=(ds.csr.n_nodes[t], 6)).astype(np.float32)} for t in node_types
    }
    edges = {e: adj.coo() for e, adj in ds.csr.adjacencies.items()}
    hg = HeteroCSR.from_edges(edges, ds.csr.n_nodes, data)
    name = f"{ds.name}, described"
    return Dataset(name, hg, ds.target, ds.metapaths, node_split=ds.node_split)


@pytest.fixture(scope="session")
def begin(toy: Dataset) -> Callable[..., Any]:
    """A system, its state and a batch: on toy, or the data set given.

    V and V_H are as in the middle of training, where all that they read makes a difference.
    """

    def begin(ds: Dataset = toy, *, double: bool = False, **settings: Any) -> Any:
        selar = SELAR(SELAR.Config(**{**SMALL, **settings}))
        state = selar.init(ds, seed=0, split_seed=0)
        generator = torch.Generator().manual_seed(1)
        for p in state.weighing.parameters():
            p.data.normal_(0, 0.5, generator=generator)
        batch = next(state.tasks.epoch(selar.config.batch, np.random.default_rng(5)))
        if double:
            batch = in_double(state, batch)
        return selar, state, batch

    return begin


def in_double(state: Any, batch: Any) -> Any:
    """The batch in float64; the state becomes so too."""
    state.model.double()
    state.weighing.double()
    if state.model.features is not None and state.model.features.values is not None:
        features = state.model.features
        state.model.features = features._replace(values=features.values.double())
    view = batch.view._replace(edge_weight=batch.view.edge_weight.double())
    samples = batch.samples._replace(label=batch.samples.label.double())
    return batch._replace(samples=samples, view=view)


@pytest.fixture
def looked_ahead(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """The parameters at which each meta loss is taken from now on."""
    from dglmeta.systems import selar
    from dglmeta.systems.parts.selar import published

    points: list[dict[str, torch.Tensor]] = []
    genuine = selar.hypergradient

    def watched(o: Any, c: Any, losses: Any, folds: Any, *rest: Any, **options: Any) -> Any:
        def watching(fold: Any) -> Any:
            def meta_loss(w: Any) -> Any:
                points.append({name: p.detach().clone() for name, p in w.items()})
                return fold.meta_loss(w)

            return fold._replace(meta_loss=meta_loss)

        return genuine(o, c, losses, [watching(f) for f in folds], *rest, **options)

    for module in (selar, published):
        monkeypatch.setattr(module, "hypergradient", watched)
    return points


@pytest.fixture
def refused() -> Callable[..., None]:
    """Settings that must be refused, with a message."""

    def check(message: str, **settings: Any) -> None:
        with pytest.raises(ConfigError, match=message):
            SELAR.Config(**settings)

    return check
