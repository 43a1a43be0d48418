"""The counting sort orders as NumPy's stable sort does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dglmeta.kernels.cpu.order import counting_order as on_the_cpu
from dglmeta.kernels.reference import counting_order as oracle


@given(
    arrays(st.sampled_from([np.int32, np.int64]), st.integers(0, 30), elements=st.integers(0, 9))
)
def test_equals_the_oracle(twin, keys):
    starts, order = twin("order").counting_order(keys, 10)
    expected_starts, expected_order = oracle(keys, 10)
    assert np.array_equal(starts, expected_starts)
    assert np.array_equal(order, expected_order)
    assert (starts.dtype, order.dtype) == (np.int64, np.int32)


def test_no_keys_at_all(twin):
    starts, order = twin("order").counting_order(np.zeros(0, np.int32), 0)
    assert starts.tolist() == [0]
    assert len(order) == 0


@pytest.mark.parametrize("n_keys", [2**16, 2**16 + 1, 2**20])
def test_many_keys_are_ordered_as_on_the_cpu(twin, n_keys):
    rng = np.random.default_rng(0)
    keys = np.append((n_keys * rng.random(20_000) ** 3).astype(np.int64), [n_keys - 1, 0])
    got = twin("order").counting_order(keys, n_keys)
    for one, other in zip(got, on_the_cpu(keys, n_keys), strict=True):
        assert np.array_equal(one, other)
        assert one.dtype == other.dtype
