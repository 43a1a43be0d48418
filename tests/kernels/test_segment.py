"""Reductions over the edges of each row equal their oracles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu import segment

over_edges = ["segment_sum", "segment_max"]


@pytest.mark.parametrize("name", over_edges)
@given(data=st.data(), k=st.integers(0, 3), dtype=st.sampled_from([np.float32, np.float64]))
def test_reductions_equal_the_oracle(twin, structures, name, data, k, dtype):
    g = data.draw(structures())
    few = st.integers(-3, 3)  # equal values are common, so ties are met
    drawn = data.draw(st.lists(few, min_size=g.n_edges * k, max_size=g.n_edges * k))
    values = np.array(drawn, dtype).reshape(g.n_edges, k)
    got = getattr(twin("segment"), name)(g.indptr, g.edge_ids, values)
    expected = getattr(reference, name)(g.indptr, g.edge_ids, values)
    for one, other in zip(np.atleast_1d(got), np.atleast_1d(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@given(data=st.data(), k=st.integers(0, 3))
def test_expand_equals_the_oracle_and_is_the_adjoint_of_the_sum(twin, structures, data, k):
    g = data.draw(structures())
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, values = rng.normal(size=(g.n_rows, k)), rng.normal(size=(g.n_edges, k))
    copies = twin("segment").expand(g.indptr, g.edge_ids, x)
    assert np.array_equal(copies, reference.expand(g.indptr, g.edge_ids, x))
    sums = twin("segment").segment_sum(g.indptr, g.edge_ids, values)
    assert np.vdot(sums, x) == pytest.approx(np.vdot(values, copies))


def test_integers_can_be_summed_and_compared(twin):
    segment, values = twin("segment"), np.array([[2], [-5], [7]])
    assert segment.segment_sum(np.array([0, 3]), None, values).tolist() == [[4]]
    largest, arg = segment.segment_max(np.array([0, 2, 2, 3]), np.array([1, 0, 2]), values)
    assert (largest.tolist(), arg.tolist()) == ([[2], [0], [7]], [[0], [-1], [2]])


def test_nan_is_not_swallowed(twin):
    segment = twin("segment")
    values = np.array([[1.0], [np.nan], [2.0]])
    indptr = np.array([0, 3])
    assert np.isnan(segment.segment_sum(indptr, None, values)).all()
    largest, arg = segment.segment_max(indptr, None, values)
    assert np.isnan(largest[0, 0])
    assert arg[0, 0] == 1


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", [*over_edges, "expand"])
def test_heavy_rows_are_those_of_the_cpu(twin, large, name, k):
    n = large.n_rows if name == "expand" else large.n_edges
    values = np.random.default_rng(0).integers(0, 99, (n, k)).astype(np.float32)
    values[values == 98] = np.nan if name == "segment_max" else 98
    got = getattr(twin("segment"), name)(large.indptr, large.edge_ids, values)
    expected = getattr(segment, name)(large.indptr, large.edge_ids, values)
    for one, other in zip(np.atleast_1d(got), np.atleast_1d(expected), strict=True):
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


@pytest.mark.parametrize("name", [*over_edges, "expand"])
def test_segments_give_the_same_bits_in_any_number_of_threads(large, in_threads, name):
    n = large.n_rows if name == "expand" else large.n_edges
    values = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    kernel = getattr(segment, name)
    one, two = (in_threads(t, lambda: kernel(large.indptr, large.edge_ids, values)) for t in (1, 2))
    for a, b in zip(np.atleast_1d(one), np.atleast_1d(two), strict=True):
        assert np.array_equal(a, b)
