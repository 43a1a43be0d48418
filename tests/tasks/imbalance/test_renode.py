"""ReNode's weights are those of the dense inverse, by rank."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.data import LabelledNodes
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.tasks.imbalance.renode import renode_weights, topology_conflict


def random_graph(n, n_edges, seed):
    """Undirected, as its adjacency; some nodes may be alone."""
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, n, (2, n_edges))
    src, dst = src[src != dst], dst[src != dst]
    return Adjacency.from_coo(np.append(src, dst), np.append(dst, src), (n, n))


def conflict_by_inverse(adj, node, label, restart=0.15):
    """Node by node, from the definition."""
    dense = (adj.to_scipy().toarray() > 0).astype(float)
    np.fill_diagonal(dense, 1)
    root = np.sqrt(dense.sum(1))
    n = len(dense)
    p = restart * np.linalg.inv(np.eye(n) - (1 - restart) * dense / root[:, None] / root)
    conflict = []
    for i, y in zip(node, label, strict=True):
        others = [np.mean(p[node[label == c]], axis=0) for c in set(label.tolist()) - {y}]
        conflict.append(sum(p[i, j] * other[j] for other in others for j in range(n)))
    return np.array(conflict)


@st.composite
def _labelled(draw):
    n = draw(st.integers(4, 25))
    adj = random_graph(n, draw(st.integers(0, 50)), draw(st.integers(0, 99)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    size, n_classes = draw(st.integers(2, n)), draw(st.integers(1, 4))
    return adj, LabelledNodes(rng.permutation(n)[:size], rng.integers(0, n_classes, size))


@given(_labelled())
def test_conflict_is_that_of_the_dense_inverse(given_nodes):
    adj, rows = given_nodes
    expected = conflict_by_inverse(adj, *rows)
    np.testing.assert_allclose(topology_conflict(adj, rows), expected, rtol=1e-6, atol=1e-12)


def test_restart_is_obeyed():
    adj, rows = random_graph(12, 30, 3), LabelledNodes(np.arange(4), np.array([0, 1, 1, 2]))
    expected = conflict_by_inverse(adj, *rows, restart=0.4)
    np.testing.assert_allclose(topology_conflict(adj, rows, restart=0.4), expected, rtol=1e-6)
    for bad in (0, 1, -0.1):
        with pytest.raises(ConfigError, match=r"restart in \(0, 1\)"):
            topology_conflict(adj, rows, restart=bad)


def test_weights_fall_by_a_cosine_from_least_to_most_conflict():
    adj = random_graph(60, 200, 0)
    rng = np.random.default_rng(1)
    rows = LabelledNodes(rng.permutation(60)[:20], rng.integers(0, 3, 20))
    weights = renode_weights(adj, rows)
    order = np.argsort(conflict_by_inverse(adj, *rows))
    expected = [0.5 + 0.5 * (1 + np.cos(np.pi * k / 19)) for k in range(20)]
    np.testing.assert_allclose(weights[order], expected)
    assert (weights.max(), weights.min()) == pytest.approx((1.5, 0.5))


def test_equal_conflicts_have_equal_weights_in_any_order():
    """A ring of ten whose labels turn by three: classes 0 and 2 are mirrored, and so are nodes."""
    ring = np.arange(10)
    ends = np.append(ring, (ring + 1) % 10), np.append((ring + 1) % 10, ring)
    adj = Adjacency.from_coo(*ends, (10, 10))
    node, label = np.array([0, 1, 9, 3, 7]), np.array([0, 1, 1, 1, 1])
    weights = renode_weights(adj, LabelledNodes(node, label))
    assert weights[1] == weights[2]
    assert weights[3] == weights[4]
    assert weights[3] > weights[1]
    turned = renode_weights(adj, LabelledNodes(node[::-1], label[::-1]))
    np.testing.assert_array_equal(turned[::-1], weights)


def test_nodes_out_of_reach_of_other_classes_have_no_conflict():
    adj = Adjacency.from_coo([0, 1, 2, 3], [1, 0, 3, 2], (4, 4))
    rows = LabelledNodes(np.array([0, 2]), np.array([0, 1]))
    assert topology_conflict(adj, rows).tolist() == [0, 0]
    assert renode_weights(adj, rows) == pytest.approx([1, 1])


def test_parallel_edges_and_loops_make_no_difference():
    adj = random_graph(12, 30, 5)
    src, dst = adj.coo()
    loops = np.arange(6)
    more = Adjacency.from_coo(
        np.concatenate([src, src, loops]), np.concatenate([dst, dst, loops]), adj.shape
    )
    rows = LabelledNodes(np.arange(4), np.array([0, 1, 1, 2]))
    np.testing.assert_allclose(topology_conflict(more, rows), topology_conflict(adj, rows))


@pytest.mark.parametrize(
    ("shape", "message"), [((2, 3), "nodes of one type"), ((2, 2), "every edge both ways")]
)
def test_directed_edges_are_refused(shape, message):
    adj = Adjacency.from_coo([0], [1], shape)
    with pytest.raises(DataError, match=message):
        topology_conflict(adj, LabelledNodes(np.array([0, 1]), np.array([0, 1])))
