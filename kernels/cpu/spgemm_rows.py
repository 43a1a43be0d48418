"""The inner loops of sparse products: a block of rows at a time, whatever form suits each row.

Most rows list the columns they meet and a dense array tells which were met before: written and
compared, never cleared and never branched on. Rows that fill a good part of their columns are
marked in a bitmap (see ``bitmap``).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from dglmeta.kernels.cpu.bitmap import take_marks
from dglmeta.kernels.cpu.simd import WIDTH, load, store

__all__ = ["count_rows", "flop_rows", "has_repeats", "reach_rows", "value_rows"]

MANY = 1 / 8
"""From this share of its columns on, a bitmap is read a byte at a time, below a bit at a time."""

MARKS = 1 / 800
"""From this share of its columns on, a row is put in order by marking them, below by sorting."""


@njit(cache=True, nogil=True)
def flop_rows(begin, end, a_indptr, a_indices, b_indptr, flops):
    """Sum of the degrees in B of each row's columns."""
    for i in range(begin, end):
        total = 0
        for p in range(np.uint64(a_indptr[i]), np.uint64(a_indptr[i + 1])):
            k = np.uint64(a_indices[p])
            total += b_indptr[k + np.uint64(1)] - b_indptr[k]
        flops[i] = total


@njit(cache=True, nogil=True)
def has_repeats(indptr, indices):
    """Whether a row has the same column twice, side by side."""
    for i in range(len(indptr) - 1):
        n = 0
        for p in range(np.uint64(indptr[i]) + np.uint64(1), np.uint64(indptr[i + 1])):
            n += indices[p] == indices[p - np.uint64(1)]
        if n > 0:
            return True
    return False


@njit(cache=True, nogil=True)
def count_rows(begin, end, a_indptr, a_indices, b_indptr, b_indices, n_cols, counts):
    """Only how many distinct columns each row has."""
    stamp = np.zeros(n_cols, np.int32)
    for i in range(begin, end):
        own = np.int32(i - begin + 1)
        n = 0
        for p in range(np.uint64(a_indptr[i]), np.uint64(a_indptr[i + 1])):
            k = np.uint64(a_indices[p])
            for q in range(np.uint64(b_indptr[k]), np.uint64(b_indptr[k + np.uint64(1)])):
                column = np.uint64(b_indices[q])
                n += stamp[column] != own
                stamp[column] = own
        counts[i] = n


@njit(cache=True, nogil=True)
def reach_rows(
    begin,
    end,
    a_indptr,
    a_indices,
    b_indptr,
    b_indices,
    flops,
    dense,
    copies,
    place,
    bitmaps,
    stamp,
    first_stamp,
    bitmap,
    sort,
    found,
    counts,
):
    """Columns reached from each row, one row behind the other in ``found``; returns how many.

    ``dense`` rows go through ``bitmap``, which is clear before and after. ``copies`` says that the
    rows of B may be taken as they are.
    Stamps ``first_stamp`` and up are not in ``stamp`` yet.
    """
    n = np.uint64(0)
    for i in range(begin, end):
        first = n
        alone = copies and a_indptr[i + 1] - a_indptr[i] == 1
        row = a_indices[a_indptr[i] : a_indptr[i + 1]]
        if dense[i] and not alone:
            _mark_rows(row, b_indptr, b_indices, place, bitmaps, bitmap)
            n = take_marks(bitmap, flops[i] >= MANY * len(stamp), found, n)
            counts[i] = n - first
            continue
        last = _gather_rows(row, b_indptr, b_indices, found, n)
        if alone:
            n = last
        elif sort and flops[i] >= MARKS * len(stamp):
            for t in range(n, last):
                column = np.uint64(found[t])
                bitmap[column >> np.uint64(6)] |= np.uint64(1) << (column & np.uint64(63))
            n = take_marks(bitmap, flops[i] >= MANY * len(stamp), found, n)
        else:
            own = stamp.dtype.type(i - begin + first_stamp)
            for t in range(n, last):
                column = np.uint64(found[t])
                found[n] = column
                n += np.uint64(stamp[column] != own)
                stamp[column] = own
            if sort:
                found[first:n].sort()
        counts[i] = n - first
    return n


@njit(cache=True, nogil=True)
def _mark_rows(row, b_indptr, b_indices, place, bitmaps, bitmap):
    """Mark the columns of some rows of B, by bitmap or one by one."""
    n_words = np.uint64(len(bitmap))
    for p in range(np.uint64(len(row))):
        k = np.uint64(row[p])
        if len(bitmaps) > 0 and place[k] >= 0:
            hub = np.uint64(place[k]) * n_words
            for w in range(n_words):
                bitmap[w] |= bitmaps[hub + w]
        else:
            for q in range(np.uint64(b_indptr[k]), np.uint64(b_indptr[k + np.uint64(1)])):
                column = np.uint64(b_indices[q])
                bitmap[column >> np.uint64(6)] |= np.uint64(1) << (column & np.uint64(63))


