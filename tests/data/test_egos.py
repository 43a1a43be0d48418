"""Ego networks of a graph's core as a data set of many graphs."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.data import LINK, NODE, ego_networks, load_dataset, undirected
from dglmeta.data.egos import k_core
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import HeteroCSR


def random_graph(n: int, n_edges: int, seed: int) -> HeteroCSR:
    rng = np.random.default_rng(seed)
    rows = {"feat": rng.random((n, 2), np.float32), "label": np.arange(n) % 3}
    return undirected(n, *rng.integers(n, size=(2, n_edges)), rows)


def as_networkx(hg: HeteroCSR) -> nx.Graph:
    graph = nx.Graph(list(zip(*(e.tolist() for e in hg.adjacency(LINK).coo()), strict=True)))
    graph.add_nodes_from(range(hg.n_nodes[NODE]))
    return graph


def edges_by_id(graph: HeteroCSR) -> set[tuple[int, int]]:
    ids = graph.node_data[NODE]["id"]
    return set(zip(*(ids[e].tolist() for e in graph.adjacency(LINK).coo()), strict=True))


@given(st.integers(1, 40), st.integers(0, 120), st.integers(0, 6), st.integers(0, 9))
def test_the_core_is_that_of_networkx(n, n_edges, k, seed):
    hg = random_graph(n, n_edges, seed)
    inside = np.flatnonzero(k_core(hg.adjacency(LINK), k)).tolist()
    assert inside == sorted(nx.k_core(as_networkx(hg), k))


@given(st.integers(0, 20), st.integers(1, 3))
def test_an_ego_network_is_the_induced_subgraph_around_its_centre(seed, hops):
    hg = random_graph(40, 60, seed)
    ds = ego_networks(hg, n_graphs=4, k=2, hops=hops, min_nodes=1, seed=seed)
    core = nx.k_core(as_networkx(hg), 2)
    for name, graph in zip(ds.graph_names, ds.graphs, strict=True):
        expected = nx.ego_graph(core, int(name), radius=hops)
        data = graph.node_data[NODE]
        assert data["id"].tolist() == sorted(expected)
        assert edges_by_id(graph) == set(expected.to_directed().edges)
        assert (data["feat"] == hg.node_data[NODE]["feat"][data["id"]]).all()
        assert (data["label"] == data["id"] % 3).all()


def test_a_cap_keeps_whole_hops_while_there_is_room_and_then_draws():
    hg = random_graph(200, 700, 0)
    whole = as_networkx(hg)
    ds = ego_networks(hg, n_graphs=30, k=0, hops=2, cap=20, min_nodes=20)
    for name, graph in zip(ds.graph_names, ds.graphs, strict=True):
        ids = set(graph.node_data[NODE]["id"].tolist())
        assert len(ids) == 20
        assert ids <= set(nx.ego_graph(whole, int(name), radius=2))
        assert {int(name), *whole[int(name)]} <= ids  # no node has more than 19 neighbours
        assert nx.is_connected(whole.subgraph(ids))


def test_what_the_cap_draws_is_uniform():
    star = undirected(9, np.zeros(8, int), np.arange(1, 9))
    drawn = np.zeros(9, int)
    for seed in range(800):
        ds = ego_networks(star, n_graphs=9, k=1, hops=1, cap=3, min_nodes=1, seed=seed)
        ids = ds.graphs[ds.graph_names.index("0")].node_data[NODE]["id"]
        drawn[ids] += 1
    assert drawn[0] == 800
    assert drawn[1:].sum() == 1600
    # 200 each; the standard deviation of one is 12.2, and the seeds are fixed.
    assert abs(drawn[1:] - 200).max() < 50


def test_sizes_out_of_the_limits_are_passed_over():
    # A path of 3, a ring of 10.
    hg = undirected(13, [0, 1, *range(3, 13)], [1, 2, *range(4, 13), 3])
    ds = ego_networks(hg, n_graphs=10, k=0, hops=2, min_nodes=4, max_nodes=5)
    assert {int(name) for name in ds.graph_names} == set(range(3, 13))
    ds = ego_networks(hg, n_graphs=3, k=0, hops=2, min_nodes=1, max_nodes=4)
    assert {int(name) for name in ds.graph_names} == {0, 1, 2}


def test_disjoint_ones_share_no_node():
    hg = random_graph(300, 900, 1)
    for disjoint in (True, False):
        ds = ego_networks(hg, n_graphs=8, k=2, cap=30, min_nodes=10, disjoint=disjoint, seed=2)
        ids = np.concatenate([graph.node_data[NODE]["id"] for graph in ds.graphs])
        assert (len(np.unique(ids)) == len(ids)) == disjoint


def test_the_seed_decides_and_nothing_else():
    hg = random_graph(100, 300, 0)
    one, again, other = (
        ego_networks(hg, n_graphs=5, k=1, cap=12, min_nodes=5, seed=seed) for seed in (3, 3, 4)
    )
    assert one.graph_names == again.graph_names != other.graph_names
    for a, b in zip(one.graphs, again.graphs, strict=True):
        assert a.content_hash == b.content_hash


def test_types_count_no_more_and_only_what_all_have_in_one_form_is_kept():
    users = {"feat": np.ones((5, 2), np.uint8), "age": np.arange(5)}
    items = {"feat": np.zeros((5, 2), np.uint8), "label": np.arange(5)}
    edges = {("user", "likes", "item"): np.divmod(np.arange(25), 5)}
    hg = HeteroCSR.from_edges(edges, {"user": 5, "item": 5}, {"user": users, "item": items})
    (graph,) = ego_networks(hg, n_graphs=1, min_nodes=10).graphs
    data = graph.node_data[NODE]
    assert set(data) == {"feat", "id"}
    assert data["feat"].dtype == np.float32
    assert data["feat"][:, 0].tolist() == [1] * 5 + [0] * 5
    assert graph.adjacency(LINK).n_edges == 50


@pytest.mark.parametrize(("n_edges", "best"), [(0, 0), (1, 1), (12, 2)])
def test_an_empty_core_is_refused_with_the_k_that_would_do(n_edges, best):
    ring = undirected(12, np.arange(n_edges), (np.arange(n_edges) + 1) % 12)
    with pytest.raises(DataError, match=rf"with a 5-core, .* for k = {best}: give k <= {best}\."):
        ego_networks(ring, n_graphs=1)


@given(st.integers(2, 30), st.integers(1, 90), st.integers(0, 9))
def test_the_k_that_would_do_is_the_largest(n, n_edges, seed):
    hg = random_graph(n, n_edges, seed)
    best = max(nx.core_number(as_networkx(hg)).values())
    with pytest.raises(DataError, match=rf"for k = {best}: "):
        ego_networks(hg, n_graphs=1, k=n)


def test_too_few_centres_are_refused_with_what_was_found():
    ring = undirected(12, np.arange(12), (np.arange(12) + 1) % 12)
    says = (
        "expected 1 nodes with 6 to 9 nodes around them in the 2-core, got 0 among 12 with 5 to 5"
    )
    with pytest.raises(DataError, match=says):
        ego_networks(ring, n_graphs=1, k=2, min_nodes=6, max_nodes=9)
    with pytest.raises(DataError, match="expected 13 nodes .* got 12 among 12"):
        ego_networks(ring, n_graphs=13, k=2, min_nodes=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_graphs": 0},
        {"hops": 0},
        {"k": -1},
        {"min_nodes": 0},
        {"min_nodes": 9, "max_nodes": 8},
        {"cap": 99},
    ],
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="ego_networks: expected"):
        ego_networks(random_graph(9, 9, 0), **{"n_graphs": 1} | wrong)


def test_amazon_gives_forty_egos_that_share_no_node_unless_they_may(data_dir):
    if not (data_dir / "amazon" / "amazon_electronics_computers.npz").is_file():
        pytest.skip(f"needs amazon_electronics_computers.npz in {data_dir / 'amazon'}")
    ds = load_dataset("amazon-computers-egos", data_dir)
    sizes = [graph.n_nodes[NODE] for graph in ds.graphs]
    assert len(ds) == 40
    assert 100 <= min(sizes) <= max(sizes) <= 300
    ids = np.concatenate([graph.node_data[NODE]["id"] for graph in ds.graphs])
    assert len(np.unique(ids)) == len(ids)
    assert ds.counts["features"] == 767
    labels = np.concatenate([graph.node_data[NODE]["label"] for graph in ds.graphs])
    assert set(labels.tolist()) == set(range(10))
    large = load_dataset("amazon-computers-egos", data_dir, cap=1600, disjoint=False)
    sizes = [graph.n_nodes[NODE] for graph in large.graphs]
    assert len(sizes) == 40
    assert max(sizes) == 1600
    assert 900 < np.mean(sizes) < 1100
