"""The product of the adjacencies along a meta-path, as a SciPy matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from dglmeta.errors import BudgetError, DataError
from dglmeta.graph import Adjacency, HeteroCSR, MetaPath, as_csr
from dglmeta.graph.adjacency import id_dtype
from dglmeta.kernels.twins import is_on_device, namespace, to_host
from dglmeta.paths.chain import (
    Array,
    Mode,
    Order,
    Sparse,
    chain_of,
    check_ids,
    check_mode,
    identity,
    multiply,
    multiply_in_mask,
    read_metapath,
    take_rows,
)
from dglmeta.paths.memory import right_factors
from dglmeta.paths.plan import check_budget, measure_chain, plan_order, plan_within
from dglmeta.paths.stream import product_blocks
from dglmeta.paths.truth import all_true

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["DeviceProduct", "metapath_product", "multiply_by_rows", "multiply_chain", "to_scipy"]

BLOCKS_HELD = 3
"""Blocks' worth of a GPU's memory that one takes, with its scratch and what it is made from."""


_orders: WeakKeyDictionary[HeteroCSR, dict[tuple[MetaPath, Mode], Order]] = WeakKeyDictionary()
"""Orders found for the products of all rows, as long as their graphs live."""


class DeviceProduct(NamedTuple):
    """A product in a GPU's memory, as compressed rows.

    Not CuPy's own matrix, which holds no int64 values and no more than 2**31 entries.
    """

    indptr: Array
    """(n_rows + 1,) int64."""
    indices: Array
    """(nnz,) int32 or int64: columns."""
    data: Array
    """(nnz,) bool, int64 or float64."""
    shape: tuple[int, int]

    def get(self) -> csr_array:
        """The same matrix on the host."""
        indptr, indices, values = (to_host(a) for a in self[:3])
        return to_scipy(Sparse(indptr, indices, values, self.shape[1]))


def metapath_product(
    hg: Any,
    metapath: MetaPath | str,
    mode: Mode = "reach",
    rows: npt.ArrayLike | None = None,
    budget_bytes: int | None = None,
    *,
    mask: Any = None,
    sort: bool = False,
) -> csr_array | DeviceProduct:
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
        Keep the memory taken below, the result included, at the price of time; refuse, before
        anything large is allocated, if the estimate says that cannot be done. Of a graph on a GPU
        this is memory there.
    mask : Adjacency or scipy sparse matrix, optional
        Of the shape of the result: only pairs it stores, whatever their values. Nothing is held for
        other pairs, and nothing computed for rows where it is empty.
    sort : bool
        Order the columns within each row. Without, they are in no particular order.

    Returns
    -------
    product : (n_source or n, n_target) csr_array
        No entry stored twice, none stored that is not reached. Of a graph on a GPU a
        :class:`DeviceProduct` there; or, under a budget too small for it, a csr_array on the host,
        to which blocks of its rows are brought as they are done.

    Raises
    ------
    SchemaError
        If the graph lacks a type the path names.
    ConfigError
        If the mode is none of the three.
    DataError
        If a row is out of range, the mask of another shape, or a count does not fit into int64.
    BudgetError
        If the budget is too small; see :func:`dglmeta.estimate_product`.

    Notes
    -----
    Cost O(flops of the cheapest order of multiplication); bytes: the result and the intermediate
    products of that order, and under a budget that these would break only blocks of their rows; see
    :func:`dglmeta.estimate_product`. The order is found at the first product of a graph along a
    path, and again where ``rows`` or ``mask`` are given: some milliseconds. The same bits for any
    number of threads.

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
    if hg.device != "cpu":
        return _product_on_device(hg, path, mode, rows, budget_bytes, mask, sort)
    chain, pattern = _factors(hg, path, mode, rows, mask)
    if budget_bytes is None:
        every_row = rows is None and mask is None
        order, by_rows = _order(hg, path, mode, chain, every_row), False
    else:
        most = None if pattern is None else len(pattern.indices)
        order, by_rows = plan_within("metapath_product", chain, mode, most, budget_bytes)
    multiply_all = multiply_by_rows if by_rows else multiply_chain
    return to_scipy(multiply_all(chain, order, mode, pattern, sort=sort))


def _product_on_device(
    hg: HeteroCSR,
    path: MetaPath,
    mode: Mode,
    rows: Array | None,
    budget_bytes: int | None,
    mask: Any,
    sort: bool,
) -> csr_array | DeviceProduct:
    """The same where the graph lies; the order is found on the host, by the same numbers."""
    planned, pattern = _factors(hg.host, path, mode, None if rows is None else to_host(rows), mask)
    if budget_bytes is None:
        every_row = rows is None and mask is None
        order, memory = _order(hg.host, path, mode, planned, every_row), None
    else:
        most = None if pattern is None else len(pattern.indices)
        estimate, memory = measure_chain(planned, mode, most)
        order = estimate.order
    adj = hg.adjacency(path.steps[0].edge_type)
    rows = None if rows is None else namespace(adj.indptr).asarray(rows)
    chain, pattern = _factors(hg, path, mode, rows, mask)
    if memory is None or memory.at_once(order) <= budget_bytes:
        try:
            return _on_device(multiply_chain(chain, order, mode, pattern, sort=sort))
        except MemoryError as error:
            raise BudgetError(
                f"metapath_product: expected '{path}' to fit into the GPU's memory, got {error}. "
                f"Give a budget_bytes to have it made by blocks of rows; or ask for some rows."
            ) from error
    beside = memory.beside_blocks(order)
    an_entry = BLOCKS_HELD * (len(chain) + 1) * memory.entry_bytes
    least = beside + an_entry * chain[-1].n_cols  # blocks of a single row, however full
    check_budget("metapath_product", estimate, least, budget_bytes)
    block_entries = (budget_bytes - beside) // an_entry
    factors = [_factor(chain, factor, mode) for factor in right_factors(order)]
    blocks = product_blocks(
        [chain[0], *factors], mode, sort=sort, mask=pattern, block_entries=block_entries
    )
    return to_scipy(_collect(blocks, chain[0].n_rows, chain[-1].n_cols, mode))


def _order(
    hg: HeteroCSR, path: MetaPath, mode: Mode, chain: list[Sparse], every_row: bool
) -> Order:
    """The cheapest order; of a product of every row it is remembered."""
    if not every_row:
        return plan_order(chain, mode)
    known = _orders.setdefault(hg, {})
    if (path, mode) not in known:
        known[path, mode] = plan_order(chain, mode)
    return known[path, mode]


def _on_device(matrix: Sparse) -> DeviceProduct:
    values = matrix.values
    if values is None:
        values = namespace(matrix.indptr).ones(len(matrix.indices), bool)
    return DeviceProduct(matrix.indptr, matrix.indices, values, (matrix.n_rows, matrix.n_cols))


def to_scipy(matrix: Sparse) -> csr_array:
    """The same matrix as a ``csr_array``, with True for values where it has none."""
    from scipy.sparse import csr_array

    values = all_true(len(matrix.indices)) if matrix.values is None else matrix.values
    indptr, indices = matrix.indptr, matrix.indices
    # SciPy gives both one dtype, the wider: an int64 indptr would double the indices.
    if indices.dtype == np.int32:
        indptr = indptr.astype(id_dtype(len(indices) + 1))
    return csr_array((values, indices, indptr), shape=(matrix.n_rows, matrix.n_cols))


def multiply_chain(
    chain: list[Sparse], order: Order, mode: Mode, mask: Sparse | None = None, *, sort: bool
) -> Sparse:
    """The whole product; only the last multiplication knows the mask and orders its columns."""
    if isinstance(order, int):
        left, right = chain[0], identity(chain[0].n_cols, chain[0].indptr)
    else:
        left, right = (_factor(chain, half, mode) for half in order)
    if mask is not None:
        return multiply_in_mask(left, right, mask, mode)
    return multiply(left, right, mode, sort=sort)


def multiply_by_rows(
    chain: list[Sparse], order: Order, mode: Mode, mask: Sparse | None = None, *, sort: bool
) -> Sparse:
    """The same, holding no product that begins with the first step but for a block of rows."""
    factors = [_factor(chain, factor, mode) for factor in right_factors(order)]
    blocks = product_blocks([chain[0], *factors], mode, sort=sort, mask=mask)
    return _collect(blocks, chain[0].n_rows, chain[-1].n_cols, mode)


def _collect(blocks: Iterator[tuple[int, Sparse]], n_rows: int, n_cols: int, mode: Mode) -> Sparse:
    """Blocks of rows joined, on the host."""
    indptr = np.zeros(n_rows + 1, np.int64)
    indices = np.empty(0, id_dtype(n_cols))
    values = None if mode == "reach" else np.empty(0, np.int64 if mode == "count" else np.float64)
    n = 0
    for first, block in blocks:
        end = n + len(block.indices)
        for array, part in ((indices, block.indices), (values, block.values)):
            if array is not None:
                if end > len(array):
                    array.resize(end + end // 2, refcheck=False)  # room that is not used costs none
                array[n:end] = to_host(part)
        indptr[first + 1 : first + 1 + block.n_rows] = n + to_host(block.indptr)[1:]
        n = end
    for array in (indices, values):
        if array is not None:
            array.resize(n, refcheck=False)
    return Sparse(indptr, indices, values, n_cols)


def _factor(chain: list[Sparse], node: Order, mode: Mode) -> Sparse:
    """The product of some steps, columns in no order."""
    if isinstance(node, int):
        return chain[node]
    left, right = (_factor(chain, half, mode) for half in node)
    return multiply(left, right, mode, sort=False)


def _factors(
    hg: HeteroCSR, path: MetaPath, mode: Mode, rows: Array | None, mask: Any
) -> tuple[list[Sparse], Sparse | None]:
    """The chain, and the places of the mask if there is one: then without the rows it leaves out.

    Raises
    ------
    DataError
        If the mask is none, or has another shape.
    """
    chain = chain_of(hg, path, mode, rows)
    if mask is None:
        return chain, None
    pattern = _pattern(mask, (chain[0].n_rows, chain[-1].n_cols), chain[0].indptr)
    chain[0] = _only_rows(chain[0], np.diff(pattern.indptr) > 0)
    return chain, pattern


def _pattern(mask: Any, shape: tuple[int, int], like: Array) -> Sparse:
    """The places a mask stores, columns in order, where ``like`` lies.

    Raises
    ------
    DataError
        If it is neither an adjacency nor a sparse matrix, or has another shape.
    """
    if not hasattr(mask, "shape") or not (isinstance(mask, Adjacency) or hasattr(mask, "tocsr")):
        raise DataError(
            f"metapath_product: expected mask as an Adjacency or a scipy sparse matrix, got "
            f"{type(mask).__name__}. Convert it first."
        )
    if tuple(mask.shape) != shape:
        raise DataError(
            f"metapath_product: expected a mask of shape {shape}, got {tuple(mask.shape)}. Its "
            f"rows are those of the result, its columns the path's target nodes."
        )
    if isinstance(mask, Adjacency):
        mask = mask.to("cuda" if is_on_device(like) else "cpu")
        return Sparse(mask.indptr, mask.indices, None, shape[1])
    mask = mask.tocsr()
    mask = mask if mask.has_sorted_indices else mask.sorted_indices()
    xp = namespace(like)
    indptr = xp.asarray(mask.indptr.astype(np.int64, copy=False))
    return Sparse(indptr, xp.asarray(mask.indices), None, shape[1])


def _only_rows(matrix: Sparse, kept: Array) -> Sparse:
    """The matrix with all other rows empty."""
    if kept.all():
        return matrix
    kept = np.flatnonzero(kept)
    rows = take_rows(matrix, kept)
    n_entries = namespace(matrix.indptr).zeros(matrix.n_rows + 1, np.int64)
    n_entries[kept + 1] = np.diff(rows.indptr)
    return rows._replace(indptr=np.cumsum(n_entries))
