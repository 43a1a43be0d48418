from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from dglmeta import ops
from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops import backend

ADJ = Adjacency.from_coo([0, 1, 1], [0, 0, 1], (3, 2))


def zeros(indptr, indices, edge_ids, weight, x):
    return np.zeros((len(indptr) - 1, *x.shape[1:]), x.dtype)


def test_an_override_is_in_force_inside_its_block_only():
    x = torch.ones(2, 1)
    mine = backend.kernels_for(x)._replace(spmm=zeros)
    with backend.override(mine):
        assert ops.spmm(ADJ, x).sum() == 0
    assert ops.spmm(ADJ, x).sum() == 3


def test_an_override_ends_when_its_block_fails():
    mine = backend.kernels_for(torch.empty(0))._replace(spmm=zeros)
    with pytest.raises(KeyError), backend.override(mine):
        raise KeyError
    assert ops.spmm(ADJ, torch.ones(2, 1)).sum() == 3


def test_the_result_of_a_kernel_is_not_copied():
    handed_out = np.ones((3, 1, 4), np.float32)
    kernels = backend.kernels_for(torch.empty(0))
    with backend.override(kernels._replace(spmm=lambda *_: handed_out)):
        y = ops.spmm(ADJ, torch.ones(2, 4))
    assert y.data_ptr() == handed_out.ctypes.data


def test_several_threads_may_differentiate_at_once():
    x = torch.randn(2, 64, dtype=torch.float64)

    def slope(_):
        return torch.func.grad(lambda x: ops.spmm(ADJ, x).pow(2).sum())(x)

    with ThreadPoolExecutor(4) as pool:
        slopes = list(pool.map(slope, range(64)))
    assert all(torch.equal(s, slopes[0]) for s in slopes)
