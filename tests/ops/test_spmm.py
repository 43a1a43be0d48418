from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from dglmeta import ops


@given(data=st.data())
def test_equals_the_product_of_scipy(adjacencies, data):
    adj = data.draw(adjacencies)
    rng = np.random.default_rng(adj.n_edges)
    x, weight = rng.normal(size=(adj.n_dst, 3)), rng.normal(size=adj.n_edges)
    for w in (None, weight):
        ours = ops.spmm(adj, torch.from_numpy(x), None if w is None else torch.from_numpy(w))
        np.testing.assert_allclose(ours.numpy(), adj.to_scipy(w) @ x, atol=1e-12)


@given(data=st.data())
def test_the_transpose_is_the_adjoint(adjacencies, data):
    adj = data.draw(adjacencies)
    generator = torch.Generator().manual_seed(adj.n_edges)
    x = torch.randn(adj.n_dst, 2, dtype=torch.float64, generator=generator)
    y = torch.randn(adj.n_src, 2, dtype=torch.float64, generator=generator)
    weight = torch.randn(adj.n_edges, dtype=torch.float64, generator=generator)
    there = (ops.spmm(adj, x, weight) * y).sum()
    back = (x * ops.spmm(adj.T, y, weight)).sum()
    torch.testing.assert_close(there, back)


def test_the_input_is_not_written(adj):
    x, weight = torch.randn(adj.n_dst, 3), torch.randn(adj.n_edges)
    before = x.clone(), weight.clone()
    ops.spmm(adj, x, weight)
    assert torch.equal(x, before[0])
    assert torch.equal(weight, before[1])


def test_no_nodes_no_features_and_no_heads_are_fine(adj):
    assert ops.spmm(adj, torch.zeros(adj.n_dst, 0)).shape == (adj.n_src, 0)
    no_heads = torch.zeros(adj.n_dst, 0, 3), torch.zeros(adj.n_edges, 0)
    assert ops.spmm(adj, *no_heads).shape == (adj.n_src, 0, 3)
