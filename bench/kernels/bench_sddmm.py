"""Dot products at the ends of 5 million edges, forward and backward."""

from __future__ import annotations

import pytest

from dglmeta import ops
from dglmeta.bench.kernels.cases import WIDTHS, compare, dgl_graph, dgl_ops, random, ratings


def dot_products(engine: str):
    if engine == "dgl":
        return lambda x, z: dgl_ops().u_dot_v(dgl_graph(), z, x)[:, 0]
    return lambda x, z: ops.sddmm(ratings(), x, z)


@pytest.mark.parametrize("engine", ["dglmeta", "dgl"])
@pytest.mark.parametrize("width", WIDTHS)
def bench_dot_products(benchmark, width, engine):
    benchmark.group = f"sddmm, forward and backward, {width} features"
    inputs = [random(n, width) for n in ratings().shape]
    compare(benchmark, dot_products(engine), inputs, dot_products("dglmeta"))
