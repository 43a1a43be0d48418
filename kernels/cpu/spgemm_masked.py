"""Products of sparse matrices in given places only: no memory is held for the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.inorder import Stamps, blocks_of, write_in_order
from dglmeta.kernels.cpu.spgemm import check_range, count_flops, index_dtype

__all__ = ["multiply_masked"]


def multiply_masked(
    a_indptr: npt.NDArray,
    a_indices: npt.NDArray,
    a_values: npt.NDArray | None,
    b_indptr: npt.NDArray,
    b_indices: npt.NDArray,
    b_values: npt.NDArray | None,
    mask_indptr: npt.NDArray,
    mask_indices: npt.NDArray,
    n_cols: int,
) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """Entries of the product ``C[i,j] = sum_k A[i,k] B[k,j]`` in the places of a mask.

    Parameters
    ----------
    a_indptr, a_indices, a_values, b_indptr, b_indices, b_values, n_cols
        As for ``multiply_values``.
    mask_indptr : (n_rows + 1,) int64
    mask_indices : (n_mask,) int32 or int64
        Columns wanted of each row.

    Returns
    -------
    indptr : (n_rows + 1,) int64
    indices : (nnz,) int32, or int64 when n_cols does not fit
        Wanted columns that are reached, in the order of the mask, no column of a row twice.
    values : (nnz,) int64, or float64 when A or B is

    Raises
    ------
    OverflowError
        As for ``multiply_values``.

    Notes
    -----
    Cost O(n_mask + flops of the rows where something is wanted); bytes: the result, and 4 n_cols a
    thread. Parallel over rows, the same bits for any number of threads.

    Examples
    --------
    >>> a, b = (np.array([0, 2]), np.array([0, 1])), (np.array([0, 2, 3]), np.array([0, 4, 4]))
    >>> multiply_masked(*a, None, *b, None, np.array([0, 2]), np.array([1, 4]), n_cols=5)
    (array([0, 1]), array([4], dtype=int32), array([2]))
    """
    given = [v.dtype for v in (a_values, b_values) if v is not None]
    dtype = np.result_type(np.int64, *given)
    a, b = (a_indptr, a_indices), (b_indptr, b_indices)
    most = np.diff(mask_indptr)
    flops = np.where(most > 0, count_flops(*a, b_indptr), 0)
    if dtype == np.int64:
        check_range(a, a_values, b, b_values, n_cols, flops)
    a_values, b_values = (
        None if v is None else v.astype(dtype, copy=False) for v in (a_values, b_values)
    )
    factors = (*a, a_values, *b, b_values)
    mask = (mask_indptr, mask_indices)
    indptr = np.zeros(len(a_indptr), np.int64)
    longest = int(most.max(initial=0)) + 1

    def scratch() -> tuple[Stamps, npt.NDArray, npt.NDArray]:
        slots = Stamps(n_cols, int(most.sum()) + 1)
        return slots, np.zeros(longest, dtype), np.zeros(longest, np.uint8)

    def compute(begin: int, end: int, own: tuple, buffers: list[npt.NDArray]) -> int:
        slots, *row = own
        first_slot = slots.take(int(most[begin:end].sum()) + 1)
        working = (slots.array, first_slot, *row, *buffers, indptr[1:])
        return _masked_rows(begin, end, *factors, *mask, *working)

    indices, values = write_in_order(
        compute, scratch, blocks_of(most, flops + most), most, [index_dtype(n_cols), dtype]
    )
    return np.cumsum(indptr, out=indptr), indices, values


@njit(cache=True, nogil=True)
def _masked_rows(
    begin,
    end,
    a_indptr,
    a_indices,
    a_values,
    b_indptr,
    b_indices,
    b_values,
    mask_indptr,
    mask_indices,
    slot,
    first_slot,
    sums,
    reached,
    found,
    values,
    counts,
):
    """Wanted columns reached from each row, and their sums; returns how many.

    ``slot[column] - own`` is the place of a wanted column in the row; what is not wanted is added
    up in the place behind the last.
    """
    one, zero = values.dtype.type(1), values.dtype.type(0)
    n = np.uint64(0)
    own = np.int64(first_slot)
    for i in range(begin, end):
        first = n
        n_wanted = np.int64(0)
        for t in range(np.uint64(mask_indptr[i]), np.uint64(mask_indptr[i + 1])):
            column = np.uint64(mask_indices[t])
            if slot[column] < own:
                slot[column] = own + n_wanted
                sums[n_wanted], reached[n_wanted] = zero, 0
                n_wanted += 1
        if n_wanted > 0:
            for p in range(np.uint64(a_indptr[i]), np.uint64(a_indptr[i + 1])):
                k = np.uint64(a_indices[p])
                a = one if a_values is None else a_values[p]
                for q in range(np.uint64(b_indptr[k]), np.uint64(b_indptr[k + np.uint64(1)])):
                    place = np.int64(slot[np.uint64(b_indices[q])]) - own
                    at = np.uint64(place if place >= 0 else n_wanted)
                    sums[at] += a if b_values is None else a * b_values[q]
                    reached[at] = 1
        for t in range(np.uint64(mask_indptr[i]), np.uint64(mask_indptr[i + 1])):
            column = np.uint64(mask_indices[t])
            at = np.uint64(slot[column] - own)
            found[n], values[n] = column, sums[at]
            n += np.uint64(reached[at])
            reached[at] = 0  # a column wanted twice is given once
        own += n_wanted
        counts[i] = n - first
    return n
