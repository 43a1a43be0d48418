"""Dot products of both ends of every edge."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dglmeta.bench.gpu.bench import Bench
from dglmeta.bench.gpu.data import (
    expect,
    normal_sets,
    on_host,
    put,
    read_bytes,
    structure,
    tensor,
    torch_csr,
)
from dglmeta.bench.graphs import RATED
from dglmeta.kernels.cpu import sddmm as host
from dglmeta.kernels.gpu import sddmm as device

SHAPES = ((1, 16), (1, 64), (1, 256), (8, 8))


def run(bench: Bench) -> None:
    adj = bench.graph("medium").adjacency(RATED)
    parts = structure(bench, adj)
    row, col = (tensor(put(bench, ends.astype("int64"))) for ends in adj.coo())
    zeros = torch_csr(bench, adj, torch.zeros(adj.n_edges, device=bench.device))

    def composed(x: Tensor, z: Tensor) -> Tensor:
        return (x[row] * z[col]).sum(-1)

    def sampled(x: Tensor, z: Tensor) -> Tensor:
        return torch.sparse.sampled_addmm(zeros, x[:, 0], z[:, 0].T).values()

    for heads, width in SHAPES:
        case = f"heads: {heads}, features each: {width}"
        sets = normal_sets(bench, (adj.n_src, heads, width), (adj.n_dst, heads, width))
        ends = (on_host(a).astype(np.float64) for a in sets[0])
        scores = host.sddmm(adj.indptr, adj.indices, adj.edge_ids, *ends)
        vectors = 4 * heads * width * (adj.n_edges + adj.n_src)
        n_bytes = read_bytes(adj, ids=True) + vectors + 4 * heads * adj.n_edges
        options = {"n_bytes": n_bytes, "check": expect(scores)}
        bench.time(case, "dglmeta", lambda x, z: device.sddmm(*parts, x, z), sets, **options)
        tensors = [tuple(map(tensor, arrays)) for arrays in sets]
        bench.time(case, "torch gather, multiply and sum", composed, tensors, **options)
        if heads == 1 and adj.edge_ids is None:  # its scores are by position
            bench.time(case, "torch sampled_addmm", sampled, tensors, **options)
