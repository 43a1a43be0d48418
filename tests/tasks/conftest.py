"""A graph with a link to predict, its split, and the graph that training may see."""

from __future__ import annotations

from typing import NamedTuple

import pytest

import dglmeta as dm
from dglmeta.data import LinkSplit
from dglmeta.graph import HeteroCSR


class Training(NamedTuple):
    split: LinkSplit
    graph: HeteroCSR


@pytest.fixture(scope="session")
def training() -> Training:
    ds = dm.load_dataset("planted", n_users=60, n_items=40, n_topics=6, seed=1)
    split = ds.splits(0)
    return Training(split, split.training_graph(ds.csr))
