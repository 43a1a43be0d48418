"""Both gradients of a weighted sum equal their oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu import spmm as spmm_module
from dglmeta.kernels.cpu.sddmm import sddmm
from dglmeta.kernels.cpu.spmm import spmm
from dglmeta.kernels.cpu.spmm_gradient import spmm_gradient


def turned(g):
    """The same edges by column, with the same ids."""
    row = np.repeat(np.arange(g.n_rows), np.diff(g.indptr)).astype(g.indices.dtype)
    ids = np.arange(g.n_edges) if g.edge_ids is None else g.edge_ids
    order = np.argsort(g.indices, kind="stable")
    indptr = np.append(0, np.bincount(g.indices, minlength=g.n_cols).cumsum())
    return indptr, row[order], ids[order]


@given(
    data=st.data(),
    heads=st.integers(0, 3),
    d=st.sampled_from([0, 1, 5, 16, 17, 35, 64, 83, 130]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_gradients_equal_the_oracle(twin, structures, data, heads, d, dtype):
    g = data.draw(structures())
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.normal(size=(g.n_cols, heads, d)).astype(dtype)
    grad = rng.normal(size=(g.n_rows, heads, d)).astype(dtype)
    weight = rng.normal(size=(g.n_edges, heads)).astype(dtype)
    gradient = twin("spmm_gradient").spmm_gradient
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    for case in (
        (g[:3], turned(g), weight, x, grad),
        (turned(g), g[:3], weight, grad, x),
    ):
        for ours, oracle in zip(gradient(*case), reference.spmm_gradient(*case), strict=True):
            assert ours.dtype == dtype
            assert ours.shape == oracle.shape
            np.testing.assert_allclose(ours, oracle, rtol=tolerance, atol=1e-5)


@pytest.mark.parametrize(("heads", "d"), [(1, 16), (2, 83), (1, 80)])
@pytest.mark.parametrize("in_order", [True, False])
def test_gradients_are_those_of_two_kernels_in_any_number_of_threads(
    large, in_threads, in_order, heads, d
):
    rng = np.random.default_rng(0)
    by_row = large._replace(edge_ids=None) if in_order else large
    by_column = turned(by_row)
    x = rng.normal(size=(large.n_cols, heads, d)).astype(np.float32)
    grad = rng.normal(size=(large.n_rows, heads, d)).astype(np.float32)
    weight = rng.normal(size=(large.n_edges, heads)).astype(np.float32)
    one, two = (
        in_threads(n, lambda: spmm_gradient(by_row[:3], by_column, weight, x, grad)) for n in (1, 2)
    )
    for ours, again in zip(one, two, strict=True):
        assert np.array_equal(ours, again)
    np.testing.assert_allclose(one[0], sddmm(*by_row[:3], grad, x), rtol=1e-3, atol=1e-3)
    assert np.array_equal(one[1], spmm(*by_column, weight, grad))


@pytest.mark.parametrize("d", [1, 16, 17, 32])
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_sums_scattered_by_column_are_the_same_bits(large, in_threads, monkeypatch, n_threads, d):
    rng = np.random.default_rng(0)
    plain = large._replace(edge_ids=None)
    structure = turned(plain)
    x = rng.normal(size=(large.n_rows, 1, d)).astype(np.float32)
    weight = rng.normal(size=(large.n_edges, 1)).astype(np.float32)
    scales = (rng.random(n).astype(np.float32) for n in (large.n_cols, large.n_rows))
    arguments = (*structure, weight, x, *scales)
    calls = []
    inner = spmm_module._owned_rows
    monkeypatch.setattr(spmm_module, "_owned_rows", lambda *a: calls.append(a) or inner(*a))
    scattered = in_threads(n_threads, lambda: spmm(*arguments, by_column=plain[:2]))
    assert len(calls) == n_threads
    assert np.array_equal(scattered, spmm(*arguments))
