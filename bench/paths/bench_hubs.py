"""Edges between hubs and the nodes of a sample: found alone, and tied into the sample.

SciPy's rival form takes the hubs' rows and then the sample's columns of matrices that are made
beforehand, for every edge type and both directions, as ours does.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from dglmeta.bench.graphs import graph
from dglmeta.bench.measure import measure
from dglmeta.kernels.cpu.hub import hub_edges
from dglmeta.paths.hubs import add_hubs, find_hubs
from dglmeta.paths.neighbors import NeighborSample, sample_neighbors

SEEDS = {"1024 seeds, fan-outs [8, 8]": (1024, [8, 8]), "16 seeds, fan-outs [4, 4]": (16, [4, 4])}


@cache
def sampled(seeds: str) -> NeighborSample:
    n_seeds, fanouts = SEEDS[seeds]
    users = np.random.default_rng(0).choice(200_000, n_seeds, replace=False)
    return sample_neighbors(graph("medium"), {"user": users}, fanouts, both_ways=True)


def ours(hubs: dict[str, Any], nodes: dict[str, Any]) -> int:
    hg, n_found = graph("medium"), 0
    for triple in hg.schema.edge_types:
        for here, there, forward in ((triple[0], triple[2], True), (triple[2], triple[0], False)):
            adj = hg.step_adjacency(triple, forward)
            structure = adj.indptr, adj.indices, adj.edge_ids
            found = hub_edges(*structure, hubs[here], nodes[there], adj.n_dst)
            n_found += len(found.edge_ids)
    return n_found


@cache
def matrices() -> dict[Any, Any]:
    hg = graph("medium")
    both = ((triple, way) for triple in hg.schema.edge_types for way in (True, False))
    return {(e, way): hg.step_adjacency(e, way).to_scipy() for e, way in both}


def scipys(hubs: dict[str, Any], nodes: dict[str, Any]) -> int:
    return sum(
        matrix[hubs[e[0] if way else e[2]]][:, nodes[e[2] if way else e[0]]].nnz
        for (e, way), matrix in matrices().items()
    )


@pytest.mark.parametrize("engine", ["dglmeta", "scipy"])
@pytest.mark.parametrize("n_hubs", [5, 500])
@pytest.mark.parametrize("seeds", SEEDS)
def bench_hub_edges(benchmark, seeds: str, n_hubs: int, engine: str) -> None:
    benchmark.group = f"hubs: edges of {n_hubs}, {seeds}"
    hubs = find_hubs(graph("medium"), n_hubs)
    nodes = {t: np.sort(ids) for t, ids in sampled(seeds).node_ids.items()}
    assert scipys(hubs, nodes) == ours(hubs, nodes)
    measure(benchmark, lambda: (ours if engine == "dglmeta" else scipys)(hubs, nodes), rounds=15)


@pytest.mark.parametrize("engine", ["dglmeta"])
@pytest.mark.parametrize("seeds", SEEDS)
def bench_add_hubs(benchmark, seeds: str, engine: str) -> None:
    benchmark.group = f"hubs: tie 5 into a sample, {seeds}"
    hubs, block = find_hubs(graph("medium"), 5), sampled(seeds)
    hubbed = measure(benchmark, lambda: add_hubs(block, graph("medium"), hubs=hubs), rounds=15)
    assert sum(hubbed.graph.n_edges.values()) >= sum(block.graph.n_edges.values())
