"""Auxiliary tasks that label any graph: by degree, rank, distance, features and partition."""

from __future__ import annotations

import sys

import networkx as nx
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_info, threadpool_limits

from dglmeta.errors import ConfigError, DataError, DglmetaError
from dglmeta.graph import HeteroCSR
from dglmeta.tasks import (
    ALL_TYPES,
    AUXILIARY,
    ClusteringTask,
    DegreeTask,
    DistanceTask,
    PageRankTask,
    PartitionTask,
)

KNOWS = ("p", "knows", "p")


def random_graph(seed: int = 0, n_edges: int = 90) -> HeteroCSR:
    """Three types with features on two; parallel edges, loops, nodes without, an empty relation."""
    rng = np.random.default_rng(seed)
    n_nodes = {"a": 30, "b": 25, "c": 8}
    edges = {
        ("a", "x", "b"): (rng.integers(0, 27, n_edges), rng.integers(0, 22, n_edges)),
        ("b", "y", "c"): (rng.integers(0, 25, 20), rng.integers(0, 8, 20)),
        ("a", "self", "a"): (rng.integers(0, 27, 10), rng.integers(0, 27, 10)),
        ("c", "none", "a"): ([], []),
    }
    features = {t: {"feat": rng.integers(0, 2, (n_nodes[t], 6)).astype(np.uint8)} for t in "ac"}
    return HeteroCSR.from_edges(edges, n_nodes, features)


def single_type(graph: nx.Graph, features: np.ndarray | None = None) -> HeteroCSR:
    src, dst = np.array(graph.edges, np.int64).reshape(-1, 2).T
    data = {} if features is None else {"p": {"feat": features}}
    return HeteroCSR.from_edges({KNOWS: (src, dst)}, {"p": len(graph)}, data)


def simple(hg: HeteroCSR) -> nx.Graph:
    """The undirected graph over all types, by NetworkX."""
    graph = nx.empty_graph(sum(hg.n_nodes.values()))
    offsets = dict(zip(hg.n_nodes, np.cumsum([0, *hg.n_nodes.values()]), strict=False))
    for triple in hg.schema.edge_types:
        src, dst = hg.adjacency(triple).coo()
        ends = src + offsets[triple[0]], dst + offsets[triple[2]]
        graph.add_edges_from((u, v) for u, v in zip(*ends, strict=True) if u != v)
    return graph


GRAPHS = {
    "several types": random_graph(),
    "one type": single_type(
        nx.gnp_random_graph(50, 0.06, 1), np.random.default_rng(0).random((50, 7))
    ),
}


@pytest.fixture(params=GRAPHS)
def hg(request):
    return GRAPHS[request.param]


@pytest.mark.parametrize("name", AUXILIARY)
def test_a_task_draws_ids_over_all_types_and_classes_below_its_number(hg, name):
    task = AUXILIARY[name].from_graph(hg, seed=3)
    assert task.name == name
    assert task.source_type == ALL_TYPES
    n_nodes = sum(hg.n_nodes.values())
    for n in (0, 1, 7, 500):
        batch = task.draw(n, np.random.default_rng(0))
        assert batch.src.shape == batch.label.shape == (n,)
        assert (batch.dst is None) == (task.target_type is None)
        for ids in (batch.src, batch.label) + (() if batch.dst is None else (batch.dst,)):
            assert ids.dtype == np.int64
        assert ((batch.src >= 0) & (batch.src < n_nodes)).all()
        assert ((batch.label >= 0) & (batch.label < task.n_classes)).all()


@pytest.mark.parametrize("name", AUXILIARY)
def test_a_seed_fixes_labels_and_a_generator_fixes_batches(hg, name):
    one, same = (AUXILIARY[name].from_graph(hg, seed=3) for _ in range(2))
    draws = [t.draw(300, np.random.default_rng(5)) for t in (one, same)]
    assert all(np.array_equal(a, b) for a, b in zip(*draws, strict=True))
    other = one.draw(300, np.random.default_rng(6))
    assert not np.array_equal(other.src, draws[0].src)


