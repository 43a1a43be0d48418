"""Softmax over the edges of each row, and with its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from dglmeta.bench.gpu.bench import Bench
from dglmeta.bench.gpu.data import (
    differentiated,
    expect,
    normal_sets,
    on_host,
    put,
    structure,
    tensor,
)
from dglmeta.bench.graphs import RATED
from dglmeta.graph import Adjacency
from dglmeta.kernels.cpu import softmax as host
from dglmeta.kernels.gpu import softmax as device

HEADS = (1, 8)


def run(bench: Bench) -> None:
    adj = bench.graph("medium").adjacency(RATED)
    for heads in HEADS:
        compare(bench, "by user", adj, heads)
        compare(bench, "by item", adj.T, heads)


def compare(bench: Bench, side: str, adj: Adjacency, heads: int) -> None:
    indptr, _, edge_ids = structure(bench, adj)
    sets = normal_sets(bench, *2 * [(adj.n_edges, heads)])
    tensors = [tuple(map(tensor, arrays)) for arrays in sets]
    row = tensor(put(bench, adj.coo()[0].astype(np.int64)))
    scores, grad = (on_host(a).astype(np.float64) for a in sets[0])
    alpha = host.edge_softmax(adj.indptr, adj.edge_ids, scores)
    product = host.edge_softmax_gradient(adj.indptr, adj.edge_ids, alpha, grad)
    ids = adj.indptr.nbytes + (0 if adj.edge_ids is None else 8 * adj.n_edges)

    def ours(scores: Any, _: Any) -> Any:
        return device.edge_softmax(indptr, edge_ids, scores)

    def both(scores: Any, grad: Any) -> tuple[Any, Any]:
        alpha = device.edge_softmax(indptr, edge_ids, scores)
        return alpha, device.edge_softmax_gradient(indptr, edge_ids, alpha, grad)

    def pyg(scores: Tensor, _: Tensor | None = None) -> Tensor:
        from torch_geometric.utils import softmax

        return softmax(scores, row, num_nodes=adj.n_src)

    name = f"{side}, heads: {heads}"
    bytes_each = 4 * heads * adj.n_edges
    case, options = f"{name}, forward", {"n_bytes": 2 * bytes_each + ids, "check": expect(alpha)}
    bench.time(case, "dglmeta", ours, sets, **options)
    bench.time(case, "PyG softmax", pyg, tensors, **options)
    case = f"{name}, forward and backward"
    options = {"n_bytes": 5 * bytes_each + 2 * ids, "check": expect([alpha, product])}
    bench.time(case, "dglmeta", both, sets, **options)
    bench.time(case, "PyG softmax", differentiated(pyg), tensors, **options)
