"""Sums of attention within blocks: two sides of members in order of score, and what one gives.

Members of a side stand block after block, in each by rising score; ``starts`` says where blocks
begin. *Low* are the pairs whose scores add up to at most 0, of weight ``exp(slope (r + c))``, and
*high* the others, of weight ``exp(r + c)``; either is the product of a factor of each side.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numba.extending import intrinsic

from dglmeta.kernels.cpu.simd import (
    WIDTH,
    Lanes,
    add_scaled,
    address_of,
    load_first,
    prefetch_block,
    store_first,
    zeros,
)
from dglmeta.kernels.cpu.softmax import exponentials

__all__ = ["add_up", "clear", "largest_of_rows", "members_in_order", "set_factors", "starts_of"]

AHEAD = 8
"""Members between asking for a vector and reading it."""


@njit(cache=True, nogil=True)
def starts_of(blocks, n_blocks):
    """(n_blocks + 1,): where each block's members begin once they stand together."""
    starts = np.zeros(n_blocks + 1, np.int64)
    for b in blocks:
        starts[b + 1] += 1
    for b in range(n_blocks):
        starts[b + 1] += starts[b]
    return starts


@njit(cache=True, nogil=True)
def members_in_order(indptr, blocks, starts, order, members):
    """Write the nodes of block after block, in each in the order given."""
    free = starts.copy()
    for i in order:
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            b = np.uint64(blocks[p])
            members[np.uint64(free[b])] = i
            free[b] += 1


@njit(cache=True, nogil=True)
def largest_of_rows(row_starts, rows, r, col_starts, columns, c, slope):
    """(n_rows,): the largest leaky score of each row's pairs, 0 where there are none.

    It belongs to an end of one of the blocks: a leaky ReLU of slope at most 1 is convex.
    """
    found = np.full(len(r), -np.inf)
    for b in range(len(row_starts) - 1):
        if col_starts[b] == col_starts[b + 1]:
            continue
        least, most = c[columns[col_starts[b]]], c[columns[col_starts[b + 1] - 1]]
        for p in range(row_starts[b], row_starts[b + 1]):
            i = rows[p]
            low, high = r[i] + least, r[i] + most
            found[i] = max(found[i], max(low, slope * low), max(high, slope * high))
    for i in range(len(found)):
        if found[i] == -np.inf:
            found[i] = 0
    return found


@njit(cache=True, nogil=True)
def set_factors(
    row_starts, rows, r, col_starts, columns, c, slope, row_runs, col_runs, row_factors, col_factors
):
    """Write the factors of ``exp(leaky(r + c) - largest of the row)``, none above 1, and the runs.

    ``factors[0]`` are low, ``factors[1]`` high; runs say with how many members of the other side,
    from the lowest on, a member's pairs are low. Where a block has no pairs nothing is written.
    """
    largest = largest_of_rows(row_starts, rows, r, col_starts, columns, c, slope)
    for b in range(len(row_starts) - 1):
        p, n = row_starts[b], row_starts[b + 1] - row_starts[b]
        q, m = col_starts[b], col_starts[b + 1] - col_starts[b]
        if n == 0 or m == 0:
            continue
        find_runs(rows[p : p + n], r, columns[q : q + m], c, row_runs[p:], col_runs[q:])
        for high in range(2):
            a = 1.0 if high else slope
            top = a * c[columns[q + m - 1 if a > 0 else q]]
            for k in range(q, q + m):
                col_factors[high, k] = a * c[columns[k]]
            exponentials(address_of(col_factors[high]), np.uint64(q), np.uint64(m), top)
            for k in range(p, p + n):
                row_factors[high, k] = a * r[rows[k]] + top - largest[rows[k]]
            exponentials(address_of(row_factors[high]), np.uint64(p), np.uint64(n), 0.0)


@njit(cache=True, nogil=True)
def find_runs(rows, r, columns, c, row_runs, col_runs):
    """Runs of one block: as rows fall, more and more columns are low with them."""
    q, m = 0, len(columns)
    for p in range(len(rows) - 1, -1, -1):
        limit = -r[rows[p]]
        while q < m and c[columns[q]] <= limit:
            col_runs[q] = p + 1
            q += 1
        row_runs[p] = q
    col_runs[q:m] = 0


@njit(cache=True, nogil=True)
def add_up(
    high, to_starts, takers, runs, taken, from_starts, givers, given, x, h, extra, out, to_h, whole
):
    """Add each taker's sum of weights times x, over its low or its high pairs, to out.

    Of the head h of x and ``to_h`` of out; that of weights times extra is added to whole. Low, the
    runs of givers begin at the lowest and grow as takers fall; high, they begin at the highest and
    grow as takers rise.
    """
    one, far, width, d = np.uint64(1), np.uint64(AHEAD), np.uint64(WIDTH), np.uint64(x.shape[2])
    stride, head = np.uint64(x.shape[1]) * d, np.uint64(h) * d
    to_stride, to_head = np.uint64(out.shape[1]) * d, np.uint64(to_h) * d
    for b in range(np.uint64(len(to_starts) - 1)):
        first, n = np.uint64(to_starts[b]), np.uint64(to_starts[b + one] - to_starts[b])
        begin, m = np.uint64(from_starts[b]), np.uint64(from_starts[b + one] - from_starts[b])
        if n == 0 or m == 0:
            continue
        for k in range(np.uint64(0), max(d, one), width):
            here, done, total, running = min(width, d - k), np.uint64(0), 0.0, zeros(taken)
            for s in range(n):
                p = first + (s if high else n - one - s)
                until = m - np.uint64(runs[p]) if high else np.uint64(runs[p])
                while done < until:
                    later = min(done + far, m - one)
                    q = begin + (m - one - done if high else done)
                    later = begin + (m - one - later if high else later)
                    prefetch_block(x, np.uint64(givers[later]) * stride + head + k)
                    j = np.uint64(givers[q])
                    vector = converted(given, load_first(x, j * stride + head + k, here))
                    running = add_scaled(running, given[q], vector)
                    total += given[q] * extra[j]
                    done += one
                i = np.uint64(takers[p])
                at = i * to_stride + to_head + k
                before = converted(given, load_first(out, at, here))
                store_first(out, at, converted(out, add_scaled(before, taken[p], running)), here)
                if k == 0:
                    whole[i] += taken[p] * total


@njit(cache=True, nogil=True)
def clear(out, h):
    """Set one head to zero."""
    for i in range(np.uint64(len(out))):
        for k in range(np.uint64(out.shape[2])):
            out[i, h, k] = 0


@intrinsic
def converted(typingctx, array, lanes):
    """The lanes in the array's dtype."""
    kind = Lanes(array.dtype, lanes.n)

    def generate(context, builder, signature, args):
        vector, gain = context.get_value_type(kind), kind.dtype.bitwidth - lanes.dtype.bitwidth
        if gain == 0:
            return args[1]
        return builder.fpext(args[1], vector) if gain > 0 else builder.fptrunc(args[1], vector)

    return kind(array, lanes), generate
