from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from dglmeta import ops


@given(data=st.data())
def test_every_row_with_edges_sums_to_one(adjacencies, data):
    adj = data.draw(adjacencies)
    scores = torch.randn(adj.n_edges, 2, dtype=torch.float64)
    sums = ops.segment_sum(adj, ops.edge_softmax(adj, scores))
    expected = torch.from_numpy(adj.out_degrees > 0).double()
    torch.testing.assert_close(sums, expected[:, None].expand(-1, 2))


def test_large_scores_neither_overflow_nor_vanish(adj):
    scores = torch.randn(adj.n_edges, dtype=torch.float64)
    shift = torch.linspace(-1e4, 1e4, adj.n_src, dtype=torch.float64)
    shifted = scores + ops.gather_src(adj, shift)
    torch.testing.assert_close(ops.edge_softmax(adj, shifted), ops.edge_softmax(adj, scores))


def test_the_transpose_normalises_over_entering_edges(adj):
    alpha = ops.edge_softmax(adj.T, torch.randn(adj.n_edges, dtype=torch.float64))
    sums = torch.zeros(adj.n_dst, dtype=torch.float64)
    sums.index_add_(0, torch.from_numpy(adj.coo()[1]), alpha)
    torch.testing.assert_close(sums, torch.from_numpy(adj.in_degrees > 0).double())
