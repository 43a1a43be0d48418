"""Simple undirected graphs without types, from edges in any form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError
from dglmeta.graph import EdgeType, GraphBatch, HeteroCSR, Schema
from dglmeta.paths.undirected import as_undirected

__all__ = ["LINK", "NODE", "SCHEMA", "undirected", "undirected_parts"]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]

NODE = "node"
"""The one node type."""

LINK: EdgeType = ("node", "link", "node")
"""The one edge type; every undirected edge is stored in both directions."""

SCHEMA = Schema((NODE,), (LINK,))
"""Of every graph of a :class:`dglmeta.data.GraphDataset`."""


def undirected(
    n_nodes: int,
    src: npt.ArrayLike,
    dst: npt.ArrayLike,
    node_data: Mapping[str, Array] | None = None,
) -> HeteroCSR:
    """A graph for a :class:`GraphDataset`, from edges given in any direction and any number.

    Parameters
    ----------
    n_nodes : int
    src, dst : (n_edges,) integers
        In [0, n_nodes). Loops and repeats are dropped.
    node_data : dict of str to array, optional
        Features of the nodes by name.

    Raises
    ------
    DataError
        If an id is out of range, or a feature does not have ``n_nodes`` rows.

    Examples
    --------
    >>> undirected(3, [0, 1, 2, 0], [1, 0, 2, 1]).adjacency(LINK).to_scipy().toarray()
    array([[0, 1, 0],
           [1, 0, 0],
           [0, 0, 0]])
    """
    adj = as_undirected(HeteroCSR.from_edges({LINK: (src, dst)}, {NODE: n_nodes}))
    return HeteroCSR(SCHEMA, {NODE: n_nodes}, {LINK: adj}, {NODE: dict(node_data or {})})


def undirected_parts(
    graph_of: Ids, src: Ids, dst: Ids, node_data: Mapping[str, Array] | None = None
) -> tuple[HeteroCSR, ...]:
    """One graph for each group of nodes, from nodes and edges numbered over all of them.

    Parameters
    ----------
    graph_of : (n_nodes,) int64
        Graph of each node, from 0. Nodes keep their order within a graph.
    src, dst : (n_edges,) integers
        Both ends of an edge in one graph; loops and repeats are dropped.
    node_data : dict of str to array, optional

    Raises
    ------
    DataError
        If an id is out of range or an edge joins two graphs.

    Examples
    --------
    >>> undirected_parts(np.array([0, 1, 1]), np.array([2]), np.array([1]))
    (HeteroCSR(node: 1; 0 edges of 1 types), HeteroCSR(node: 2; 2 edges of 1 types))
    """
    n_nodes = len(graph_of)
    given = HeteroCSR.from_edges({LINK: (src, dst)}, {NODE: n_nodes})  # which checks the ids
    across = graph_of[src] != graph_of[dst]
    if across.any():
        u, v = int(src[across][0]), int(dst[across][0])
        raise DataError(
            f"undirected_parts: expected both ends of an edge in one graph, got {u} - {v} between "
            f"graphs {graph_of[u]} and {graph_of[v]}. Correct the edge."
        )
    order = np.argsort(graph_of, kind="stable")
    place = np.empty(n_nodes, np.int64)
    place[order] = np.arange(n_nodes)
    src, dst = given.adjacencies[LINK].coo()
    data = {name: values[order] for name, values in (node_data or {}).items()}
    union = undirected(n_nodes, place[src], place[dst], data)
    node_ptr = np.append(0, np.cumsum(np.bincount(graph_of)))
    edge_ptr = union.adjacencies[LINK].indptr[node_ptr]
    return tuple(GraphBatch(union, {NODE: node_ptr}, {LINK: edge_ptr}).unbatch())
