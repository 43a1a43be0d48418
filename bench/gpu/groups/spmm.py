"""Sums of neighbours' features, forward by the kernel, forward and backward through torch."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dglmeta import ops
from dglmeta.bench.gpu.bench import Bench
from dglmeta.bench.gpu.data import (
    differentiated,
    expect,
    float32_matrix,
    normal,
    normal_sets,
    on_host,
    put,
    read_bytes,
    structure,
    tensor,
    torch_csr,
)
from dglmeta.bench.graphs import RATED
from dglmeta.graph import Adjacency
from dglmeta.kernels.cpu import sddmm as host_sddmm
from dglmeta.kernels.cpu import spmm as host_spmm
from dglmeta.kernels.gpu import spmm as device

WIDTHS = (16, 64, 256)


def run(bench: Bench) -> None:
    adj = bench.graph("medium").adjacency(RATED)
    for width in WIDTHS:
        for weighted in (False, True):
            forward(bench, "by user", adj, width, weighted)
            forward(bench, "by item", adj.T, width, weighted)
    there = bench.graph("medium").to(bench.device).adjacency(RATED)
    for width in WIDTHS:
        both_ways(bench, adj, there, width)


def forward(bench: Bench, side: str, adj: Adjacency, width: int, weighted: bool) -> None:
    """The kernel against cuSPARSE, called by CuPy and by torch."""
    kind = "weighted sum" if weighted else "sum"
    case = f"{kind} {side}, {width} features, forward"
    sets = normal_sets(bench, (adj.n_dst, 1, width))
    parts = structure(bench, adj)
    weight = normal(bench, 7, adj.n_edges, 1) if weighted else None
    as_float64 = (None if a is None else on_host(a).astype("float64") for a in (weight, *sets[0]))
    check = expect(host_spmm.spmm(adj.indptr, adj.indices, adj.edge_ids, *as_float64))
    n_bytes = read_bytes(adj, ids=weighted) + 4 * width * (adj.n_edges + adj.n_src)
    n_bytes += 4 * adj.n_edges * weighted
    options: dict[str, Any] = {"n_bytes": n_bytes, "check": check}
    bench.time(case, "dglmeta", lambda x: device.spmm(*parts, weight, x), sets, **options)
    data = None
    if weight is not None:  # matrices hold their weights by position
        data = weight[:, 0] if parts[2] is None else weight[:, 0][parts[2]]
    matrix = float32_matrix(bench, adj, data)
    columns = [(bench.xp.asfortranarray(x[:, 0]),) for (x,) in sets]  # as that library wants them
    bench.time(case, "cupyx csr @ dense", lambda x: matrix @ x, columns, **options)
    csr = torch_csr(bench, adj, None if data is None else tensor(data))
    rows = [(tensor(x[:, 0]),) for (x,) in sets]
    bench.time(case, "torch.sparse.mm", lambda x: torch.sparse.mm(csr, x), rows, **options)


def both_ways(bench: Bench, adj: Adjacency, there: Adjacency, width: int) -> None:
    """Through autograd: the sum alone, and with weights that want a gradient."""
    arrays = normal_sets(bench, (adj.n_dst, width), (adj.n_edges,), (adj.n_src, width))
    row, col = (tensor(put(bench, ends.astype("int64"))) for ends in adj.coo())
    csr = torch_csr(bench, adj)

    def gathered(x: Tensor, weight: Tensor) -> Tensor:
        return x.new_zeros(adj.n_src, width).index_add(0, row, weight[:, None] * x[col])

    rivals = {
        False: ("torch.sparse.mm", lambda x: torch.sparse.mm(csr, x)),
        True: ("torch gather and index_add", gathered),
    }
    for weighted, rival in rivals.items():
        kind = "weighted sum" if weighted else "sum"
        case = f"{kind} by user, {width} features, forward and backward"
        kept = (0, 1, 2) if weighted else (0, 2)
        sets = [tuple(tensor(some[k]) for k in kept) for some in arrays]
        check = expect(gradients(adj, *map(on_host, sets[0])))
        for who, product in (("dglmeta", partial(ops.spmm, there)), rival):
            bench.time(case, who, differentiated(product), sets, check=check)


def gradients(adj: Adjacency, x: Any, *rest: Any) -> list[Any]:
    """The same by the kernels of the host in float64."""
    x, *weight, grad = (a.astype(np.float64) for a in (x, *rest))
    weight = weight[0][:, None] if weight else None
    x, grad = x[:, None], grad[:, None]
    y, d_x = (
        host_spmm.spmm(side.indptr, side.indices, side.edge_ids, weight, z)
        for side, z in ((adj, x), (adj.T, grad))
    )
    if weight is None:
        return [y, d_x]
    return [y, d_x, host_sddmm.sddmm(adj.indptr, adj.indices, adj.edge_ids, grad, x)]
