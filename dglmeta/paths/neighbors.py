"""Sampled neighbourhoods of seed nodes, as small graphs with nodes renumbered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError, DataError, SchemaError
from dglmeta.graph import Adjacency, EdgeType, HeteroCSR, Schema, as_csr
from dglmeta.kernels.cpu.sample import relabel
from dglmeta.kernels.cpu.sample import sample_neighbors as draw_neighbors
from dglmeta.kernels.rng import derive_seed
from dglmeta.paths.chain import Array, check_ids

__all__ = ["EdgeList", "NeighborSample", "as_heterograph", "local_graph", "sample_neighbors"]

NODE, EDGE = "_N", ("_N", "_E", "_N")
"""Types of a graph given as one adjacency: DGL's names for those of a homogeneous graph."""


class NeighborSample(NamedTuple):
    """Part of a graph, its nodes renumbered within each type."""

    node_ids: dict[str, Array]
    """For every node type, (n,) int64: id in the whole graph of each local node, seeds first."""
    graph: HeteroCSR
    """The sampled edges between local nodes, each once; every type of the whole graph, no
    features."""
    edge_ids: dict[EdgeType, Array]
    """For every edge type, (n_edges,) int64, rising: id in the whole graph of each local edge."""


class EdgeList(NamedTuple):
    """Some edges of one type."""

    src: Array
    dst: Array
    edge_ids: Array


def sample_neighbors(
    hg_or_adjacency: Any,
    seeds: Mapping[str, npt.ArrayLike] | npt.ArrayLike,
    fanouts: Sequence[int],
    seed: int = 0,
    *,
    both_ways: bool = False,
) -> NeighborSample:
    """The nodes that messages to the seeds come from, hop by hop, at most so many a node.

    Messages run along edges, so a hop draws edges that arrive. Hop 1 draws for every seed, each
    later hop for the distinct nodes where the edges of the hop before begin; for each node and
    each edge type at most ``fanouts[hop]`` edges, uniformly and without replacement.

    Parameters
    ----------
    hg_or_adjacency : HeteroCSR, DGLGraph or square Adjacency
        An Adjacency becomes a graph of node type ``_N`` and edge type ``("_N", "_E", "_N")``.
    seeds : dict of str to (n,) integers, or (n,) integers
        Ids by node type; without a type where the graph has only one. Repeated ids count once.
    fanouts : sequence of int
        One a hop; -1 takes all edges.
    seed : int
        What a node draws depends on (seed, edge type, hop, node) alone.
    both_ways : bool
        Let messages run against edges too, and so draw leaving edges as well.

    Returns
    -------
    sample : NeighborSample
        Distinct seeds in the order given come first among their type's nodes, then the nodes of
        each hop. ``sample.graph`` holds the edges of all hops, parallel edges each.

    Raises
    ------
    SchemaError
        If a seed's node type is not in the graph.
    DataError
        If a seed is out of range, or an Adjacency is not square.
    ConfigError
        If a fan-out is below -1.

    Notes
    -----
    Cost O(sampled edges) and, once a graph, its transposes. Identical for any number of threads.

    References
    ----------
    The neighbour sampler of SELAR, arXiv 2007.08294: later hops draw for the previous frontier
    only, and all layers run on the union of the hops.

    Examples
    --------
    >>> adj = Adjacency.from_coo([1, 2, 3], [0, 0, 2], (4, 4))
    >>> sample = sample_neighbors(adj, [0], fanouts=[-1, -1])
    >>> sample.node_ids["_N"], [ends.tolist() for ends in sample.graph.adjacency("_E").coo()]
    (array([0, 1, 2, 3]), [[1, 2, 3], [0, 0, 2]])
    """
    hg = as_heterograph(hg_or_adjacency)
    start = _seed_ids(hg, seeds)
    for fanout in fanouts:
        if fanout < -1:
            raise ConfigError(
                f"sample_neighbors: expected fan-outs >= 0, or -1 for all edges, got {fanout}. "
                f"Correct it."
            )
    frontier, reached = start, {t: [ids] for t, ids in start.items()}
    drawn: dict[EdgeType, list[EdgeList]] = {e: [] for e in hg.schema.edge_types}
    for hop, fanout in enumerate(fanouts):
        edges = _draw_hop(hg, frontier, fanout, seed, hop, both_ways)
        arrived: dict[str, list[Array]] = {t: [] for t in frontier}
        for triple, forward, part in edges:
            drawn[triple].append(part)
            arrived[triple[0] if forward else triple[2]].append(part.src if forward else part.dst)
        frontier = {t: np.unique(_join(parts)) for t, parts in arrived.items()}
        for node_type, ids in frontier.items():
            reached[node_type].append(ids)
    return local_graph(hg, {t: _join(parts) for t, parts in reached.items()}, drawn)


