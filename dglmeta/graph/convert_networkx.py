"""NetworkX graphs to :class:`HeteroCSR` and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dglmeta.errors import DataError
from dglmeta.graph.adjacency import Array
from dglmeta.graph.csr import HeteroCSR
from dglmeta.graph.schema import EdgeType

__all__ = ["from_networkx", "to_networkx"]

# The types of nodes and edges that name none.
NODE, EDGE = "node", "edge"
# The edge attribute that carries edge ids, which NetworkX itself does not have.
EDGE_ID = "edge_id"

Attributes = Mapping[str, Any]
Edge = tuple[int, int, Attributes]


def from_networkx(
    graph: Any, *, node_type: str = "node_type", relation: str = "relation"
) -> HeteroCSR:
    """Convert any NetworkX graph; its attributes become features.

    Nodes are numbered within their type in the graph's order and keep their names as the feature
    ``id``. Edges are numbered within theirs by the attribute ``edge_id`` where it runs from 0 to
    n - 1, else in the graph's order; keys of parallel edges are dropped. An undirected edge
    becomes two, one each way.

    Parameters
    ----------
    graph : networkx.Graph, DiGraph, MultiGraph or MultiDiGraph
    node_type : str
        Node attribute that names the type; nodes without it are of type ``node``.
    relation : str
        Edge attribute that names the relation; edges without it have the relation ``edge``.

    Raises
    ------
    DataError
        If names within a type are neither all integers nor all text, or an attribute is missing
        on some of a type's nodes or edges, or its values do not form an array.

    Examples
    --------
    >>> import networkx as nx
    >>> hg = from_networkx(nx.path_graph(["a", "b", "c"]))
    >>> hg.node_data["node"]["id"]
    array(['a', 'b', 'c'], dtype='<U1')
    >>> hg.adjacency("edge").coo()
    (array([0, 1, 1, 2], dtype=int32), array([1, 0, 2, 1], dtype=int32))
    """
    nodes, place = _nodes_by_type(graph, node_type)
    node_data = {}
    for kind, members in nodes.items():
        names = list(members)
        node_data[kind] = _features(f"{kind!r} node", names, members.values(), {node_type, "id"})
        node_data[kind]["id"] = _stack_names(kind, names)
    ends, edge_data = {}, {}
    for triple, unordered in _edges_by_type(graph, place, relation).items():
        edges = _in_id_order(unordered)
        ends[triple] = [i for i, _, _ in edges], [j for _, j, _ in edges]
        features = _features(
            f"edge {triple}", range(len(edges)), (a for _, _, a in edges), {relation}
        )
        if np.array_equal(features.get(EDGE_ID, ()), np.arange(len(edges))):
            features.pop(EDGE_ID, None)
        edge_data[triple] = features
    n_nodes = {kind: len(members) for kind, members in nodes.items()}
    return HeteroCSR.from_edges(ends, n_nodes, node_data, edge_data)


def to_networkx(hg: HeteroCSR, *, node_type: str = "node_type", relation: str = "relation") -> Any:
    """The graph as a MultiDiGraph, which :func:`from_networkx` reads back with the same ids.

    Nodes are named by their feature ``id``, with the type in front (``user:7``) if two types share
    an id, and by type and number where a type has none. Features become attributes; the graph's
    own attributes ``node_types`` and ``edge_types`` list all types, so that empty ones survive.

    Parameters
    ----------
    hg : HeteroCSR
    node_type, relation : str
        The attributes that will hold the type of a node and the relation of an edge.

    Raises
    ------
    DataError
        If the feature ``id`` does not tell the nodes of a type apart.
    """
    import networkx as nx

    graph = nx.MultiDiGraph(
        node_types=list(hg.schema.node_types), edge_types=list(hg.schema.edge_types)
    )
    names = _node_names(hg)
    for kind, members in names.items():
        features = {k: x for k, x in hg.node_data.get(kind, {}).items() if k != "id"}
        rows = _rows(len(members), features, {node_type: kind})
        graph.add_nodes_from(zip(members, rows, strict=True))
    for triple, adj in hg.adjacencies.items():
        sources, targets = names[triple[0]], names[triple[2]]
        ids = {EDGE_ID: np.arange(adj.n_edges)}
        rows = _rows(adj.n_edges, {**hg.edge_data.get(triple, {}), **ids}, {relation: triple[1]})
        ends = zip(*(x.tolist() for x in adj.coo()), rows, strict=True)
        graph.add_edges_from((sources[i], targets[j], attributes) for i, j, attributes in ends)
    return graph


def _nodes_by_type(
    graph: Any, node_type: str
) -> tuple[dict[str, dict[Any, Attributes]], dict[Any, tuple[str, int]]]:
    """Names and attributes of every type's nodes; and the type and number of every name."""
    nodes: dict[str, dict[Any, Attributes]] = {t: {} for t in graph.graph.get("node_types", ())}
    place = {}
    for name, attributes in graph.nodes(data=True):
        kind = str(attributes.get(node_type, NODE))
        members = nodes.setdefault(kind, {})
        place[name] = kind, len(members)
        members[name] = attributes
    return nodes, place


