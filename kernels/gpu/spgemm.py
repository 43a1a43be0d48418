"""Products of sparse matrices: which pairs are joined by two steps, and by how many paths.

Two passes over the rows, one that counts distinct columns and one that writes them. Rows with few
flops are sorted in the registers of a warp; others are marked in a bitmap in shared memory, a block
a row, and read off in order. ``spgemm_plan`` says which rows go where.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dglmeta.kernels.cpu.spgemm import index_dtype
from dglmeta.kernels.gpu import spgemm_plan
from dglmeta.kernels.gpu.device import WARP, array_module, blocks_for, launch
from dglmeta.kernels.gpu.spgemm_plan import Marked, RowKinds, count_flops
from dglmeta.kernels.gpu.spmm import spmm

__all__ = [
    "check_range",
    "count_flops",
    "index_dtype",
    "multiply_reach",
    "multiply_values",
    "result_dtype",
    "sort_rows",
]

THREADS = 256

FEW_SORTED, MOST_SORTED = 256, 1024
"""Rows of so many flops are sorted, more where to go through a bitmap takes longer."""

SMALL_BITMAP = 1 << 17
"""Columns whose bitmap many blocks at a time have room for."""


class Product(NamedTuple):
    """Factors, as (indptr, indices, values), and how the rows are shared out."""

    a: tuple[Any, Any, Any]
    b: tuple[Any, Any, Any]
    n_cols: int
    flops: Any
    kinds: RowKinds
    marked: list[Marked]


def multiply_reach(
    a_indptr: Any, a_indices: Any, b_indptr: Any, b_indices: Any, n_cols: int, *, sort: bool = True
) -> tuple[Any, Any]:
    """Structure of the boolean product: the distinct columns of B reached from each row of A.

    As :func:`dglmeta.kernels.cpu.spgemm.multiply_reach`: the same arrays; in order also without
    ``sort``, which takes no longer. The edges of B are read twice. Bytes: the result, 41 a row, 8
    for each tile of columns of a row that has many flops and more columns than the bitmap, and a
    sorted copy of B where such rows meet rows of B that are in no order.
    """
    factors = (a_indptr, a_indices, None), (b_indptr, b_indices, None)
    product = _plan(*factors, n_cols, count_flops(a_indptr, a_indices, b_indptr), values=False)
    indptr, of_tiles = _count_entries(product)
    indices = array_module().empty(int(indptr[-1]), index_dtype(n_cols))
    _write_entries(product, indptr, of_tiles, indices)
    return indptr, indices


def multiply_values(
    a_indptr: Any,
    a_indices: Any,
    a_values: Any | None,
    b_indptr: Any,
    b_indices: Any,
    b_values: Any | None,
    n_cols: int,
    *,
    sort: bool = True,
) -> tuple[Any, Any, Any]:
    """The product ``C[i,j] = sum_k A[i,k] B[k,j]``; without values, the number of two-step paths.

    As :func:`dglmeta.kernels.cpu.spgemm.multiply_values`: the same structure and integers. Floats
    of short rows are added in the order of the edges, those of rows with more than 256 flops by
    atomics in any order: **their last bits vary from run to run**. The edges of B are read three
    times. Bytes: as for ``multiply_reach``.
    """
    xp = array_module()
    dtype = result_dtype(a_values, b_values)
    flops = count_flops(a_indptr, a_indices, b_indptr)
    if dtype == np.int64:
        check_range((a_indptr, a_indices), a_values, (b_indptr, b_indices), b_values, n_cols, flops)
    a_values, b_values = (
        None if v is None else v.astype(dtype, copy=False) for v in (a_values, b_values)
    )
    factors = (a_indptr, a_indices, a_values), (b_indptr, b_indices, b_values)
    product = _plan(*factors, n_cols, flops, values=True)
    indptr, of_tiles = _count_entries(product)
    indices = xp.empty(int(indptr[-1]), index_dtype(n_cols))
    values = (xp.zeros if product.marked else xp.empty)(len(indices), dtype)
    _write_entries(product, indptr, of_tiles, indices, values)
    return indptr, indices, values


def sort_rows(indptr: Any, indices: Any, values: Any | None = None) -> tuple[Any, Any | None]:
    """Copies with the columns of each row in order; equal columns keep their order.

    As :func:`dglmeta.kernels.cpu.spgemm.sort_rows`: the same arrays. One radix sort of rows and
    columns as one number. Bytes: the results, and some 40 an edge.
    """
    order = _order_in_rows(indptr, indices)
    return indices[order], None if values is None else values[order]


def result_dtype(a_values: Any | None, b_values: Any | None) -> Any:
    """Of the values of a product: int64, or float64 when a factor's are."""
    return np.result_type(np.int64, *(v.dtype for v in (a_values, b_values) if v is not None))


