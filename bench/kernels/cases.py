"""The ratings of the medium graph, for every engine, and one forward and backward pass."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dglmeta.bench.graphs import RATED, graph
from dglmeta.bench.measure import measure
from dglmeta.graph import Adjacency

WIDTHS = (16, 64, 256)


@cache
def ratings() -> Adjacency:
    """5 million edges, users in rows and items in columns, with the transpose at hand."""
    adj = graph("medium").adjacency(RATED)
    assert adj.T.n_edges == adj.n_edges
    return adj


@cache
def dgl_graph() -> Any:
    """The same for DGL, whose messages run from items to users; formats made, ids int32."""
    from dglmeta._dgl import load_dgl

    user, item = (torch.from_numpy(ends.astype(np.int32)) for ends in ratings().coo())
    sizes = dict(zip(("user", "item"), ratings().shape, strict=True))
    made = load_dgl().heterograph({("item", "to", "user"): (item, user)}, num_nodes_dict=sizes)
    made.create_formats_()
    return made


def dgl_ops() -> Any:
    from dglmeta._dgl import load_dgl

    return load_dgl().ops


def torch_matrix() -> Tensor:
    """The same as a sparse CSR tensor of torch."""
    adj = ratings()
    parts = (torch.from_numpy(np.array(a, np.int64)) for a in (adj.indptr, adj.indices))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(*parts, torch.ones(adj.n_edges), size=adj.shape)


def random(*shape: int) -> Tensor:
    """Normal float32 numbers that want a gradient; the same for the same shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()


Forward = Callable[..., Tensor]


def compare(benchmark: Any, forward: Forward, inputs: list[Tensor], check: Forward) -> None:
    """Time a forward and a backward pass, once its result and gradients are those of ``check``."""
    expected = check(*inputs)
    grad = random(*expected.shape).detach()
    expected = [expected, *torch.autograd.grad(expected, inputs, grad)]

    def both() -> list[Tensor]:
        y = forward(*inputs)
        return [y, *torch.autograd.grad(y, inputs, grad.reshape(y.shape))]

    for ours, theirs in zip(both(), expected, strict=True):
        scale = theirs.abs().max().item() or 1
        torch.testing.assert_close(
            ours.reshape(theirs.shape) / scale, theirs / scale, atol=1e-4, rtol=0
        )
    del expected, ours, theirs
    measure(benchmark, both)


def need(name: str) -> Any:
    """A rival's module, or skip the measurement."""
    return pytest.importorskip(name)