@njit(cache=True, nogil=True)
def value_rows(
    begin,
    end,
    a_indptr,
    a_indices,
    a_values,
    b_indptr,
    b_indices,
    b_values,
    flops,
    dense,
    slot,
    first_slot,
    total,
    bitmap,
    sort,
    found,
    values,
    counts,
):
    """Columns reached from each row and the sums over the ways there; returns how many.

    ``slot[column] - base`` is positive for columns met in this row; what earlier rows left there is
    not. It is how often they were met, or where in the row they stand if there are values to add.
    ``dense`` rows are summed in ``total`` and marked in ``bitmap``, zero before and after.
    """
    one, zero, unit = values.dtype.type(1), values.dtype.type(0), slot.dtype.type(1)
    base = slot.dtype.type(first_slot - 1)
    n = np.uint64(0)
    for i in range(begin, end):
        first = n
        row = slice(a_indptr[i], a_indptr[i + 1])
        if dense[i]:
            factor = None if a_values is None else a_values[row]
            _add_rows(a_indices[row], factor, b_indptr, b_indices, b_values, bitmap, total)
            n = take_marks(bitmap, flops[i] >= MANY * len(slot), found, n)
            _take_sums(total, found, first, n, values)
            counts[i] = n - first
            continue
        if a_values is None and b_values is None:
            last = _gather_rows(a_indices[row], b_indptr, b_indices, found, n)
            for t in range(n, last):
                column = np.uint64(found[t])
                met = slot[column]
                found[n] = column
                slot[column] = max(met, base) + unit
                n += np.uint64(met <= base)
            if sort:
                found[first:n].sort()
            for t in range(first, n):
                values[t] = slot[np.uint64(found[t])] - base
        else:
            before = first - np.uint64(1)
            for p in range(np.uint64(a_indptr[i]), np.uint64(a_indptr[i + 1])):
                k = np.uint64(a_indices[p])
                a = one if a_values is None else a_values[p]
                for q in range(np.uint64(b_indptr[k]), np.uint64(b_indptr[k + np.uint64(1)])):
                    column = np.uint64(b_indices[q])
                    met = slot[column]
                    at = n if met <= base else before + np.uint64(met - base)
                    found[n] = column
                    values[n] = zero  # without a branch: the next new column overwrites both
                    values[at] += a if b_values is None else a * b_values[q]
                    slot[column] = base + slot.dtype.type(at - before)
                    n += np.uint64(met <= base)
            if sort:
                for t in range(first, n):
                    total[np.uint64(found[t])] = values[t]
                found[first:n].sort()
                _take_sums(total, found, first, n, values)
        base += slot.dtype.type(flops[i])
        counts[i] = n - first
    return n


@njit(cache=True, nogil=True)
def _gather_rows(row, b_indptr, b_indices, found, n):
    """List the columns of some rows of B in ``found[n:]``; returns where they end.

    They are copied a register at a time. The first is copied without asking whether there is any,
    which is all for most rows; what is written beyond a row's end is overwritten by the next.
    """
    safe = len(b_indices) - WIDTH
    for p in range(np.uint64(len(row))):
        k = np.uint64(row[p])
        q, stop = np.uint64(b_indptr[k]), np.uint64(b_indptr[k + np.uint64(1)])
        t, n = n, n + (stop - q)
        if b_indptr[k + np.uint64(1)] <= safe:
            store(found, t, load(b_indices, q))
            t += np.uint64(WIDTH)
            while t < n:
                q += np.uint64(WIDTH)
                store(found, t, load(b_indices, q))
                t += np.uint64(WIDTH)
        else:
            while t < n:
                found[t] = b_indices[q]
                t += np.uint64(1)
                q += np.uint64(1)
    return n


@njit(cache=True, nogil=True)
def _add_rows(row, factor, b_indptr, b_indices, b_values, bitmap, total):
    """Add some rows of B, each times its factor, to ``total``, and mark the columns met."""
    one = total.dtype.type(1)
    for p in range(np.uint64(len(row))):
        k = np.uint64(row[p])
        a = one if factor is None else factor[p]
        for q in range(np.uint64(b_indptr[k]), np.uint64(b_indptr[k + np.uint64(1)])):
            column = np.uint64(b_indices[q])
            total[column] += a if b_values is None else a * b_values[q]
            bitmap[column >> np.uint64(6)] |= np.uint64(1) << (column & np.uint64(63))


@njit(cache=True, nogil=True)
def _take_sums(total, found, first, n, values):
    """Move the sums of the columns ``found[first:n]`` to ``values``."""
    for t in range(first, n):
        column = np.uint64(found[t])
        values[t] = total[column]
        total[column] = 0
