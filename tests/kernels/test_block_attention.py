"""Attention within blocks equals that along the list of pairs, and its gradients the slopes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu import block_attention as cpu_kernels
from dglmeta.kernels.cpu.block_attention import (
    Members,
    block_attention,
    block_attention_gradient,
)


@pytest.fixture(scope="module")
def kernels(twin):
    return twin("block_attention")


@st.composite
def sides(draw, structures):
    """Rows and columns in the same blocks, some empty, some memberships named twice."""
    n_blocks = draw(st.integers(0, 4))
    pair = [draw(structures(n_cols=n_blocks, ids=False)) for _ in range(2)]
    return *(Members(g.indptr, g.indices) for g in pair), n_blocks


def inputs(rows, columns, heads, d, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    n_rows, n_cols = len(rows.indptr) - 1, len(columns.indptr) - 1
    shapes = (n_rows, heads), (n_cols, heads), (n_cols, heads, d)
    return [2 * rng.normal(size=shape).astype(dtype) for shape in shapes]


@given(
    data=st.data(),
    heads=st.integers(1, 3),
    d=st.sampled_from([0, 1, 5, 16, 17, 35]),
    slope=st.sampled_from([0.2, 0.0, 1.0, -0.5]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_it_equals_the_oracle(kernels, structures, data, heads, d, slope, dtype):
    structure = data.draw(sides(structures))
    arrays = inputs(*structure[:2], heads, d, dtype, data.draw(st.integers(0, 99)))
    got = kernels.block_attention(*structure, *arrays, slope)
    expected = reference.block_attention(*structure, *arrays, slope)
    assert got.y.dtype == dtype
    tolerance = 1e-4 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(got.y, expected[0], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_members_stand_block_after_block_by_rising_score(kernels, dtype):
    members = Members(np.array([0, 2, 3, 3, 5, 7, 8]), np.array([0, 1, 1, 0, 1, 0, 0, 1]))
    score = np.array([[0.0], [-1], [3], [-np.inf], [-2.5], [np.inf]], dtype)
    got = kernels.block_attention(members, members, 2, score, score, np.ones((6, 1, 1), dtype), 0.2)
    assert got.columns.members.tolist() == got.rows.members.tolist() == [[3, 4, 4, 0, 3, 1, 0, 5]]


@given(
    data=st.data(),
    heads=st.integers(1, 3),
    d=st.sampled_from([1, 5, 16, 19]),
    slope=st.sampled_from([0.2, 0.0, -0.5]),
)
def test_the_gradient_is_the_slope_of_the_oracle(kernels, structures, data, heads, d, slope):
    structure = data.draw(sides(structures))
    seed = data.draw(st.integers(0, 99))
    arrays, along = (inputs(*structure[:2], heads, d, seed=s) for s in (seed, seed + 100))
    attended = kernels.block_attention(*structure, *arrays, slope)
    grad = np.random.default_rng(seed).normal(size=attended.y.shape)
    gradients = kernels.block_attention_gradient(*structure, *arrays, slope, attended, grad)

    def value(step):
        moved = [a + step * v for a, v in zip(arrays, along, strict=True)]
        return np.vdot(grad, reference.block_attention(*structure, *moved, slope)[0])

    step = 1e-7
    expected = (value(step) - value(-step)) / (2 * step)
    got = sum(np.vdot(d, v) for d, v in zip(gradients, along, strict=True))
    assert got == pytest.approx(expected, rel=1e-5, abs=1e-4)


def test_huge_scores_neither_overflow_nor_vanish(kernels):
    rows, columns = (
        Members(np.array([0, 1]), np.array([0])),
        Members(np.arange(3), np.zeros(2, int)),
    )
    x = np.array([[[2.0]], [[6.0]]])
    for height in (1e4, -1e4):
        scores = np.array([[height]]), np.array([[1.0], [0.0]])
        attended = kernels.block_attention(rows, columns, 1, *scores, x, 1.0)
        weight = 1 / (1 + np.exp(-1))
        np.testing.assert_allclose(attended.y, 2 * weight + 6 * (1 - weight), rtol=1e-8)
        gradients = kernels.block_attention_gradient(
            rows, columns, 1, *scores, x, 1.0, attended, np.ones((1, 1, 1))
        )
        np.testing.assert_allclose(gradients[1][:, 0], weight * (1 - weight) * np.array([-4, 4]))


@pytest.mark.parametrize("spread", [0.02, 2.0])
def test_long_blocks_are_summed_alike(kernels, large, spread):
    rng = np.random.default_rng(2)
    rows = Members(large.indptr, large.indices)
    n_cols = 700  # of few blocks each, so that runs take long steps and many short ones
    columns = Members(np.arange(0, 3 * n_cols + 1, 3), rng.integers(0, 40, 3 * n_cols) ** 2)
    members = (rows, columns, large.n_cols) if spread > 1 else (columns, rows, large.n_cols)
    row_score, col_score, x = inputs(*members[:2], 2, 3)
    arrays = spread * row_score, spread * col_score, x
    grad = rng.normal(size=(len(row_score), 2, 3))
    ours, theirs = (
        module.block_attention(*members, *arrays, 0.2) for module in (kernels, cpu_kernels)
    )
    np.testing.assert_allclose(ours.y, theirs.y, rtol=1e-10, atol=1e-12)
    gradients = (
        module.block_attention_gradient(*members, *arrays, 0.2, attended, grad)
        for module, attended in ((kernels, ours), (cpu_kernels, theirs))
    )
    for got, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-10)


def test_it_gives_the_same_bits_in_any_number_of_threads(large, in_threads):
    members = Members(large.indptr, large.indices)
    arrays = inputs(members, members, 3, 19, np.float32)
    grad = np.random.default_rng(1).normal(size=arrays[2].shape).astype(np.float32)

    def compute():
        attended = block_attention(members, members, large.n_cols, *arrays, 0.2)
        gradients = block_attention_gradient(
            members, members, large.n_cols, *arrays, 0.2, attended, grad
        )
        return attended.y, *attended.rows[:2], *attended.columns[:2], *gradients

    for one, two in zip(in_threads(1, compute), in_threads(2, compute), strict=True):
        assert np.array_equal(one, two)


def test_arrays_that_may_not_be_written_are_welcome():
    arrays = [np.array([0, 1]), np.array([0]), np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1, 2))]
    for array in arrays:
        array.flags.writeable = False
    one = Members(*arrays[:2])
    attended = block_attention(one, one, 1, *arrays[2:], 0.2)
    assert attended.y.tolist() == [[[1.0, 1.0]]]
    gradients = block_attention_gradient(one, one, 1, *arrays[2:], 0.2, attended, arrays[4])
    assert gradients[2].tolist() == [[[1.0, 1.0]]]