def _edges_by_type(
    graph: Any, place: Mapping[Any, tuple[str, int]], relation: str
) -> dict[EdgeType, list[Edge]]:
    """Every type's edges in the graph's order, both ways if it is undirected."""
    known = graph.graph.get("edge_types", ())
    edges: dict[EdgeType, list[Edge]] = {(s, r, d): [] for s, r, d in known}
    directed = graph if graph.is_directed() else graph.to_directed(as_view=True)
    for u, v, attributes in directed.edges(data=True):
        (source, i), (target, j) = place[u], place[v]
        triple = source, str(attributes.get(relation, EDGE)), target
        edges.setdefault(triple, []).append((i, j, attributes))
    return edges


def _in_id_order(edges: list[Edge]) -> list[Edge]:
    """Edges in the order of their attribute ``edge_id``, if it numbers them all from 0."""
    placed = {attributes.get(EDGE_ID): (i, j, attributes) for i, j, attributes in edges}
    if all(k in placed for k in range(len(edges))):
        return [placed[k] for k in range(len(edges))]
    return edges


def _features(
    what: str, labels: Sequence[Any], rows: Iterable[Attributes], skip: set[str]
) -> dict[str, Array]:
    """One array per attribute; row k is the value on ``labels[k]``."""
    rows = list(rows)
    arrays = {}
    for key in dict.fromkeys(k for attributes in rows for k in attributes if k not in skip):
        for label, attributes in zip(labels, rows, strict=True):
            if key not in attributes:
                raise DataError(
                    f"from_networkx: expected the attribute {key!r} on every {what}, got none on "
                    f"{label!r}. Set it on all of them or delete it."
                )
        arrays[str(key)] = _stack(f"attribute {key!r} of every {what}", [a[key] for a in rows])
    return arrays


def _stack(what: str, values: list[Any]) -> Array:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.zeros(0, object)
    mixed = (
        array.ndim == 1 and array.dtype.kind == "U" and not all(isinstance(v, str) for v in values)
    )
    if mixed or array.dtype.kind not in "biufcmMU":
        kinds = sorted({type(v).__name__ for v in values})
        raise DataError(
            f"from_networkx: expected {what} to be numbers, arrays of one shape, or text, got "
            f"{', '.join(kinds)}. Convert or delete it."
        )
    return array


def _stack_names(kind: str, names: list[Any]) -> Array:
    array = _stack(f"the name of every {kind!r} node", names) if names else np.zeros(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        raise DataError(
            f"from_networkx: expected the names of {kind!r} nodes to be all integers or all text, "
            f"got {names[0]!r}. Rename them, for example with networkx.relabel_nodes(graph, str)."
        )
    return array


def _node_names(hg: HeteroCSR) -> dict[str, list[Any]]:
    """A name for every node that no other node has."""
    names: dict[str, list[Any]] = {}
    for kind, n in hg.n_nodes.items():
        ids = hg.node_data.get(kind, {}).get("id")
        names[kind] = [f"{kind}:{i}" for i in range(n)] if ids is None else ids.tolist()
    if _all_differ(names):
        return names
    prefixed = {kind: [f"{kind}:{name}" for name in members] for kind, members in names.items()}
    if _all_differ(prefixed):
        return prefixed
    raise DataError(
        "to_networkx: expected node_data[type]['id'] to tell the nodes of a type apart, got one "
        "twice. Rename or drop the feature."
    )


def _all_differ(names: Mapping[str, list[Any]]) -> bool:
    together = [name for members in names.values() for name in members]
    return len(set(together)) == len(together)


def _rows(n: int, features: Mapping[str, Array], same: Attributes) -> Iterator[dict[str, Any]]:
    """The attributes of each of n nodes or edges: its row of every feature, and what all share."""
    return ({**{k: x[i] for k, x in features.items()}, **same} for i in range(n))