@pytest.mark.parametrize("name", AUXILIARY)
def test_a_graph_without_nodes_is_refused(name):
    features = np.zeros((0, 3))
    with pytest.raises(DataError, match="Task: expected .* got "):
        AUXILIARY[name].from_graph(single_type(nx.empty_graph(0), features))


def test_nodes_are_drawn_uniformly():
    task = DegreeTask.from_graph(random_graph())
    counts = np.bincount(task.draw(63_000, np.random.default_rng(0)).src, minlength=63)
    assert ((counts - 1000) ** 2 / 1000).sum() < 120  # 62 degrees of freedom


def test_degree_classes_are_fifths_of_the_nodes_by_neighbours_ties_by_id(hg):
    task = DegreeTask.from_graph(hg)
    degrees = dict(simple(hg).degree)
    order = sorted(degrees, key=lambda node: (-degrees[node], node))
    n, outer = len(order), len(order) // 5
    assert task.nodes.tolist() == list(range(n))
    assert set(np.flatnonzero(task.label == 0)) == set(order[:outer])
    assert set(np.flatnonzero(task.label == 2)) == set(order[n - outer :])
    assert np.bincount(task.label).tolist() == [outer, n - 2 * outer, outer]


def test_pagerank_classes_are_fifths_of_the_nodes_by_networkx_pagerank(hg):
    task = PageRankTask.from_graph(hg)
    exact = nx.pagerank(simple(hg), alpha=0.85, tol=1e-14, max_iter=10_000)
    ranks = np.array([exact[node] for node in range(len(exact))])
    outer = len(ranks) // 5
    assert np.bincount(task.label).tolist() == [outer, len(ranks) - 2 * outer, outer]
    top, middle, bottom = (ranks[task.label == c] for c in range(3))
    assert top.min() >= middle.max() - 1e-9
    assert middle.min() >= bottom.max() - 1e-9


@pytest.mark.parametrize("damping", [0, 1, -0.2])
def test_a_damping_that_is_no_probability_is_refused(damping):
    with pytest.raises(ConfigError, match="expected damping in"):
        PageRankTask.from_graph(random_graph(), damping=damping)


def test_distance_classes_are_true_and_of_one_size(hg):
    task = DistanceTask.from_graph(hg, n_pool=2000)
    lengths = dict(nx.all_pairs_shortest_path_length(simple(hg)))
    for n in (40, 41, 43):
        batch = task.draw(n, np.random.default_rng(n))
        truth = [
            min(lengths[u].get(v, 4), 4) - 1 for u, v in zip(batch.src, batch.dst, strict=True)
        ]
        assert batch.label.tolist() == truth
        counts = np.bincount(batch.label, minlength=4)
        assert counts.max() - counts.min() <= 1


def test_every_distance_is_drawn_alike_where_a_batch_holds_one_pair():
    task = DistanceTask.from_graph(random_graph(), n_pool=100)
    rng = np.random.default_rng(0)
    counts = np.bincount([task.draw(1, rng).label[0] for _ in range(4000)], minlength=4)
    assert ((counts - 1000) ** 2 / 1000).sum() < 22  # 3 degrees of freedom


def test_a_distance_that_no_pair_has_leaves_its_share_to_the_others():
    task = DistanceTask.from_graph(single_type(nx.star_graph(6)), n_pool=100)
    assert np.bincount(task.draw(40, np.random.default_rng(0)).label).tolist() == [20, 20]
    assert task.n_classes == 4


