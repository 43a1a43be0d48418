"""Many graphs of one schema as one graph with a block on the diagonal for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dglmeta.errors import DataError, SchemaError
from dglmeta.graph.adjacency import Adjacency, Array, id_dtype
from dglmeta.graph.csr import HeteroCSR
from dglmeta.graph.schema import EdgeType

__all__ = ["GraphBatch"]


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """The disjoint union of B graphs, and where each of them lies in it.

    Parameters
    ----------
    graph : HeteroCSR
        Nodes, edges and features of the first graph, then of the second, and so on.
    node_ptr : dict of str to (B + 1,) int64
        Graph b has the nodes ``node_ptr[t][b]`` up to ``node_ptr[t][b + 1]`` of type t.
    edge_ptr : dict of triple to (B + 1,) int64
        The same for the ids of edges.

    Examples
    --------
    >>> knows = ("person", "knows", "person")
    >>> pair = HeteroCSR.from_edges({knows: ([0], [1])}, {"person": 2})
    >>> batch = GraphBatch.from_graphs([pair, pair])
    >>> batch.graph.adjacency(knows).coo()
    (array([0, 2], dtype=int32), array([1, 3], dtype=int32))
    >>> batch.graph_ids("person")
    array([0, 0, 1, 1])
    """

    graph: HeteroCSR
    node_ptr: Mapping[str, Array]
    edge_ptr: Mapping[EdgeType, Array]

    @classmethod
    def from_graphs(cls, graphs: Sequence[HeteroCSR]) -> GraphBatch:
        """Put graphs side by side.

        Raises
        ------
        DataError
            If there is no graph, or a feature is not in all of them with one shape of row.
        SchemaError
            If two graphs have different schemas.
        """
        if not graphs:
            raise DataError("GraphBatch: expected at least one graph, got none. Give a list.")
        schema = graphs[0].schema
        for b, graph in enumerate(graphs):
            if graph.schema != schema:
                raise SchemaError(
                    f"GraphBatch: expected every graph to have the schema of the first, "
                    f"{schema}, got {graph.schema} at {b}. Batch graphs of one schema."
                )
        node_ptr = {t: _ptr([g.n_nodes[t] for g in graphs]) for t in schema.node_types}
        edge_ptr = {e: _ptr([g.adjacencies[e].n_edges for g in graphs]) for e in schema.edge_types}
        union = HeteroCSR(
            schema,
            {t: int(ptr[-1]) for t, ptr in node_ptr.items()},
            {
                e: _side_by_side([g.adjacencies[e] for g in graphs], node_ptr[e[2]], edge_ptr[e])
                for e in schema.edge_types
            },
            _join([g.node_data for g in graphs], schema.node_types),
            _join([g.edge_data for g in graphs], schema.edge_types),
        )
        return cls(union, node_ptr, edge_ptr)

    def unbatch(self) -> list[HeteroCSR]:
        """The graphs the batch was made of; their features are views into the batch's."""
        return [self._block(b) for b in range(len(self))]

    def graph_ids(self, node_type: str) -> Array:
        """(n_nodes,) int64: which graph each node of a type belongs to."""
        if node_type not in self.node_ptr:
            raise SchemaError(
                f"GraphBatch: expected a node type of {list(self.node_ptr)}, got {node_type!r}. "
                f"Give one of them."
            )
        return np.repeat(np.arange(len(self)), np.diff(self.node_ptr[node_type]))

    def _block(self, b: int) -> HeteroCSR:
        nodes = {t: slice(ptr[b], ptr[b + 1]) for t, ptr in self.node_ptr.items()}
        edges = {e: slice(ptr[b], ptr[b + 1]) for e, ptr in self.edge_ptr.items()}
        return HeteroCSR(
            self.graph.schema,
            {t: here.stop - here.start for t, here in nodes.items()},
            {
                e: _cut(adj, nodes[e[0]], nodes[e[2]], edges[e])
                for e, adj in self.graph.adjacencies.items()
            },
            {t: {k: x[nodes[t]] for k, x in f.items()} for t, f in self.graph.node_data.items()},
            {e: {k: x[edges[e]] for k, x in f.items()} for e, f in self.graph.edge_data.items()},
        )

    def __len__(self) -> int:
        """Number of graphs."""
        return len(next(iter(self.node_ptr.values()))) - 1

    def __repr__(self) -> str:
        return f"GraphBatch({len(self)} graphs: {self.graph!r})"


def _ptr(counts: list[int]) -> Array:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def _side_by_side(blocks: list[Adjacency], columns: Array, edges: Array) -> Adjacency:
    """The block-diagonal adjacency; block b starts at column columns[b] and edge id edges[b]."""
    n_dst = int(columns[-1])
    indices = np.concatenate([adj.indices for adj in blocks]).astype(id_dtype(n_dst), copy=False)
    indices += np.repeat(columns[:-1], np.diff(edges)).astype(indices.dtype)
    placed = list(zip(blocks, edges[:-1], strict=True))
    indptr = np.concatenate([*(adj.indptr[:-1] + start for adj, start in placed), edges[-1:]])
    ids = None
    if any(adj.edge_ids is not None for adj in blocks):
        ids = np.concatenate([_edge_ids(adj) + start for adj, start in placed])
    return Adjacency(indptr, indices, ids, n_dst)


def _cut(adj: Adjacency, rows: slice, columns: slice, edges: slice) -> Adjacency:
    """One block of a block-diagonal adjacency."""
    indices = adj.indices[edges] - columns.start
    n_dst = columns.stop - columns.start
    ids = None if adj.edge_ids is None else adj.edge_ids[edges] - edges.start
    indptr = adj.indptr[rows.start : rows.stop + 1] - edges.start
    return Adjacency(indptr, indices.astype(id_dtype(n_dst), copy=False), ids, n_dst)


def _edge_ids(adj: Adjacency) -> Array:
    return np.arange(adj.n_edges) if adj.edge_ids is None else adj.edge_ids


def _join(
    data: list[Mapping[Any, Mapping[str, Array]]], types: Sequence[Any]
) -> dict[Any, dict[str, Array]]:
    """Features of all graphs one after another, by type and name."""
    joined: dict[Any, dict[str, Array]] = {}
    for key in types:
        parts = [features.get(key, {}) for features in data]
        for b, part in enumerate(parts):
            if set(part) != set(parts[0]):
                raise DataError(
                    f"GraphBatch: expected every graph to have the features {sorted(parts[0])} of "
                    f"{key!r} like the first, got {sorted(part)} at {b}. Add or drop them."
                )
        joined[key] = {name: _stack(key, name, [part[name] for part in parts]) for name in parts[0]}
    return joined


def _stack(key: Any, name: str, arrays: list[Array]) -> Array:
    rows = {x.shape[1:] for x in arrays}
    if len(rows) > 1:
        raise DataError(
            f"GraphBatch: expected rows of one shape in feature {name!r} of {key!r}, got "
            f"{sorted(rows)}. Pad them or leave the feature out."
        )
    return np.concatenate(arrays)