def check_range(
    a: tuple[Any, Any],
    a_values: Any | None,
    b: tuple[Any, Any],
    b_values: Any | None,
    n_cols: int,
    flops: Any,
) -> None:
    """Raise unless every row's total, and so every entry and partial sum, is below 2**63.

    As :func:`dglmeta.kernels.cpu.spgemm.check_range`. Does not wait for the device when neither
    factor has values: a row's paths are fewer than 2**63.
    """
    xp = array_module()
    limit = 2.0**63 * (1 - 1e-9)  # leaves room for the rounding of the totals below
    given = [v for v in (a_values, b_values) if v is not None]
    if not given or len(flops) == 0 or min(map(len, given)) == 0:
        return
    bounds = [flops.max(), *(m for v in given for m in (v.max(), v.min()))]
    most, *ends = xp.concatenate([m.astype(np.float64).reshape(1) for m in bounds]).tolist()
    for largest, least in zip(ends[::2], ends[1::2], strict=True):
        most *= max(largest, -least, 0.0)
    if most < limit:
        return
    sizes = [
        None if v is None else xp.abs(v.astype(np.float64))[:, None] for v in (a_values, b_values)
    ]
    totals = spmm(*b, None, sizes[1], xp.ones((n_cols, 1, 1)))
    most = float(spmm(*a, None, sizes[0], totals).max())
    if most >= limit:
        raise OverflowError(
            f"multiply_values: expected row totals below 2**63, got one of {most:.3g}. "
            f"Give float64 values."
        )


def _plan(a: tuple, b: tuple, n_cols: int, flops: Any, *, values: bool) -> Product:
    b = (b[0], b[1].astype(index_dtype(n_cols), copy=False), b[2])
    most_sorted = FEW_SORTED if n_cols <= SMALL_BITMAP else MOST_SORTED
    shares = most_sorted, spgemm_plan.LARGE, spgemm_plan.HEAVY
    flags = spgemm_plan.inspect_order(*b[:2])
    kinds, (descend, _) = spgemm_plan.classify_rows(a[0], flops, flags, *shares)
    marked = spgemm_plan.share_tiles(kinds.marked, flops, n_cols, values=values)
    if descend and any(batch.n_tiles > 1 for batch in marked):  # tiles are found by searches
        b = (b[0], *sort_rows(*b))
    return Product(a, b, n_cols, flops, kinds, marked)


def _count_entries(product: Product) -> tuple[Any, list[Any]]:
    """Where the rows of the product begin, and the columns of each tile of marked rows."""
    xp = array_module()
    a, b, kinds = product.a, product.b, product.kinds
    types = {"A_INDEX": a[1].dtype, "INDEX": b[1].dtype}
    lengths = xp.zeros(len(product.flops), np.int64)
    of_tiles = []
    for batch in product.marked:
        counts = xp.empty(batch.n_items, np.int64)
        launch(
            "spgemm_bitmap", "count_marks", batch.n_items, batch.n_threads,
            batch.rows, batch.n_tiles, batch.tile, product.n_cols, *a[:2], *b[:2], counts,
            shared_bytes=batch.shared_bytes, **types,
        )  # fmt: skip
        of_tiles.append(counts.reshape(len(batch.rows), batch.n_tiles))
        lengths[batch.rows] = of_tiles[-1].sum(axis=1)
    _list_sorted(product, None, lengths, None)
    if len(kinds.copied):
        lengths[kinds.copied] = product.flops[kinds.copied]
    indptr = xp.zeros(len(a[0]), np.int64)
    indptr[1:] = xp.cumsum(lengths)
    return indptr, of_tiles


