"""Sums of neighbours' features over 5 million edges, forward and backward, and MKL's product."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dglmeta import ops
from dglmeta.bench.kernels.cases import (
    WIDTHS,
    compare,
    dgl_graph,
    dgl_ops,
    need,
    random,
    ratings,
    torch_matrix,
)
from dglmeta.bench.measure import measure


def copy_sum(engine: str):
    if engine == "dgl":
        return lambda x: dgl_ops().copy_u_sum(dgl_graph(), x)
    if engine == "torch.sparse.mm":
        matrix = torch_matrix()
        return lambda x: torch.sparse.mm(matrix, x)
    return lambda x: ops.spmm(ratings(), x)


@pytest.mark.parametrize("engine", ["dglmeta", "dgl", "torch.sparse.mm"])
@pytest.mark.parametrize("width", WIDTHS)
def bench_copy_sum(benchmark, width, engine):
    benchmark.group = f"spmm copy_u sum, forward and backward, {width} features"
    x = random(ratings().n_dst, width)
    compare(benchmark, copy_sum(engine), [x], copy_sum("dglmeta"))


def weighted_sum(engine: str):
    if engine == "dgl":
        return lambda x, w: dgl_ops().u_mul_e_sum(dgl_graph(), x, w[:, None])
    return lambda x, w: ops.spmm(ratings(), x, w)


@pytest.mark.parametrize("engine", ["dglmeta", "dgl"])
@pytest.mark.parametrize("width", WIDTHS)
def bench_weighted_sum(benchmark, width, engine):
    benchmark.group = f"spmm u_mul_e sum, forward and backward, {width} features"
    inputs = [random(ratings().n_dst, width), random(ratings().n_edges)]
    compare(benchmark, weighted_sum(engine), inputs, weighted_sum("dglmeta"))


def normalised_sum(engine: str):
    adj = ratings()
    src, dst = (
        torch.from_numpy(np.maximum(degrees, 1)).float().rsqrt()
        for degrees in (adj.out_degrees, adj.in_degrees)
    )
    if engine == "dgl":
        return lambda x: src[:, None] * dgl_ops().copy_u_sum(dgl_graph(), dst[:, None] * x)
    if engine == "dglmeta, weights":
        weight = ops.gather_src(adj, src) * ops.gather_dst(adj, dst)
        return lambda x: ops.spmm(adj, x, weight)
    return lambda x: ops.spmm(adj, x, scale_src=src, scale_dst=dst)


@pytest.mark.parametrize("engine", ["dglmeta", "dglmeta, weights", "dgl"])
@pytest.mark.parametrize("width", [16, 64])
def bench_normalised_sum(benchmark, width, engine):
    benchmark.group = f"spmm by the roots of both degrees, forward and backward, {width} features"
    x = random(ratings().n_dst, width)
    compare(benchmark, normalised_sum(engine), [x], normalised_sum("dglmeta"))


@pytest.mark.parametrize("engine", ["dglmeta", "mkl", "scipy"])
def bench_product(benchmark, engine):
    benchmark.group = "spmm matrix of ones times 64 features, forward only"
    adj, x = ratings(), random(ratings().n_dst, 64).detach()
    matrix, dense = adj.to_scipy().astype(np.float32), x.numpy()
    if engine == "mkl":
        product = need("sparse_dot_mkl").dot_product_mkl
        call = lambda: product(matrix, dense)  # noqa: E731
    elif engine == "scipy":
        call = lambda: matrix @ dense  # noqa: E731
    else:
        call = lambda: ops.spmm(adj, x).numpy()  # noqa: E731
    np.testing.assert_allclose(call(), ops.spmm(adj, x).numpy(), rtol=1e-3, atol=1e-2)
    measure(benchmark, call)
