"""The product of the adjacencies along a meta-path, as a SciPy matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dglmeta.graph import MetaPath, as_csr
from dglmeta.graph.adjacency import id_dtype
from dglmeta.paths.chain import (
    Mode,
    Sparse,
    chain_of,
    check_ids,
    check_mode,
    identity,
    multiply,
    read_metapath,
)
from dglmeta.paths.plan import Order, check_budget, plan_chain

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["metapath_product", "to_scipy"]


def metapath_product(
    hg: Any,
    metapath: MetaPath | str,
    mode: Mode = "reach",
    rows: npt.ArrayLike | None = None,
    budget_bytes: int | None = None,
    *,
    sort: bool = False,
) -> csr_array:
    """Which pairs of nodes a meta-path joins, by how many instances, or how likely.

    Parameters
    ----------
    hg : HeteroCSR or DGLGraph
    metapath : MetaPath or str
        Text is read against the graph's schema.
    mode : {"reach", "count", "walk"}
        "reach": bool, True where at least one instance of the path joins the pair.
        "count": int64, the number of instances; parallel edges count each.
        "walk": float64, the probability that a walker from the row's node, who takes at every step
        a uniformly drawn edge of the path's next type, ends at the column's node. A row sums to 1,
        and to less where the walker can come to a node without such an edge.
    rows : (n,) integers, optional
        Only these source nodes, in this order: the result has n rows.
    budget_bytes : int, optional
        Refuse, before anything large is allocated, if the estimated peak is above this.
    sort : bool
        Order the columns within each row. Without, they are in no particular order.

    Returns
    -------
    product : (n_source or n, n_target) csr_array
        No entry stored twice, none stored that is not reached.

    Raises
    ------
    SchemaError
        If the graph lacks a type the path names.
    ConfigError
        If the mode is none of the three.
    DataError
        If a row is out of range, or a count does not fit into int64.
    BudgetError
        If the budget is too small; see :func:`dglmeta.estimate_product`.

    Notes
    -----
    Cost O(flops of the cheapest order of multiplication); bytes: the result and the intermediate
    products of that order. The same bits for any number of threads.

    Examples
    --------
    >>> from dglmeta import HeteroCSR
    >>> rated = ("user", "rated", "item")
    >>> hg = HeteroCSR.from_edges({rated: ([0, 0, 1], [0, 1, 1])}, {"user": 2, "item": 2})
    >>> metapath_product(hg, "user-item-user", "count").toarray()
    array([[2, 1],
           [1, 1]])
    >>> metapath_product(hg, "user-item-user", "walk", rows=[1]).toarray()
    array([[0.5, 0.5]])
    """
    hg = as_csr(hg)
    path = read_metapath(hg, metapath)
    check_mode("metapath_product", mode)
    if rows is not None:
        rows = check_ids("metapath_product", rows, hg.n_nodes[path.source], path.source)
    chain = chain_of(hg, path, mode, rows)
    estimate = plan_chain(chain, mode)
    check_budget("metapath_product", estimate, estimate.bytes, budget_bytes)
    return to_scipy(_multiply_chain(chain, estimate.order, mode, sort=sort))


def to_scipy(matrix: Sparse) -> csr_array:
    """The same matrix as a ``csr_array``, with True for values where it has none."""
    from scipy.sparse import csr_array

    values = np.ones(len(matrix.indices), bool) if matrix.values is None else matrix.values
    indptr, indices = matrix.indptr, matrix.indices
    # SciPy gives both one dtype, the wider: an int64 indptr would double the indices.
    if indices.dtype == np.int32:
        indptr = indptr.astype(id_dtype(len(indices) + 1))
    return csr_array((values, indices, indptr), shape=(matrix.n_rows, matrix.n_cols))


def _multiply_chain(chain: list[Sparse], order: Order, mode: Mode, *, sort: bool) -> Sparse:
    """The whole product; only the last multiplication needs to order its columns."""

    def product(node: Order, sort: bool) -> Sparse:
        if isinstance(node, int):
            return chain[node]
        return multiply(product(node[0], False), product(node[1], False), mode, sort=sort)

    if isinstance(order, int):
        return multiply(chain[0], identity(chain[0].n_cols), mode, sort=sort)
    return product(order, sort)
