"""Graph attention over 5 million edges, forward and backward: fused, step by step, and by DGL."""

from __future__ import annotations

import pytest
from torch.nn.functional import leaky_relu

from dglmeta import ops
from dglmeta.bench.kernels.cases import compare, dgl_graph, dgl_ops, random, ratings

ENGINES = ["dglmeta", "dglmeta, step by step", "dgl", "dgl, from edge_softmax on"]


def attend(engine: str):
    """DGL's last form leaves out what makes scores of the edges, and its gradient."""
    adj = ratings()
    if engine == "dgl":

        def whole(score_src, score_dst, x):
            d, g = dgl_ops(), dgl_graph()
            scores = d.u_add_v(g, score_dst[..., None], score_src[..., None])
            return d.u_mul_e_sum(g, x, d.edge_softmax(g, leaky_relu(scores, 0.2)))

        return whole
    if engine == "dglmeta, step by step":

        def steps(score_src, score_dst, x):
            scores = ops.gather_src(adj, score_src) + ops.gather_dst(adj, score_dst)
            return ops.spmm(adj, x, ops.edge_softmax(adj, leaky_relu(scores, 0.2)))

        return steps
    return lambda score_src, score_dst, x: ops.attention(adj, score_src, score_dst, x)


def core(scores, x):
    d, g = dgl_ops(), dgl_graph()
    return d.u_mul_e_sum(g, x, d.edge_softmax(g, scores[..., None]))


def our_core(scores, x):
    return ops.spmm(ratings(), x, ops.edge_softmax(ratings(), scores))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("heads", "width"), [(1, 16), (1, 64), (8, 8), (4, 64)])
def bench_attention(benchmark, heads, width, engine):
    benchmark.group = f"attention, forward and backward, heads: {heads}, features each: {width}"
    adj = ratings()
    x = random(adj.n_dst, heads, width)
    if engine == "dgl, from edge_softmax on":
        compare(benchmark, core, [random(adj.n_edges, heads), x], our_core)
        return
    inputs = [random(adj.n_src, heads), random(adj.n_dst, heads), x]
    compare(benchmark, attend(engine), inputs, attend("dglmeta"))
