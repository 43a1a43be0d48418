from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from dglmeta import ops


@given(data=st.data())
def test_reductions_equal_numpy_row_by_row(adjacencies, data):
    adj = data.draw(adjacencies)
    values = np.random.default_rng(adj.n_edges).normal(size=(adj.n_edges, 2))
    source, _ = adj.coo()
    rows = [values[source == i] for i in range(adj.n_src)]
    for op, reduce in (
        (ops.segment_sum, np.sum),
        (ops.segment_mean, np.mean),
        (ops.segment_max, np.max),
    ):
        expected = [reduce(row, axis=0) if len(row) else np.zeros(2) for row in rows]
        ours = op(adj, torch.from_numpy(values)).numpy()
        np.testing.assert_allclose(ours, np.reshape(expected, (adj.n_src, 2)), atol=1e-12)


@given(data=st.data())
def test_gathers_read_the_ends_of_every_edge(adjacencies, data):
    adj = data.draw(adjacencies)
    source, destination = adj.coo()
    x, z = torch.randn(adj.n_src, 2, 3), torch.randn(adj.n_dst)
    assert torch.equal(ops.gather_src(adj, x), x[source])
    assert torch.equal(ops.gather_dst(adj, z), z[destination])


def test_the_maximum_of_negative_values_is_negative_and_of_nothing_zero(adj):
    largest = ops.segment_max(adj, -1 - torch.rand(adj.n_edges))
    assert torch.equal(largest < 0, torch.from_numpy(adj.out_degrees > 0))


def test_a_reduction_of_no_edges_still_depends_on_them_for_autograd(adj):
    for op in (ops.segment_sum, ops.segment_mean, ops.segment_max):
        values = torch.randn(adj.n_edges, 2, requires_grad=True)
        (gradient,) = torch.autograd.grad(op(adj, values).sum(), values)
        assert gradient.shape == values.shape
