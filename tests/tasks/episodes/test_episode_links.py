"""Pairs by rank, and different numbers drawn at random."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from scipy.stats import chisquare

from dglmeta.tasks.episodes.links import draw_distinct, non_edges

LEAST_P = 1e-4


def test_ranks_run_through_all_pairs_that_no_edge_joins():
    node_ptr = np.array([0, 1, 5, 5, 7, 10, 11])
    edges = np.array([[1, 2], [1, 4], [3, 4], [5, 6], [8, 9]])
    graphs = [range(a, b) for a, b in zip(node_ptr, node_ptr[1:], strict=False)]
    pairs = [list(pair) for nodes in graphs for pair in combinations(nodes, 2)]
    expected = np.array([pair for pair in pairs if pair not in edges.tolist()])
    ranks = np.arange(len(expected))
    np.testing.assert_array_equal(non_edges(node_ptr, edges, ranks), expected)
    np.testing.assert_array_equal(non_edges(node_ptr, edges, ranks[[4, 0]]), expected[[4, 0]])


def test_numbers_of_a_group_differ_and_are_as_many_as_wanted():
    rng = np.random.default_rng(0)
    n_each = rng.integers(0, 60, 300)
    n_wanted = (n_each * rng.choice([0, 0.1, 0.5, 0.9, 1.0], 300)).astype(int)
    group, number = draw_distinct(n_each, n_wanted, rng)
    np.testing.assert_array_equal(group, np.repeat(np.arange(300), n_wanted))
    assert ((number >= 0) & (number < n_each[group])).all()
    assert len(set(zip(group.tolist(), number.tolist(), strict=True))) == len(group)


@pytest.mark.parametrize(("n", "k"), [(6, 2), (6, 3), (4, 3), (3, 3)])
def test_every_ordered_choice_is_equally_likely(n, k):
    times = 6000
    _, number = draw_distinct(np.full(times, n), np.full(times, k), np.random.default_rng(n + k))
    drawn = number.reshape(times, k).tolist()
    counts = {choice: 0 for choice in permutations(range(n), k)}
    for choice in drawn:
        counts[tuple(choice)] += 1
    assert chisquare(list(counts.values())).pvalue > LEAST_P
