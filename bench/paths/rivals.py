"""Meta-path products by other libraries, each in the form it is best at and with correct results.

Engines of plain matrices get theirs ready made, and multiply in the order dglmeta's planner chose,
which few users would find by hand. DGL and PyG are called as their users do, on a graph of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.paths.plan import Order

__all__ = ["COUNT", "REACH", "entries", "product_by"]

REACH = ["scipy bool", "graphblas any_pair", "torch float32", "dgl", "pyg", "mkl float32"]
COUNT = ["scipy int64", "graphblas int64", "mkl float32"]
"""MKL comes last: once its library is loaded, torch's own copy may crash."""

Product = Callable[[], Any]


def product_by(
    engine: str, hg: HeteroCSR, path: MetaPath, rows: np.ndarray | None, order: Order
) -> Product:
    """A call that computes the product; everything a user has before is prepared here."""
    if engine == "dgl":
        return _dgl(hg, path, rows)
    if engine == "pyg":
        return _pyg(hg, path, rows)
    library, dtype = engine.split()
    matrices = [hg.step_adjacency(*step).to_scipy() for step in path.steps]
    if rows is not None:
        matrices[0] = matrices[0][rows]
    prepare, multiply = LIBRARIES[library](dtype)
    ready = [prepare(matrix) for matrix in matrices]

    def product(node: Order) -> Any:
        if isinstance(node, int):
            return ready[node]
        return multiply(product(node[0]), product(node[1]))

    return lambda: product(order)


def _scipy(dtype: str) -> tuple[Callable, Callable]:
    return lambda matrix: matrix.astype(dtype), lambda a, b: a @ b


def _mkl(dtype: str) -> tuple[Callable, Callable]:
    from scipy.sparse import csr_matrix

    mkl = pytest.importorskip("sparse_dot_mkl")
    return lambda matrix: csr_matrix(matrix.astype(dtype)), mkl.dot_product_mkl


def _graphblas(semiring: str) -> tuple[Callable, Callable]:
    gb = pytest.importorskip("graphblas")
    dtype = "bool" if semiring == "any_pair" else "int64"
    ring = getattr(gb.semiring, semiring if semiring == "any_pair" else "plus_times")[dtype]

    def prepare(matrix: Any) -> Any:
        return gb.io.from_scipy_sparse(matrix.astype(dtype))

    def multiply(a: Any, b: Any) -> Any:
        product = a.mxm(b, ring).new()
        product.wait("complete")
        return product

    return prepare, multiply


def _torch(dtype: str) -> tuple[Callable, Callable]:
    torch = pytest.importorskip("torch")

    def prepare(matrix: Any) -> Any:
        parts = (torch.from_numpy(x) for x in (matrix.indptr, matrix.indices))
        values = torch.ones(matrix.nnz, dtype=getattr(torch, dtype))
        return torch.sparse_csr_tensor(*parts, values, matrix.shape)

    return prepare, lambda a, b: a @ b


LIBRARIES = {"scipy": _scipy, "mkl": _mkl, "graphblas": _graphblas, "torch": _torch}


def _both_ways(hg: HeteroCSR) -> dict[Any, tuple[np.ndarray, np.ndarray]]:
    """Edges of every type and, under the name they bear below, against it."""
    edges = {}
    for triple in hg.schema.edge_types:
        src, dst = (ends.astype(np.int64) for ends in hg.adjacency(triple).coo())
        edges[triple] = src, dst
        edges[triple[2], f"rev-{triple[1]}", triple[0]] = dst, src
    return edges


def _step_names(path: MetaPath) -> list[Any]:
    return [
        triple if forward else (triple[2], f"rev-{triple[1]}", triple[0])
        for triple, forward in path.steps
    ]


def _dgl(hg: HeteroCSR, path: MetaPath, rows: np.ndarray | None) -> Product:
    if rows is not None:
        pytest.skip("metapath_reachable_graph takes no rows")
    from dglmeta._dgl import load_dgl

    dgl = load_dgl()
    g = dgl.heterograph(_both_ways(hg), num_nodes_dict=dict(hg.n_nodes))
    names = _step_names(path)
    return lambda: dgl.metapath_reachable_graph(g, names)


def _pyg(hg: HeteroCSR, path: MetaPath, rows: np.ndarray | None) -> Product:
    if rows is not None:
        pytest.skip("AddMetaPaths takes no rows")
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch_geometric")
    from torch_geometric.data import HeteroData
    from torch_geometric.transforms import AddMetaPaths

    data = HeteroData()
    for name, n in hg.n_nodes.items():
        data[name].num_nodes = n
    for triple, (src, dst) in _both_ways(hg).items():
        data[triple].edge_index = torch.from_numpy(np.stack([src, dst]))
    transform = AddMetaPaths([_step_names(path)])
    return lambda: transform(data)


def entries(product: Any) -> int:
    """Number of pairs in what an engine returned."""
    if hasattr(product, "metapath_dict"):  # PyG
        return product[next(iter(product.metapath_dict))].edge_index.shape[1]
    for count in ("nnz", "nvals"):
        if isinstance(getattr(product, count, None), int | np.integer):
            return int(getattr(product, count))
    if hasattr(product, "num_edges"):  # DGL
        return product.num_edges()
    return product.values().numel()  # torch
