"""The counting sort orders as NumPy's stable sort does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dglmeta.kernels.cpu.order import counting_order
from dglmeta.kernels.reference import counting_order as oracle


@given(
    arrays(st.sampled_from([np.int32, np.int64]), st.integers(0, 30), elements=st.integers(0, 9))
)
def test_equals_the_oracle(keys):
    starts, order = counting_order(keys, 10)
    expected_starts, expected_order = oracle(keys, 10)
    assert np.array_equal(starts, expected_starts)
    assert np.array_equal(order, expected_order)


def test_no_keys_at_all():
    starts, order = counting_order(np.zeros(0, np.int32), 0)
    assert starts.tolist() == [0]
    assert len(order) == 0
