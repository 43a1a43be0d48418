from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from dglmeta import ops
from dglmeta.graph.adjacency import Adjacency


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


def test_weights_in_the_order_of_the_transpose_give_the_same_bits_and_gradients():
    rng = np.random.default_rng(0)
    src = np.sort(rng.integers(0, 300, 90_000))
    pairs = np.unique(np.stack([src, rng.integers(0, 3000, 90_000)], axis=1), axis=0)
    adj = Adjacency.from_coo(*pairs.T, (300, 3000))
    alone = Adjacency(adj.T.indptr, adj.T.indices, adj.T.edge_ids, adj.n_src)
    assert adj.edge_ids is None
    x = torch.randn(adj.n_src, 16, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(adj.n_edges, dtype=torch.float64, requires_grad=True)
    y, again = (ops.spmm(a, x, weight) for a in (adj.T, alone))
    assert torch.equal(y, again)
    grad = torch.randn_like(y)
    gradients = torch.autograd.grad(y, (x, weight), grad)
    one_by_one = [torch.autograd.grad(again, t, grad, retain_graph=True)[0] for t in (x, weight)]
    for ours, alone_too in zip(gradients, one_by_one, strict=True):
        torch.testing.assert_close(ours, alone_too)
