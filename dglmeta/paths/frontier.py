"""What neighbour samplers share: seeds and fan-outs as users give them, and the draws of a hop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy.typing as npt

from dglmeta.errors import ConfigError, DataError, SchemaError
from dglmeta.graph import Adjacency, EdgeType, HeteroCSR, Schema, Step, as_csr
from dglmeta.kernels.cpu.sample import Drawn, Frontier
from dglmeta.kernels.rng import derive_seed
from dglmeta.kernels.twins import is_on_device, namespace, to_host, twin
from dglmeta.paths.chain import Array, check_ids

__all__ = [
    "Fanouts",
    "Seeds",
    "Way",
    "array_of",
    "as_heterograph",
    "beside",
    "draw_hop",
    "read_seeds",
    "sent_from",
    "ways_of",
]

NODE, EDGE = "_N", ("_N", "_E", "_N")
"""Types of a graph given as one adjacency: DGL's names for those of a homogeneous graph."""

Seeds = Mapping[str, npt.ArrayLike] | npt.ArrayLike
"""Node ids by type; without a type where the graph has only one."""

Fanouts = Sequence[int | Mapping[str | EdgeType, int]]
"""For each hop the most edges a node, of every edge type or by edge type; -1 for all."""


class Way(NamedTuple):
    """An edge type and the direction in which messages run along it."""

    step: Step
    """From the nodes that send to those that receive."""
    arriving: Adjacency
    """Rows receive, columns send."""
    fanouts: list[int]
    """One a hop."""
    seed: int


def as_heterograph(graph: Any) -> HeteroCSR:
    """A HeteroCSR or DGLGraph as :func:`as_csr` takes it, or the graph of one square adjacency.

    Raises
    ------
    DataError
        If an adjacency is not square.
    """
    if not isinstance(graph, Adjacency):
        return as_csr(graph)
    if graph.n_src != graph.n_dst:
        raise DataError(
            f"sample_neighbors: expected a square adjacency, got shape {graph.shape}. "
            f"Give the HeteroCSR it belongs to."
        )
    return HeteroCSR(Schema((NODE,), (EDGE,)), {NODE: graph.n_src}, {EDGE: graph})


def array_of(hg: HeteroCSR) -> Array | None:
    """One of the graph's arrays, which tells ``twin`` and ``namespace`` where it lies."""
    return next((adj.indptr for adj in hg.adjacencies.values()), None)


def beside(hg: HeteroCSR, ids: Array) -> Array:
    """The same ids where the graph lies; contiguous there, as kernels take them."""
    like = array_of(hg)
    if not is_on_device(like):
        return to_host(ids)
    xp = namespace(like)
    return xp.ascontiguousarray(xp.asarray(ids))


def read_seeds(hg: HeteroCSR, seeds: Seeds) -> dict[str, Array]:
    """Distinct seeds of every node type, int64, in the order given, where the graph lies.

    Raises
    ------
    SchemaError
        If a node type is not in the graph.
    DataError
        If an id is out of range.
    """
    types = hg.schema.node_types
    if not isinstance(seeds, Mapping):
        if len(types) != 1:
            raise SchemaError(
                f"sample_neighbors: expected seeds as a dict of node type to ids, got one array. "
                f"The node types are {list(types)}."
            )
        seeds = {types[0]: seeds}
    unknown = [t for t in seeds if t not in types]
    if unknown:
        raise SchemaError(
            f"sample_neighbors: unknown node type {unknown[0]!r} among the seeds. "
            f"There are: {', '.join(types)}."
        )
    ids = {t: check_ids("sample_neighbors", seeds.get(t, ()), hg.n_nodes[t], t) for t in types}
    return {
        t: beside(hg, twin("relabel", some).distinct(some) if len(some) else some)
        for t, some in ids.items()
    }


def ways_of(hg: HeteroCSR, fanouts: Fanouts, seed: int, both_ways: bool) -> list[Way]:
    """Every way that messages run: along each edge type, and against it where ``both_ways``.

    Raises
    ------
    SchemaError
        If a fan-out is for an edge type that is not in the graph.
    ConfigError
        If a fan-out is below -1.
    """
    by_type = [_by_edge_type(hg.schema, fanout) for fanout in fanouts]
    first = derive_seed(seed)  # so that other seeds' streams lie nowhere near
    steps = [Step(e, f) for e in hg.schema.edge_types for f in (True, False)[: 1 + both_ways]]
    return [
        Way(
            step,
            hg.step_adjacency(step.edge_type, not step.forward),
            [fanout[step.edge_type] for fanout in by_type],
            first + k,
        )
        for k, step in enumerate(steps)
    ]


def draw_hop(ways: Sequence[Way], nodes: Mapping[str, Array], hop: int) -> list[Drawn]:
    """What the given nodes draw of the edges that arrive at them by each way."""
    frontiers = [
        Frontier(adj.indptr, adj.indices, adj.edge_ids, nodes[step.target], fanouts[hop], seed)
        for step, adj, fanouts, seed in ways
    ]
    return twin("sample", ways[0].arriving.indptr).sample_each(frontiers, hop) if ways else []


def sent_from(node_type: str, ways: Sequence[Way], drawn: Sequence[Drawn]) -> list[Drawn]:
    """Those of the draws, one a way, whose edges come from a node type."""
    return [d for way, d in zip(ways, drawn, strict=True) if way.step.source == node_type]


def _by_edge_type(
    schema: Schema, fanout: int | Mapping[str | EdgeType, int]
) -> dict[EdgeType, int]:
    """A fan-out for every edge type, 0 for those a mapping leaves out."""
    if isinstance(fanout, Mapping):
        each = dict.fromkeys(schema.edge_types, 0)
        each |= {schema.edge_type(name): number for name, number in fanout.items()}
    else:
        each = dict.fromkeys(schema.edge_types, fanout)
    for number in each.values():
        if number < -1:
            raise ConfigError(
                f"sample_neighbors: expected fan-outs >= 0, or -1 for all edges, got {number}. "
                f"Correct it."
            )
    return each
