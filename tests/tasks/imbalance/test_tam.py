"""TAM's margins are those of a loop over nodes, from the definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax

from dglmeta.data import LabelledNodes, NodeSplit
from dglmeta.errors import DataError
from dglmeta.graph import Adjacency
from dglmeta.tasks.imbalance.tam import TopologyMargins, jensen_shannon


def a_case(seed, n=30, n_edges=60, n_classes=3, n_train=9):
    """A random graph, a split of its nodes, and a row of logits for every node."""
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, n, (2, n_edges))
    adj = Adjacency.from_coo(np.append(src, dst), np.append(dst, src), (n, n))
    label = np.append(np.arange(n_classes), rng.integers(0, n_classes, n - n_classes))
    order = np.append(rng.permutation(n_train), n_train + rng.permutation(n - n_train))
    parts = np.split(order, [n_train, (n + n_train) // 2])
    split = NodeSplit("v", n_classes, *(LabelledNodes(p, label[p]) for p in parts))
    return split, adj, 3 * rng.normal(size=(n, n_classes))


def slow_margins(split, adj, logits, alpha, beta, phi):
    """By node and class, in float64."""
    node, label = split.train
    counts = np.bincount(label, minlength=split.n_classes)
    rate = 0.4 * counts / counts.sum() + 0.6
    p = softmax(logits * (phi * (rate + 1 - rate.max())), axis=1)
    p[node] = np.eye(split.n_classes)[label]
    near = adj.to_scipy().toarray() > 0
    d = [p[sorted({i, *np.flatnonzero(near[i])})].mean(0) for i in node]
    m = [np.mean([d[k] for k in np.flatnonzero(label == c)], axis=0) for c in range(len(counts))]
    margins = np.zeros((len(node), len(counts)))
    for i, y in enumerate(label):
        for c in set(range(len(counts))) - {y}:
            met = d[i][c] > 0
            acm = min(1, d[i][y] * m[y][c] / (m[y][y] * d[i][c])) if met else 1
            j_iy, j_yc, j_ic = (
                jensenshannon(a, b) for a, b in ((d[i], m[y]), (m[y], m[c]), (d[i], m[c]))
            )
            adm = (j_iy**2 + j_yc**2 - j_ic**2) / (2 * j_yc**2)
            margins[i, c] = alpha * np.log(acm) - beta * adm
    return margins


SETTINGS = {"alpha": 1.5, "beta": 0.25, "phi": 0.9}


@given(st.integers(0, 200), st.sampled_from([SETTINGS, dict(alpha=2.5, beta=0.5, phi=1.2)]))
def test_margins_are_those_of_a_loop_over_nodes(seed, settings):
    split, adj, logits = a_case(seed)
    margins = TopologyMargins.of(split, adj, **settings)
    got = margins(torch.from_numpy(logits[margins.rows]))
    expected = slow_margins(split, adj, logits, **settings)
    np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9)
    assert np.abs(expected).max() > 0.01


def test_single_precision_is_near():
    split, adj, logits = a_case(3)
    margins = TopologyMargins.of(split, adj, **SETTINGS)
    got = margins(torch.from_numpy(logits[margins.rows]).float())
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got, slow_margins(split, adj, logits, **SETTINGS), atol=1e-4)


def test_rows_are_the_labelled_nodes_in_order_then_their_other_neighbours():
    split, adj, _ = a_case(5)
    node = split.train.node
    rows = TopologyMargins.of(split, adj, **SETTINGS).rows
    near = adj.to_scipy().toarray()[node].sum(0) > 0
    np.testing.assert_array_equal(rows[: len(node)], node)
    assert rows[len(node) :].tolist() == sorted(set(np.flatnonzero(near)) - set(node.tolist()))


def test_leading_axes_are_independent_models():
    split, adj, _ = a_case(7)
    margins = TopologyMargins.of(split, adj, **SETTINGS)
    logits = torch.randn(2, 4, len(margins.rows), 3, generator=torch.Generator().manual_seed(0))
    each = torch.stack([margins(z) for z in logits.flatten(0, 1)]).unflatten(0, (2, 4))
    torch.testing.assert_close(margins(logits), each)
    torch.testing.assert_close(torch.vmap(torch.vmap(margins))(logits), each)


def test_no_gradient_passes():
    split, adj, logits = a_case(7)
    margins = TopologyMargins.of(split, adj, **SETTINGS)
    z = torch.from_numpy(logits[margins.rows]).requires_grad_()
    assert not margins(z).requires_grad


@pytest.mark.parametrize("scale", [0, 1e4, 1e30])
def test_margins_are_finite_for_extreme_logits(scale):
    split, adj, logits = a_case(11)
    margins = TopologyMargins.of(split, adj, **SETTINGS)
    got = margins(scale * torch.from_numpy(logits[margins.rows]).float())
    assert got.isfinite().all()


def test_classes_that_look_alike_give_no_deviation():
    """Two nodes of two classes that neighbour each other: both see half and half."""
    train, valid, test = (
        LabelledNodes(np.array(nodes), np.array([0, 1])) for nodes in ([0, 1], [2, 3], [4, 5])
    )
    split = NodeSplit("v", 2, train, valid, test)
    adj = Adjacency.from_coo([0, 1], [1, 0], (6, 6))
    margins = TopologyMargins.of(split, adj, **SETTINGS)
    assert margins(torch.randn(2, 2)).tolist() == [[0, 0], [0, 0]]


def test_zero_strengths_switch_parts_off():
    split, adj, logits = a_case(13)
    whole, first, second, none = (
        TopologyMargins.of(split, adj, alpha=alpha, beta=beta, phi=1.0)
        for alpha, beta in ((1, 1), (1, 0), (0, 1), (0, 0))
    )
    z = torch.from_numpy(logits[whole.rows])
    torch.testing.assert_close(whole(z), first(z) + second(z))
    assert not none(z).any()
    assert first(z).max() == 0


def test_divergence_is_the_square_of_the_distance():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(4), 5), rng.dirichlet(np.ones(4) / 9, 3)
    expected = [[jensenshannon(a, b) ** 2 for b in q] for a in p]
    got = jensen_shannon(torch.from_numpy(p), torch.from_numpy(q))
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_edges_one_way_are_refused():
    split, _, _ = a_case(0)
    with pytest.raises(DataError, match="TopologyMargins: expected every edge both ways"):
        TopologyMargins.of(split, Adjacency.from_coo([0], [1], (30, 30)), **SETTINGS)