def local_graph(
    hg: HeteroCSR, node_ids: Mapping[str, Array], edges: Mapping[EdgeType, Sequence[EdgeList]]
) -> NeighborSample:
    """The graph of the given edges, each once, over the given nodes, each once, in their order.

    Parameters
    ----------
    hg : HeteroCSR
    node_ids : dict of str to (n,) integers
        For every node type; must hold both ends of every edge.
    edges : dict of triple to list of EdgeList
        For every edge type, ends in ids of ``hg``; an edge may come several times.
    """
    once = {triple: _each_once(parts) for triple, parts in edges.items()}
    nodes: dict[str, Array] = {}
    local: dict[tuple[EdgeType, str], Array] = {}
    for node_type in hg.schema.node_types:
        here = [(e, "src") for e in once if e[0] == node_type]
        here += [(e, "dst") for e in once if e[2] == node_type]
        ends = [getattr(once[triple], side) for triple, side in here]
        stops = np.cumsum([0, *(len(part) for part in ends)])
        nodes[node_type], ids = relabel(node_ids[node_type], _join(ends))
        for end, begin, stop in zip(here, stops[:-1], stops[1:], strict=True):
            local[end] = ids[begin:stop]
    graph = HeteroCSR.from_edges(
        {e: (local[e, "src"], local[e, "dst"]) for e in once},
        {t: len(ids) for t, ids in nodes.items()},
    )
    return NeighborSample(nodes, graph, {e: part.edge_ids for e, part in once.items()})


def as_heterograph(graph: Any) -> HeteroCSR:
    """A HeteroCSR or DGLGraph as :func:`as_csr` takes it, or the graph of one square adjacency."""
    if not isinstance(graph, Adjacency):
        return as_csr(graph)
    if graph.n_src != graph.n_dst:
        raise DataError(
            f"sample_neighbors: expected a square adjacency, got shape {graph.shape}. "
            f"Give the HeteroCSR it belongs to."
        )
    return HeteroCSR(Schema((NODE,), (EDGE,)), {NODE: graph.n_src}, {EDGE: graph})


def _seed_ids(
    hg: HeteroCSR, seeds: Mapping[str, npt.ArrayLike] | npt.ArrayLike
) -> dict[str, Array]:
    """Distinct seeds of every node type, in the order given."""
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
    none = np.zeros(0, np.int64)
    checked = {
        t: check_ids("sample_neighbors", seeds.get(t, none), hg.n_nodes[t], t) for t in types
    }
    return {t: relabel(ids, none)[0] for t, ids in checked.items()}


def _draw_hop(
    hg: HeteroCSR,
    frontier: Mapping[str, Array],
    fanout: int,
    seed: int,
    hop: int,
    both_ways: bool,
) -> list[tuple[EdgeType, bool, EdgeList]]:
    """Edges that arrive at the frontier, and those that leave it where messages run both ways.

    The flag says whether messages run along the edges.
    """
    hop_edges = []
    for k, triple in enumerate(hg.schema.edge_types):
        for forward in (True, False) if both_ways else (True,):
            nodes = frontier[triple[2] if forward else triple[0]]
            if len(nodes) == 0:
                continue
            adj = hg.step_adjacency(triple, not forward)  # rows are where messages arrive
            draw_seed = derive_seed(seed, k, int(forward))
            indptr, others, edge_ids = draw_neighbors(
                adj.indptr, adj.indices, adj.edge_ids, nodes, fanout, draw_seed, hop
            )
            near = np.repeat(nodes, np.diff(indptr))
            src, dst = (others, near) if forward else (near, others)
            hop_edges.append((triple, forward, EdgeList(src, dst, edge_ids)))
    return hop_edges


def _each_once(parts: Sequence[EdgeList]) -> EdgeList:
    """The edges of all parts, by rising id."""
    src, dst, ids = (_join([part[k] for part in parts]) for k in range(3))
    edge_ids, at = np.unique(ids, return_index=True)
    return EdgeList(src[at], dst[at], edge_ids)


def _join(parts: Sequence[Array]) -> Array:
    """The parts one after the other; int64 even when there are none."""
    return np.concatenate([np.zeros(0, np.int64), *parts])
