"""Rows of a matrix as bitmaps: one bit a column, 64 columns a word.

Where a row of a product is well filled, its columns are cheaper to mark than to list: a long row of
the right factor is joined 64 columns at a time, and the marks are read off in order at the end.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic

from dglmeta.kernels.cpu.pool import row_blocks, run_blocks

__all__ = ["find_hubs", "hub_degree", "take_marks", "words_for"]

_BYTES = np.arange(256)
_BITS = (_BYTES[:, None] >> np.arange(8)) & 1
N_MARKS = _BITS.sum(axis=1).astype(np.uint64)
"""Number of bits set in each byte."""
PLACES = np.argsort(1 - _BITS, axis=1, kind="stable").astype(np.int32).ravel()
"""Places of the bits set in each byte, eight numbers a byte, those of the set bits first."""


def words_for(n_cols: int) -> int:
    """Words of a bitmap of so many columns."""
    return (n_cols + 63) // 64


def hub_degree(n_cols: int) -> int:
    """Entries from which a row is worth a bitmap: one in two words, and at least four."""
    return max(words_for(n_cols) // 2, 4)


def find_hubs(
    indptr: npt.NDArray, indices: npt.NDArray, n_cols: int
) -> tuple[npt.NDArray, npt.NDArray]:
    """The rows that are worth a bitmap, and their bitmaps.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    indices : (n_edges,) int32 or int64
        Columns, in [0, n_cols).
    n_cols : int

    Returns
    -------
    place : (n_rows,) int32
        Which bitmap is a row's; -1 for a row without.
    bitmaps : (n_hubs * words_for(n_cols),) uint64
        Bit ``c % 64`` of word ``c // 64`` is column c.

    Notes
    -----
    Cost O(n_rows + n_edges); bytes: at most 16 an edge, and 4 a row. Parallel over hubs.
    """
    n_words = words_for(n_cols)
    rows = np.flatnonzero(np.diff(indptr) >= hub_degree(n_cols))
    place = np.full(len(indptr) - 1, -1, np.int32)
    place[rows] = np.arange(len(rows))
    bitmaps = np.zeros(len(rows) * n_words, np.uint64)
    blocks = row_blocks(range(len(rows) + 1), len(rows) * n_words * 8)
    run_blocks(_fill_bitmaps, blocks, rows, indptr, indices, n_words, bitmaps)
    return place, bitmaps


@njit(cache=True, nogil=True)
def _fill_bitmaps(begin, end, rows, indptr, indices, n_words, bitmaps):
    for h in range(begin, end):
        first = np.uint64(h) * np.uint64(n_words)
        for q in range(np.uint64(indptr[rows[h]]), np.uint64(indptr[rows[h] + 1])):
            column = np.uint64(indices[q])
            bitmaps[first + (column >> np.uint64(6))] |= np.uint64(1) << (column & np.uint64(63))


@njit(cache=True, nogil=True)
def take_marks(bitmap, many, found, n):
    """Write the marked columns to ``found[n:]`` in order, clear the bitmap, return the new n.

    ``many`` says that most bytes have marks: then eight places are copied for every byte, marked
    or not, and only those marked are counted: ``found`` must have room for seven more. Otherwise
    the marks are taken one by one.
    """
    for w in range(np.uint64(len(bitmap))):
        word = bitmap[w]
        if word == np.uint64(0):
            continue
        bitmap[w] = np.uint64(0)
        column = w << np.uint64(6)
        if many:
            for _ in range(8):
                byte = word & np.uint64(255)
                store_places(found, n, column, PLACES, byte * np.uint64(8))
                n += N_MARKS[byte]
                column += np.uint64(8)
                word >>= np.uint64(8)
        else:
            while word != np.uint64(0):
                found[n] = column + trailing_zeros(word)
                n += np.uint64(1)
                word &= word - np.uint64(1)
    return n


@intrinsic
def store_places(typingctx, found, n, column, places, start):
    """``found[n : n + 8] = column + places[start : start + 8]``, eight at once."""

    def generate(context, builder, signature, args):
        out_type, _, _, in_type, _ = signature.args
        columns, eight = (ir.IntType(t.dtype.bitwidth) for t in (out_type, in_type))
        target = context.make_array(out_type)(context, builder, args[0]).data
        source = context.make_array(in_type)(context, builder, args[3]).data
        vector = ir.VectorType(eight, 8)
        loaded = builder.load(
            builder.bitcast(builder.gep(source, [args[4]]), ir.PointerType(vector))
        )
        loaded.align = in_type.dtype.bitwidth // 8
        vector = ir.VectorType(columns, 8)
        if columns.width > eight.width:
            loaded = builder.zext(loaded, vector)
        base = builder.trunc(args[2], columns) if columns.width < 64 else args[2]
        one = builder.insert_element(
            ir.Constant(vector, ir.Undefined), base, ir.Constant(ir.IntType(32), 0)
        )
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), 8), [0] * 8)
        every = builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)
        place = builder.bitcast(builder.gep(target, [args[1]]), ir.PointerType(vector))
        builder.store(builder.add(loaded, every), place).align = out_type.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(found, types.uint64, types.uint64, places, types.uint64), generate


@intrinsic
def trailing_zeros(typingctx, word):
    """Place of the lowest bit set; the word is not zero."""

    def generate(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate
