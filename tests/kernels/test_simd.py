"""Vector registers: the exponential is exact to the last place, and any processor will do."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from dglmeta.kernels.cpu import simd


@njit
def exponentials(values):
    for start in range(0, len(values), simd.WIDTH):
        simd.store(values, start, simd.exp(simd.load(values, start)))


@pytest.mark.parametrize(
    ("dtype", "lowest", "bound"), [(np.float32, -87, 2e-7), (np.float64, -708, 4e-16)]
)
def test_exp_is_right_to_about_a_unit_in_the_last_place(dtype, lowest, bound):
    powers = np.linspace(lowest, 80, 16 * 4000).astype(dtype)
    values = powers.copy()
    exponentials(values)
    expected = np.exp(powers.astype(np.longdouble))
    assert float(np.max(np.abs(values - expected) / expected)) < bound


def test_exp_of_what_is_not_finite_or_vanishes():
    values = np.array([0, -np.inf, np.nan, -1e4, -1e30, -0.0] + [1] * 10, np.float32)
    exponentials(values)
    assert values[[0, 1, 3, 4, 5]].tolist() == [1, 0, 0, 0, 1]
    assert np.isnan(values[2])


def test_kernels_are_right_on_a_processor_without_wide_registers(tmp_path):
    script = """
import numpy as np
from dglmeta.kernels import reference
from dglmeta.kernels.cpu import attention, sddmm, softmax, spmm
rng = np.random.default_rng(0)
indptr, indices = np.array([0, 3, 3, 20, 40]), rng.integers(5, size=40).astype(np.int32)
for d in (7, 16, 83):
    x, z = rng.normal(size=(5, 2, d)).astype("f4"), rng.normal(size=(4, 2, d)).astype("f4")
    weight = rng.normal(size=(40, 2)).astype("f4")
    row, col = rng.normal(size=(4, 2)).astype("f4"), rng.normal(size=(5, 2)).astype("f4")
    for name, module, arguments in (
        ("spmm", spmm, (indptr, indices, None, weight, x)),
        ("sddmm", sddmm, (indptr, indices, None, z, x)),
        ("edge_softmax", softmax, (indptr, None, weight)),
        ("attention", attention, (indptr, indices, row, col, x, np.float32(0.2))),
    ):
        got = getattr(module, name)(*arguments)
        expected = getattr(reference, name)(*arguments)
        many = isinstance(got, tuple)
        for a, b in zip(got if many else [got], expected if many else [expected]):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
"""
    # The baseline of 64-bit x86 processors; elsewhere LLVM's most general one.
    old = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env={**os.environ, **old}, check=True)
