"""Adamic-Adar against NetworkX and a dense product; DeepWalk by what its vectors must do."""

from __future__ import annotations

import subprocess
import sys

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.errors import ConfigError, DataError, DglmetaError
from dglmeta.graph import Adjacency
from dglmeta.kernels.cpu.pool import get_num_threads, set_num_threads
from dglmeta.tasks.heuristics import _Walks, adamic_adar, cosine_scores, deepwalk

FEW = {"d": 16, "n_walks": 4, "length": 20}


def both_ways(edges, n: int) -> Adjacency:
    src, dst = np.asarray(edges, np.int64).reshape(-1, 2).T
    return Adjacency.from_coo(np.append(src, dst), np.append(dst, src), (n, n))


def from_networkx(graph: nx.Graph) -> Adjacency:
    return both_ways(list(graph.edges), len(graph))


def dense_adamic_adar(adj: Adjacency) -> np.ndarray:
    """All pairs: A D A, where D has 1 / log(degree) of the nodes with two neighbours or more."""
    a = (adj.to_scipy().toarray() > 0) & ~np.eye(adj.n_src, dtype=bool)
    degree = a.sum(1)
    weight = np.array([1 / np.log(k) if k > 1 else 0 for k in degree])
    return (a * weight) @ a.astype(float)


def all_pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.indices((n, n)).reshape(2, -1))


def two_cliques(n: int = 12) -> Adjacency:
    """Nodes 0..n-1 and n..2n-1, joined by one edge."""
    graph = nx.disjoint_union(nx.complete_graph(n), nx.complete_graph(n))
    graph.add_edge(0, n)
    return from_networkx(graph)


@pytest.mark.parametrize("p", [0.03, 0.1, 0.5])
def test_adamic_adar_is_that_of_networkx(p):
    graph = nx.gnp_random_graph(60, p, seed=1)
    src, dst = np.triu_indices(60, 1)
    pairs = list(zip(src.tolist(), dst.tolist(), strict=True))
    expected = [score for _, _, score in nx.adamic_adar_index(graph, pairs)]
    assert np.count_nonzero(expected) > 0
    np.testing.assert_allclose(adamic_adar(from_networkx(graph), src, dst), expected, rtol=1e-12)


@given(st.data())
def test_adamic_adar_is_the_dense_product_whatever_the_pairs_and_parallel_edges_and_loops(data):
    n = data.draw(st.integers(1, 12))
    pair = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    adj = both_ways(data.draw(st.lists(pair, max_size=40)), n)
    src, dst = np.array(data.draw(st.lists(pair, max_size=60)), np.int64).reshape(-1, 2).T
    np.testing.assert_allclose(
        adamic_adar(adj, src, dst), dense_adamic_adar(adj)[src, dst], rtol=1e-12
    )


def test_a_pair_scores_the_same_bits_in_any_order_and_number_and_both_ways_round():
    adj = from_networkx(nx.gnp_random_graph(80, 0.15, seed=2))
    src, dst = all_pairs(80)
    scores = adamic_adar(adj, src, dst)
    np.testing.assert_array_equal(adamic_adar(adj, dst, src), scores)
    drawn = np.random.default_rng(0).integers(0, len(src), 2 * len(src))
    np.testing.assert_array_equal(adamic_adar(adj, src[drawn], dst[drawn]), scores[drawn])
    for e in (5, 81, 4000):
        assert adamic_adar(adj, [src[e]], [dst[e]])[0] == scores[e]


def test_adamic_adar_gives_the_same_bits_for_any_number_of_threads():
    adj = from_networkx(nx.gnp_random_graph(300, 0.1, seed=2))
    src, dst = all_pairs(300)
    before = get_num_threads()
    scores = []
    try:
        for n in (1, 2, 5):
            set_num_threads(n)
            scores.append(adamic_adar(adj, src, dst))
    finally:
        set_num_threads(before)
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])


