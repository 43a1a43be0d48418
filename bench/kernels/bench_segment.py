"""Softmax over the edges of each node of 5 million, forward and backward."""

from __future__ import annotations

import pytest

from dglmeta import ops
from dglmeta.bench.kernels.cases import compare, dgl_graph, dgl_ops, random, ratings


def softmax(engine: str, normalised_by: str):
    if engine == "dgl":
        side = "dst" if normalised_by == "user" else "src"
        return lambda scores: dgl_ops().edge_softmax(dgl_graph(), scores, norm_by=side)
    adj = ratings() if normalised_by == "user" else ratings().T
    return lambda scores: ops.edge_softmax(adj, scores)


@pytest.mark.parametrize("engine", ["dglmeta", "dgl"])
@pytest.mark.parametrize("normalised_by", ["user", "item"])
@pytest.mark.parametrize("heads", [1, 8])
def bench_edge_softmax(benchmark, heads, normalised_by, engine):
    benchmark.group = (
        f"segment edge_softmax by {normalised_by}, forward and backward, heads: {heads}"
    )
    scores = random(ratings().n_edges, heads)
    check = softmax("dglmeta", normalised_by)
    compare(benchmark, softmax(engine, normalised_by), [scores], check)
