"""Node states: two rounds of messages over them are those over all nodes, computed densely."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.errors import DataError
from dglmeta.graph import Adjacency
from dglmeta.graph.states import NodeStates, node_states

FUNCTIONS = {
    "identity": lambda h: h,
    "relu": lambda h: np.maximum(h - 0.3, 0),
    "mixing": lambda h: np.tanh(h @ np.linspace(-1, 2, h.shape[1])[:, None]) + 0.1 * h**2,
}


@st.composite
def weighted(draw, *, whole: bool = False) -> tuple[Adjacency, np.ndarray, np.ndarray]:
    """A directed graph with loops and nodes without edges, weights, and features of few kinds.

    Edges come in any order, so ids differ from positions. Whole numbers are summed exactly.
    """
    n = draw(st.integers(1, 14))
    pair = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    edges = draw(st.lists(pair, unique=True, max_size=40))
    src, dst = np.array(edges, np.int64).reshape(-1, 2).T
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    x = rng.integers(0, 2, (n, draw(st.integers(1, 2)))).astype(float)
    weight = rng.integers(1, 3, len(src)).astype(float)
    if not whole:
        x, weight = x * 0.7, weight / 3
    return Adjacency.from_coo(src, dst, (n, n)), weight, x


def dense(adj: Adjacency, weight: np.ndarray) -> np.ndarray:
    out = np.zeros(adj.shape)
    np.add.at(out, adj.coo(), weight)
    return out


def second_inputs(states: NodeStates, f) -> np.ndarray:
    """What the states say every node's input of the second layer is."""
    return (dense(states.messages, states.weight) @ f(states.received))[states.state]


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
@given(weighted())
def test_two_rounds_over_states_are_two_rounds_over_nodes(f, graph):
    adj, weight, x = graph
    a = dense(adj, weight)
    np.testing.assert_allclose(
        second_inputs(node_states(*graph), f), a @ f(a @ x), rtol=1e-12, atol=1e-12
    )


@given(weighted(whole=True))
def test_nodes_share_a_state_where_and_only_where_they_hear_alike(graph):
    adj, weight, x = graph
    a = dense(adj, weight)
    _, kind = np.unique(a @ x, axis=0, return_inverse=True)
    heard = a @ np.eye(kind.max() + 1)[kind.reshape(-1)]  # weight by kind of sender
    states = node_states(*graph)
    alike = (heard[:, None] == heard[None]).all(-1)
    np.testing.assert_array_equal(states.state[:, None] == states.state[None], alike)
    np.testing.assert_array_equal(np.unique(states.state), np.arange(len(states.n_nodes)))
    assert len(np.unique(states.received, axis=0)) == len(states.received)


@given(weighted())
def test_counts_are_of_the_nodes_in_each_state(graph):
    adj, weight, x = graph
    states = node_states(*graph)
    np.testing.assert_array_equal(states.n_nodes, np.bincount(states.state))
    assert states.n_nodes.sum() == states.n_receiving.sum() == len(x)
    received = dense(adj, weight) @ x
    total = (states.n_receiving[:, None] * states.received).sum(0)
    np.testing.assert_allclose(total, received.sum(0), rtol=1e-12)
    assert states.messages.shape == (len(states.n_nodes), len(states.n_receiving))


def test_nine_in_ten_nodes_merge_where_most_are_alone_or_in_pairs():
    n = 300
    u = np.arange(0, 100, 2)  # lone edges among the first hundred; the others are isolated
    src, dst = np.concatenate([u, u + 1, np.arange(n)]), np.concatenate([u + 1, u, np.arange(n)])
    x = np.eye(3)[np.arange(n) % 3]
    states = node_states(Adjacency.from_coo(src, dst, (n, n)), np.full(len(src), 0.5), x)
    # Three kinds of lone nodes; and of pairs, both ends of which hear the same.
    assert len(states.n_nodes) == 3 + 3
    assert len(states.n_nodes) < 0.1 * n


def test_a_weight_or_a_feature_apart_keeps_nodes_apart():
    lone = Adjacency.from_coo([0, 1, 2], [0, 1, 2], (3, 3))
    ones = np.ones((3, 1))
    assert len(node_states(lone, np.ones(3), ones).n_nodes) == 1
    assert len(node_states(lone, np.array([1, 1, 1 + 1e-9]), ones).n_nodes) == 2
    assert len(node_states(lone, np.ones(3), np.array([[1], [1], [1 + 1e-9]])).n_nodes) == 2


def test_nodes_of_one_first_round_and_two_second_ones_stay_apart():
    path = Adjacency.from_coo([0, 1, 1, 2, 2, 3, 3, 4], [1, 0, 2, 1, 3, 2, 4, 3], (5, 5))
    states = node_states(path, np.ones(8), np.ones((5, 1)))
    assert sorted(states.received[:, 0]) == [1, 2]
    np.testing.assert_array_equal(states.state == states.state[[4, 3, 2, 1, 0]], True)
    assert len({states.state[0], states.state[1], states.state[2]}) == 3


def test_rows_hear_columns_and_not_the_other_way_round():
    one_way = Adjacency.from_coo([0, 1], [1, 2], (3, 3))
    states = node_states(one_way, np.array([2.0, 3.0]), np.array([[1.0], [10.0], [100.0]]))
    np.testing.assert_array_equal(second_inputs(states, FUNCTIONS["identity"])[:, 0], [600, 0, 0])


def test_neither_adjacency_nor_weights_nor_features_are_written():
    src, dst = [0, 0, 0, 1, 1, 2], [0, 1, 2, 0, 2, 1]
    adj, weight, x = Adjacency.from_coo(src, dst, (3, 3)), np.arange(1.0, 7), np.zeros((3, 1))
    before = [a.copy() for a in (adj.indptr, adj.indices, weight, x)]
    states = node_states(adj, weight, x)
    assert states.messages.n_edges < adj.n_edges  # sources were put together
    for now, then in zip((adj.indptr, adj.indices, weight, x), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("shape", [(3, 3), (4, 5), (5, 4)])
def test_an_adjacency_that_is_not_among_the_nodes_is_refused(shape):
    adj = Adjacency.from_coo([0], [0], shape)
    with pytest.raises(DataError, match=r"node_states: expected an adjacency among the 4 nodes"):
        node_states(adj, np.ones(1), np.ones((4, 1)))
