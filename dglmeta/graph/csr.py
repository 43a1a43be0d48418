"""The graph every other room reads: one compressed sparse adjacency per edge type, frozen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError, SchemaError
from dglmeta.graph.adjacency import Adjacency, Array
from dglmeta.graph.device import check_room, device_name
from dglmeta.graph.schema import EdgeType, Schema
from dglmeta.kernels.twins import namespace

if TYPE_CHECKING:
    from pandas import DataFrame
    from scipy.sparse import csr_array

__all__ = ["Adjacency", "HeteroCSR", "Homogeneous"]

HASH_CHUNK = 1 << 20  # edges converted at a time, so that hashing a mapped graph stays small


@dataclass(frozen=True, eq=False)
class Homogeneous:
    """All nodes of a heterograph numbered in one range, and its edges in one adjacency.

    Parameters
    ----------
    adjacency : Adjacency
        Square, over all nodes.
    offsets : dict of str to int
        First homogeneous id of each node type.
    edge_offsets : dict of (triple, forward) to int
        First edge id of each edge type, walked along or against its direction.
    """

    adjacency: Adjacency
    offsets: dict[str, int]
    edge_offsets: dict[tuple[EdgeType, bool], int]

    @property
    def n_edge_types(self) -> int:
        """Edge types, each direction counted for itself."""
        return len(self.edge_offsets)

    @cached_property
    def edge_types(self) -> Array:
        """(n_edges,) int64 by edge id: number of its type and direction in ``edge_offsets``."""
        begins = np.array([*self.edge_offsets.values(), self.adjacency.n_edges])
        return np.repeat(np.arange(self.n_edge_types), np.diff(begins))


@dataclass(frozen=True, eq=False)
class HeteroCSR:
    """A heterogeneous graph: typed nodes, one :class:`Adjacency` per canonical edge type, features.

    Parameters
    ----------
    schema : Schema
    n_nodes : dict of str to int
        Number of nodes of every node type; types may be empty.
    adjacencies : dict of triple to Adjacency
        One for every edge type of the schema, of shape (n_nodes[src], n_nodes[dst]).
    node_data, edge_data : dict of type to dict of str to array, optional
        Features by type and name; the first axis is the node id or the edge id.

    Raises
    ------
    SchemaError
        If a type is missing or not in the schema.
    DataError
        If a shape does not agree with the number of nodes or edges.

    Examples
    --------
    >>> rated = ("user", "rated", "item")
    >>> hg = HeteroCSR.from_edges({rated: ([0, 0, 1], [1, 0, 1])}, {"user": 2, "item": 2})
    >>> hg.adjacency(rated).to_scipy().toarray()
    array([[1, 1],
           [0, 1]])
    """

    schema: Schema
    n_nodes: Mapping[str, int]
    adjacencies: Mapping[EdgeType, Adjacency]
    node_data: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    edge_data: Mapping[EdgeType, Mapping[str, Array]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _same_names("node types", self.n_nodes, self.schema.node_types)
        _same_names("edge types", self.adjacencies, self.schema.edge_types)
        n_nodes = {t: int(self.n_nodes[t]) for t in self.schema.node_types}
        object.__setattr__(self, "n_nodes", n_nodes)
        for (s, r, d), adj in self.adjacencies.items():
            expected = (n_nodes[s], n_nodes[d])
            if adj.shape != expected:
                raise DataError(
                    f"HeteroCSR: expected {(s, r, d)} of shape {expected}, got {adj.shape}. "
                    f"Build it with the node counts of {s!r} and {d!r}."
                )
        for name, features in self.node_data.items():
            if name not in n_nodes:
                raise SchemaError(
                    f"HeteroCSR: node_data names {name!r}, which is not among the node types "
                    f"{list(n_nodes)}. Rename it or add the type."
                )
            _check_rows(f"node_data[{name!r}]", features, n_nodes[name])
        for triple, features in self.edge_data.items():
            _check_rows(f"edge_data[{triple}]", features, self.adjacency(triple).n_edges)

    @classmethod
    def from_edges(
        cls,
        edges: Mapping[EdgeType, tuple[npt.ArrayLike, npt.ArrayLike]],
        n_nodes: Mapping[str, int],
        node_data: Mapping[str, Mapping[str, Array]] | None = None,
        edge_data: Mapping[EdgeType, Mapping[str, Array]] | None = None,
    ) -> HeteroCSR:
        """Build from ``{triple: (src, dst)}`` and the number of nodes of every type."""
        schema = Schema(tuple(n_nodes), tuple(edges))
        adjacencies = {
            e: Adjacency.from_coo(src, dst, (n_nodes[e[0]], n_nodes[e[2]]))
            for e, (src, dst) in edges.items()
        }
        return cls(schema, n_nodes, adjacencies, node_data or {}, edge_data or {})

    @cached_property
    def device(self) -> str:
        """Where the structure lies: "cpu" or "cuda"; features stay where they are."""
        return next((adj.device for adj in self.adjacencies.values()), "cpu")

    @cached_property
    def host(self) -> HeteroCSR:
        """The same graph in NumPy arrays; itself if it is on the host."""
        if self.device == "cpu":
            return self
        return replace(self, adjacencies={e: adj.host for e, adj in self.adjacencies.items()})

    def to(self, device: str) -> HeteroCSR:
        """The same graph with its structure on a device, "cpu" or "cuda"; itself if it is there.

        What :mod:`dglmeta.paths` offers then runs on that device and gives arrays there: the same
        numbers, also the same draws. Conversions, files and hashes go through the host.

        Raises
        ------
        DeviceError
            If there is no such device or no room on it; a graph that is too large stays on the
            host, where :class:`dglmeta.paths.loader.NeighborLoader` samples it for the device.

        Notes
        -----
        Bytes on the device: ``nbytes``, and as much for the other direction once it is needed.
        """
        name = device_name(device)
        if name == self.device:
            return self
        if name == "cpu":
            return self.host
        missing = [adj for adj in self.adjacencies.values() if "_on_cuda" not in adj.__dict__]
        check_room([a for adj in missing for a in (adj.indptr, adj.indices, adj.edge_ids)])
        moved = {e: adj.to(name) for e, adj in self.adjacencies.items()}
        copy = replace(self, adjacencies=moved)
        copy.__dict__["host"] = self
        return copy

    @property
    def n_edges(self) -> dict[EdgeType, int]:
        """Number of edges of every type."""
        return {e: adj.n_edges for e, adj in self.adjacencies.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of structure, without features and cached transposes."""
        return sum(adj.nbytes for adj in self.adjacencies.values())

    def adjacency(self, edge_type: str | EdgeType) -> Adjacency:
        """The adjacency of one edge type, named by its triple or by a relation that is unique.

        Raises
        ------
        SchemaError
            If there is no such edge type; the message lists what exists.
        """
        return self.adjacencies[self.schema.edge_type(edge_type)]

    def step_adjacency(self, edge_type: EdgeType, forward: bool) -> Adjacency:
        """The adjacency of one meta-path step: rows are where the step starts."""
        adj = self.adjacency(edge_type)
        return adj if forward else adj.T

    def with_edges(self, edge_type: EdgeType, src: npt.ArrayLike, dst: npt.ArrayLike) -> HeteroCSR:
        """A graph that shares everything but has these edges of one type, without edge features."""
        triple = self.schema.edge_type(edge_type)
        shape = self.adjacencies[triple].shape
        adjacencies = {**self.adjacencies, triple: Adjacency.from_coo(src, dst, shape)}
        edge_data = {e: f for e, f in self.edge_data.items() if e != triple}
        return replace(self, adjacencies=adjacencies, edge_data=edge_data)

    def without_edges(self, edge_type: str | EdgeType, edge_ids: npt.ArrayLike) -> HeteroCSR:
        """A graph that shares everything but lacks these edges of one type.

        The other edges of that type keep their features and are renumbered in their old order.
        """
        triple = self.schema.edge_type(edge_type)
        adj = self.adjacencies[triple]
        adjacencies = {**self.adjacencies, triple: adj.without(edge_ids)}
        edge_data = dict(self.edge_data)
        if triple in edge_data:
            ids = np.asarray(edge_ids, np.int64)
            kept = {name: np.delete(x, ids, axis=0) for name, x in edge_data[triple].items()}
            edge_data[triple] = kept
        return replace(self, adjacencies=adjacencies, edge_data=edge_data)

    def homogeneous(self, *, both_ways: bool = False) -> Homogeneous:
        """One adjacency over all nodes, types in schema order.

        Parameters
        ----------
        both_ways : bool
            Add every edge's reverse, so that messages flow along and against every relation.
            Reverse edges are numbered after the edges of their own type.
        """
        offsets, n_all = {}, 0
        for name in self.schema.node_types:
            offsets[name] = n_all
            n_all += self.n_nodes[name]
        sources, destinations, edge_offsets, n_edges = [], [], {}, 0
        for triple in self.schema.edge_types:
            src, dst = self.adjacencies[triple].coo()
            src, dst = src + np.int64(offsets[triple[0]]), dst + np.int64(offsets[triple[2]])
            for forward in (True, False) if both_ways else (True,):
                sources.append(src if forward else dst)
                destinations.append(dst if forward else src)
                edge_offsets[triple, forward] = n_edges
                n_edges += len(src)
        none = [namespace(src).zeros(0, np.int64)] if sources else [np.zeros(0, np.int64)]
        adj = Adjacency.from_coo(
            np.concatenate(none + sources), np.concatenate(none + destinations), (n_all, n_all)
        )
        return Homogeneous(adj, offsets, edge_offsets)

    @cached_property
    def content_hash(self) -> str:
        """sha256 of the structure: types, node counts and edges with their ids; not features.

        Neither the order of types nor the dtype of ids matters, so a graph that went through DGL,
        which sorts its types, keeps its hash.
        """
        edges = sorted(self.host.adjacencies.items())
        header = [sorted(self.n_nodes.items()), [(triple, adj.n_edges) for triple, adj in edges]]
        digest = hashlib.sha256(json.dumps(header).encode())
        for _, adj in edges:
            for ends in adj.coo():
                for start in range(0, len(ends), HASH_CHUNK):
                    digest.update(ends[start : start + HASH_CHUNK].astype("<i8").data)
        return digest.hexdigest()

    def save(self, folder: str | Path) -> None:
        """Write the graph to a folder, at once or not at all; see :mod:`dglmeta.graph.store`."""
        from dglmeta.graph.store import save_graph

        save_graph(self.host, folder)

    @classmethod
    def open(cls, folder: str | Path, *, mmap: bool = True, verify: bool = False) -> HeteroCSR:
        """Read a graph from a folder that :meth:`save` wrote.

        Parameters
        ----------
        folder : path
        mmap : bool
            Map the arrays instead of reading them: opening is instant, pages come when touched,
            and processes on one machine share them.
        verify : bool
            Check every file against its sha256 first.

        Raises
        ------
        DataError
            If the folder is missing, damaged, or written by a newer dglmeta.
        """
        from dglmeta.graph.store import open_graph

        return open_graph(folder, mmap=mmap, verify=verify)

    @classmethod
    def from_dgl(cls, graph: Any) -> HeteroCSR:
        """Convert a DGLGraph: :func:`dglmeta.graph.convert.from_dgl`."""
        from dglmeta.graph.convert import from_dgl

        return from_dgl(graph)

    def to_dgl(self, *, index_dtype: npt.DTypeLike = np.int64) -> Any:
        """The graph as a DGLGraph: :func:`dglmeta.graph.convert.to_dgl`."""
        from dglmeta.graph.convert import to_dgl

        return to_dgl(self.host, index_dtype=index_dtype)

    @classmethod
    def from_scipy(
        cls, matrices: Mapping[EdgeType, Any], n_nodes: Mapping[str, int] | None = None
    ) -> HeteroCSR:
        """Convert sparse matrices: :func:`dglmeta.graph.convert.from_scipy`."""
        from dglmeta.graph.convert import from_scipy

        return from_scipy(matrices, n_nodes)

    def to_scipy(self, *, weight: str | None = "weight") -> dict[EdgeType, csr_array]:
        """One sparse matrix per edge type: :func:`dglmeta.graph.convert.to_scipy`."""
        from dglmeta.graph.convert import to_scipy

        return to_scipy(self.host, weight=weight)

    @classmethod
    def from_networkx(
        cls, graph: Any, *, node_type: str = "node_type", relation: str = "relation"
    ) -> HeteroCSR:
        """Convert a NetworkX graph: :func:`dglmeta.graph.convert_networkx.from_networkx`."""
        from dglmeta.graph.convert_networkx import from_networkx

        return from_networkx(graph, node_type=node_type, relation=relation)

    def to_networkx(self, *, node_type: str = "node_type", relation: str = "relation") -> Any:
        """The graph as a MultiDiGraph: :func:`dglmeta.graph.convert_networkx.to_networkx`."""
        from dglmeta.graph.convert_networkx import to_networkx

        return to_networkx(self.host, node_type=node_type, relation=relation)

    @classmethod
    def from_pandas(
        cls, nodes: Mapping[str, DataFrame | int], edges: Mapping[EdgeType, DataFrame]
    ) -> HeteroCSR:
        """Convert tables: :func:`dglmeta.graph.convert_pandas.from_pandas`."""
        from dglmeta.graph.convert_pandas import from_pandas

        return from_pandas(nodes, edges)

    def to_pandas(self) -> tuple[dict[str, DataFrame], dict[EdgeType, DataFrame]]:
        """Tables of nodes and of edges: :func:`dglmeta.graph.convert_pandas.to_pandas`."""
        from dglmeta.graph.convert_pandas import to_pandas

        return to_pandas(self.host)

    @classmethod
    def from_pyg(cls, data: Any) -> HeteroCSR:
        """Convert a PyG HeteroData or Data: :func:`dglmeta.graph.convert_pyg.from_pyg`."""
        from dglmeta.graph.convert_pyg import from_pyg

        return from_pyg(data)

    def to_pyg(self) -> Any:
        """The graph as a PyG HeteroData or Data: :func:`dglmeta.graph.convert_pyg.to_pyg`."""
        from dglmeta.graph.convert_pyg import to_pyg

        return to_pyg(self.host)

    def __repr__(self) -> str:
        nodes = ", ".join(f"{t}: {n:,}" for t, n in self.n_nodes.items())
        edges = sum(self.n_edges.values())
        return f"HeteroCSR({nodes}; {edges:,} edges of {len(self.adjacencies)} types)"


def _same_names(what: str, given: Mapping[Any, Any], expected: tuple[Any, ...]) -> None:
    if set(given) != set(expected):
        raise SchemaError(
            f"HeteroCSR: expected exactly the {what} {list(expected)}, got {list(given)}. "
            f"Add what is missing and take out the rest."
        )


def _check_rows(where: str, features: Mapping[str, Array], n: int) -> None:
    for name, values in features.items():
        shape = np.shape(values)
        if shape[:1] != (n,):
            raise DataError(
                f"HeteroCSR: expected {where}[{name!r}] to have {n} rows, got shape {shape}. "
                f"Give one row per id."
            )
