"""Hubs are the highest degrees, and are tied to the whole subgraph both ways."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.hub import hub_edges, top_hubs


@given(degrees=st.lists(st.integers(0, 4), max_size=12), n_hubs=st.integers(0, 14))
def test_hubs_equal_the_oracle(degrees, n_hubs):
    degrees = np.array(degrees, np.int64)
    assert np.array_equal(top_hubs(degrees, n_hubs), reference.top_hubs(degrees, n_hubs))


@given(data=st.data(), n=st.integers(0, 7))
def test_hub_edges_equal_the_oracle(structures, data, n):
    g = data.draw(structures(n_rows=n, n_cols=n, ids=False))
    some = st.lists(st.integers(0, n - 1), max_size=4) if n else st.just([])
    hubs, nodes = (np.array(data.draw(some), np.int64) for _ in range(2))
    got = hub_edges(g.indptr, g.indices, hubs, nodes, n)
    for one, other in zip(
        got, reference.hub_edges(g.indptr, g.indices, hubs, nodes, n), strict=True
    ):
        assert np.array_equal(one, other)


def test_edges_out_of_a_hub_and_into_it_count_alike():
    indptr, indices = np.array([0, 1, 2, 2, 2]), np.array([1, 2], np.int32)  # 0 -> 1 -> 2, and 3
    src, dst = hub_edges(indptr, indices, np.array([1]), np.array([0, 2, 3]), 4)
    assert (src.tolist(), dst.tolist()) == ([0, 1, 1, 2], [1, 0, 2, 1])
