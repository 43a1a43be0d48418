"""Sparse times dense equals its oracle."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.spmm import spmm


def skewed():
    """One row of many edges, others of a few, the last without any; ids in some order."""
    rng = np.random.default_rng(0)
    degree = rng.integers(0, 12, 51)
    degree[7], degree[50] = 700, 0
    indptr = np.append(0, degree.cumsum())
    n_edges = int(indptr[-1])
    columns = rng.integers(0, 40, n_edges).astype(np.int32)
    return indptr, columns, rng.permutation(n_edges)


@given(
    data=st.data(),
    heads=st.integers(1, 3),
    d=st.sampled_from([0, 1, 5, 16, 17, 35, 64, 83, 130]),
    weights=st.sampled_from(["none", "shared", "each"]),
    scales=st.tuples(st.booleans(), st.booleans()),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_spmm_equals_the_oracle(twin, structures, data, heads, d, weights, scales, dtype):
    g = data.draw(structures())
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.normal(size=(g.n_cols, heads, d)).astype(dtype)
    columns = {"none": 0, "shared": 1, "each": heads}[weights]
    weight = rng.normal(size=(g.n_edges, columns)).astype(dtype) if columns else None
    sizes = zip(scales, (g.n_rows, g.n_cols), strict=True)
    scale = [rng.normal(size=n).astype(dtype) if given else None for given, n in sizes]
    y = twin("spmm").spmm(*g[:3], weight, x, *scale)
    expected = reference.spmm(*g[:3], weight, x, *scale)
    assert y.dtype == dtype
    assert y.shape == (g.n_rows, heads, d)
    np.testing.assert_allclose(y, expected, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-5)


def test_one_node_with_self_loops_sums_itself(twin):
    indptr, indices, x = np.array([0, 2]), np.array([0, 0], np.int32), np.array([[[3.0]]])
    assert twin("spmm").spmm(indptr, indices, None, None, x).tolist() == [[[6.0]]]


@pytest.mark.parametrize(("heads", "d"), [(1, 1), (4, 3), (2, 150), (1, 300)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_heavy_rows_are_those_of_the_cpu(twin, heads, d, dtype):
    structure, rng = skewed(), np.random.default_rng(0)
    x = rng.normal(size=(40, heads, d)).astype(dtype)
    weight = rng.normal(size=(len(structure[1]), heads)).astype(dtype)
    scale = [rng.random(n).astype(dtype) for n in (51, 40)]
    y = twin("spmm").spmm(*structure, weight, x, *scale)
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    expected = spmm(*structure, weight, x, *scale)
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)


def test_a_large_product_is_that_of_the_cpu(twin, large):
    x = np.random.default_rng(0).normal(size=(large.n_cols, 1, 16)).astype(np.float32)
    y = twin("spmm").spmm(*large[:3], None, x)
    np.testing.assert_allclose(y, spmm(*large[:3], None, x), rtol=1e-3, atol=1e-3)


def test_vectors_that_begin_anywhere_in_memory_are_read(twin):
    numbers = np.arange(17, dtype=np.float32)
    indptr, indices = np.array([0, 2, 3]), np.array([0, 1, 1])
    gpu = import_module("dglmeta.kernels.gpu.spmm")
    kernel = spmm if twin.device == "cpu" else gpu.spmm
    x = twin.put(numbers)[1:].reshape(2, 1, 8)
    y = twin.get(kernel(twin.put(indptr), twin.put(indices), None, None, x))
    expected = numbers[1:].reshape(2, 8)
    assert np.array_equal(y[:, 0], [expected.sum(axis=0), expected[1]])


@pytest.mark.parametrize("d", [8, 80])
@pytest.mark.parametrize("heads", [1, 2])
def test_spmm_gives_the_same_bits_in_any_number_of_threads(large, in_threads, heads, d):
    rng = np.random.default_rng(0)
    x = rng.random((large.n_cols, heads, d)).astype(np.float32)
    weight = rng.random((large.n_edges, heads)).astype(np.float32)
    one, two = (in_threads(n, lambda: spmm(*large[:3], weight, x)) for n in (1, 2))
    assert np.array_equal(one, two)
    np.testing.assert_allclose(one, reference.spmm(*large[:3], weight, x), rtol=1e-3)


def test_arrays_that_may_not_be_written_are_welcome():
    arrays = [np.array([0, 1, 3]), np.array([1, 0, 1], np.int32), np.ones((2, 1, 2))]
    for array in arrays:
        array.flags.writeable = False
    indptr, indices, x = arrays
    assert spmm(indptr, indices, None, None, x)[:, 0].tolist() == [[1, 1], [2, 2]]
