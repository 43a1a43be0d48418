"""Neighbours are drawn without replacement, uniformly, and by node."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dglmeta.kernels import reference
from dglmeta.kernels.cpu import sample
from dglmeta.kernels.cpu.sample import Frontier, sample_neighbors


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@given(data=st.data(), fanout=st.integers(-1, 5), seed=st.integers(-(2**63), 2**64))
def test_samples_equal_the_oracle(twin, structures, data, fanout, seed):
    g = data.draw(structures())
    row = st.integers(0, max(g.n_rows - 1, 0))
    nodes = np.array(data.draw(st.lists(row, max_size=8)) if g.n_rows else [], np.int64)
    got = twin("sample").sample_neighbors(*g[:3], nodes, fanout, seed, 1)
    assert equal(got, reference.sample_neighbors(*g[:3], nodes, fanout, seed, 1))


@pytest.mark.parametrize("fanout", [3, 60, 200])
def test_long_rows_equal_the_oracle(twin, large, fanout):
    nodes = np.array([7, 1, 7, 2999])
    got = twin("sample").sample_neighbors(*large[:3], nodes, fanout, 3, 0)
    assert equal(got, reference.sample_neighbors(*large[:3], nodes, fanout, 3, 0))


@pytest.mark.parametrize("fanout", [0, 1, 26, 32, 33, -1])
def test_large_samples_are_those_of_the_cpu(twin, large, fanout):
    nodes = np.random.default_rng(1).permutation(large.n_rows).astype(np.int32)
    got = twin("sample").sample_neighbors(*large[:3], nodes, fanout, 8, 2)
    expected = sample_neighbors(*large[:3], nodes, fanout, 8, 2)
    assert equal(got, expected)
    assert [a.dtype for a in got] == [a.dtype for a in expected]


def test_samples_are_distinct_edges_of_their_nodes_in_any_number_of_threads(
    large, in_threads, monkeypatch
):
    monkeypatch.setattr(sample, "EDGES_A_PIECE", 64)
    nodes = np.arange(large.n_rows)
    one, two = (in_threads(n, lambda: sample_neighbors(*large[:3], nodes, 9, 5, 0)) for n in (1, 2))
    assert equal(one, two)
    indptr, neighbours, ids = one
    degrees = np.diff(large.indptr)
    assert np.array_equal(np.diff(indptr), np.minimum(degrees, 9))
    assert len(np.unique(ids)) == len(ids)
    row, columns = np.empty(large.n_edges, int), np.empty(large.n_edges, int)
    row[large.edge_ids] = np.repeat(nodes, degrees)
    columns[large.edge_ids] = large.indices
    assert np.array_equal(row[ids], np.repeat(nodes, np.diff(indptr)))
    assert np.array_equal(columns[ids], neighbours)


def test_several_frontiers_draw_what_each_draws_alone(twin, large, in_threads):
    frontiers = [
        Frontier(*large[:3], np.arange(begin, 3000, 7), fanout, seed)
        for begin, fanout, seed in [(0, 4, 1), (3, -1, 2), (5, 0, 2)]
    ]
    frontiers.append(Frontier(*large[:3], np.zeros(0, np.int64), 2, 3))
    wide = large.indices.astype(np.int64)
    frontiers.insert(1, Frontier(large.indptr, wide, None, np.arange(40), 40, -9))
    together = in_threads(2, lambda: twin("sample").sample_each(frontiers, 6))
    assert len(twin("sample").sample_each([], 6)) == 0
    for frontier, drawn in zip(frontiers, together, strict=True):
        assert equal(drawn, sample_neighbors(*frontier, hop=6))


def test_several_python_threads_draw_at_once(large):
    nodes = np.arange(large.n_rows)
    expected = sample_neighbors(*large[:3], nodes, 9, 5, 0)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(sample_neighbors, *large[:3], nodes, 9, 5, 0) for _ in range(8)]
        assert all(equal(expected, call.result()) for call in calls)


def test_what_a_node_draws_does_not_depend_on_the_batch(large):
    alone = sample_neighbors(*large[:3], np.array([7]), 5, 1, 0)[2]
    among = sample_neighbors(*large[:3], np.array([3, 7, 1, 7]), 5, 1, 0)
    indptr, _, ids = among
    assert np.array_equal(ids[indptr[1] : indptr[2]], alone)
    assert np.array_equal(ids[indptr[3] : indptr[4]], alone)
    assert not np.array_equal(sample_neighbors(*large[:3], np.array([7]), 5, 1, 1)[2], alone)


def test_a_seed_draws_otherwise_than_another(large):
    one, other = (sample_neighbors(*large[:3], np.array([7]), 9, seed, 0)[2] for seed in (1, 2))
    assert not np.array_equal(np.sort(one), np.sort(other))


@pytest.mark.parametrize(
    ("degree", "fanout"), [(7, 1), (7, 3), (7, 6), (40, 2), (130, 2), (66, 65)]
)
def test_every_subset_is_drawn_equally_often(degree, fanout):
    n = 30_000  # nodes that all have the same neighbours
    indptr, indices = np.arange(n + 1) * degree, np.tile(np.arange(degree), n)
    drawn = sample_neighbors(indptr, indices, None, np.arange(n), fanout, 0, 0)[1]
    subsets = np.sort(drawn.reshape(n, fanout), axis=1)
    assert (np.diff(subsets, axis=1) > 0).all()
    if fanout > degree / 2:  # a subset is named by the few it leaves out
        left = np.ones((n, degree), bool)
        left[np.arange(n)[:, None], subsets] = False
        subsets = np.nonzero(left)[1].reshape(n, degree - fanout)
    names = (subsets * degree ** np.arange(subsets.shape[1])).sum(axis=1)
    n_subsets = stats.binom(degree, 0.5).pmf(fanout) * 2.0**degree
    counts = np.unique(names, return_counts=True)[1]
    counts = np.append(counts, np.zeros(round(n_subsets) - len(counts)))
    assert stats.chisquare(counts).pvalue > 1e-3


def test_columns_beyond_32_bits_are_drawn_whole(twin):
    far = 2**31 + np.arange(5) * 2**40
    rows = np.array([0, 2, 5]), far, None, np.array([1, 0])
    drawn = twin("sample").sample_neighbors(*rows, -1, 0, 0)
    assert drawn.neighbours.tolist() == far[[2, 3, 4, 0, 1]].tolist()
    assert drawn.edge_ids.tolist() == [2, 3, 4, 0, 1]
