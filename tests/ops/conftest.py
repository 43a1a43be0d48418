from __future__ import annotations

import numpy as np
import pytest
import torch

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
