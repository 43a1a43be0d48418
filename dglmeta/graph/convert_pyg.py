"""PyG graphs to :class:`HeteroCSR` and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from dglmeta.errors import DataError
from dglmeta.graph.adjacency import Array
from dglmeta.graph.convert import to_array, to_arrays, to_tensors
from dglmeta.graph.csr import HeteroCSR
from dglmeta.graph.schema import EdgeType

__all__ = ["from_pyg", "to_pyg"]

# PyG gives the one node type and the one edge type of a Data no names; these are ours.
NODE = "node"
EDGE: EdgeType = ("node", "edge", "node")


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
        If a node type has no number of nodes, an edge type no ``edge_index``, or a node id is out
        of range.
    """
    if hasattr(data, "node_types"):
        node_stores = {t: data[t] for t in data.node_types}
        edge_stores = {tuple(e): data[e] for e in data.edge_types}
    else:
        node_stores, edge_stores = {NODE: data}, {EDGE: data}
    return HeteroCSR.from_edges(
        {triple: _edge_index(triple, store) for triple, store in edge_stores.items()},
        {t: _n_nodes(t, store) for t, store in node_stores.items()},
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
        store.update(to_tensors(hg.node_data.get(node_type, {}), text=True))
    for triple, adj in hg.adjacencies.items():
        store = data if plain else data[triple]
        store.edge_index = torch.from_numpy(np.stack(adj.coo()).astype(np.int64))
        features = to_tensors(hg.edge_data.get(triple, {}), text=True)
        store.update({_edge_name(k) if plain else k: x for k, x in features.items()})
    return data


def _n_nodes(node_type: str, store: Any) -> int:
    n = store.num_nodes
    if n is None:
        raise DataError(
            f"from_pyg: expected a number of nodes for {node_type!r}, got only "
            f"{list(store.keys())}. Set data[{node_type!r}].num_nodes."
        )
    return int(n)


def _edge_index(triple: EdgeType, store: Any) -> tuple[Array, Array]:
    if store.get("edge_index") is None:
        raise DataError(
            f"from_pyg: expected an edge_index for {triple}, got {list(store.keys())}. "
            f"Convert adj_t back with torch_geometric.utils.to_edge_index."
        )
    src, dst = to_array("edge_index", store.edge_index)
    return src, dst


def _rows(store: Any, is_ours: Any) -> dict[str, Array]:
    """The features of a PyG store that have one row per node, or per edge."""
    named = {k: store[k] for k in store.keys() if k not in ("edge_index", "num_nodes")}  # noqa: SIM118
    return to_arrays({k: x for k, x in named.items() if hasattr(x, "shape") and is_ours(k)})


def _edge_name(name: str) -> str:
    return name if name.startswith("edge_") else f"edge_{name}"
