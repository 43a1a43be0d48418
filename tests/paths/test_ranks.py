"""PageRank and the fifths of an order."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.graph import Adjacency
from dglmeta.paths.ranks import BOTTOM, MIDDLE, TOP, page_rank, rank_bins


def adjacency_of(graph: nx.Graph) -> Adjacency:
    return Adjacency.from_coo(*np.nonzero(nx.to_numpy_array(graph)), (len(graph),) * 2)


@given(st.lists(st.integers(0, 3), max_size=40))
def test_bins_are_fifths_and_equal_values_rank_in_their_order(values):
    n = len(values)
    # The definition: a node's rank is how many stand above it.
    above = [
        sum(w > v or (w == v and j < i) for j, w in enumerate(values)) for i, v in enumerate(values)
    ]
    outer = n // 5
    expected = [TOP if r < outer else BOTTOM if r >= n - outer else MIDDLE for r in above]
    assert rank_bins(np.array(values, np.int64)).tolist() == expected


def test_all_ties_leave_bins_of_the_same_sizes():
    bins = rank_bins(np.full(103, 7.0))
    assert np.bincount(bins).tolist() == [20, 63, 20]
    assert bins[:20].tolist() == [TOP] * 20
    assert bins[-20:].tolist() == [BOTTOM] * 20


@pytest.mark.parametrize("damping", [0.5, 0.85, 0.99])
@pytest.mark.parametrize("seed", range(4))
def test_page_rank_is_that_of_networkx_with_and_without_isolated_nodes(seed, damping):
    graph = nx.gnp_random_graph(60, 0.03, seed)
    assert nx.number_of_isolates(graph) > 0
    expected = nx.pagerank(graph, alpha=damping, tol=1e-14, max_iter=10_000)
    p = page_rank(adjacency_of(graph), damping=damping)
    assert np.allclose(p, list(expected.values()), rtol=0, atol=2e-8)
    assert p.sum() == pytest.approx(1, abs=1e-12)


def test_page_rank_solves_its_equation_on_a_bipartite_graph():
    # The slowest case: a walk that alternates between two sides only forgets by damping.
    graph = nx.complete_bipartite_graph(2, 9)
    dense = nx.to_numpy_array(graph)
    transition = dense / dense.sum(axis=0)
    n = len(graph)
    exact = np.linalg.solve(np.eye(n) - 0.85 * transition, np.full(n, 0.15 / n))
    assert np.abs(page_rank(adjacency_of(graph)) - exact).sum() <= 0.85 / 0.15 * 1e-10


@pytest.mark.parametrize("n", [0, 1, 4])
def test_nodes_without_edges_rank_alike(n):
    p = page_rank(Adjacency.from_coo([], [], (n, n)))
    assert p.tolist() == pytest.approx([1 / max(n, 1)] * n)


def test_page_rank_is_the_same_for_any_number_of_threads(in_threads):
    adj = adjacency_of(nx.gnp_random_graph(200, 0.05, 1))
    one, three = (in_threads(k, lambda: page_rank(adj)) for k in (1, 3))
    assert np.array_equal(one, three)
