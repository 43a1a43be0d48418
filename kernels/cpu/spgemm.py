"""Products of sparse matrices: which pairs are joined by two steps, and by how many paths.

Gustavson's algorithm (ACM TOMS 4(3), 1978) in two passes, count and fill, over row blocks of equal
work. A dense stamp tells whether a column was met in this row: written and compared, never cleared
and never branched on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.spmm import spmm

__all__ = ["count_flops", "multiply_reach", "multiply_values", "sort_rows"]

SCAN_FROM = 1 / 32
"""A row fuller than this is put in order by scanning the stamp, an emptier one by sorting."""


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
        Columns, in [0, n_cols).
    n_cols : int
    sort : bool
        Order the columns within rows. Without, they come in the order they are met, up to 3 times
        faster: enough where the product is only a factor of the next.

    Returns
    -------
    indptr : (n_rows + 1,) int64
    indices : (nnz,) int32, or int64 when n_cols does not fit

    Notes
    -----
    Cost O(flops), see ``count_flops``, plus sorting; bytes: the result, and 8 n_cols a thread.
    Parallel over rows, the same result for any number of threads.

    Examples
    --------
    >>> a, b = (np.array([0, 2]), np.array([0, 1])), (np.array([0, 2, 3]), np.array([0, 4, 4]))
    >>> multiply_reach(*a, *b, n_cols=5)
    (array([0, 2]), array([0, 4], dtype=int32))
    """
    a, b = (a_indptr, a_indices), (b_indptr, b_indices)
    indptr, blocks = _count(a, b, n_cols)
    indices = np.empty(indptr[-1], _index_dtype(n_cols))
    run_blocks(_reach_rows, blocks, *a, *b, n_cols, sort, indptr, indices)
    return indptr, indices


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
    Cost O(flops), see ``count_flops``, plus sorting; bytes: the result, and 16 n_cols a thread.
    Parallel over rows, the same bits for any number of threads.

    Examples
    --------
    >>> a, b = (np.array([0, 2]), np.array([0, 1])), (np.array([0, 2, 3]), np.array([0, 4, 4]))
    >>> multiply_values(*a, None, *b, None, n_cols=5)[2]
    array([1, 2])
    """
    a, b = (a_indptr, a_indices), (b_indptr, b_indices)
    given = [v.dtype for v in (a_values, b_values) if v is not None]
    dtype = np.result_type(np.int64, *given)
    if dtype == np.int64:
        _check_range(a, a_values, b, b_values, n_cols)
    indptr, blocks = _count(a, b, n_cols)
    indices, values = np.empty(indptr[-1], _index_dtype(n_cols)), np.empty(indptr[-1], dtype)
    a_values, b_values = (
        None if v is None else v.astype(dtype, copy=False) for v in (a_values, b_values)
    )
    factors = (*a, a_values, *b, b_values)
    run_blocks(_value_rows, blocks, *factors, n_cols, sort, indptr, indices, values)
    return indptr, indices, values


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
    run_blocks(_flop_rows, blocks, a_indptr, a_indices, b_indptr, flops)
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


def _index_dtype(n: int) -> type:
    return np.int32 if n <= np.iinfo(np.int32).max else np.int64


def _count(a: tuple, b: tuple, n_cols: int) -> tuple[npt.NDArray, list[int]]:
    """First pass: ``indptr`` of the product, and the row blocks of equal work for both passes."""
    work = np.zeros(len(a[0]), np.int64)
    np.cumsum(count_flops(*a, b[0]), out=work[1:])
    blocks = row_blocks(work, 2 * work[-1])
    indptr = np.zeros(len(a[0]), np.int64)
    run_blocks(_count_rows, blocks, *a, *b, n_cols, indptr[1:])
    return np.cumsum(indptr, out=indptr), blocks


def _check_range(
    a: tuple, a_values: npt.NDArray | None, b: tuple, b_values: npt.NDArray | None, n_cols: int
) -> None:
    """Raise unless every row's total, and so every entry and partial sum, is below 2**63."""
    limit = 2.0**63 * (1 - 1e-9)  # leaves room for the rounding of the totals below
    most = float(count_flops(*a, b[0]).max(initial=0))
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


