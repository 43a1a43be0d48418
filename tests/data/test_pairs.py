"""Distinct pairs and exact, uniform negatives."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import chisquare

from dglmeta.data.pairs import distinct_pairs, draw_negatives, sort_distinct
from dglmeta.graph import Adjacency


@st.composite
def adjacencies(draw, square: bool = False) -> Adjacency:
    """Up to forty edges between few nodes, some parallel; some rows full, some empty."""
    n_src = draw(st.integers(1, 6))
    n_dst = n_src if square else draw(st.integers(1, 6))
    edges = draw(
        st.lists(st.tuples(st.integers(0, n_src - 1), st.integers(0, n_dst - 1)), max_size=40)
    )
    src, dst = np.array(edges, np.int64).reshape(-1, 2).T
    return Adjacency.from_coo(src, dst, (n_src, n_dst))


@given(hnp.arrays(np.int64, st.integers(0, 30), elements=st.integers(-5, 5)))
def test_sort_distinct_is_numpys_unique(keys):
    np.testing.assert_array_equal(sort_distinct(keys), np.unique(keys))


@given(adjacencies())
def test_distinct_pairs_are_the_pairs_edges_join_each_once(adj):
    src, dst, position = distinct_pairs(adj)
    all_src, all_dst = adj.coo()
    expected = sorted(set(zip(all_src.tolist(), all_dst.tolist(), strict=True)))
    assert list(zip(src.tolist(), dst.tolist(), strict=True)) == expected
    np.testing.assert_array_equal(adj.indices[position], dst)


@given(st.data(), st.booleans(), st.integers(0, 5))
def test_negatives_are_distinct_non_edges_as_many_as_edges_or_all_there_are(data, loops, seed):
    adj = data.draw(adjacencies(square=not loops))
    joined = adj.to_scipy().toarray() > 0
    wanted = joined.sum(axis=1)
    if not loops:
        joined |= np.eye(len(joined), dtype=bool)
    pairs = draw_negatives(adj, seed, loops=loops)
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert not joined[pairs[:, 0], pairs[:, 1]].any()
    expected = np.minimum(wanted, (~joined).sum(axis=1))
    np.testing.assert_array_equal(np.bincount(pairs[:, 0], minlength=adj.n_src), expected)


def test_negatives_are_a_uniform_subset_drawn_by_redrawing_and_from_a_list():
    # Source 0 takes 2 of 6 free (redrawn on a repeat), source 1 takes 3 of 5 (from the list).
    adj = Adjacency.from_coo([0, 0, 1, 1, 1], [0, 3, 1, 2, 7], (2, 8))
    seen: list[Counter] = [Counter(), Counter()]
    for seed in range(4000):
        pairs = draw_negatives(adj, seed)
        for u in (0, 1):
            seen[u][tuple(pairs[pairs[:, 0] == u, 1])] += 1
    assert [len(counts) for counts in seen] == [15, 10]  # every subset of the right size
    for counts in seen:
        assert chisquare(list(counts.values())).pvalue > 1e-3


def test_the_same_seed_draws_the_same_negatives_and_another_seed_others():
    rng = np.random.default_rng(0)
    adj = Adjacency.from_coo(rng.integers(50, size=500), rng.integers(80, size=500), (50, 80))
    first, again, other = (draw_negatives(adj, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
