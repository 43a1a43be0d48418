"""Fused attention equals its oracle, and its gradients the slopes of the oracle."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.attention import attention, attention_gradient


def inputs(g, heads, d, dtype, seed):
    rng = np.random.default_rng(seed)
    shapes = (g.n_rows, heads), (g.n_cols, heads), (g.n_cols, heads, d)
    return [2 * rng.normal(size=shape).astype(dtype) for shape in shapes]


def by_column(g):
    row, _ = reference.edges(g.indptr, None)
    order = np.lexsort((row, g.indices))
    return np.append(0, np.bincount(g.indices, minlength=g.n_cols).cumsum()), row[order]


def skewed():
    """One row and one column of many edges, others of a few, one of each without any."""
    rng = np.random.default_rng(0)
    row = np.concatenate([rng.integers(0, 50, 300), np.full(600, 7), rng.integers(0, 50, 700)])
    col = np.concatenate([rng.integers(0, 40, 300), rng.integers(0, 40, 600), np.full(700, 3)])
    order = np.lexsort((col, row))
    indptr = np.append(0, np.bincount(row, minlength=51).cumsum())
    indices = col[order].astype(np.int32)
    return SimpleNamespace(indptr=indptr, indices=indices, n_rows=51, n_cols=41)


@given(
    data=st.data(),
    heads=st.integers(1, 3),
    d=st.sampled_from([0, 1, 5, 16, 17, 35, 64, 83]),
    slope=st.sampled_from([0.2, 0.0, 1.0, -0.5]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_attention_equals_the_oracle(twin, structures, data, heads, d, slope, dtype):
    g = data.draw(structures(ids=False))
    arrays = inputs(g, heads, d, dtype, data.draw(st.integers(0, 99)))
    got = twin("attention").attention(g.indptr, g.indices, *arrays, slope)
    expected = reference.attention(g.indptr, g.indices, *arrays, slope)
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.dtype == dtype
        tolerance = 1e-4 if dtype == np.float32 else 1e-11
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@given(
    data=st.data(),
    heads=st.integers(1, 3),
    d=st.sampled_from([1, 5, 16, 19, 70]),
    slope=st.sampled_from([0.2, 0.0, -0.5]),
)
def test_the_gradient_is_the_slope_of_the_oracle(twin, structures, data, heads, d, slope):
    g = data.draw(structures(ids=False))
    seed = data.draw(st.integers(0, 99))
    arrays, along = (inputs(g, heads, d, np.float64, s) for s in (seed, seed + 100))
    grad = np.random.default_rng(seed).normal(size=(g.n_rows, heads, d))
    kernels = twin("attention")
    attended = kernels.attention(g.indptr, g.indices, *arrays, slope)
    gradients = kernels.attention_gradient(*by_column(g), *arrays, slope, attended, grad)

    def value(step):
        moved = [a + step * v for a, v in zip(arrays, along, strict=True)]
        return np.vdot(grad, reference.attention(g.indptr, g.indices, *moved, slope)[0])

    step = 1e-7
    expected = (value(step) - value(-step)) / (2 * step)
    got = sum(np.vdot(d, v) for d, v in zip(gradients, along, strict=True))
    assert got == pytest.approx(expected, rel=1e-5, abs=1e-4)


def test_huge_scores_neither_overflow_nor_vanish(twin):
    kernels = twin("attention")
    indptr, indices = np.array([0, 2]), np.array([0, 1])
    x = np.array([[[2.0]], [[6.0]]])
    for height in (1e4, -1e4):
        row, col = np.array([[height]]), np.array([[1.0], [0.0]])
        attended = kernels.attention(indptr, indices, row, col, x, 1.0)
        weight = 1 / (1 + np.exp(-1))
        np.testing.assert_allclose(attended.y, 2 * weight + 6 * (1 - weight), rtol=1e-8)
        gradients = kernels.attention_gradient(
            np.array([0, 1, 2]), np.array([0, 0]), row, col, x, 1.0, attended, np.ones((1, 1, 1))
        )
        np.testing.assert_allclose(gradients[1][:, 0], weight * (1 - weight) * np.array([-4, 4]))


@pytest.mark.parametrize(("heads", "d"), [(1, 16), (2, 8), (3, 5), (2, 150), (1, 300), (1, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_heavy_rows_and_columns_are_those_of_the_cpu(twin, heads, d, dtype):
    g = skewed()
    arrays = inputs(g, heads, d, dtype, 0)
    grad = np.random.default_rng(1).normal(size=(g.n_rows, heads, d)).astype(dtype)
    tolerance = 1e-3 if dtype == np.float32 else 1e-10
    expected = attention(g.indptr, g.indices, *arrays, 0.2)
    got = twin("attention").attention(g.indptr, g.indices, *arrays, 0.2)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    columns = by_column(g)
    got = twin("attention").attention_gradient(*columns, *arrays, 0.2, expected, grad)
    expected = attention_gradient(*columns, *arrays, 0.2, expected, grad)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_attention_gives_the_same_bits_in_any_number_of_threads(large, in_threads):
    arrays = inputs(large, 2, 19, np.float32, 0)
    grad = np.random.default_rng(1).normal(size=(large.n_rows, 2, 19)).astype(np.float32)

    def compute():
        attended = attention(large.indptr, large.indices, *arrays, 0.2)
        gradients = attention_gradient(*by_column(large), *arrays, 0.2, attended, grad)
        return *attended, *gradients

    for one, two in zip(in_threads(1, compute), in_threads(2, compute), strict=True):
        assert np.array_equal(one, two)


def test_arrays_that_may_not_be_written_are_welcome():
    arrays = [np.array([0, 1]), np.array([0]), np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1, 2))]
    for array in arrays:
        array.flags.writeable = False
    attended = attention(*arrays, 0.2)
    assert attended.y.tolist() == [[[1.0, 1.0]]]
    gradients = attention_gradient(*arrays, 0.2, attended, arrays[4])
    assert gradients[2].tolist() == [[[1.0, 1.0]]]
