"""Neighbour sampling into blocks, on the device and by the kernels of the host.

Every call has other seed nodes; both must give the same blocks.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

import dglmeta as dm
from dglmeta.bench.gpu.bench import Bench
from dglmeta.bench.gpu.data import on_host, put
from dglmeta.bench.gpu.groups.products import require
from dglmeta.graph import HeteroCSR

FANOUTS = ([8, 8], [16, 16], [25, 10])
N_SEEDS = (1024, 4096, 65_536)
ROUNDS = 15


def run(bench: Bench) -> None:
    hg = with_reverses(bench.graph("medium"))
    whole = bench.graph("medium").homogeneous(both_ways=True).adjacency
    for kind, graph, n_nodes in (
        ("homogeneous", whole, whole.n_src),
        ("heterograph", hg, hg.n_nodes["user"]),
    ):
        there = graph.to(bench.device)
        for n_seeds in N_SEEDS[: 1 if bench.quick else None]:
            for fanouts in FANOUTS:
                compare(bench, kind, graph, there, n_nodes, n_seeds, fanouts)


def with_reverses(hg: HeteroCSR) -> HeteroCSR:
    """The graph with a reverse for every edge type."""
    ends = {triple: adj.coo() for triple, adj in hg.adjacencies.items()}
    ends |= {(d, f"{r} by", s): (dst, src) for (s, r, d), (src, dst) in list(ends.items())}
    return HeteroCSR.from_edges(ends, hg.n_nodes)


def compare(
    bench: Bench,
    kind: str,
    graph: Any,
    there: Any,
    n_nodes: int,
    n_seeds: int,
    fanouts: list[int],
) -> None:
    n_seeds = min(n_seeds, n_nodes)
    nodes = np.random.default_rng(0).permutation(n_nodes)[:n_seeds]

    def given(seeds: Any) -> Any:
        return seeds if kind == "homogeneous" else {"user": seeds}

    expected = flat(dm.sample_blocks(graph, given(nodes), fanouts, 0))

    def check(sample: Any) -> None:
        for mine, wanted in zip(flat(sample), expected, strict=True):
            require("blocks drawn on both", np.array_equal(mine, wanted))

    case = f"{kind}, {n_seeds:,} seeds, fan-outs {fanouts}"
    most = min(ROUNDS, bench.most)
    for who, whole, seeds in (
        ("dglmeta", there, put(bench, nodes)),
        ("Numba, all cores", graph, nodes),
    ):
        numbers = count()
        draw = lambda s, whole=whole, numbers=numbers: dm.sample_blocks(  # noqa: E731
            whole, given(s), fanouts, next(numbers)
        )
        bench.time(case, who, draw, [(seeds,)], check=check, most=most, wall=True)


def flat(sample: Any) -> list[np.ndarray]:
    """All arrays of a sample on the host: nodes, then each block's edges."""
    arrays = [on_host(ids) for ids in sample.node_ids.values()]
    for block in sample.blocks:
        for step, adj in block.adjacencies.items():
            arrays += [on_host(a) for a in (adj.indptr, adj.indices, block.edge_ids[step])]
    return arrays
