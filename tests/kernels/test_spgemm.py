"""Products of sparse matrices equal their dense oracles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu import spgemm
from dglmeta.kernels.cpu.spgemm_masked import multiply_masked


@st.composite
def values_for(draw, n):
    """None, counts, or floats whose products and sums are exact."""
    kind = draw(st.sampled_from(["none", "int", "float"]))
    if kind == "none":
        return None
    numbers = draw(st.lists(st.integers(-4, 9), min_size=n, max_size=n))
    return np.array(numbers, np.int64) if kind == "int" else np.array(numbers, np.float64) / 4


@given(data=st.data())
def test_reach_equals_the_oracle_in_order(structures, data):
    a = data.draw(structures(ids=False))
    b = data.draw(structures(n_rows=a.n_cols, ids=False))
    args = (a.indptr, a.indices, b.indptr, b.indices, b.n_cols)
    for got, expected in zip(
        spgemm.multiply_reach(*args), reference.multiply_reach(*args), strict=True
    ):
        assert np.array_equal(got, expected)


@given(data=st.data())
def test_values_equal_the_oracle(structures, data):
    dtype = data.draw(st.sampled_from([np.int32, np.int64]))
    a = data.draw(structures(ids=False, dtype=dtype))
    b = data.draw(structures(n_rows=a.n_cols, ids=False, dtype=dtype))
    a_values, b_values = data.draw(values_for(a.n_edges)), data.draw(values_for(b.n_edges))
    args = (a.indptr, a.indices, a_values, b.indptr, b.indices, b_values, b.n_cols)
    got, expected = spgemm.multiply_values(*args), reference.multiply_values(*args)
    for one, other in zip(got, expected, strict=True):
        assert np.array_equal(one, other)
    assert got[2].dtype == expected[2].dtype


@given(data=st.data())
def test_flops_equal_the_oracle(structures, data):
    a = data.draw(structures(ids=False))
    b = data.draw(structures(n_rows=a.n_cols, ids=False))
    args = (a.indptr, a.indices, b.indptr)
    assert np.array_equal(spgemm.count_flops(*args), reference.count_flops(*args))


@given(data=st.data())
def test_sorting_rows_is_stable_and_writes_no_input(structures, data):
    g = data.draw(structures(ids=False))
    shuffled = g.indices[::-1].copy()
    indptr = g.n_edges - g.indptr[::-1]
    values = np.arange(g.n_edges)
    columns, moved = spgemm.sort_rows(indptr, shuffled, values)
    expected = reference.sort_rows(indptr, shuffled, values)
    assert np.array_equal(columns, expected[0])
    assert np.array_equal(moved, expected[1])
    assert np.array_equal(spgemm.sort_rows(indptr, shuffled)[0], expected[0])
    assert np.array_equal(shuffled, g.indices[::-1])


@pytest.mark.parametrize("n_cols", [2000, 2_000_000])
def test_full_and_sparse_rows_come_out_in_order(large, in_threads, n_cols):
    # Of 2000 columns most rows are full enough to scan; of 2,000,000 all are sorted.
    rng = np.random.default_rng(0)
    b_indptr = np.arange(large.n_cols + 1) * 10
    b_indices = np.sort(rng.integers(0, n_cols, (large.n_cols, 10)), axis=1).ravel()
    a = (large.indptr, large.indices)
    results = [
        in_threads(n, lambda: spgemm.multiply_reach(*a, b_indptr, b_indices, n_cols))
        for n in (1, 2)
    ]
    (indptr, indices), other = results
    assert np.array_equal(indices, other[1])
    loose_indptr, loose = spgemm.multiply_reach(*a, b_indptr, b_indices, n_cols, sort=False)
    assert np.array_equal(indptr, loose_indptr)
    assert not np.array_equal(indices, loose)
    assert np.array_equal(indices, reference.sort_rows(indptr, loose)[0])
    row = reference.edges(indptr, None)[0]
    assert (np.diff(row * n_cols + indices) > 0).all()


def test_counts_of_a_large_product_equal_scipy_in_any_number_of_threads(large, in_threads):
    from scipy.sparse import csr_array

    shape = (large.n_rows, large.n_cols)
    ones = np.ones(large.n_edges, np.int64)
    m = csr_array((ones, large.indices, large.indptr), shape=shape, copy=True)
    m.sum_duplicates()
    t = m.T.tocsr()
    args = (m.indptr, m.indices, m.data, t.indptr, t.indices, t.data, large.n_rows)
    one, two = (in_threads(n, lambda: spgemm.multiply_values(*args)) for n in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    expected = (m @ t).sorted_indices()
    assert np.array_equal(one[0], expected.indptr)
    assert np.array_equal(one[1], expected.indices)
    assert np.array_equal(one[2], expected.data)


def test_counts_beyond_64_bits_are_refused_and_floats_taken():
    one = (np.array([0, 1]), np.array([0]))
    big = np.array([2**32])
    with pytest.raises(OverflowError, match=r"row totals below 2\*\*63, got one of 1.84e\+19"):
        spgemm.multiply_values(*one, big, *one, big, 1)
    product = spgemm.multiply_values(*one, big.astype(float), *one, big, 1)[2]
    assert product.tolist() == [2.0**64]


def test_large_factors_that_never_meet_are_no_overflow():
    a = (np.array([0, 1, 2]), np.array([0, 1]), np.array([2**40, 1]))
    b = (np.array([0, 1, 2]), np.array([0, 1]), np.array([1, -(2**40)]))
    assert spgemm.multiply_values(*a, *b, 2)[2].tolist() == [2**40, -(2**40)]


def rows_of(indptr, indices, values=None):
    """Each row as a sorted list, so that order does not matter; repeats would show."""
    cuts = indptr[1:-1]
    parts = [np.split(indices, cuts)] + ([] if values is None else [np.split(values, cuts)])
    return [
        sorted(zip(*(p.tolist() for p in row), strict=True)) for row in zip(*parts, strict=True)
    ]


@st.composite
def shaped_factors(draw):
    """Factors whose rows are of every kind: empty, alone, short, longer than a register, full."""
    n_inner, n_cols = draw(st.integers(1, 12)), draw(st.sampled_from([1, 3, 17, 64, 65, 200]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    b_degree = np.minimum(rng.choice([0, 1, 2, 5, 20, 70, 200], n_inner), n_cols)
    b_columns = [np.sort(rng.permutation(n_cols)[:d]) for d in b_degree]
    if draw(st.booleans()):  # parallel edges
        b_columns = [np.sort(np.append(c, c[:2])) for c in b_columns]
    a_degree = rng.choice([0, 1, 1, 2, 9], draw(st.integers(1, 40)))
    a_columns = [np.sort(rng.integers(0, n_inner, d)) for d in a_degree]

    def compress(columns):
        indptr = np.append(0, np.cumsum([len(c) for c in columns]))
        return indptr, np.concatenate(columns).astype(draw(st.sampled_from([np.int32, np.int64])))

    return compress(a_columns), compress(b_columns), n_cols


@given(factors=shaped_factors(), n_threads=st.sampled_from([1, 3]), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_rows_of_every_kind_equal_the_oracle(in_threads, factors, n_threads, data):
    a, b, n_cols = factors
    if data.draw(st.booleans()):  # the other way round, as a product may be: equal ones still meet
        row, order = reference.edges(b[0], None)[0], np.arange(len(b[1]))[::-1]
        b = b[0], b[1][order[np.argsort(row[order], kind="stable")]]
    expected = reference.multiply_reach(*a, *b, n_cols)
    ordered = in_threads(n_threads, lambda: spgemm.multiply_reach(*a, *b, n_cols))
    loose = in_threads(n_threads, lambda: spgemm.multiply_reach(*a, *b, n_cols, sort=False))
    assert all(np.array_equal(x, y) for x, y in zip(ordered, expected, strict=True))
    assert rows_of(*loose) == rows_of(*expected)
    a_values, b_values = data.draw(values_for(len(a[1]))), data.draw(values_for(len(b[1])))
    arguments = (*a, a_values, *b, b_values, n_cols)
    expected = reference.multiply_values(*arguments)
    ordered = in_threads(n_threads, lambda: spgemm.multiply_values(*arguments))
    loose = in_threads(n_threads, lambda: spgemm.multiply_values(*arguments, sort=False))
    assert all(np.array_equal(x, y) for x, y in zip(ordered, expected, strict=True))
    assert rows_of(*loose) == rows_of(*expected)


@given(factors=shaped_factors(), n_threads=st.sampled_from([1, 3]), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_masked_products_equal_the_oracle(in_threads, factors, n_threads, data):
    a, b, n_cols = factors
    n_rows = len(a[0]) - 1
    places = st.tuples(st.integers(0, n_rows - 1), st.integers(0, n_cols - 1))
    mask = sorted(data.draw(st.lists(places, max_size=30)))  # repeats and empty rows
    mask_indptr = np.searchsorted([row for row, _ in mask], np.arange(n_rows + 1))
    mask_indices = np.array([column for _, column in mask], np.int64)
    a_values, b_values = data.draw(values_for(len(a[1]))), data.draw(values_for(len(b[1])))
    arguments = (*a, a_values, *b, b_values, mask_indptr, mask_indices, n_cols)
    got = in_threads(n_threads, lambda: multiply_masked(*arguments))
    expected = reference.multiply_masked(*arguments)
    assert all(np.array_equal(x, y) for x, y in zip(got, expected, strict=True))


def test_a_masked_count_beyond_64_bits_is_refused():
    one, big = (np.array([0, 1]), np.array([0])), np.array([2**32])
    with pytest.raises(OverflowError, match=r"below 2\*\*63"):
        multiply_masked(*one, big, *one, big, *one, 1)


def test_long_rows_of_a_well_filled_product_are_joined_as_bitmaps(in_threads, monkeypatch):
    rng = np.random.default_rng(0)
    b_indptr = np.arange(51) * 300
    b_indices = np.concatenate([np.sort(rng.permutation(1000)[:300]) for _ in range(50)])
    a_indptr, a_indices = np.arange(0, 20_001, 10), rng.integers(0, 50, 20_000)
    calls = []
    find = spgemm.find_hubs
    monkeypatch.setattr(spgemm, "find_hubs", lambda *args: calls.append(1) or find(*args))
    args = (a_indptr, a_indices, b_indptr, b_indices, 1000)
    got = in_threads(2, lambda: spgemm.multiply_reach(*args, sort=False))
    assert calls == [1]
    expected = reference.multiply_reach(*args)
    assert rows_of(*got) == rows_of(*expected)


def test_copies_of_rows_keep_parallel_edges_apart_from_copies():
    # Every row of A has one entry: its row of B is copied, but not with its repeats.
    a = (np.arange(101), np.zeros(100, np.int64))
    for columns in ([1, 2, 3, 4], [1, 2, 2, 4]):
        b = (np.array([0, 4]), np.array(columns))
        indptr, indices = spgemm.multiply_reach(*a, *b, 5, sort=False)
        assert indices.tolist() == sorted(set(columns)) * 100
        assert indptr[-1] == len(indices)