def test_adamic_adar_is_zero_where_nothing_is_in_common():
    adj = both_ways([(0, 1), (1, 2), (3, 4)], 6)
    src, dst = [0, 0, 3, 5, 0, 5, 3], [1, 3, 4, 0, 5, 5, 3]
    np.testing.assert_array_equal(adamic_adar(adj, src, dst), np.zeros(7))
    assert adamic_adar(adj, [0], [2])[0] == 1 / np.log(2)
    assert adamic_adar(adj, [], []).shape == (0,)
    np.testing.assert_array_equal(adamic_adar(both_ways([], 3), [0, 2], [1, 2]), [0, 0])


def test_adamic_adar_refuses_edges_that_go_one_way():
    with pytest.raises(DataError, match="every edge both ways"):
        adamic_adar(Adjacency.from_coo([0, 1], [1, 2], (3, 3)), [0], [2])
    with pytest.raises(DataError, match="nodes of one type"):
        adamic_adar(Adjacency.from_coo([0], [1], (2, 3)), [0], [1])


@pytest.mark.parametrize(("src", "dst"), [([0], [3]), ([-1], [0]), ([0, 1], [0])])
def test_pairs_of_no_nodes_are_refused(src, dst):
    adj = both_ways([(0, 1), (1, 2)], 3)
    with pytest.raises(DataError, match="Adjacency: expected"):
        adamic_adar(adj, src, dst)
    with pytest.raises(DataError, match="Adjacency: expected"):
        cosine_scores(np.ones((3, 2)), src, dst)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_cosine_scores_are_those_of_scikit_learn_and_zero_for_zero_vectors(dtype):
    from sklearn.metrics.pairwise import cosine_similarity

    rng = np.random.default_rng(0)
    z = (10 * rng.normal(size=(30, 19))).astype(dtype)
    z[[3, 7]] = 0
    src, dst = rng.integers(0, 30, (2, 500))
    scores = cosine_scores(z, src, dst)
    assert scores.dtype == np.float64
    expected = cosine_similarity(z.astype(np.float64))[src, dst]
    np.testing.assert_allclose(scores, expected, atol=1e-12)
    assert np.all(scores[np.isin(src, [3, 7]) | np.isin(dst, [3, 7])] == 0)


def test_cosine_scores_of_no_pairs_are_none():
    assert cosine_scores(np.ones((3, 2), np.float32), [], []).shape == (0,)


def test_walks_follow_edges_from_each_node_with_edges_and_end_at_dead_ends():
    edges = [(0, 1), (1, 2), (2, 0), (2, 3)]  # 3 leads nowhere, 4 has no edge
    adj = Adjacency.from_coo(*zip(*edges, strict=True), (5, 5))
    walks = [[int(v) for v in walk] for walk in _Walks(adj, n_walks=6, length=9, seed=0)]
    starts = np.bincount([walk[0] for walk in walks], minlength=5)
    assert starts.tolist() == [6, 6, 6, 0, 0]
    for walk in walks:
        assert set(zip(walk[:-1], walk[1:], strict=True)) <= set(edges)
        assert len(walk) == 9 or walk[-1] == 3
    assert {len(walk) == 9 for walk in walks} == {True, False}


def test_walks_are_the_same_in_every_pass_and_others_for_another_seed_or_turn():
    adj = two_cliques()
    walks = _Walks(adj, n_walks=2, length=30, seed=4)
    first = list(walks)
    assert list(walks) == first
    assert list(_Walks(adj, n_walks=2, length=30, seed=5)) != first
    assert sorted(first[:24]) != sorted(first[24:])
    assert [walk[0] for walk in first[:24]] != [walk[0] for walk in first[24:]]


def test_deepwalk_scores_pairs_within_a_clique_above_pairs_across():
    pytest.importorskip("gensim")
    src, dst = np.triu_indices(24, 1)
    scores = cosine_scores(deepwalk(two_cliques(), d=16), src, dst)
    within = (src < 12) == (dst < 12)
    assert scores[within].mean() > scores[~within].mean() + 0.2


