"""Rows of a meta-path product, a bounded number at a time, so that it is never held whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dglmeta.kernels.twins import is_on_device, to_host, twin
from dglmeta.paths.chain import Array, Mode, Sparse, identity, multiply, multiply_in_mask

__all__ = ["product_blocks"]

BLOCK_ENTRIES = 1 << 22
"""Most entries of a block, a single row apart: 16 MiB of indices."""

DEVICE_BLOCK_ENTRIES = 1 << 26
"""The same on a GPU, which is not busy with less."""


def product_blocks(
    chain: list[Sparse],
    mode: Mode,
    *,
    sort: bool = True,
    mask: Sparse | None = None,
    block_entries: int | None = None,
) -> Iterator[tuple[int, Sparse]]:
    """Consecutive rows of the product of a chain, multiplied from the left.

    With a mask, of the shape of the product, only the entries in its places. A block has at most
    ``block_entries`` entries, by default ``BLOCK_ENTRIES``, on a GPU ``DEVICE_BLOCK_ENTRIES``, or
    one row.

    Yields
    ------
    first_row, block : int, Sparse
        No entry stored twice. Blocks come in order and together have every row.

    Notes
    -----
    Bytes: for each step one block. Blocks are cut
    where the number of paths, which bounds the entries, says so: at every step again.
    """
    rest = chain[1:] or [identity(chain[0].n_cols, chain[0].indptr)]
    if block_entries is None:
        on_device = is_on_device(chain[0].indptr)
        block_entries = DEVICE_BLOCK_ENTRIES if on_device else BLOCK_ENTRIES
    yield from _extend(0, chain[0], rest, mode, sort, mask, block_entries)


def _extend(
    first_row: int,
    front: Sparse,
    rest: list[Sparse],
    mode: Mode,
    sort: bool,
    mask: Sparse | None,
    block_entries: int,
) -> Iterator[tuple[int, Sparse]]:
    """Multiply some rows by what is left of the chain, in smaller blocks where they grow."""
    if not rest:
        yield first_row, front
        return
    step, *later = rest
    count_flops = twin("spgemm", front.indptr).count_flops
    flops = to_host(count_flops(front.indptr, front.indices, step.indptr))
    for begin, end in _cuts(np.minimum(flops, step.n_cols), block_entries):
        rows = _row_range(front, begin, end)
        if mask is None or later:
            block = multiply(rows, step, mode, sort=sort and not later)
        else:
            wanted = _row_range(mask, first_row + begin, first_row + end)
            block = multiply_in_mask(rows, step, wanted, mode)
        yield from _extend(first_row + begin, block, later, mode, sort, mask, block_entries)


def _cuts(sizes: Array, block_entries: int) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of rows whose sizes sum to at most a block, or of one row."""
    before = np.append(0, np.cumsum(sizes))
    begin = 0
    while begin < len(sizes):
        fitting = int(np.searchsorted(before, before[begin] + block_entries, side="right")) - 1
        end = max(begin + 1, fitting)
        yield begin, end
        begin = end


def _row_range(matrix: Sparse, begin: int, end: int) -> Sparse:
    """A view of the rows begin..end-1."""
    first, last = int(matrix.indptr[begin]), int(matrix.indptr[end])
    values = None if matrix.values is None else matrix.values[first:last]
    return Sparse(
        matrix.indptr[begin : end + 1] - first, matrix.indices[first:last], values, matrix.n_cols
    )
