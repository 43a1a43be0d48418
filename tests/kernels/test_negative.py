"""Membership is exact; negatives are true and uniform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.negative import contains, random_numbers, sample_negatives


@given(data=st.data())
def test_contains_equals_the_oracle(twin, structures, data):
    g = data.draw(structures(ids=False))
    pair = st.tuples(st.integers(0, max(g.n_rows - 1, 0)), st.integers(-1, 7))
    pairs = data.draw(st.lists(pair, max_size=10)) if g.n_rows else []
    rows, cols = np.array(pairs, np.int64).reshape(-1, 2).T
    args = (g.indptr, g.indices, rows, cols)
    assert np.array_equal(twin("negative").contains(*args), reference.contains(*args))


@given(data=st.data(), diagonal=st.booleans(), seed=st.integers(-(2**63), 2**64))
def test_negatives_equal_the_oracle(twin, structures, data, diagonal, seed):
    g = data.draw(structures(ids=False))
    row = st.integers(0, max(g.n_rows - 1, 0))
    rows = np.array(data.draw(st.lists(row, max_size=10)) if g.n_rows else [], np.int64)
    args = (g.indptr, g.indices, rows, g.n_cols, seed)
    got = twin("negative").sample_negatives(*args, forbid_diagonal=diagonal)
    assert np.array_equal(got, reference.sample_negatives(*args, forbid_diagonal=diagonal))


def test_negatives_are_uniform_over_what_is_free():
    # Row 1 holds 0 (three times), 3 and 7 of 12 columns; with the diagonal gone 8 are free.
    indptr, indices = np.array([0, 0, 5]), np.array([0, 0, 0, 3, 7])
    rows = np.ones(40_000, np.int64)
    cols = sample_negatives(indptr, indices, rows, 12, seed=3, forbid_diagonal=True)
    counts = np.bincount(cols, minlength=12)
    assert np.flatnonzero(counts).tolist() == [2, 4, 5, 6, 8, 9, 10, 11]
    assert stats.chisquare(counts[counts > 0]).pvalue > 1e-3


def test_a_full_row_has_no_negative():
    full = np.array([0, 3]), np.array([0, 1, 2])
    assert sample_negatives(*full, np.array([0]), 3, seed=0).tolist() == [-1]
    but_itself = np.array([0, 2]), np.array([1, 2])
    negatives = sample_negatives(*but_itself, np.array([0]), 3, seed=0, forbid_diagonal=True)
    assert negatives.tolist() == [-1]


def test_negatives_are_true_and_the_same_in_any_number_of_threads(large, in_threads):
    rows = np.random.default_rng(0).integers(0, large.n_rows, 5000)
    args = (large.indptr, large.indices, rows, large.n_cols, 11)
    one, two = (in_threads(n, lambda: sample_negatives(*args)) for n in (1, 2))
    assert np.array_equal(one, two)
    assert not contains(large.indptr, large.indices, rows, one).any()
    present = np.flatnonzero(np.diff(large.indptr))
    first = large.indices[large.indptr[present]]
    assert contains(large.indptr, large.indices, present, first).all()


@pytest.mark.parametrize("diagonal", [True, False])
def test_many_negatives_are_those_of_the_cpu(twin, large, diagonal):
    rows = np.append(np.full(40, 7), np.random.default_rng(0).integers(0, large.n_rows, 500))
    for columns in (large.indices, np.arange(large.n_edges, dtype=np.int32)):
        args = (large.indptr, columns, rows, large.n_edges, 11)
        theirs = sample_negatives(*args, forbid_diagonal=diagonal)
        ours = twin("negative").sample_negatives(*args, forbid_diagonal=diagonal)
        assert np.array_equal(ours, theirs)


def test_another_seed_draws_other_columns():
    empty = np.array([0, 0]), np.zeros(0, np.int32)
    rows = np.zeros(50, np.int64)
    first, second = (sample_negatives(*empty, rows, 10**6, seed) for seed in (0, 1))
    assert not np.array_equal(first, second)


@given(seed=st.integers(-(2**63), 2**64), begin=st.integers(0, 2**40), n=st.integers(1, 2**62))
def test_numbers_equal_the_oracle(twin, seed, begin, n):
    args = (seed, begin, begin + 5, n)
    assert np.array_equal(twin("negative").random_numbers(*args), reference.random_numbers(*args))


def test_numbers_are_uniform_and_the_same_in_any_number_of_threads(in_threads):
    one, three = (in_threads(n, lambda: random_numbers(1, 0, 40_000, 10)) for n in (1, 3))
    assert np.array_equal(one, three)
    assert stats.chisquare(np.bincount(one, minlength=10)).pvalue > 1e-3
