"""A graph of 20 nodes and 60 edges, forward and backward: nothing but the cost of calling."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from dglmeta import ops
from dglmeta._dgl import load_dgl
from dglmeta.graph import Adjacency

N, E, WIDTH = 20, 60, 16
ENGINES = ["dglmeta", "dgl.ops", "dgl update_all", "torch.sparse.mm", "index_add"]


def summation(engine: str):
    """Function from features (N, WIDTH) to sums of neighbours."""
    ends = np.random.default_rng(0).integers(N, size=(2, E))
    src, dst = (torch.from_numpy(end) for end in ends)
    adj = Adjacency.from_coo(*ends, (N, N)).T
    dgl = load_dgl()
    g = dgl.graph((src, dst), num_nodes=N)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        matrix = torch.sparse_coo_tensor(ends[::-1].copy(), torch.ones(E), (N, N)).to_sparse_csr()

    def update_all(x):
        with g.local_scope():
            g.ndata["x"] = x
            g.update_all(dgl.function.copy_u("x", "m"), dgl.function.sum("m", "y"))
            return g.ndata["y"]

    return {
        "dglmeta": lambda x: ops.spmm(adj, x),
        "dgl.ops": lambda x: dgl.ops.copy_u_sum(g, x),
        "dgl update_all": update_all,
        "torch.sparse.mm": lambda x: torch.sparse.mm(matrix, x),
        "index_add": lambda x: torch.zeros(N, WIDTH).index_add(0, dst, x[src]),
    }[engine]


@pytest.mark.parametrize("engine", ENGINES)
def bench_call(benchmark, engine):
    benchmark.group = f"small: sum of neighbours, {N} nodes, forward and backward"
    x = torch.randn(N, WIDTH)
    torch.testing.assert_close(summation(engine)(x), summation("dglmeta")(x))
    time_both(benchmark, summation(engine))


def bench_floor(benchmark):
    benchmark.group = "small: doubling a tensor instead, what autograd itself takes"
    time_both(benchmark, lambda x: x * 2)


def time_both(benchmark, forward):
    """Median over rounds of a hundred forward and backward passes."""
    x, grad = torch.randn(N, WIDTH, requires_grad=True), torch.randn(N, WIDTH)

    def both():
        return torch.autograd.grad(forward(x), x, grad)

    benchmark.pedantic(both, rounds=50, iterations=100, warmup_rounds=2)
