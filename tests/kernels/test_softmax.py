"""Softmax over the edges of each row, and its derivative, equal their oracles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.softmax import edge_softmax, edge_softmax_gradient


@given(
    data=st.data(),
    k=st.sampled_from([0, 1, 2, 3, 17]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_softmax_and_its_derivative_equal_the_oracles(twin, structures, data, k, dtype):
    g = data.draw(structures())
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    scores, grad = 5 * rng.normal(size=(2, g.n_edges, k)).astype(dtype)
    tolerance = 2e-6 if dtype == np.float32 else 1e-14
    softmax = twin("softmax")
    alpha = softmax.edge_softmax(g.indptr, g.edge_ids, scores)
    expected = reference.edge_softmax(g.indptr, g.edge_ids, scores.astype(np.float64))
    assert alpha.dtype == dtype
    np.testing.assert_allclose(alpha, expected, rtol=tolerance)
    product = softmax.edge_softmax_gradient(g.indptr, g.edge_ids, alpha, grad)
    expected = reference.edge_softmax_gradient(g.indptr, g.edge_ids, alpha, grad)
    np.testing.assert_allclose(product, expected, rtol=tolerance, atol=50 * tolerance)


def test_long_rows_are_softened_to_the_last_edge(twin):
    for n in (15, 16, 17, 31, 33, 256, 257, 1000):
        scores = np.random.default_rng(n).normal(size=(n, 1))
        alpha = twin("softmax").edge_softmax(np.array([0, n]), None, scores)
        np.testing.assert_allclose(alpha, np.exp(scores) / np.exp(scores).sum(), rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_survives_huge_scores_and_gives_masked_edges_nothing(twin, dtype):
    scores = np.array([[1e4], [-np.inf], [1e4 - 1], [-1e4]], dtype)
    alpha = twin("softmax").edge_softmax(np.array([0, 3, 4]), None, scores)[:, 0]
    np.testing.assert_allclose(alpha, [1 / (1 + np.exp(-1)), 0, 1 / (1 + np.e), 1], rtol=1e-6)


def test_nan_and_rows_without_a_finite_score_give_nan_and_leave_others_alone(twin):
    scores = np.array([[1.0], [np.nan], [2.0], [-np.inf], [-np.inf], [3.0], [np.inf], [0.0]])
    alpha = twin("softmax").edge_softmax(np.array([0, 3, 5, 6, 8]), None, scores)[:, 0]
    assert np.isnan(alpha[:5]).all()
    assert alpha[5] == 1
    assert np.isnan(alpha[6])


@pytest.mark.parametrize("masked", ["a piece", "all"])
def test_masked_stretches_of_long_rows_vanish_unless_nothing_is_left(twin, masked):
    scores = np.zeros((1000, 1))
    scores[: 600 if masked == "a piece" else 1000] = -np.inf
    alpha = twin("softmax").edge_softmax(np.array([0, 1000]), None, scores)[:, 0]
    expected = np.repeat([0, 1 / 400], [600, 400]) if masked == "a piece" else np.full(1000, np.nan)
    np.testing.assert_allclose(alpha, expected, rtol=1e-12)


@pytest.mark.parametrize("k", [1, 3])
def test_heavy_rows_are_those_of_the_cpu(twin, large, k):
    values = np.random.default_rng(0).normal(size=(2, large.n_edges, k)).astype(np.float32)
    structure = large.indptr, large.edge_ids
    alpha = twin("softmax").edge_softmax(*structure, values[0])
    np.testing.assert_allclose(alpha, edge_softmax(*structure, values[0]), rtol=2e-5)
    product = twin("softmax").edge_softmax_gradient(*structure, alpha, values[1])
    expected = edge_softmax_gradient(*structure, alpha, values[1])
    np.testing.assert_allclose(product, expected, rtol=1e-4, atol=1e-7)


def test_softmax_gives_the_same_bits_in_any_number_of_threads(large, in_threads):
    values = np.random.default_rng(0).normal(size=(2, large.n_edges, 2)).astype(np.float32)

    def compute():
        alpha = edge_softmax(large.indptr, large.edge_ids, values[0])
        return alpha, edge_softmax_gradient(large.indptr, large.edge_ids, alpha, values[1])

    for one, two in zip(in_threads(1, compute), in_threads(2, compute), strict=True):
        assert np.array_equal(one, two)