def _sizes(values: npt.NDArray | None) -> npt.NDArray | None:
    """Absolute values as the weights ``spmm`` takes."""
    return None if values is None else np.abs(values.astype(np.float64))[:, None]


@njit(cache=True, nogil=True)
def _flop_rows(begin, end, a_indptr, a_indices, b_indptr, flops):
    for i in range(begin, end):
        total = 0
        for p in range(np.uint64(a_indptr[i]), np.uint64(a_indptr[i + 1])):
            k = np.uint64(a_indices[p])
            total += b_indptr[k + np.uint64(1)] - b_indptr[k]
        flops[i] = total


@njit(cache=True, nogil=True)
def _count_rows(begin, end, a_indptr, a_indices, b_indptr, b_indices, n_cols, counts):
    stamp = np.zeros(n_cols, np.int32)
    for i in range(begin, end):
        mark = np.int32(i - begin + 1)
        n = 0
        for p in range(np.uint64(a_indptr[i]), np.uint64(a_indptr[i + 1])):
            k = np.uint64(a_indices[p])
            for q in range(np.uint64(b_indptr[k]), np.uint64(b_indptr[k + np.uint64(1)])):
                column = np.uint64(b_indices[q])
                n += stamp[column] != mark
                stamp[column] = mark
        counts[i] = n


@njit(cache=True, nogil=True)
def _reach_rows(
    begin, end, a_indptr, a_indices, b_indptr, b_indices, n_cols, sort, indptr, indices
):
    stamp = np.zeros(n_cols, np.int32)
    found = np.empty(n_cols + 1, indices.dtype)  # one more: a column seen again is written too
    for i in range(begin, end):
        mark = np.int32(i - begin + 1)
        n = np.uint64(0)
        for p in range(np.uint64(a_indptr[i]), np.uint64(a_indptr[i + 1])):
            k = np.uint64(a_indices[p])
            for q in range(np.uint64(b_indptr[k]), np.uint64(b_indptr[k + np.uint64(1)])):
                column = np.uint64(b_indices[q])
                found[n] = column
                n += np.uint64(stamp[column] != mark)
                stamp[column] = mark
        if sort:
            _sort_found(found, n, stamp, mark)
        indices[indptr[i] : indptr[i + 1]] = found[:n]


@njit(cache=True, nogil=True)
def _value_rows(
    begin,
    end,
    a_indptr,
    a_indices,
    a_values,
    b_indptr,
    b_indices,
    b_values,
    n_cols,
    sort,
    indptr,
    indices,
    values,
):
    stamp = np.zeros(n_cols, np.int32)
    found = np.empty(n_cols + 1, indices.dtype)
    total = np.zeros(n_cols, values.dtype)
    one, zero = values.dtype.type(1), values.dtype.type(0)
    for i in range(begin, end):
        mark = np.int32(i - begin + 1)
        n = np.uint64(0)
        for p in range(np.uint64(a_indptr[i]), np.uint64(a_indptr[i + 1])):
            k = np.uint64(a_indices[p])
            a = one if a_values is None else a_values[p]
            for q in range(np.uint64(b_indptr[k]), np.uint64(b_indptr[k + np.uint64(1)])):
                column = np.uint64(b_indices[q])
                seen = stamp[column] == mark
                found[n] = column
                n += np.uint64(not seen)
                stamp[column] = mark
                product = a if b_values is None else a * b_values[q]
                total[column] = product + (total[column] if seen else zero)
        if sort:
            _sort_found(found, n, stamp, mark)
        first = np.uint64(indptr[i])
        for t in range(n):
            indices[first + t] = found[t]
            values[first + t] = total[np.uint64(found[t])]


@njit(cache=True, nogil=True)
def _sort_found(found, n, stamp, mark):
    """Put the first n found columns, those that bear the mark, in order."""
    if n < SCAN_FROM * len(stamp):
        found[:n].sort()
        return
    n = np.uint64(0)
    for column in range(np.uint64(len(stamp))):
        found[n] = column
        n += np.uint64(stamp[column] == mark)


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