def _write_entries(
    product: Product, indptr: Any, of_tiles: list[Any], indices: Any, values: Any | None = None
) -> None:
    """Write columns, and values where they are wanted, row by row."""
    xp = array_module()
    a, b, kinds = product.a, product.b, product.kinds
    types = {"A_INDEX": a[1].dtype, "INDEX": b[1].dtype}
    numbers = {"NUMBER": np.int64 if values is None else values.dtype}
    for batch, counts in zip(product.marked, of_tiles, strict=True):
        offsets = indptr[batch.rows]
        if batch.n_tiles > 1:
            offsets = (offsets[:, None] + xp.cumsum(counts, axis=1) - counts).ravel()
        of_kernel = batch.n_items, batch.n_threads
        where = batch.rows, batch.n_tiles, batch.tile, product.n_cols
        if values is None:
            launch(
                "spgemm_bitmap", "list_marks", *of_kernel, *where, *a[:2], *b[:2], offsets, indices,
                shared_bytes=batch.shared_bytes, **types,
            )  # fmt: skip
        else:
            launch(
                "spgemm_bitmap", "add_marks", *of_kernel, *where, *a, *b, offsets, indices, values,
                shared_bytes=batch.shared_bytes, **types, **numbers,
            )  # fmt: skip
    if values is None:
        _list_sorted(product, indptr, None, indices)
    else:
        _add_sorted(product, indptr, indices, values)
    launch(
        "spgemm", "copy_rows", len(kinds.copied), THREADS,
        kinds.copied, *a, *b, indptr, indices, values, **types, **numbers,
    )  # fmt: skip


def _list_sorted(product: Product, indptr: Any | None, lengths: Any | None, indices: Any) -> None:
    """Count the distinct columns of short rows, or write them."""
    a, b = product.a, product.b
    for items, rows in product.kinds.sorted:
        n_warps = _warps(items)
        launch(
            "spgemm_sort", "list_sorted", blocks_for(len(rows), n_warps), n_warps * WARP,
            len(rows), rows, *a[:2], *b[:2], indptr, lengths, indices,
            A_INDEX=a[1].dtype, INDEX=b[1].dtype, ITEMS=items, KEY=_key_dtype(product.n_cols),
        )  # fmt: skip


def _add_sorted(product: Product, indptr: Any, indices: Any, values: Any) -> None:
    """Write the columns and values of short rows."""
    a, b = product.a, product.b
    for items, rows in product.kinds.sorted:
        n_warps = _warps(items)
        launch(
            "spgemm_sort_values", "add_sorted", blocks_for(len(rows), n_warps), n_warps * WARP,
            len(rows), rows, *a, *b, indptr, indices, values,
            A_INDEX=a[1].dtype, INDEX=b[1].dtype, NUMBER=values.dtype, ITEMS=items,
            KEY=_key_dtype(product.n_cols * WARP * items),
        )  # fmt: skip


def _warps(items: int) -> int:
    """Rows a block, as ROWS in spgemm_sort.cuh."""
    return 2 if items > 16 else 4


def _key_dtype(n_keys: int) -> type:
    """Unsigned, and with one number left that is no key."""
    return np.uint32 if n_keys <= np.iinfo(np.uint32).max else np.uint64


def _order_in_rows(indptr: Any, indices: Any) -> Any:
    xp = array_module()
    n_rows, n_edges = len(indptr) - 1, len(indices)
    if n_edges == 0:
        return xp.zeros(0, np.int64)
    span = int(indices.max()) + 1
    if n_rows * span > np.iinfo(np.uint64).max:
        rows = xp.searchsorted(indptr, xp.arange(n_edges), side="right")
        order = xp.argsort(indices, kind="stable")
        return order[xp.argsort(rows[order], kind="stable")]
    keys = xp.empty(n_edges, np.uint64)
    launch(
        "spgemm", "make_keys", blocks_for(n_edges, THREADS), THREADS,
        n_rows, n_edges, indptr, indices, span, keys, INDEX=indices.dtype,
    )  # fmt: skip
    return xp.argsort(keys.astype(_key_dtype(n_rows * span), copy=False), kind="stable")
