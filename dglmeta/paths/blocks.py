"""Sampled neighbourhoods as blocks: for every layer of an encoder, the messages that it passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dglmeta.graph import Adjacency, EdgeType, Step
from dglmeta.kernels.cpu.relabel import Met
from dglmeta.kernels.cpu.sample import Drawn
from dglmeta.kernels.twins import twin
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

__all__ = ["Block", "NeighborBlocks", "sample_blocks"]


class Block(NamedTuple):
    """The messages of one layer, from its sources to its destinations, all in local ids.

    The destinations of a type are the first of its sources, so with ``x`` of shape (n_src, d) those
    sources send, ``ops.spmm(block.adjacency(e), x)`` is what ``x[:n_dst]`` receive.
    """

    n_src: dict[str, int]
    """Sources of every node type."""
    n_dst: dict[str, int]
    """Destinations of every node type."""
    adjacencies: dict[Step, Adjacency]
    """For every edge type and direction in which messages run: rows receive, columns send."""
    edge_ids: dict[Step, Array]
    """(n_edges,) int64 each: id in the whole graph of each edge of the adjacency."""

    def adjacency(self, edge_type: EdgeType, forward: bool = True) -> Adjacency:
        """Of shape (n_dst, n_src): messages along an edge type, or against it."""
        return self.adjacencies[Step(edge_type, forward)]


class NeighborBlocks(NamedTuple):
    """What the layers of an encoder need to embed some seeds."""

    node_ids: dict[str, Array]
    """For every node type, (n,) int64: id in the whole graph of each local node, seeds first. The
    nodes of every block are the first of these."""
    blocks: list[Block]
    """A block a layer, first layer first; the destinations of the last are the seeds."""


def sample_blocks(
    hg_or_adjacency: Any,
    seeds: Seeds,
    fanouts: Fanouts,
    seed: int = 0,
    *,
    both_ways: bool = False,
) -> NeighborBlocks:
    """The messages each layer needs to embed the seeds, at most so many a node and edge type.

    Messages run along edges, so a hop draws edges that arrive. Hop 1 draws for the seeds, each
    later hop for all nodes met so far: for each node and edge type at most its fan-out of edges,
    uniformly and without replacement. Hop 1 becomes the last layer's block.

    Parameters
    ----------
    hg_or_adjacency : HeteroCSR, DGLGraph or square Adjacency
        An Adjacency becomes a graph of node type ``_N`` and edge type ``("_N", "_E", "_N")``.
    seeds : dict of str to (n,) integers, or (n,) integers
        Ids by node type; without a type where the graph has only one. Repeated ids count once.
    fanouts : sequence of int, or of dict of edge type to int
        One a hop, from the seeds outwards; -1 takes all edges. A dict names edge types by triple or
        relation; the others draw none.
    seed : int
        What a node draws depends on (seed, edge type, hop, node) alone.
    both_ways : bool
        Let messages run against edges too, and so draw leaving edges as well.

    Returns
    -------
    sample : NeighborBlocks
        Nodes are numbered within each type: distinct seeds in the order given, then the new nodes
        of each hop by rising id. Its arrays lie where the graph does; a graph on a GPU is sampled
        there, and gives the same sample.

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
    Cost O(sampled edges + nodes / 64) and, once a graph, its transposes; bytes beside the result:
    3/8 a node. Identical for any number of threads; any number of Python threads may sample at
    once.

    References
    ----------
    Hamilton, Ying and Leskovec, "Inductive representation learning on large graphs", arXiv
    1706.02216, algorithm 2.

    Examples
    --------
    >>> adj = Adjacency.from_coo([1, 2, 3], [0, 0, 2], (4, 4))
    >>> sample = sample_blocks(adj, [0], fanouts=[-1, -1])
    >>> sample.node_ids["_N"]
    array([0, 1, 2, 3])
    >>> first, last = (block.adjacency(("_N", "_E", "_N")) for block in sample.blocks)
    >>> first.to_scipy().toarray(), last.to_scipy().toarray()
    (array([[0, 1, 1, 0],
           [0, 0, 0, 0],
           [0, 0, 0, 1]]), array([[0, 1, 1]]))
    """
    hg = as_heterograph(hg_or_adjacency)
    nodes, ways = read_seeds(hg, seeds), ways_of(hg, fanouts, seed, both_ways)
    kernels, blocks = twin("relabel", array_of(hg)), []
    for hop in range(len(fanouts)):
        drawn = draw_hop(ways, nodes, hop)
        met = [Met(ids, sent_from(t, ways, drawn), hg.n_nodes[t]) for t, ids in nodes.items()]
        n_dst, local = _sizes(nodes), {}
        for node_type, (ids, renumbered) in zip(nodes, kernels.relabel_rows(met), strict=True):
            nodes[node_type] = ids
            steps = [way.step for way in ways if way.step.source == node_type]
            local.update(zip(steps, renumbered, strict=True))
        blocks.append(_block(_sizes(nodes), n_dst, local))
    return NeighborBlocks(nodes, blocks[::-1])


def _sizes(nodes: Mapping[str, Array]) -> dict[str, int]:
    return {node_type: len(ids) for node_type, ids in nodes.items()}


def _block(n_src: dict[str, int], n_dst: dict[str, int], local: Mapping[Step, Drawn]) -> Block:
    adjacencies = {
        step: Adjacency(drawn.indptr, drawn.neighbours, None, n_src[step.source])
        for step, drawn in local.items()
    }
    return Block(n_src, n_dst, adjacencies, {step: drawn.edge_ids for step, drawn in local.items()})
