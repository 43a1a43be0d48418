"""Neighbours are drawn without replacement, uniformly, and by node."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.sample import relabel, sample_neighbors


@given(data=st.data(), fanout=st.integers(-1, 5), seed=st.integers(-(2**63), 2**64))
def test_samples_equal_the_oracle(structures, data, fanout, seed):
    g = data.draw(structures())
    row = st.integers(0, max(g.n_rows - 1, 0))
    seeds = np.array(data.draw(st.lists(row, max_size=8)) if g.n_rows else [], np.int64)
    got = sample_neighbors(*g[:3], seeds, fanout, seed, 1)
    for one, other in zip(
        got, reference.sample_neighbors(*g[:3], seeds, fanout, seed, 1), strict=True
    ):
        assert np.array_equal(one, other)


def test_samples_are_distinct_edges_of_their_nodes_in_any_number_of_threads(large, in_threads):
    seeds = np.arange(large.n_rows)
    one, two = (in_threads(n, lambda: sample_neighbors(*large[:3], seeds, 9, 5, 0)) for n in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    indptr, neighbours, ids = one
    degrees = np.diff(large.indptr)
    assert np.array_equal(np.diff(indptr), np.minimum(degrees, 9))
    assert len(np.unique(ids)) == len(ids)
    row, columns = np.empty(large.n_edges, int), np.empty(large.n_edges, int)
    row[large.edge_ids] = np.repeat(seeds, degrees)
    columns[large.edge_ids] = large.indices
    assert np.array_equal(row[ids], np.repeat(seeds, np.diff(indptr)))
    assert np.array_equal(columns[ids], neighbours)


def test_what_a_node_draws_does_not_depend_on_the_batch(large):
    alone = sample_neighbors(*large[:3], np.array([7]), 5, 1, 0)[2]
    among = sample_neighbors(*large[:3], np.array([3, 7, 1, 7]), 5, 1, 0)
    indptr, _, ids = among
    assert np.array_equal(ids[indptr[1] : indptr[2]], alone)
    assert np.array_equal(ids[indptr[3] : indptr[4]], alone)
    assert not np.array_equal(sample_neighbors(*large[:3], np.array([7]), 5, 1, 1)[2], alone)


@pytest.mark.parametrize(("degree", "fanout"), [(7, 1), (7, 3), (7, 6), (40, 2)])
def test_every_subset_is_drawn_equally_often(degree, fanout):
    n = 30_000  # nodes that all have the same neighbours
    indptr, indices = np.arange(n + 1) * degree, np.tile(np.arange(degree), n)
    drawn = sample_neighbors(indptr, indices, None, np.arange(n), fanout, 0, 0)[1]
    subsets = drawn.reshape(n, fanout)
    assert (np.diff(subsets, axis=1) > 0).all()
    names = (subsets * degree ** np.arange(fanout)).sum(axis=1)
    n_subsets = stats.binom(degree, 0.5).pmf(fanout) * 2**degree
    counts = np.unique(names, return_counts=True)[1]
    assert len(counts) == round(n_subsets)
    assert stats.chisquare(counts).pvalue > 1e-3


@given(
    first=st.lists(st.integers(0, 2**62), max_size=8, unique=True),
    others=st.lists(st.integers(0, 12) | st.integers(0, 2**62), max_size=30),
)
def test_relabel_equals_the_oracle(first, others):
    first, others = np.array(first, np.int64), np.array(others, np.int64)
    nodes, local = relabel(first, others)
    expected = reference.relabel(first, others)
    assert np.array_equal(nodes, expected[0])
    assert np.array_equal(local, expected[1])
    assert np.array_equal(nodes[: len(first)], first)
    assert np.array_equal(nodes[local], others)


def test_relabel_takes_int32_beside_int64():
    nodes, local = relabel(np.array([5, 6]), np.array([6, 9, 5], np.int32))
    assert (nodes.tolist(), local.tolist()) == ([5, 6, 9], [1, 2, 0])