def test_deepwalk_gives_zero_vectors_to_nodes_without_edges_alone():
    pytest.importorskip("gensim")
    adj = both_ways([(0, 1), (1, 2), (2, 4)], 6)
    z = deepwalk(adj, **FEW)
    assert z.shape == (6, 16)
    assert z.dtype == np.float32
    assert (z == 0).all(axis=1).tolist() == [False, False, False, True, False, True]
    assert not deepwalk(both_ways([], 4), **FEW).any()


def test_deepwalk_gives_vectors_to_dead_ends_that_walks_meet():
    pytest.importorskip("gensim")
    z = deepwalk(Adjacency.from_coo([0, 1], [1, 2], (3, 3)), **FEW)
    assert z.any(axis=1).all()


def test_deepwalk_depends_on_the_seed_alone_whatever_the_process():
    pytest.importorskip("gensim")
    adj = both_ways([(i, (i * i + 1) % 17) for i in range(17)], 17)
    z = deepwalk(adj, **FEW, seed=3)
    np.testing.assert_array_equal(deepwalk(adj, **FEW, seed=3), z)
    assert np.abs(deepwalk(adj, **FEW, seed=4) - z).max() > 1e-3
    code = (
        "from dglmeta.graph import Adjacency; from dglmeta.tasks.heuristics import deepwalk\n"
        f"adj = Adjacency.from_coo({adj.coo()[0].tolist()}, {adj.coo()[1].tolist()}, (17, 17))\n"
        f"print(deepwalk(adj, **{FEW}, seed=3).tobytes().hex())"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert elsewhere.stdout.strip() == z.tobytes().hex(), elsewhere.stderr


@pytest.mark.parametrize("name", ["d", "n_walks", "length", "window"])
def test_deepwalk_refuses_numbers_out_of_range(name):
    with pytest.raises(ConfigError, match=f"expected {name} >="):
        deepwalk(two_cliques(), **{name: 0})


def test_deepwalk_refuses_walks_that_gensim_would_cut_and_edges_between_two_types():
    with pytest.raises(ConfigError, match="length up to 10,000"):
        deepwalk(two_cliques(), length=10_001)
    with pytest.raises(DataError, match="nodes of one type"):
        deepwalk(Adjacency.from_coo([0], [1], (2, 3)))


def test_deepwalk_without_gensim_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim", None)
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(DglmetaError, match=r"pip install 'dglmeta\[baselines\]'"):
        deepwalk(two_cliques())


def held_out_graph() -> tuple[Adjacency, Adjacency, Adjacency, tuple[np.ndarray, np.ndarray]]:
    """A whole graph, its training part cut from it and built anew, and the pairs held out."""
    graph = nx.gnp_random_graph(40, 0.2, seed=6)
    edges = np.array(graph.edges)
    held_out = np.random.default_rng(0).random(len(edges)) < 0.5
    whole = both_ways(edges, 40)
    ids = np.flatnonzero(held_out)
    cut = whole.without(np.append(ids, ids + len(edges)))
    return whole, cut, both_ways(edges[~held_out], 40), tuple(edges[held_out].T)


def test_held_out_edges_have_no_influence_on_adamic_adar():
    whole, cut, anew, pairs = held_out_graph()
    scores = adamic_adar(cut, *pairs)  # asked about, they are no edges
    np.testing.assert_array_equal(scores, adamic_adar(anew, *pairs))
    np.testing.assert_allclose(scores, dense_adamic_adar(anew)[pairs], rtol=1e-12)
    assert np.any(scores != adamic_adar(whole, *pairs))


def test_held_out_edges_have_no_influence_on_deepwalk():
    pytest.importorskip("gensim")
    whole, cut, anew, _ = held_out_graph()
    z = deepwalk(cut, **FEW)
    np.testing.assert_array_equal(z, deepwalk(anew, **FEW))
    assert np.abs(z - deepwalk(whole, **FEW)).max() > 1e-3
    followed = set()
    for walk in _Walks(cut, 4, 20, 0):
        followed |= {(int(u), int(v)) for u, v in zip(walk[:-1], walk[1:], strict=True)}
    assert followed <= set(zip(*(ids.tolist() for ids in anew.coo()), strict=True))
