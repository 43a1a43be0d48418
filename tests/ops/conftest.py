from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from dglmeta.graph.adjacency import Adjacency

ADJACENCIES = {
    "parallel, unsorted, isolated": ([2, 0, 0, 2, 4, 2], [1, 3, 3, 0, 1, 1], (5, 4)),
    "ids in order": ([0, 0, 1, 3], [0, 2, 1, 1], (4, 3)),
    "no edges": ([], [], (3, 2)),
}


@pytest.fixture(params=ADJACENCIES.values(), ids=ADJACENCIES.keys())
def adj(request) -> Adjacency:
    """A small adjacency, as given and never as tidy as one would like."""
    return Adjacency.from_coo(*request.param)


@st.composite
def _any_adjacency(draw) -> Adjacency:
    n_src, n_dst = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    edge = st.tuples(st.integers(0, max(n_src - 1, 0)), st.integers(0, max(n_dst - 1, 0)))
    edges = draw(st.lists(edge, max_size=12 if n_src and n_dst else 0))
    return Adjacency.from_coo([i for i, _ in edges], [j for _, j in edges], (n_src, n_dst))


@pytest.fixture(scope="session")
def adjacencies():
    """Strategy: adjacencies of up to six nodes a side, in any order of edges, none or parallel."""
    return _any_adjacency()


@pytest.fixture
def incidence():
    """Dense 0/1 matrices (n_src, E) and (n_dst, E): the oracle of every op is written in them."""

    def matrices(adj: Adjacency) -> tuple[torch.Tensor, torch.Tensor]:
        ends = adj.coo()
        pair = []
        for n, end in zip(adj.shape, ends, strict=True):
            dense = np.zeros((n, adj.n_edges))
            dense[end, np.arange(adj.n_edges)] = 1
            pair.append(torch.from_numpy(dense))
        return pair[0], pair[1]

    return matrices
