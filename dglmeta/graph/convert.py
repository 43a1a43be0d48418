"""DGL graphs and SciPy matrices to :class:`HeteroCSR` and back; tensors to arrays and back."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
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
    "from_scipy",
    "to_array",
    "to_arrays",
    "to_dgl",
    "to_scipy",
    "to_tensor",
    "to_tensors",
]

# The structure read from each living DGLGraph, and the graph index it was read from. DGL never
# changes an index: adding or removing nodes or edges gives the graph another one.
_structures: WeakKeyDictionary[Any, tuple[Any, HeteroCSR]] = WeakKeyDictionary()


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
    index, hg = _structures.get(graph, (None, None))
    if hg is None or index is not graph._graph:
        hg = _dgl_structure(graph)
        _structures[graph] = graph._graph, hg
    return hg


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
    node_data = {t: to_arrays(graph.nodes[t].data) for t in graph.ntypes}
    edge_data = {e: to_arrays(graph.edges[e].data) for e in graph.canonical_etypes}
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
        triple: tuple(to_tensor(ends.astype(index_dtype)) for ends in adj.coo())
        for triple, adj in hg.adjacencies.items()
    }
    graph = load_dgl().heterograph(edges, num_nodes_dict=dict(hg.n_nodes))
    for node_type, features in hg.node_data.items():
        graph.nodes[node_type].data.update(to_tensors(features))
    for triple, features in hg.edge_data.items():
        graph.edges[triple].data.update(to_tensors(features))
    return graph


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
    # Inside torch.func's transforms NumPy cannot reach DGL's tensors. The transforms belong to a
    # thread, so another one reads them.
    with ThreadPoolExecutor(1) as other_thread:
        return other_thread.submit(_read_structure, graph).result()


def _read_structure(graph: Any) -> HeteroCSR:
    formats = graph.formats()
    if "coo" not in formats["created"] + formats["not created"]:
        graph = graph.formats("coo")  # the only one DGL lists by edge id; a copy, not a change
    edges = {}
    for triple in graph.canonical_etypes:
        src, dst = graph.edges(form="uv", order="eid", etype=triple)
        edges[triple] = src.cpu().numpy(), dst.cpu().numpy()
    return HeteroCSR.from_edges(edges, {t: graph.num_nodes(t) for t in graph.ntypes})


def to_arrays(tensors: Mapping[str, Any]) -> dict[str, Array]:
    """:func:`to_array` of every one."""
    return {name: to_array(name, tensor) for name, tensor in tensors.items()}


def to_array(name: str, tensor: Any) -> Array:
    """A tensor's values, sharing its memory when it lies on the CPU; an array as it is.

    Raises
    ------
    DataError
        If NumPy has no such dtype, naming ``name``.
    """
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


def to_tensors(features: Mapping[str, Array], *, text: bool = False) -> dict[str, Any]:
    """Features as tensors; text is kept as it is or left out."""
    held = {k: x for k, x in features.items() if text or x.dtype.kind in "biufc"}
    return {k: to_tensor(x) if x.dtype.kind in "biufc" else x for k, x in held.items()}


def to_tensor(array: Array) -> Any:
    """An array's values, sharing its memory where torch allows it."""
    import torch

    # Torch refuses negative strides and warns of memory it must not write to: those are copied.
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
