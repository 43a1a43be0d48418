"""Products of sparse matrices in given places only: no memory is held for the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from dglmeta.kernels.gpu.device import array_module, launch
from dglmeta.kernels.gpu.spgemm import (
    check_range,
    count_flops,
    index_dtype,
    result_dtype,
    sort_rows,
)
from dglmeta.kernels.gpu.spgemm_plan import classify_rows, inspect_order

__all__ = ["multiply_masked"]

LARGE = 1 << 12
"""From so many flops or wanted columns on, a row gets a block of many warps; below, one warp."""

FEW_THREADS, MANY_THREADS = 32, 512

FILTER_BITS = 128
"""For each thread, of the filter that most unwanted columns end at."""


def multiply_masked(
    a_indptr: Any,
    a_indices: Any,
    a_values: Any | None,
    b_indptr: Any,
    b_indices: Any,
    b_values: Any | None,
    mask_indptr: Any,
    mask_indices: Any,
    n_cols: int,
) -> tuple[Any, Any, Any]:
    """Entries of the product ``C[i,j] = sum_k A[i,k] B[k,j]`` in the places of a mask.

    As :func:`dglmeta.kernels.cpu.spgemm_masked.multiply_masked`: the same structure and integers.
    Floats are added by atomics in any order: **their last bits vary from run to run**. One pass
    over the flops of rows where something is wanted; a wanted column is found in the sorted row of
    the mask. Bytes: the result, 50 a row, 17 a place of the mask, and some 60 more where its rows
    are in no order or repeat a column.
    """
    xp = array_module()
    columns, dtype = index_dtype(n_cols), result_dtype(a_values, b_values)
    a, b = (a_indptr, a_indices), (b_indptr, b_indices)
    wanted = xp.diff(mask_indptr)
    flops = xp.where(wanted > 0, count_flops(*a, b_indptr), 0)
    if dtype == np.int64:
        check_range(a, a_values, b, b_values, n_cols, flops)
    a_values, b_values = (
        None if v is None else v.astype(dtype, copy=False) for v in (a_values, b_values)
    )
    mask_indices = mask_indices.astype(columns, copy=False)
    factors = (*a, a_values, b_indptr, b_indices.astype(columns, copy=False), b_values)
    work = xp.where(flops > 0, xp.maximum(flops, wanted), 0)
    kinds, _ = classify_rows(a_indptr, work, xp.ones(2, np.uint32), 0, LARGE, 1 << 62)
    searched, places = _in_order(mask_indptr, mask_indices)
    sums, reached = xp.zeros(len(searched), dtype), xp.zeros(len(searched), np.uint8)
    for rows, n_threads in zip(
        reversed(kinds.marked[:2]), (MANY_THREADS, FEW_THREADS), strict=True
    ):
        launch(
            "spgemm_masked", "add_wanted", len(rows), n_threads,
            rows, *factors, mask_indptr, searched, FILTER_BITS * n_threads, sums, reached,
            shared_bytes=n_threads * (16 + FILTER_BITS // 8),
            A_INDEX=a_indices.dtype, INDEX=columns, NUMBER=dtype,
        )  # fmt: skip
    if places is not None:
        sums, reached = _moved(sums, places), _moved(reached, places)
    kept = xp.flatnonzero(reached)
    before = xp.zeros(len(reached) + 1, np.int64)
    before[1:] = xp.cumsum(reached, dtype=np.int64)
    return before[mask_indptr], mask_indices[kept], sums[kept]


def _in_order(mask_indptr: Any, mask_indices: Any) -> tuple[Any, Any | None]:
    """The mask with its rows in order, and the place each column comes from if they were not."""
    xp = array_module()
    if not any(inspect_order(mask_indptr, mask_indices).tolist()):
        return mask_indices, None
    return sort_rows(mask_indptr, mask_indices, xp.arange(len(mask_indices)))


def _moved(numbers: Any, places: Any) -> Any:
    moved = array_module().empty_like(numbers)
    moved[places] = numbers
    return moved
