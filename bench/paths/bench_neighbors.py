"""Neighbour sampling into blocks against DGL's sampler.

Every engine gets the same batches of seeds, draws hop 1 with the first fan-out, and returns what a
training loop takes: for every layer local edges of each type, their ids, and the ids of the nodes.
Each timed call's edges are counted afterwards: every destination must have as many as its degree
and the fan-out allow. DGL is run in two forms. With an int32 graph its default, fused, sampler
loses nodes from the second call on (dgl 1.1.3), so that one runs unfused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle
from typing import Any

import numpy as np
import pytest

from dglmeta.bench.graphs import graph
from dglmeta.bench.measure import peak_growth
from dglmeta.graph import Adjacency, HeteroCSR
from dglmeta.paths.blocks import sample_blocks

ROUNDS = 15
ENGINES = ("dglmeta", "dgl int64 fused", "dgl int32 unfused")
FANOUTS = ([8, 8], [16, 16], [25, 10])
Counts = list[tuple[int, int]]
"""For every edge type of every block, edges drawn and edges due."""


@cache
def heterograph() -> HeteroCSR:
    """Medium, with a reverse for every edge type."""
    hg = graph("medium")
    ends = {triple: adj.coo() for triple, adj in hg.adjacencies.items()}
    ends |= {(d, f"{r} by", s): (dst, src) for (s, r, d), (src, dst) in list(ends.items())}
    return HeteroCSR.from_edges(ends, hg.n_nodes)


@cache
def homogeneous() -> Adjacency:
    """The union of medium: 320,100 nodes, 11.4 million edges."""
    return graph("medium").homogeneous(both_ways=True).adjacency


def batches(n_nodes: int, n_seeds: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    return cycle([rng.choice(n_nodes, n_seeds, replace=False) for _ in range(ROUNDS)])


Sampler = tuple[Callable[[np.ndarray], Any], Callable[[Any], Counts]]


def ours(kind: str, fanouts: list[int]) -> Sampler:
    whole = homogeneous() if kind == "homogeneous" else heterograph()
    edge_type = ("_N", "_E", "_N")
    adjacencies = {edge_type: whole} if kind == "homogeneous" else whole.adjacencies
    degrees = {e: adj.T.out_degrees for e, adj in adjacencies.items()}

    def sample(seeds: np.ndarray) -> Any:
        return sample_blocks(whole, seeds if kind == "homogeneous" else {"user": seeds}, fanouts)

    def count(result: Any) -> Counts:
        counts = []
        for block, fanout in zip(result.blocks, reversed(fanouts), strict=True):
            for step, adj in block.adjacencies.items():
                nodes = result.node_ids[step.target][: adj.n_src]
                due = np.minimum(degrees[step.edge_type][nodes], fanout).sum()
                counts.append((adj.n_edges, int(due)))
        return counts

    return sample, count


@cache
def dgl_graph(kind: str) -> Any:
    from dglmeta import load_dgl

    if kind == "heterograph":
        whole = heterograph().to_dgl()
    else:
        ends = (ids.astype(np.int64) for ids in homogeneous().coo())
        whole = load_dgl().graph(tuple(map(_tensor, ends)), num_nodes=homogeneous().n_src)
    whole.create_formats_()
    return whole


def dgls(kind: str, fanouts: list[int], engine: str) -> Sampler:
    pytest.importorskip("dgl")
    from dglmeta import load_dgl

    dgl = load_dgl()
    fused = engine.endswith(" fused")
    whole = dgl_graph(kind) if fused else dgl_graph(kind).int()
    # DGL's fan-outs begin with the outermost hop.
    sampler = dgl.dataloading.NeighborSampler(fanouts[::-1], fused=fused)

    def sample(seeds: np.ndarray) -> Any:
        ids = _tensor(seeds).to(whole.idtype)
        return sampler.sample_blocks(whole, ids if kind == "homogeneous" else {"user": ids})

    def count(result: Any) -> Counts:
        counts = []
        for block, fanout in zip(result[2], reversed(fanouts), strict=True):
            for triple in block.canonical_etypes:
                nodes = block.dstnodes[triple[2]].data[dgl.NID]
                due = whole.in_degrees(nodes, etype=triple).clamp(max=fanout).sum()
                counts.append((block.num_edges(triple), int(due)))
        return counts

    return sample, count


def _tensor(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(array)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fanouts", FANOUTS, ids=str)
@pytest.mark.parametrize("n_seeds", [1024, 4096])
@pytest.mark.parametrize("kind", ["homogeneous", "heterograph"])
def bench_blocks(benchmark, kind: str, n_seeds: int, fanouts: list[int], engine: str) -> None:
    benchmark.group = f"neighbors: {kind}, {n_seeds} seeds, fan-outs {fanouts}"
    build = ours if engine == "dglmeta" else lambda *args: dgls(*args, engine)
    sample, count = build(kind, fanouts)
    n_nodes = homogeneous().n_src if kind == "homogeneous" else heterograph().n_nodes["user"]
    seeds = batches(n_nodes, n_seeds)
    result, benchmark.extra_info["peak_mib"] = peak_growth(lambda: sample(next(seeds)))
    kept, n_edges = [result], []

    def check() -> tuple[tuple[np.ndarray], dict]:
        """Between calls: look at the last result, and let it go."""
        counts = count(kept.pop())
        assert all(drawn == due for drawn, due in counts)
        n_edges.append(sum(drawn for drawn, _ in counts))
        return (next(seeds),), {}

    benchmark.pedantic(lambda s: kept.append(sample(s)), setup=check, rounds=ROUNDS)
    benchmark.extra_info["edges"] = float(np.median(n_edges))
