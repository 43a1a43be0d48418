"""The sampled neighbourhood of seed nodes as one small graph with nodes renumbered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dglmeta.graph import EdgeType, HeteroCSR
from dglmeta.graph.adjacency import id_dtype
from dglmeta.kernels.twins import namespace, repeat_each, twin
from dglmeta.paths.chain import Array
from dglmeta.paths.frontier import (
    Fanouts,
    Seeds,
    array_of,
    as_heterograph,
    draw_hop,
    read_seeds,
    sent_from,
    ways_of,
)

__all__ = ["EdgeList", "NeighborSample", "local_graph", "sample_neighbors"]


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
    """Some edges of one type: their ends in local ids, their own in the whole graph."""

    src: Array
    dst: Array
    edge_ids: Array


def sample_neighbors(
    hg_or_adjacency: Any,
    seeds: Seeds,
    fanouts: Fanouts,
    seed: int = 0,
    *,
    both_ways: bool = False,
) -> NeighborSample:
    """The nodes that messages to the seeds come from, hop by hop, and one graph of all messages.

    As :func:`dglmeta.paths.blocks.sample_blocks`, but a hop after the first draws only for the
    distinct nodes where the edges of the hop before begin, and every layer runs on the union of the
    hops.

    Parameters
    ----------
    hg_or_adjacency, seeds, fanouts, seed, both_ways
        As for :func:`dglmeta.paths.blocks.sample_blocks`.

    Returns
    -------
    sample : NeighborSample
        Distinct seeds in the order given come first among their type's nodes, then the new nodes
        of each hop by rising id. ``sample.graph`` holds the edges of all hops, parallel edges each.
        All lies where the graph does.

    Raises
    ------
    SchemaError
        If a seed's node type or a fan-out's edge type is not in the graph.
    DataError
        If a seed is out of range, or an Adjacency is not square.
    ConfigError
        If a fan-out is below -1.

    Notes
    -----
    Cost O(sampled edges + (nodes + edges) / 64). Identical for any number of threads.

    References
    ----------
    The neighbour sampler of SELAR, arXiv 2007.08294: later hops draw for the previous frontier
    only, and all layers run on the union of the hops.

    Examples
    --------
    >>> from dglmeta import Adjacency
    >>> adj = Adjacency.from_coo([1, 2, 3], [0, 0, 2], (4, 4))
    >>> sample = sample_neighbors(adj, [0], fanouts=[-1, -1])
    >>> sample.node_ids["_N"], [ends.tolist() for ends in sample.graph.adjacency("_E").coo()]
    (array([0, 1, 2, 3]), [[1, 2, 3], [0, 0, 2]])
    """
    hg = as_heterograph(hg_or_adjacency)
    frontier, ways = read_seeds(hg, seeds), ways_of(hg, fanouts, seed, both_ways)
    reached, hops, kernels = dict(frontier), [], twin("relabel", array_of(hg))
    none = namespace(array_of(hg)).zeros(0, np.int64)
    for hop in range(len(fanouts)):
        drawn = draw_hop(ways, frontier, hop)
        nodes = [frontier[way.step.target] for way in ways]
        hops += [(way.step, *rest) for way, *rest in zip(ways, nodes, drawn, strict=True)]
        for t, n in hg.n_nodes.items():
            arrived = [d.neighbours for d in sent_from(t, ways, drawn)]
            frontier[t] = kernels.number(none, arrived, n).nodes
            reached[t] = kernels.number(reached[t], [frontier[t]], n).nodes
    local = {t: kernels.number(ids, [], hg.n_nodes[t]) for t, ids in reached.items()}
    edges: dict[EdgeType, list[EdgeList]] = {e: [] for e in hg.schema.edge_types}
    for step, nodes, (indptr, others, edge_ids) in hops:
        near = repeat_each(kernels.look_up(local[step.target], nodes), np.diff(indptr))
        far = kernels.look_up(local[step.source], others)
        src, dst = (far, near) if step.forward else (near, far)
        edges[step.edge_type].append(EdgeList(src, dst, edge_ids))
    return local_graph(hg, reached, edges)


def local_graph(
    hg: HeteroCSR, node_ids: Mapping[str, Array], edges: Mapping[EdgeType, Sequence[EdgeList]]
) -> NeighborSample:
    """The graph of the given edges, each once, over the given nodes.

    Parameters
    ----------
    hg : HeteroCSR
        The whole graph.
    node_ids : dict of str to (n,) int64
        For every node type, the distinct nodes in the order of their local ids.
    edges : dict of triple to list of EdgeList
        For every edge type; an edge may come several times.
    """
    ids, ends = {}, {}
    kernels, xp = twin("relabel", array_of(hg)), namespace(array_of(hg))
    for triple, parts in edges.items():
        met = [part.edge_ids for part in parts]
        each = kernels.number(xp.zeros(0, np.int64), met, hg.n_edges[triple])
        src, dst = (
            xp.empty(len(each.nodes), id_dtype(len(node_ids[t]))) for t in (triple[0], triple[2])
        )
        for part in parts:
            place = kernels.look_up(each, part.edge_ids)
            src[place], dst[place] = part.src, part.dst
        ids[triple], ends[triple] = each.nodes, (src, dst)
    graph = HeteroCSR.from_edges(ends, {t: len(nodes) for t, nodes in node_ids.items()})
    return NeighborSample(dict(node_ids), graph, ids)
