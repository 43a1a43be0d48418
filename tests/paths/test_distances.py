"""Distances up to a limit, and pairs drawn by their distance."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dglmeta.graph import Adjacency
from dglmeta.paths.distances import draw_by_distance, truncated_distances


def adjacency_of(graph: nx.Graph) -> Adjacency:
    return Adjacency.from_coo(*np.nonzero(nx.to_numpy_array(graph)), (len(graph),) * 2)


def all_distances(graph: nx.Graph, limit: int) -> np.ndarray:
    """(n, n) distances by breadth-first search, ``limit + 1`` where they are larger."""
    matrix = np.full((len(graph),) * 2, limit + 1)
    for u, found in nx.all_pairs_shortest_path_length(graph, cutoff=limit):
        for v, distance in found.items():
            matrix[u, v] = distance
    return matrix


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 14), st.floats(0, 0.4), st.integers(0, 4), st.integers(0, 2**20))
def test_distances_are_those_of_a_search_from_every_node(n, density, limit, seed):
    graph = nx.gnp_random_graph(n, density, seed)
    u, v = np.divmod(np.arange(n * n), n)
    distance = truncated_distances(adjacency_of(graph), u, v, limit)
    assert np.array_equal(distance.reshape(n, n), all_distances(graph, limit))


@pytest.mark.parametrize("seed", range(3))
def test_each_kind_of_pair_has_its_distance_and_all_such_pairs_occur(seed):
    graph = nx.gnp_random_graph(30, 0.07, seed)
    truth = all_distances(graph, 3)
    pools = draw_by_distance(adjacency_of(graph), 20_000, seed)
    for distance, (src, dst) in enumerate(pools, start=1):
        assert len(src) == len(dst) == 20_000
        met = np.zeros_like(truth, bool)
        met[src, dst] = True
        assert np.array_equal(met, truth == distance)


def test_near_pairs_are_uniform_over_edges_and_far_ones_over_all_far_pairs():
    graph = nx.path_graph(7)
    near, _, _, far = draw_by_distance(adjacency_of(graph), 60_000, 1)
    for (src, dst), n_kinds in ((near, 12), (far, 12)):
        counts = np.unique(src * 7 + dst, return_counts=True)[1]
        assert len(counts) == n_kinds
        expected = 60_000 / n_kinds
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert chi_square < 38  # 11 degrees of freedom: passed by chance but once in ten thousand


@pytest.mark.parametrize("distance", [2, 3])
def test_pairs_between_are_ends_of_walks_from_any_node_with_edges(distance):
    graph = nx.lollipop_graph(4, 4)
    graph.add_node(8)  # without edges
    dense = nx.to_numpy_array(graph)
    walk = np.linalg.matrix_power(dense / np.maximum(dense.sum(axis=1, keepdims=True), 1), distance)
    chance = np.where(all_distances(graph, 3) == distance, walk, 0)
    expected = 50_000 * chance / chance.sum()
    src, dst = draw_by_distance(adjacency_of(graph), 50_000, 2)[distance - 1]
    counts = np.bincount(src * 9 + dst, minlength=81).reshape(9, 9)
    some = expected > 0
    assert counts[~some].sum() == 0
    chi_square = ((counts - expected)[some] ** 2 / expected[some]).sum()
    freedom = some.sum() - 1
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)


def test_a_distance_that_no_pair_has_is_left_empty():
    n_each = [len(src) for src, _ in draw_by_distance(adjacency_of(nx.complete_graph(6)), 50, 0)]
    assert n_each == [50, 0, 0, 0]
    n_each = [len(src) for src, _ in draw_by_distance(adjacency_of(nx.star_graph(6)), 50, 0)]
    assert n_each == [50, 50, 0, 0]
    n_each = [len(src) for src, _ in draw_by_distance(adjacency_of(nx.empty_graph(6)), 50, 0)]
    assert n_each == [0, 0, 0, 50]
    assert all(len(src) == 0 for src, _ in draw_by_distance(adjacency_of(nx.empty_graph(0)), 9, 0))


def test_a_seed_gives_the_same_pairs_whatever_the_threads(in_threads):
    adj = adjacency_of(nx.gnp_random_graph(80, 0.03, 5))
    one, three = (in_threads(k, lambda: draw_by_distance(adj, 300, 4)) for k in (1, 3))
    other = draw_by_distance(adj, 300, 5)
    for mine, same, different in zip(one, three, other, strict=True):
        assert np.array_equal(mine, same)
        assert not np.array_equal(mine, different)
