"""RowAdam against torch's SparseAdam, and what it leaves alone."""

import copy

import pytest
import torch
from torch import nn

from dglmeta.train import RowAdam


def steps(seed, n=9, d=3):
    g = torch.Generator().manual_seed(seed)
    for k in range(8):
        rows = torch.randperm(n, generator=g)[: 1 + k % 4]
        yield rows, torch.randn(len(rows), d, generator=g)


@pytest.mark.parametrize("seed", range(3))
def test_rows_move_as_by_sparse_adam(seed):
    p, q = (nn.Parameter(torch.arange(27.0).reshape(9, 3)) for _ in range(2))
    ours, oracle = RowAdam(p, lr=0.1), torch.optim.SparseAdam([q], lr=0.1)
    for rows, gradient in steps(seed):
        ours.step(rows, gradient)
        q.grad = torch.sparse_coo_tensor(rows[None], gradient, q.shape, check_invariants=True)
        oracle.step()
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-6)


def test_only_given_rows_move_and_decay():
    p = nn.Parameter(torch.ones(4, 2))
    optimizer = RowAdam(p, lr=0.1, weight_decay=0.5)
    optimizer.step(torch.tensor([3, 1]), torch.zeros(2, 2))
    torch.testing.assert_close(p[:, 0].detach(), torch.tensor([1.0, 0.95, 1.0, 0.95]))


def test_its_state_can_be_saved_and_read():
    p, q = (nn.Parameter(torch.ones(9, 3)) for _ in range(2))
    one, other = RowAdam(p, lr=0.1), RowAdam(q, lr=0.1)
    given = list(steps(0))
    for k, (rows, gradient) in enumerate(given):
        one.step(rows, gradient)
        if k == 3:
            other.load_state_dict(copy.deepcopy(one.state_dict()))
            q.data.copy_(p.data)
        if k > 3:
            other.step(rows, gradient)
    torch.testing.assert_close(p, q)