def test_pairs_of_different_parts_of_a_graph_are_far_apart():
    task = DistanceTask.from_graph(single_type(nx.Graph([(0, 1), (2, 3)])), n_pool=200)
    batch = task.draw(200, np.random.default_rng(0))
    far = batch.label == 3
    assert far.sum() == 100
    assert (batch.src[far] // 2 != batch.dst[far] // 2).all()


def test_a_graph_without_edges_has_no_distances():
    loops = HeteroCSR.from_edges({KNOWS: ([0, 1], [0, 1])}, {"p": 3})
    with pytest.raises(DataError, match="expected edges between different nodes, got none"):
        DistanceTask.from_graph(loops)


def test_a_pool_without_pairs_is_refused():
    with pytest.raises(DataError, match="expected n_pool >= 1, got 0"):
        DistanceTask.from_graph(random_graph(), n_pool=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_clusters_are_those_of_the_features_and_only_nodes_with_features_are_drawn(dtype):
    rng = np.random.default_rng(0)
    kind = {t: rng.integers(0, 3, n) for t, n in (("a", 40), ("b", 5), ("c", 30))}
    features = {
        t: {"feat": (50 * np.eye(3)[kind[t]] + rng.integers(0, 9, (len(kind[t]), 3))).astype(dtype)}
        for t in "ac"
    }
    hg = HeteroCSR.from_edges(
        {("a", "x", "b"): ([0], [1])}, {t: len(k) for t, k in kind.items()}, features
    )
    task = ClusteringTask.from_graph(hg, n_clusters=3)
    assert task.n_classes == 3
    assert task.nodes.tolist() == [*range(40), *range(45, 75)]
    assert adjusted_rand_score(np.append(kind["a"], kind["c"]), task.label) == 1


def test_many_rows_are_clustered_in_mini_batches(monkeypatch):
    monkeypatch.setattr("dglmeta.tasks.clusters.MOST_ROWS_WHOLE", 100)
    kind = np.arange(3000) % 4
    features = 9 * np.eye(4)[kind] + np.random.default_rng(1).random((3000, 4))
    hg = single_type(nx.empty_graph(3000), features)
    one, same = (ClusteringTask.from_graph(hg, n_clusters=4, seed=1).label for _ in range(2))
    assert np.array_equal(one, same)
    assert adjusted_rand_score(kind, one) == 1


def test_fewer_different_rows_than_clusters_are_warned_of():
    hg = single_type(nx.empty_graph(12), np.zeros((12, 2)))
    with pytest.warns(ConvergenceWarning):
        task = ClusteringTask.from_graph(hg)
    assert task.n_classes == 10


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ({}, "got none. Give such features"),
        ({"a": np.ones((30, 2)), "c": np.ones((8, 3))}, r"with one F, .* got \{'a': \(30, 2\)"),
        ({"a": np.ones(30)}, r"of shape \(n, F\), .* got \{'a': \(30,\)\}"),
        ({"a": np.full((30, 2), np.nan)}, "expected finite features, got 60 numbers"),
        ({"c": np.ones((8, 2))}, "expected n_clusters from 2 to the 8 rows of features, got 10"),
    ],
)
def test_features_that_cannot_be_clustered_are_refused(features, says):
    bare = random_graph()
    data = {t: {"feat": values} for t, values in features.items()}
    hg = HeteroCSR(bare.schema, bare.n_nodes, bare.adjacencies, data)
    with pytest.raises(DataError, match=says):
        ClusteringTask.from_graph(hg)


def test_parts_are_balanced_and_cut_few_edges():
    graph = nx.disjoint_union_all([nx.gnp_random_graph(40, 0.5, s) for s in range(5)])
    graph.add_edges_from((40 * k, 40 * k + 40) for k in range(4))
    task = PartitionTask.from_graph(single_type(graph), n_parts=5)
    assert task.n_classes == 5
    assert np.bincount(task.label).tolist() == [40] * 5
    assert sum(task.label[u] != task.label[v] for u, v in graph.edges) == 4


def test_a_partition_needs_as_many_nodes_as_parts():
    with pytest.raises(DataError, match="expected n_parts from 2 to the 9 nodes, got 10"):
        PartitionTask.from_graph(single_type(nx.path_graph(9)))


def test_a_missing_pymetis_is_named_with_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymetis", None)
    with pytest.raises(DglmetaError, match="pip install pymetis"):
        PartitionTask.from_graph(random_graph())


def test_clusters_are_added_up_in_one_thread(monkeypatch):
    threads = []

    class Spied(KMeans):
        def fit_predict(self, rows):
            threads.extend(pool["num_threads"] for pool in threadpool_info())
            return super().fit_predict(rows)

    monkeypatch.setattr("sklearn.cluster.KMeans", Spied)
    with threadpool_limits(2):
        ClusteringTask.from_graph(random_graph())
    assert set(threads) == {1}
