"""Products of sparse matrices equal their dense oracles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu import spgemm
from dglmeta.kernels.cpu.spgemm_masked import multiply_masked
from dglmeta.kernels.gpu import spgemm as gpu_spgemm
from dglmeta.kernels.gpu import spgemm_masked as gpu_masked
from dglmeta.kernels.gpu import spgemm_plan

SMALL_BLOCKS = {"MARKED_THREADS": (32, 64, 64), "MOST_BLOCKS": 64, "MANY_THREADS": 64}
NO_SORTED = {"FEW_SORTED": 0, "MOST_SORTED": 0, **SMALL_BLOCKS}
TINY_TILES = {"TILE_BYTES": 20, "LARGE": 4, "HEAVY": 8}
WAYS = [SMALL_BLOCKS, NO_SORTED, {**NO_SORTED, **TINY_TILES}]
"""How a device computes rows: as it sees fit, none sorted, and in tiles of 128 columns."""


@contextmanager
def constants(**changed: object) -> Iterator[None]:
    """Other constants of the GPU kernels, in whatever of their modules they are."""
    modules = (gpu_spgemm, gpu_masked, spgemm_plan)
    where = [(m, name) for name in changed for m in modules if hasattr(m, name)]
    before = [getattr(*at) for at in where]
    for module, name in where:
        setattr(module, name, changed[name])
    try:
        yield
    finally:
        for at, value in zip(where, before, strict=True):
            setattr(*at, value)


def equal(one, other):
    return len(one) == len(other) and all(
        np.array_equal(x, y) for x, y in zip(one, other, strict=True)
    )


@st.composite
def values_for(draw, n):
    """None, counts, or floats whose products and sums are exact."""
    kind = draw(st.sampled_from(["none", "int", "float"]))
    if kind == "none":
        return None
    numbers = draw(st.lists(st.integers(-4, 9), min_size=n, max_size=n))
    return np.array(numbers, np.int64) if kind == "int" else np.array(numbers, np.float64) / 4


@given(data=st.data())
def test_reach_equals_the_oracle_in_order(twin, structures, data):
    a = data.draw(structures(ids=False))
    b = data.draw(structures(n_rows=a.n_cols, ids=False))
    args = (a.indptr, a.indices, b.indptr, b.indices, b.n_cols)
    got = twin("spgemm").multiply_reach(*args)
    assert equal(got, reference.multiply_reach(*args))
    assert [x.dtype for x in got] == [np.int64, np.int32]


@given(data=st.data())
def test_values_equal_the_oracle(twin, structures, data):
    dtype = data.draw(st.sampled_from([np.int32, np.int64]))
    a = data.draw(structures(ids=False, dtype=dtype))
    b = data.draw(structures(n_rows=a.n_cols, ids=False, dtype=dtype))
    a_values, b_values = data.draw(values_for(a.n_edges)), data.draw(values_for(b.n_edges))
    args = (a.indptr, a.indices, a_values, b.indptr, b.indices, b_values, b.n_cols)
    got = twin("spgemm").multiply_values(*args)
    expected = reference.multiply_values(*args)
    for one, other in zip(got, expected, strict=True):
        assert np.array_equal(one, other)
    assert got[2].dtype == expected[2].dtype


@given(data=st.data())
def test_flops_equal_the_oracle(twin, structures, data):
    a = data.draw(structures(ids=False))
    b = data.draw(structures(n_rows=a.n_cols, ids=False))
    args = (a.indptr, a.indices, b.indptr)
    expected = reference.count_flops(*args)
    assert np.array_equal(twin("spgemm").count_flops(*args), expected)
    with constants(PIECE=3):
        assert np.array_equal(twin("spgemm").count_flops(*args), expected)


@given(data=st.data())
def test_sorting_rows_is_stable_and_writes_no_input(twin, structures, data):
    g = data.draw(structures(ids=False))
    shuffled = g.indices[::-1].copy()
    indptr = g.n_edges - g.indptr[::-1]
    values = np.arange(g.n_edges)
    columns, moved = twin("spgemm").sort_rows(indptr, shuffled, values)
    expected = reference.sort_rows(indptr, shuffled, values)
    assert np.array_equal(columns, expected[0])
    assert np.array_equal(moved, expected[1])
    assert np.array_equal(twin("spgemm").sort_rows(indptr, shuffled)[0], expected[0])
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


def test_counts_beyond_64_bits_are_refused_and_floats_taken(twin):
    one = (np.array([0, 1]), np.array([0]))
    big = np.array([2**32])
    with pytest.raises(OverflowError, match=r"row totals below 2\*\*63, got one of 1.84e\+19"):
        twin("spgemm").multiply_values(*one, big, *one, big, 1)
    product = twin("spgemm").multiply_values(*one, big.astype(float), *one, big, 1)[2]
    assert product.tolist() == [2.0**64]


def test_large_factors_that_never_meet_are_no_overflow(twin):
    a = (np.array([0, 1, 2]), np.array([0, 1]), np.array([2**40, 1]))
    b = (np.array([0, 1, 2]), np.array([0, 1]), np.array([1, -(2**40)]))
    assert twin("spgemm").multiply_values(*a, *b, 2)[2].tolist() == [2**40, -(2**40)]


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


def turned(indptr, indices):
    """Rows the other way round, as those of a product may be: equal columns still meet."""
    row, order = reference.edges(indptr, None)[0], np.arange(len(indices))[::-1]
    return indptr, indices[order[np.argsort(row[order], kind="stable")]]


@given(factors=shaped_factors(), way=st.sampled_from(WAYS), data=st.data())
@settings(max_examples=25)
def test_rows_of_every_kind_equal_the_oracle_on_every_device(twin, factors, way, data):
    a, b, n_cols = factors
    b = turned(*b) if data.draw(st.booleans()) else b
    with constants(**way):
        got = twin("spgemm").multiply_reach(*a, *b, n_cols)
        assert equal(got, reference.multiply_reach(*a, *b, n_cols))
        loose = twin("spgemm").multiply_reach(*a, *b, n_cols, sort=False)
        assert rows_of(*loose) == rows_of(*got)
        a_values, b_values = data.draw(values_for(len(a[1]))), data.draw(values_for(len(b[1])))
        arguments = (*a, a_values, *b, b_values, n_cols)
        got = twin("spgemm").multiply_values(*arguments)
    expected = reference.multiply_values(*arguments)
    assert equal(got, expected)
    assert got[2].dtype == expected[2].dtype


@given(factors=shaped_factors(), n_threads=st.sampled_from([1, 3]), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_rows_of_every_kind_equal_the_oracle(in_threads, factors, n_threads, data):
    a, b, n_cols = factors
    b = turned(*b) if data.draw(st.booleans()) else b
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


@st.composite
def masked_factors(draw):
    """Factors with values, and a mask with repeats and empty rows."""
    a, b, n_cols = draw(shaped_factors())
    n_rows = len(a[0]) - 1
    places = st.tuples(st.integers(0, n_rows - 1), st.integers(0, n_cols - 1))
    mask = sorted(draw(st.lists(places, max_size=30)))
    mask_indptr = np.searchsorted([row for row, _ in mask], np.arange(n_rows + 1))
    mask_indices = np.array([column for _, column in mask], np.int64)
    values = draw(values_for(len(a[1]))), draw(values_for(len(b[1])))
    return (*a, values[0], *b, values[1], mask_indptr, mask_indices, n_cols)


@given(arguments=masked_factors(), n_threads=st.sampled_from([1, 3]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_masked_products_equal_the_oracle(in_threads, arguments, n_threads):
    got = in_threads(n_threads, lambda: multiply_masked(*arguments))
    assert equal(got, reference.multiply_masked(*arguments))


@given(arguments=masked_factors(), large=st.sampled_from([4, 4096]), backwards=st.booleans())
@settings(max_examples=25)
def test_masked_products_equal_the_cpu_on_every_device(twin, arguments, large, backwards):
    if backwards:
        arguments = (*arguments[:6], *turned(*arguments[6:8]), arguments[8])
    with constants(**SMALL_BLOCKS, LARGE=large):
        got = twin("spgemm_masked").multiply_masked(*arguments)
    expected = multiply_masked(*arguments)
    assert equal(got, expected)
    assert [x.dtype for x in got] == [x.dtype for x in expected]


def test_a_masked_count_beyond_64_bits_is_refused(twin):
    one, big = (np.array([0, 1]), np.array([0])), np.array([2**32])
    with pytest.raises(OverflowError, match=r"below 2\*\*63"):
        twin("spgemm_masked").multiply_masked(*one, big, *one, big, *one, 1)


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


def skewed_factors(n_rows, n_inner, n_cols, n_entries, n_edges):
    """Hubs on every side, and one row of A with a tenth of its entries."""
    rng = np.random.default_rng(0)

    def compress(n, n_columns, count):
        row = (n * rng.random(count) ** 2).astype(np.int64)
        column = (n_columns * rng.random(count) ** 2).astype(np.int64)
        row[: count // 10] = n // 2
        order = np.lexsort((column, row))
        indptr = np.append(0, np.bincount(row, minlength=n).cumsum())
        return indptr, column[order].astype(np.int32)

    return compress(n_rows, n_inner, n_entries), compress(n_inner, n_cols, n_edges), n_cols


@pytest.mark.parametrize(
    "way", [{}, NO_SORTED, {"TILE_BYTES": 300, "LARGE": 300, "HEAVY": 2000, **SMALL_BLOCKS}]
)
def test_skewed_products_are_those_of_the_cpu(twin, way):
    a, b, n_cols = skewed_factors(60, 200, 3000, 700, 4000)
    rng = np.random.default_rng(1)
    values = rng.integers(-9, 9, len(a[1])), rng.integers(-9, 9, len(b[1]))
    arguments = (*a, values[0], *b, values[1], n_cols)
    reach, expected = spgemm.multiply_reach(*a, *b, n_cols), spgemm.multiply_values(*arguments)
    with constants(**way):
        assert equal(twin("spgemm").multiply_reach(*a, *b, n_cols), reach)
        assert equal(twin("spgemm").multiply_values(*arguments), expected)
    mask = reach[0], np.roll(reach[1], 1)
    masked = twin("spgemm_masked").multiply_masked(*arguments[:6], *mask, n_cols)
    assert equal(masked, multiply_masked(*arguments[:6], *mask, n_cols))


def test_a_row_of_many_long_rows_is_shared_by_its_block(twin):
    # More of them than wait in the block's list, and columns that are nearly all reached.
    rng = np.random.default_rng(0)
    b_indices = np.sort(rng.integers(0, 5000, (150, 1024)), axis=1).ravel()
    a = (np.array([0, 0, 150]), rng.permutation(150), np.arange(150))
    b = (np.arange(151) * 1024, b_indices, None)
    got = twin("spgemm").multiply_values(*a, *b, 5000)
    assert equal(got, spgemm.multiply_values(*a, *b, 5000))
    wanted = np.array([0, 0, 2000]), np.arange(2000) * 2
    got = twin("spgemm_masked").multiply_masked(*a, *b, *wanted, 5000)
    assert equal(got, multiply_masked(*a, *b, *wanted, 5000))


def test_copied_rows_of_values_are_multiplied(twin):
    a = (np.arange(9), np.array([0, 1] * 4), np.arange(8) - 3)
    b = (np.array([0, 300, 600]), np.tile(np.arange(300), 2), np.arange(600))
    got = twin("spgemm").multiply_values(*a, *b, 300)
    assert equal(got, spgemm.multiply_values(*a, *b, 300))


@pytest.mark.parametrize("n_flops", [1, 32, 33, 64, 65, 128, 256, 257, 512, 1024, 1025])
def test_rows_at_the_limits_of_their_kinds_are_whole(twin, n_flops):
    n_cols = 1 << (22 if n_flops % 2 else 18)  # keys of 64 and of 32 bits
    rng = np.random.default_rng(n_flops)
    columns = np.sort(rng.integers(0, n_cols, n_flops - n_flops // 2))
    columns = np.concatenate([columns, np.sort(rng.permutation(columns)[: n_flops // 2])])
    b = (np.array([0, n_flops - n_flops // 2, n_flops]), columns, np.arange(n_flops))
    a = (np.array([0, 2]), np.array([0, 1]), np.array([1, -2]))
    got = twin("spgemm").multiply_values(*a, *b, n_cols)
    assert equal(got, spgemm.multiply_values(*a, *b, n_cols))
    assert equal(twin("spgemm").multiply_reach(*a[:2], *b[:2], n_cols), got[:2])


def test_columns_beyond_32_bits_are_kept(twin):
    if twin.device == "cpu":
        pytest.skip("a stamp for each of 2**33 columns takes 32 GiB")
    a, b, n_cols = skewed_factors(20, 30, 50, 60, 120)
    near = spgemm.multiply_values(*a, None, *b, None, n_cols)
    far = b[0], b[1].astype(np.int64) + 2**32
    got = twin("spgemm").multiply_values(*a, None, *far, None, 2**33)
    assert equal(got, (near[0], near[1] + np.int64(2**32), near[2]))
    masked = twin("spgemm_masked").multiply_masked(*a, None, *far, None, *got[:2], 2**33)
    assert equal(masked, got)


def test_keys_beyond_64_bits_are_sorted(twin):
    indptr, columns = np.array([0, 2, 5, 5, 5, 7]), np.array([2**62, 1, 5, 2**62, 5, 0, 0])
    got = twin("spgemm").sort_rows(indptr, columns, np.arange(7))
    assert equal(got, reference.sort_rows(indptr, columns, np.arange(7)))
