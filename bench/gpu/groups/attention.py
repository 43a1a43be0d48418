"""Graph attention: fused, and as PyG's GATConv computes it once the features are projected."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torch.nn.functional import leaky_relu

from dglmeta import ops
from dglmeta.bench.gpu.bench import Bench
from dglmeta.bench.gpu.data import (
    differentiated,
    expect,
    normal_sets,
    on_host,
    put,
    read_bytes,
    structure,
    tensor,
)
from dglmeta.bench.graphs import RATED
from dglmeta.graph import Adjacency
from dglmeta.kernels.cpu import attention as host
from dglmeta.kernels.gpu import attention as device

SHAPES = ((1, 16), (1, 64), (8, 8), (4, 64))
SLOPE = 0.2


def run(bench: Bench) -> None:
    hg = bench.graph("medium")
    adj = hg.adjacency(RATED)
    there = hg.to(bench.device).adjacency(RATED)
    for heads, width in SHAPES:
        compare(bench, adj, there, heads, width)


def compare(bench: Bench, adj: Adjacency, there: Adjacency, heads: int, width: int) -> None:
    """The kernels, the op, and the composition; one forward pass, and with the backward pass."""
    sets = normal_sets(
        bench, (adj.n_src, heads), (adj.n_dst, heads), (adj.n_dst, heads, width),
        (adj.n_src, heads, width),
    )  # fmt: skip
    tensors = [tuple(map(tensor, arrays)) for arrays in sets]
    wanted = by_host(adj, *map(on_host, sets[0]))
    kernels = Kernels(bench, adj)
    composed = pyg(bench, adj)

    def fused(score_src: Tensor, score_dst: Tensor, x: Tensor) -> Tensor:
        return ops.attention(there, score_src, score_dst, x, negative_slope=SLOPE)

    per_edge = 4 * heads * (width + 1) * adj.n_edges
    forth = read_bytes(adj, ids=False) + per_edge + 8 * heads * width * adj.n_src
    back = read_bytes(adj.T, ids=False) + per_edge + 8 * heads * adj.n_edges
    back += 4 * heads * width * (3 * adj.n_src + 2 * adj.n_dst)
    name = f"heads: {heads}, features each: {width}"
    options: dict[str, Any] = {"n_bytes": forth, "check": expect(wanted[0])}
    for who, function, inputs in (
        ("dglmeta", fused, tensors),
        ("dglmeta, kernel alone", kernels.forward, sets),
        ("PyG, as in GATConv", composed, tensors),
    ):
        given = [some[:3] for some in inputs]
        bench.time(f"{name}, forward", who, function, given, **options)
    options = {"n_bytes": forth + back, "check": expect(wanted)}
    for who, function, inputs in (
        ("dglmeta", differentiated(fused), tensors),
        ("dglmeta, kernels alone", kernels.both, sets),
        ("PyG, as in GATConv", differentiated(composed), tensors),
    ):
        bench.time(f"{name}, forward and backward", who, function, inputs, **options)


class Kernels:
    """The two kernels on arrays."""

    def __init__(self, bench: Bench, adj: Adjacency) -> None:
        self._by_row = structure(bench, adj)[:2]
        self._by_column = structure(bench, adj.T)[:2]

    def forward(self, score_src: Any, score_dst: Any, x: Any) -> Any:
        return device.attention(*self._by_row, score_src, score_dst, x, SLOPE).y

    def both(self, score_src: Any, score_dst: Any, x: Any, grad: Any) -> list[Any]:
        inputs = score_src, score_dst, x, SLOPE
        attended = device.attention(*self._by_row, *inputs)
        return [attended.y, *device.attention_gradient(*self._by_column, *inputs, attended, grad)]


def pyg(bench: Bench, adj: Adjacency) -> Any:
    """Gather, softmax and scatter over a list of edges."""
    row, col = (tensor(put(bench, ends.astype(np.int64))) for ends in adj.coo())

    def attend(score_src: Tensor, score_dst: Tensor, x: Tensor) -> Tensor:
        from torch_geometric.utils import scatter, softmax

        scores = leaky_relu(score_src[row] + score_dst[col], SLOPE)
        alpha = softmax(scores, row, num_nodes=adj.n_src)
        return scatter(alpha[..., None] * x[col], row, 0, adj.n_src, "sum")

    return attend


def by_host(adj: Adjacency, *given: Any) -> list[Any]:
    """The result and the three gradients by the kernels of the host in float64."""
    *inputs, grad = (a.astype(np.float64) for a in given)
    attended = host.attention(adj.indptr, adj.indices, *inputs, SLOPE)
    by_column = adj.T.indptr, adj.T.indices
    gradients = host.attention_gradient(*by_column, *inputs, SLOPE, attended, grad)
    return [attended.y, *gradients]
