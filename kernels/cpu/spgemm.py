"""Products of sparse matrices: which pairs are joined by two steps, and by how many paths.

Gustavson's algorithm (ACM TOMS 4(3), 1978) in one pass over blocks of rows (``inorder``); how a row
is computed is in ``spgemm_rows``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu import spgemm_rows as rows
from dglmeta.kernels.cpu.bitmap import find_hubs, hub_degree, words_for
from dglmeta.kernels.cpu.inorder import Stamps, blocks_of, write_in_order
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.spmm import spmm

__all__ = [
    "check_range",
    "count_flops",
    "index_dtype",
    "multiply_reach",
    "multiply_values",
    "sort_rows",
]


def multiply_reach(
    a_indptr: npt.NDArray,
    a_indices: npt.NDArray,
    b_indptr: npt.NDArray,
    b_indices: npt.NDArray,
    n_cols: int,
    *,
    sort: bool = True,
) -> tuple[npt.NDArray, npt.NDArray]:
    """Structure of the boolean product: the distinct columns of B reached from each row of A.

    Parameters
    ----------
    a_indptr : (n_rows + 1,) int64
    a_indices : (a_edges,) int32 or int64
        Rows of B. Parallel edges are welcome.
    b_indptr : (n_inner + 1,) int64
    b_indices : (b_edges,) int32 or int64
        Columns, in [0, n_cols); parallel edges stand side by side.
    n_cols : int
    sort : bool
        Order the columns within rows. Without, they come in no particular order, up to 3 times
        faster: enough where the product is only a factor of the next.

    Returns
    -------
    indptr : (n_rows + 1,) int64
    indices : (nnz,) int32, or int64 when n_cols does not fit

    Notes
    -----
    Cost O(flops), see ``count_flops``, or less where long rows are joined as bitmaps; plus sorting.
    Bytes: the result, 33 a row, at most 16 an edge of B, and for each thread 4 n_cols and a block
    of ``inorder.BLOCK_ENTRIES`` columns. Parallel, the same result for any number of threads.

    Examples
    --------
    >>> a, b = (np.array([0, 2]), np.array([0, 1])), (np.array([0, 2, 3]), np.array([0, 4, 4]))
    >>> multiply_reach(*a, *b, n_cols=5)
    (array([0, 2]), array([0, 4], dtype=int32))
    """
    columns = index_dtype(n_cols)
    a, b = (a_indptr, a_indices), (b_indptr, b_indices.astype(columns, copy=False))
    flops = count_flops(*a, b_indptr)
    most = np.minimum(flops, n_cols)
    blocks = blocks_of(most, flops)
    dense, hubs = _dense_rows(a, b, n_cols, flops)
    copies = not sort and _mostly_alone(a_indptr, flops, b_indices) and not rows.has_repeats(*b)
    indptr = np.zeros(len(a_indptr), np.int64)

    def scratch() -> tuple[Stamps, npt.NDArray]:
        return Stamps(n_cols, len(flops)), np.zeros(words_for(n_cols), np.uint64)

    def compute(begin: int, end: int, own: tuple[Stamps, npt.NDArray], found: list) -> int:
        stamps, bitmap = own
        working = (stamps.array, stamps.take(end - begin), bitmap, sort, *found, indptr[1:])
        return rows.reach_rows(begin, end, *a, *b, flops, dense, copies, *hubs, *working)

    def count() -> int:
        return _count_entries(a, b, n_cols, blocks)

    (indices,) = write_in_order(compute, scratch, blocks, most, [columns], count)
    return np.cumsum(indptr, out=indptr), indices


def multiply_values(
    a_indptr: npt.NDArray,
    a_indices: npt.NDArray,
    a_values: npt.NDArray | None,
    b_indptr: npt.NDArray,
    b_indices: npt.NDArray,
    b_values: npt.NDArray | None,
    n_cols: int,
    *,
    sort: bool = True,
) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """The product ``C[i,j] = sum_k A[i,k] B[k,j]``; without values, the number of two-step paths.

    Parameters
    ----------
    a_indptr, a_indices, b_indptr, b_indices, n_cols, sort
        As for ``multiply_reach``.
    a_values, b_values : (a_edges,), (b_edges,) int64 or float64, or None
        By position; None is all ones. Parallel edges add up.

    Returns
    -------
    indptr : (n_rows + 1,) int64
    indices : (nnz,) int32, or int64 when n_cols does not fit
        Every column reached, also where values cancel to zero.
    values : (nnz,) int64, or float64 when A or B is

    Raises
    ------
    OverflowError
        If integer values of one row, made positive and summed over the row, could reach 2**63.

    Notes
    -----
    Cost O(flops), see ``count_flops``, plus sorting. Bytes: the result, 33 a row, and for each
    thread 12 n_cols and a block of ``inorder.BLOCK_ENTRIES`` columns and values. Parallel, the same
    bits for any number of threads.

    Examples
    --------
    >>> a, b = (np.array([0, 2]), np.array([0, 1])), (np.array([0, 2, 3]), np.array([0, 4, 4]))
    >>> multiply_values(*a, None, *b, None, n_cols=5)[2]
    array([1, 2])
    """
    a, b = (a_indptr, a_indices), (b_indptr, b_indices)
    given = [v.dtype for v in (a_values, b_values) if v is not None]
    dtype = np.result_type(np.int64, *given)
    flops = count_flops(*a, b_indptr)
    if dtype == np.int64:
        check_range(a, a_values, b, b_values, n_cols, flops)
    a_values, b_values = (
        None if v is None else v.astype(dtype, copy=False) for v in (a_values, b_values)
    )
    columns = index_dtype(n_cols)
    factors = (*a, a_values, b_indptr, b_indices.astype(columns, copy=False), b_values)
    most = np.minimum(flops, n_cols)
    blocks = blocks_of(most, flops)
    dense = flops >= (rows.MARKS * n_cols if sort else n_cols)
    block_entries = np.add.reduceat(most, blocks[:-1]) if len(most) else np.zeros(1, np.int64)
    indptr = np.zeros(len(a_indptr), np.int64)

    def scratch() -> tuple:
        slots = Stamps(n_cols, int(block_entries.max()))
        return slots, np.zeros(n_cols, dtype), np.zeros(words_for(n_cols), np.uint64)

    def compute(begin: int, end: int, own: tuple, buffers: list[npt.NDArray]) -> int:
        slots, *arrays = own
        first_slot = slots.take(int(most[begin:end].sum()) + 1)
        working = (slots.array, first_slot, *arrays, sort, *buffers, indptr[1:])
        return rows.value_rows(begin, end, *factors, flops, dense, *working)

    def count() -> int:
        return _count_entries(a, b, n_cols, blocks)

    indices, values = write_in_order(compute, scratch, blocks, most, [columns, dtype], count)
    return np.cumsum(indptr, out=indptr), indices, values


def count_flops(
    a_indptr: npt.NDArray, a_indices: npt.NDArray, b_indptr: npt.NDArray
) -> npt.NDArray:
    """Two-step paths from each row: the multiplications its row of the product takes.

    Parameters
    ----------
    a_indptr, a_indices, b_indptr
        As for ``multiply_reach``.

    Returns
    -------
    flops : (n_rows,) int64
        Also a bound on the entries of each row of the product.

    Notes
    -----
    Cost O(a_edges); bytes: the result only. Parallel over rows.

    Examples
    --------
    >>> count_flops(np.array([0, 2, 2]), np.array([0, 1]), np.array([0, 2, 3]))
    array([3, 0])
    """
    flops = np.empty(len(a_indptr) - 1, np.int64)
    blocks = row_blocks(a_indptr, 2 * len(a_indices))
    run_blocks(rows.flop_rows, blocks, a_indptr, a_indices, b_indptr, flops)
    return flops


def sort_rows(
    indptr: npt.NDArray, indices: npt.NDArray, values: npt.NDArray | None = None
) -> tuple[npt.NDArray, npt.NDArray | None]:
    """Copies with the columns of each row in order; equal columns keep their order.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    indices : (n_edges,) int32 or int64
    values : (n_edges,) numbers, or None
        By position; they move with their columns.

    Returns
    -------
    indices, values : sorted copies; values None when not given

    Notes
    -----
    Cost O(n_edges log degree); bytes: the results, and 8 a thread for each edge of its largest row.
    Parallel over rows.

    Examples
    --------
    >>> sort_rows(np.array([0, 3]), np.array([2, 0, 1]), np.array([0.2, 0.0, 0.1]))
    (array([0, 1, 2]), array([0. , 0.1, 0.2]))
    """
    columns, moved = np.empty_like(indices), None if values is None else np.empty_like(values)
    blocks = row_blocks(indptr, 20 * len(indices))
    run_blocks(_sort_row_block, blocks, indptr, indices, values, columns, moved)
    return columns, moved


def index_dtype(n: int) -> type:
    """The narrowest of int32 and int64 that holds the columns of n."""
    return np.int32 if n <= np.iinfo(np.int32).max else np.int64


def _dense_rows(
    a: tuple, b: tuple, n_cols: int, flops: npt.NDArray
) -> tuple[npt.NDArray, tuple[npt.NDArray, npt.NDArray]]:
    """Which rows to mark in a bitmap, and the bitmaps of long rows of B (none if seldom used).

    To read a bitmap takes the time of a flop for every nine columns or so. That pays for rows with
    more flops than columns, and sooner where long rows of B are joined as bitmaps.
    """
    dense = flops >= n_cols
    none = np.zeros(0, np.int32), np.zeros(0, np.uint64)
    filled = int(flops @ (flops >= n_cols // 4))
    if filled < max(len(b[1]), int(flops.sum()) // 4):
        return dense, none
    degrees = np.diff(b[0])
    of_hubs = degrees * (degrees >= hub_degree(n_cols))
    if of_hubs.sum() < len(b[1]) / 16:
        return dense, none
    joined = count_flops(*a, np.append(0, np.cumsum(of_hubs)))
    return dense | (joined > n_cols // 9), find_hubs(*b, n_cols)


def _mostly_alone(a_indptr: npt.NDArray, flops: npt.NDArray, b_indices: npt.NDArray) -> bool:
    """Whether rows of A with one entry, mere copies if B has no repeats, are most of the work."""
    return int(flops @ (np.diff(a_indptr) == 1)) > max(len(b_indices), int(flops.sum()) // 2)


def _count_entries(a: tuple, b: tuple, n_cols: int, blocks: Sequence[int]) -> int:
    counts = np.zeros(len(a[0]) - 1, np.int64)
    run_blocks(rows.count_rows, blocks, *a, *b, n_cols, counts)
    return int(counts.sum())


def check_range(
    a: tuple,
    a_values: npt.NDArray | None,
    b: tuple,
    b_values: npt.NDArray | None,
    n_cols: int,
    flops: npt.NDArray,
) -> None:
    """Raise unless every row's total, and so every entry and partial sum, is below 2**63."""
    limit = 2.0**63 * (1 - 1e-9)  # leaves room for the rounding of the totals below
    most = float(flops.max(initial=0))
    for values in (a_values, b_values):
        if values is not None:
            most *= max(float(values.max(initial=0)), -float(values.min(initial=0)))
    if most < limit:
        return
    sizes = [
        None if v is None else np.abs(v.astype(np.float64))[:, None] for v in (a_values, b_values)
    ]
    totals = spmm(*b, None, sizes[1], np.ones((n_cols, 1, 1)))
    most = spmm(*a, None, sizes[0], totals).max(initial=0)
    if most >= limit:
        raise OverflowError(
            f"multiply_values: expected row totals below 2**63, got one of {most:.3g}. "
            f"Give float64 values."
        )


@njit(cache=True, nogil=True)
def _sort_row_block(begin, end, indptr, indices, values, columns, moved):
    for i in range(begin, end):
        first, last = indptr[i], indptr[i + 1]
        if values is None:
            columns[first:last] = np.sort(indices[first:last])
        else:
            order = np.argsort(indices[first:last], kind="mergesort")
            columns[first:last] = indices[first:last][order]
            moved[first:last] = values[first:last][order]
