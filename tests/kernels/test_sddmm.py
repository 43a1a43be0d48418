"""Dot products at edges equal their oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.sddmm import sddmm


@given(
    data=st.data(),
    heads=st.integers(1, 3),
    d=st.sampled_from([0, 1, 2, 5, 15, 16, 17, 64, 65, 83, 130]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_sddmm_equals_the_oracle(twin, structures, data, heads, d, dtype):
    g = data.draw(structures())
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.normal(size=(g.n_rows, heads, d)).astype(dtype)
    z = rng.normal(size=(g.n_cols, heads, d)).astype(dtype)
    s = twin("sddmm").sddmm(*g[:3], x, z)
    assert s.dtype == dtype
    expected = reference.sddmm(*g[:3], x, z)
    np.testing.assert_allclose(s, expected, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-5)


@pytest.mark.parametrize(("heads", "d"), [(1, 16), (3, 2)])
def test_large_dot_products_are_those_of_the_cpu(twin, large, heads, d):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(large.n_rows, heads, d)).astype(np.float32)
    z = rng.normal(size=(large.n_cols, heads, d)).astype(np.float32)
    s = twin("sddmm").sddmm(*large[:3], x, z)
    np.testing.assert_allclose(s, sddmm(*large[:3], x, z), rtol=1e-4, atol=1e-5)


def test_sddmm_gives_the_same_bits_in_any_number_of_threads(large, in_threads):
    rng = np.random.default_rng(0)
    x = rng.random((large.n_rows, 2, 16)).astype(np.float32)
    z = rng.random((large.n_cols, 2, 16)).astype(np.float32)
    one, two = (in_threads(n, lambda: sddmm(*large[:3], x, z)) for n in (1, 2))
    assert np.array_equal(one, two)
    np.testing.assert_allclose(one, reference.sddmm(*large[:3], x, z), rtol=1e-4)
