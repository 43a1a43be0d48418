"""Hubs are the highest degrees, and all their edges with a set of nodes are found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu import hub
from dglmeta.kernels.cpu.hub import top_hubs


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@given(degrees=st.lists(st.integers(0, 4), max_size=12), n_hubs=st.integers(0, 14))
def test_hubs_equal_the_oracle(twin, degrees, n_hubs):
    degrees = np.array(degrees, np.int64)
    assert np.array_equal(
        twin("hub").top_hubs(degrees, n_hubs), reference.top_hubs(degrees, n_hubs)
    )


@given(data=st.data())
def test_hub_edges_equal_the_oracle(twin, structures, data):
    g = data.draw(structures())
    row, column = (st.integers(0, max(n - 1, 0)) for n in (g.n_rows, g.n_cols))
    hubs = data.draw(st.lists(row, max_size=4)) if g.n_rows else []
    nodes = data.draw(st.sets(column)) if g.n_cols else []
    args = *g[:3], np.array(hubs, np.int64), np.array(sorted(nodes), np.int64), g.n_cols
    assert equal(twin("hub").hub_edges(*args), reference.hub_edges(*args))


@pytest.mark.parametrize("n_nodes", [0, 3, 400, 2000])
def test_rows_read_and_nodes_looked_up_agree_in_any_number_of_threads(
    twin, large, in_threads, monkeypatch, n_nodes
):
    monkeypatch.setattr(hub, "PIECE", 100)
    nodes = np.sort(np.random.default_rng(0).choice(large.n_cols, n_nodes, replace=False))
    args = *large[:3], np.array([7, 3, 7, 0]), nodes, large.n_cols
    one, two = (in_threads(n, lambda: twin("hub").hub_edges(*args)) for n in (1, 2))
    assert equal(one, two)
    assert equal(one, reference.hub_edges(*args))


def test_large_degrees_rank_as_on_the_cpu(twin):
    degrees = np.random.default_rng(3).zipf(1.5, 4000).clip(max=2**40)
    for n_hubs in (1, 50, 3999):
        assert np.array_equal(twin("hub").top_hubs(degrees, n_hubs), top_hubs(degrees, n_hubs))


def test_nodes_beyond_32_bits_are_looked_up(twin):
    far = 2**33 * np.arange(1, 90)
    nodes = far[[4, 80]]
    found = twin("hub").hub_edges(np.array([0, 89]), far, None, np.array([0]), nodes, 2**40)
    assert found.neighbours.tolist() == nodes.tolist()
    assert found.edge_ids.tolist() == [4, 80]
