"""Graphs of DGL, PyG and SciPy to :class:`HeteroCSR` and back; each library is imported late.

Edge e of the one graph is edge e of the other, and row i of a feature stays row i.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError
from dglmeta.graph.adjacency import Array
from dglmeta.graph.csr import HeteroCSR
from dglmeta.graph.schema import EdgeType

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = [
    "as_csr",
    "from_dgl",
    "from_pyg",
    "from_scipy",
    "to_dgl",
    "to_pyg",
    "to_scipy",
]

# PyG gives the one node type and the one edge type of a Data no names; these are ours.
NODE = "node"
EDGE: EdgeType = ("node", "edge", "node")

# DGL never changes a graph index: adding or removing replaces it. So what was read from an index
# stays true for as long as the index lives, and a graph that was changed is read again.
_structures: WeakKeyDictionary[Any, HeteroCSR] = WeakKeyDictionary()


def as_csr(graph: Any) -> HeteroCSR:
    """The structure of a graph of either kind: a HeteroCSR as it is, a DGLGraph converted.

    A DGLGraph is converted once and again after it was changed. Its features are not read: take
    them from the graph, where they may be tensors that require gradients.

    Parameters
    ----------
    graph : HeteroCSR or DGLGraph

    Raises
    ------
    DataError
        If it is neither, or a DGL block.
    """
    if isinstance(graph, HeteroCSR):
        return graph
    _require_dgl("as_csr", graph)
    found = _structures.get(graph._graph)
    if found is None:
        found = _structures[graph._graph] = _dgl_structure(graph)
    return found


def from_dgl(graph: Any) -> HeteroCSR:
    """Convert a DGLGraph with its features, which share memory with the tensors on the CPU.

    Parameters
    ----------
    graph : DGLGraph
        Homogeneous (its types are then ``_N`` and ``("_N", "_E", "_N")``) or heterogeneous, with
        int32 or int64 ids, on any device. Edges keep their DGL ids.

    Raises
    ------
    DataError
        If it is no DGLGraph, is a block, or has a feature NumPy has no type for.
    """
    _require_dgl("from_dgl", graph)
    plain = _dgl_structure(graph)
    node_data = {t: _arrays(graph.nodes[t].data) for t in graph.ntypes}
    edge_data = {e: _arrays(graph.edges[e].data) for e in graph.canonical_etypes}
    return HeteroCSR(plain.schema, plain.n_nodes, plain.adjacencies, node_data, edge_data)


def to_dgl(hg: HeteroCSR, *, index_dtype: npt.DTypeLike = np.int64) -> Any:
    """The graph as a DGLGraph with the same edge ids; features share memory where they can.

    Text features stay behind, for a tensor cannot hold them.

    Parameters
    ----------
    hg : HeteroCSR
    index_dtype : int64 or int32
        DGL's idtype.

    Raises
    ------
    DataError
        If the graph has no edge type, which DGL cannot express.

    Notes
    -----
    DGL sorts node and edge types by name; ids within a type are untouched.
    """
    if not hg.adjacencies:
        raise DataError("to_dgl: expected at least one edge type, got none. DGL needs one.")
    from dglmeta._dgl import load_dgl

    edges = {
        triple: tuple(_tensor(ends.astype(index_dtype)) for ends in adj.coo())
        for triple, adj in hg.adjacencies.items()
    }
    graph = load_dgl().heterograph(edges, num_nodes_dict=dict(hg.n_nodes))
    for node_type, features in hg.node_data.items():
        graph.nodes[node_type].data.update(_tensors(features))
    for triple, features in hg.edge_data.items():
        graph.edges[triple].data.update(_tensors(features))
    return graph


def from_pyg(data: Any) -> HeteroCSR:
    """Convert a PyG HeteroData, or a Data, whose types become ``node`` and ``edge``.

    Tensors and arrays with one row per node or edge become features; anything else (scalars,
    lists, graph labels) stays behind.

    Parameters
    ----------
    data : torch_geometric.data.HeteroData or Data
        Edges as ``edge_index`` of shape (2, n_edges).

    Raises
    ------
    DataError
        If an edge type has no ``edge_index``, or a node id is out of range.
    """
    if hasattr(data, "node_types"):
        node_stores = {t: data[t] for t in data.node_types}
        edge_stores = {tuple(e): data[e] for e in data.edge_types}
    else:
        node_stores, edge_stores = {NODE: data}, {EDGE: data}
    return HeteroCSR.from_edges(
        {triple: _edge_index(triple, store) for triple, store in edge_stores.items()},
        {t: store.num_nodes for t, store in node_stores.items()},
        {t: _rows(store, store.is_node_attr) for t, store in node_stores.items()},
        {e: _rows(store, store.is_edge_attr) for e, store in edge_stores.items()},
    )


def to_pyg(hg: HeteroCSR) -> Any:
    """The graph as a PyG HeteroData; as a Data if its only types are ``node`` and ``edge``.

    Text features are handed over as NumPy arrays. In a Data, where nodes and edges share one set
    of names, an edge feature ``w`` becomes ``edge_w`` (and ``edge_w`` stays as it is).
    """
    import torch
    from torch_geometric.data import Data, HeteroData

    plain = list(hg.n_nodes) == [NODE] and list(hg.adjacencies) == [EDGE]
    data = Data() if plain else HeteroData()
    for node_type, n in hg.n_nodes.items():
        store = data if plain else data[node_type]
        store.num_nodes = n
        store.update(_tensors(hg.node_data.get(node_type, {}), text=True))
    for triple, adj in hg.adjacencies.items():
        store = data if plain else data[triple]
        store.edge_index = torch.from_numpy(np.stack(adj.coo()).astype(np.int64))
        features = _tensors(hg.edge_data.get(triple, {}), text=True)
        store.update({_edge_name(k) if plain else k: x for k, x in features.items()})
    return data


def from_scipy(
    matrices: Mapping[EdgeType, Any], n_nodes: Mapping[str, int] | None = None
) -> HeteroCSR:
    """Convert sparse matrices: every stored entry that is not zero is one edge.

    Edges are numbered as the matrix stores its entries. Unless they are all one, values become
    the edge feature ``weight``: a 3 is an edge of weight 3, not three edges.

    Parameters
    ----------
    matrices : dict of triple to SciPy sparse matrix or array
        Shape (number of source nodes, number of destination nodes).
    n_nodes : dict of str to int, optional
        Node types in their order, also those without edges; from the shapes when absent.

    Raises
    ------
    DataError
        If a matrix is not sparse, or its shape disagrees with another's or with ``n_nodes``.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> hg = from_scipy({("user", "rated", "item"): csr_array([[0, 5], [1, 0]])})
    >>> hg.n_nodes, hg.edge_data[("user", "rated", "item")]["weight"]
    ({'user': 2, 'item': 2}, array([5, 1]))
    """
    from scipy.sparse import issparse

    counts = dict(n_nodes or {})
    edges, edge_data = {}, {}
    for triple, matrix in matrices.items():
        if not issparse(matrix) or matrix.ndim != 2:
            raise DataError(
                f"from_scipy: expected a sparse matrix for {triple}, got {type(matrix).__name__}. "
                f"Wrap it in scipy.sparse.csr_array."
            )
        for node_type, n in zip((triple[0], triple[2]), matrix.shape, strict=True):
            if counts.setdefault(node_type, int(n)) != n:
                raise DataError(
                    f"from_scipy: expected {counts[node_type]} nodes of type {node_type!r} in "
                    f"{triple}, got a matrix of shape {matrix.shape}. Give one count per type."
                )
        entries = matrix.tocoo()
        stored = np.flatnonzero(entries.data)
        edges[triple] = entries.row[stored], entries.col[stored]
        values = entries.data[stored]
        if np.any(values != 1):
            edge_data[triple] = {"weight": values}
    return HeteroCSR.from_edges(edges, counts, edge_data=edge_data)


def to_scipy(hg: HeteroCSR, *, weight: str | None = "weight") -> dict[EdgeType, csr_array]:
    """One (n_src, n_dst) matrix per edge type.

    Parameters
    ----------
    hg : HeteroCSR
    weight : str or None
        Edge feature that gives the values where an edge type has it; elsewhere, and for None,
        every edge counts one. Parallel edges are summed.
    """
    return {
        triple: adj.to_scipy(hg.edge_data.get(triple, {}).get(weight or ""))
        for triple, adj in hg.adjacencies.items()
    }


def _require_dgl(where: str, graph: Any) -> None:
    """Refuse what is not a DGLGraph, without importing DGL to find out."""
    family = {(c.__module__.split(".")[0], c.__name__) for c in type(graph).__mro__}
    if ("dgl", "DGLGraph") not in family:
        raise DataError(
            f"{where}: expected a DGLGraph, got {type(graph).__name__}. "
            f"HeteroCSR.from_pandas, from_networkx, from_pyg and from_scipy take other graphs."
        )
    if graph.is_block:
        raise DataError(
            f"{where}: expected a DGLGraph, got a block (message-flow graph). Convert the graph it "
            f"was sampled from, or dgl.block_to_graph(block)."
        )


def _dgl_structure(graph: Any) -> HeteroCSR:
    formats = graph.formats()
    if "coo" not in formats["created"] + formats["not created"]:
        graph = graph.formats("coo")  # the only one DGL lists by edge id; a copy, not a change
    edges = {}
    for triple in graph.canonical_etypes:
        src, dst = graph.edges(form="uv", order="eid", etype=triple)
        edges[triple] = src.cpu().numpy(), dst.cpu().numpy()
    return HeteroCSR.from_edges(edges, {t: graph.num_nodes(t) for t in graph.ntypes})


def _edge_index(triple: EdgeType, store: Any) -> tuple[Array, Array]:
    if store.get("edge_index") is None:
        raise DataError(
            f"from_pyg: expected an edge_index for {triple}, got {list(store.keys())}. "
            f"Convert adj_t back with torch_geometric.utils.to_edge_index."
        )
    src, dst = _array("edge_index", store.edge_index)
    return src, dst


def _rows(store: Any, is_ours: Any) -> dict[str, Array]:
    """The features of a PyG store that have one row per node, or per edge."""
    named = {k: store[k] for k in store.keys() if k not in ("edge_index", "num_nodes")}  # noqa: SIM118
    return _arrays({k: x for k, x in named.items() if hasattr(x, "shape") and is_ours(k)})


def _edge_name(name: str) -> str:
    return name if name.startswith("edge_") else f"edge_{name}"


def _arrays(tensors: Mapping[str, Any]) -> dict[str, Array]:
    return {name: _array(name, tensor) for name, tensor in tensors.items()}


def _array(name: str, tensor: Any) -> Array:
    """A tensor's values, sharing its memory when it lies on the CPU."""
    if isinstance(tensor, np.ndarray):
        return tensor
    try:
        array: Array = tensor.detach().cpu().numpy()
    except TypeError as error:
        raise DataError(
            f"from_dgl, from_pyg: expected {name!r} to have a dtype of NumPy, got {tensor.dtype} "
            f"({tensor.layout}). Convert it first, for example with .float()."
        ) from error
    return array


def _tensors(features: Mapping[str, Array], *, text: bool = False) -> dict[str, Any]:
    """Features as tensors; text is kept as it is or left out."""
    held = {k: x for k, x in features.items() if text or x.dtype.kind in "biufc"}
    return {k: _tensor(x) if x.dtype.kind in "biufc" else x for k, x in held.items()}


def _tensor(array: Array) -> Any:
    import torch

    # Torch refuses negative strides and warns of memory it must not write to.
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
