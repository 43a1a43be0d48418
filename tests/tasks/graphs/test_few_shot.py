"""Few-shot graphs: what is asked about is not heard, and nothing else is known."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.data import FewShotSplit, few_shot_split, undirected
from dglmeta.errors import ConfigError
from dglmeta.graph import Adjacency
from dglmeta.graph.states import NodeStates
from dglmeta.tasks import FEATURES, FewShotGraph, degree_profile
from dglmeta.tasks.graphs.few_shot import normalised

N, N_FOLDS = 40, 5


def split_of(n: int = N, p: float = 0.2, seed: int = 0) -> FewShotSplit:
    graph = nx.gnp_random_graph(n, p, seed=seed)
    src, dst = np.array(graph.edges).T
    return few_shot_split(undirected(n, src, dst), 0.3, seed=seed)


def few_shot(split: FewShotSplit | None = None, **options) -> FewShotGraph:
    given_ = np.random.default_rng(1).normal(size=(N, 2))
    return FewShotGraph(split or split_of(), given_, **{"features": FEATURES, **options})


def networkx_of(edges: np.ndarray, n: int) -> nx.Graph:
    graph = nx.empty_graph(n)
    graph.add_edges_from(edges.tolist())
    return graph


def reading(edges: np.ndarray, given_: np.ndarray, features: tuple[str, ...]) -> np.ndarray:
    """(n, d): input of a second layer after messages over some edges, all dense.

    The function between the layers is none that a matrix could do, and reads every feature.
    """
    n = len(given_)
    a = nx.to_numpy_array(networkx_of(edges, n), nodelist=range(n))
    apart = given_ - given_.mean(axis=0)
    blocks = {
        "given": given_,
        "centred": 3 * apart / np.linalg.norm(apart, axis=1, keepdims=True),
        "degrees": profile(networkx_of(edges, n)),
        "neighbours": a @ given_ / a.sum(1).clip(1)[:, None],
    }
    x = np.column_stack([*(blocks[name] for name in features), np.ones(n)])
    a += np.eye(n)
    root = np.diag(a.sum(1) ** -0.5)
    return root @ a @ root @ np.tanh(root @ a @ root @ x)


def profile(graph: nx.Graph) -> np.ndarray:
    """(n, 5): the degree profile from its definition."""
    rows = []
    for v in range(len(graph)):
        near = [graph.degree[u] for u in graph[v]] or [0]
        rows.append([graph.degree[v], min(near), max(near), np.mean(near), np.std(near)])
    return np.log1p(np.array(rows, float))


def second_inputs(states: NodeStates) -> np.ndarray:
    heard = np.zeros(states.messages.shape)
    np.add.at(heard, states.messages.coo(), states.weight)
    return (heard @ np.tanh(states.received))[states.state]


FEATURE_SETS = [("given",), ("centred",), ("degrees",), ("neighbours",), FEATURES]


@pytest.mark.parametrize("features", FEATURE_SETS, ids=" ".join)
def test_asked_edges_are_in_neither_messages_nor_features_of_their_fold(features):
    graph = few_shot(features=features, n_folds=N_FOLDS)
    train = graph.split.train
    assert len(graph.fold_states) == N_FOLDS
    for fold, states in enumerate(graph.fold_states):
        asked = set(map(tuple, graph.asked(fold)))
        others = np.array([e for e in train if tuple(e) not in asked])
        expected = reading(others, graph.given, features)
        np.testing.assert_allclose(second_inputs(states), expected, rtol=1e-12, atol=1e-12)
        assert np.abs(expected - reading(train, graph.given, features)).max() > 0.01


@pytest.mark.parametrize("features", FEATURE_SETS, ids=" ".join)
def test_all_training_edges_are_heard_outside_the_folds(features):
    graph = few_shot(features=features, n_folds=N_FOLDS)
    expected = reading(graph.split.train, graph.given, features)
    np.testing.assert_allclose(second_inputs(graph.states), expected, rtol=1e-12, atol=1e-12)


def test_no_asked_edge_is_among_those_that_messages_run_over(monkeypatch):
    heard = []
    genuine = FewShotGraph.read
    monkeypatch.setattr(
        FewShotGraph, "read", lambda self, adj: heard.append(adj) or genuine(self, adj)
    )
    graph = few_shot(n_folds=N_FOLDS)
    assert len(graph.fold_states) == len(heard) == N_FOLDS
    train = set(map(tuple, graph.split.train))
    for fold, adj in enumerate(heard):
        edges = set(zip(*(ids.tolist() for ids in adj.coo()), strict=True))
        asked = set(map(tuple, graph.asked(fold)))
        assert edges == {(v, u) for u, v in edges}
        assert {(u, v) for u, v in edges if u < v} == train - asked


@given(st.integers(1, 12), st.integers(0, 20))
def test_each_training_edge_is_asked_in_one_fold_and_folds_are_of_a_size(n_folds, seed):
    split = split_of(seed=seed)
    graph = few_shot(split, n_folds=n_folds)
    asked = [list(map(tuple, graph.asked(fold))) for fold in range(n_folds)]
    assert sorted(sum(asked, [])) == list(map(tuple, split.train))
    assert max(map(len, asked)) - min(map(len, asked)) <= 1


def test_with_one_fold_messages_run_over_what_is_asked():
    graph = few_shot(n_folds=1)
    np.testing.assert_array_equal(graph.asked(0), graph.split.train)
    assert graph.fold_states == (graph.states,)


@pytest.mark.parametrize("features", FEATURE_SETS, ids=" ".join)
def test_validation_and_test_edges_change_nothing_that_is_read(features):
    honest = split_of()
    other = split_of(seed=7)
    poisoned = FewShotSplit(honest.train, *other[1:])
    assert not np.array_equal(honest.valid, poisoned.valid)
    graphs = [few_shot(s, features=features, n_folds=N_FOLDS) for s in (honest, poisoned)]
    for one, two in zip(*((g.states, *g.fold_states) for g in graphs), strict=True):
        for name in ("received", "n_receiving", "weight", "n_nodes", "state"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
        np.testing.assert_array_equal(one.messages.coo(), two.messages.coo())


def test_training_edges_change_what_is_read():
    one, two = (few_shot(split_of(seed=seed), n_folds=N_FOLDS) for seed in (0, 7))
    assert np.abs(second_inputs(one.states) - second_inputs(two.states)).max() > 0.01


def test_folds_are_dealt_alike_each_time():
    one, two = few_shot(n_folds=N_FOLDS), few_shot(n_folds=N_FOLDS)
    for fold in range(N_FOLDS):
        np.testing.assert_array_equal(one.asked(fold), two.asked(fold))


def test_without_structure_each_node_hears_itself_alone():
    graph = few_shot(features=("given",), structure=False, n_folds=N_FOLDS)
    x = np.column_stack([graph.given, np.ones(N)])
    for states in (graph.states, *graph.fold_states):
        np.testing.assert_allclose(second_inputs(states), np.tanh(x), rtol=1e-15)


def test_reading_a_graph_leaves_its_known_edges_as_they_were():
    # Two features only, so that sources of one state are put together.
    graph = FewShotGraph(split_of(), np.eye(2)[np.arange(N) % 2], n_folds=N_FOLDS)
    before = graph.known.with_loops
    edges, indptr = before.to_scipy().toarray(), before.indptr.copy()
    graph.states, graph.fold_states  # noqa: B018
    np.testing.assert_array_equal(graph.known.with_loops.indptr, indptr)
    np.testing.assert_array_equal(graph.known.with_loops.to_scipy().toarray(), edges)
    lines = nx.to_numpy_array(networkx_of(graph.split.train, N), nodelist=range(N))
    np.testing.assert_array_equal(edges, lines + np.eye(N))


def test_normalised_weights_are_those_of_the_symmetric_rule():
    adj, weight = normalised(few_shot().known)
    got = np.zeros((N, N))
    np.add.at(got, adj.coo(), weight)
    a = nx.to_numpy_array(networkx_of(split_of().train, N), nodelist=range(N)) + np.eye(N)
    root = np.diag(a.sum(1) ** -0.5)
    np.testing.assert_allclose(got, root @ a @ root, rtol=1e-12)


@pytest.mark.parametrize("p", [0.0, 0.05, 0.3, 1.0])
def test_the_degree_profile_is_that_of_networkx(p):
    graph = nx.gnp_random_graph(30, p, seed=2)
    ends = np.array(graph.edges, np.int64).reshape(-1, 2)
    ends = np.concatenate([ends, ends[:, ::-1]])
    adj = Adjacency.from_coo(*ends.T, (30, 30))
    np.testing.assert_allclose(degree_profile(adj), profile(graph), rtol=1e-6, atol=2e-7)


def test_mean_degrees_of_neighbours_are_those_of_networkx():
    graph = nx.gnp_random_graph(30, 0.2, seed=3)
    ends = np.array(graph.edges)
    ends = np.concatenate([ends, ends[:, ::-1]])
    found = np.expm1(degree_profile(Adjacency.from_coo(*ends.T, (30, 30))))
    np.testing.assert_allclose(found[:, 0], [d for _, d in graph.degree])
    expected = [nx.average_neighbor_degree(graph)[v] for v in range(30)]
    np.testing.assert_allclose(found[:, 3], expected, rtol=1e-12)


@pytest.mark.parametrize("n_folds", [0, -1, 10_000])
def test_folds_without_edges_are_refused(n_folds):
    n = len(split_of().train)
    with pytest.raises(ConfigError, match=f"from 1 to the number of training edges, {n}, got"):
        few_shot(n_folds=n_folds)


def test_a_graph_without_any_feature_is_refused():
    nothing = np.zeros((N, 0))
    for features in (("given",), ("given", "neighbours")):
        with pytest.raises(ConfigError, match="expected features, got .* Add 'degrees'"):
            FewShotGraph(split_of(), nothing, features)
    assert FewShotGraph(split_of(), nothing, FEATURES).describe(few_shot().known).shape == (N, 5)
