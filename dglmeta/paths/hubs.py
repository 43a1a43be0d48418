"""Hub nodes tied into a sampled neighbourhood, so that distant parts of it hear of each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from dglmeta.errors import ConfigError
from dglmeta.graph import EdgeType, HeteroCSR
from dglmeta.kernels.cpu.hub import top_hubs
from dglmeta.kernels.cpu.sample import sample_neighbors as draw_neighbors
from dglmeta.paths.chain import Array
from dglmeta.paths.neighbors import EdgeList, NeighborSample, as_heterograph, local_graph

__all__ = ["add_hubs", "find_hubs"]


def add_hubs(
    block: NeighborSample, hg: Any, n_hubs: int = 5, *, edge_type: str | EdgeType | None = None
) -> NeighborSample:
    """The sample with the graph's hubs in it, and with all edges between hubs and its nodes.

    An edge of any type is added when it joins a hub and a node of the sample, or two hubs,
    whichever way it runs. So hubs hear from, and speak to, all of the sample.

    Parameters
    ----------
    block : NeighborSample
        From :func:`dglmeta.sample_neighbors` on the same graph.
    hg : HeteroCSR, DGLGraph or Adjacency
        The whole graph: for training, the training graph.
    n_hubs : int
        How many of the nodes with most edges are hubs.
    edge_type : triple or relation, optional
        Take as hubs the destinations of most edges of this type: for recommendations, the items
        most users rated. When absent, the nodes of any type with most edges of all types.

    Returns
    -------
    sample : NeighborSample
        Local nodes of ``block`` keep their ids; hubs it lacked come after them. Edges are
        renumbered, by rising id in the whole graph.

    Raises
    ------
    ConfigError
        If ``n_hubs`` is negative.
    SchemaError
        If there is no such edge type.

    Notes
    -----
    Cost O(nodes of the graph + edges of the hubs + size of the block). Where relations are stored
    in one direction only, let the encoder pass messages both ways, as for any other edge.

    References
    ----------
    HintNet in SELAR, arXiv 2007.08294. Its authors' program adds only edges towards hubs, and only
    from the last hop.

    Examples
    --------
    >>> from dglmeta import Adjacency, sample_neighbors
    >>> star = Adjacency.from_coo([1, 2, 3, 3], [0, 0, 0, 2], (4, 4))
    >>> block = sample_neighbors(star, [2], fanouts=[-1])
    >>> hubbed = add_hubs(block, star, n_hubs=1)
    >>> hubbed.node_ids["_N"], hubbed.edge_ids["_N", "_E", "_N"]
    (array([2, 3, 0]), array([1, 2, 3]))
    """
    hg = as_heterograph(hg)
    hubs = find_hubs(hg, n_hubs, edge_type=edge_type)
    nodes = {t: np.concatenate([block.node_ids[t], hubs[t]]) for t in hg.schema.node_types}
    edges = {}
    for triple in hg.schema.edge_types:
        src, dst = block.graph.adjacency(triple).coo()
        ends = block.node_ids[triple[0]][src], block.node_ids[triple[2]][dst]
        sampled = EdgeList(*ends, block.edge_ids[triple])
        leaving = _edges_of(hg, triple, True, hubs[triple[0]], nodes[triple[2]])
        arriving = _edges_of(hg, triple, False, hubs[triple[2]], nodes[triple[0]])
        edges[triple] = [sampled, leaving, arriving]
    return local_graph(hg, nodes, edges)


def find_hubs(
    hg: HeteroCSR, n_hubs: int, *, edge_type: str | EdgeType | None = None
) -> dict[str, Array]:
    """Ids of the hubs by node type, as :func:`add_hubs` chooses them; ties go to the lower id.

    Raises
    ------
    ConfigError
        If ``n_hubs`` is negative.
    SchemaError
        If there is no such edge type.
    """
    if n_hubs < 0:
        raise ConfigError(f"add_hubs: expected n_hubs >= 0, got {n_hubs}. Give 0 for none.")
    degrees = {t: np.zeros(n, np.int64) for t, n in hg.n_nodes.items()}
    chosen = hg.schema.edge_types if edge_type is None else (hg.schema.edge_type(edge_type),)
    for triple in chosen:
        adj = hg.adjacency(triple)
        degrees[triple[2]] += adj.T.out_degrees
        if edge_type is None:
            degrees[triple[0]] += adj.out_degrees
    eligible = list(degrees) if edge_type is None else [chosen[0][2]]
    offsets = np.cumsum([0, *(len(degrees[t]) for t in eligible)])
    ranked = top_hubs(np.concatenate([degrees[t] for t in eligible]), n_hubs)
    hubs = {t: np.zeros(0, np.int64) for t in degrees}
    for t, begin, end in zip(eligible, offsets[:-1], offsets[1:], strict=True):
        hubs[t] = ranked[(ranked >= begin) & (ranked < end)] - begin
    return hubs


def _edges_of(
    hg: HeteroCSR, triple: EdgeType, leaving: bool, hubs: Array, others: Array
) -> EdgeList:
    """Edges of one type that leave hubs for these other nodes, or arrive from them."""
    adj = hg.step_adjacency(triple, leaving)
    indptr, ends, edge_ids = draw_neighbors(adj.indptr, adj.indices, adj.edge_ids, hubs, -1, 0, 0)
    present = np.zeros(adj.n_dst, bool)
    present[others] = True
    kept = present[ends]
    near, far = np.repeat(hubs, np.diff(indptr))[kept], ends[kept]
    src, dst = (near, far) if leaving else (far, near)
    return EdgeList(src, dst, edge_ids[kept])
