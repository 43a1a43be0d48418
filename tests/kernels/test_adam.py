"""The Adam kernel against its formulas."""

import numpy as np
import pytest

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.adam import CHUNK, adam
from dglmeta.kernels.cpu.pool import set_num_threads


def start(shape, dtype):
    rng = np.random.default_rng(0)
    p, g, m = (rng.normal(size=shape).astype(dtype) for _ in range(3))
    return p, g, m, rng.random(shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 7, CHUNK, 2 * CHUNK + 3])
def test_a_step_equals_the_formulas(twin, n, dtype):
    arrays = start((3, n), dtype)
    p, g, m, v = (a.astype(np.float64) for a in arrays)
    rate, t, (b1, b2), eps, decay = np.array([0.1, 0.0, 2.0]), 4, (0.8, 0.95), 1e-3, 0.2
    settings = t, (b1, b2), eps, decay
    moved = [twin.put(a) for a in arrays]
    twin.module("adam").adam(*moved, twin.put(rate), *settings)
    p, m, v = reference.adam(p, g, m, v, rate, *settings)
    bound = 1e-12 if dtype == np.float64 else 1e-5
    for got, expected in zip(twin.get(moved), (p, g, m, v), strict=True):
        np.testing.assert_allclose(got, expected, rtol=bound, atol=bound)


def test_threads_do_not_change_a_bit():
    one, more = (start((5, 3 * CHUNK + 1), np.float32) for _ in range(2))
    try:
        for threads, arrays in ((1, one), (3, more)):
            set_num_threads(threads)
            adam(*arrays, np.full(5, 0.1), 1, (0.9, 0.999), 1e-8, 0.0)
    finally:
        set_num_threads(None)
    for a, b in zip(one, more, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [(0, 4), (2, 0)])
def test_no_numbers_are_no_work(twin, shape):
    twin("adam").adam(*start(shape, np.float32), np.zeros(shape[0]), 1, (0.9, 0.999), 1e-8, 0.0)
