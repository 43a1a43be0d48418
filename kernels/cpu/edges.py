"""How kernels read per-edge arrays: by edge id, whatever the position, and ahead of their need."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["FETCHED", "edge_at", "fetch", "last_of_rows", "place", "prefetch", "room_for_rows"]

FETCHED = 65_536
"""Numbers of edges that are brought into the order of positions at a time: they stay in the cache.

Apart from what is done with them, reads at random wait for memory side by side.
"""

AHEAD = np.uint64(32)
"""Edges between asking for a number's place and writing to it."""

READ, KEEP_CLOSE, DATA = 0, 3, 1


@njit(cache=True, nogil=True)
def edge_at(edge_ids, position):
    """Id of the edge at a position; the position itself when ``edge_ids`` is None.

    Numba compiles one version for None and one for an array, so the test costs nothing. The id is
    unsigned because a signed index costs a test for wrap-around in every inner loop.
    """
    if edge_ids is None:
        return np.uint64(position)
    return np.uint64(edge_ids[position])


@intrinsic
def prefetch(typingctx, array, position):
    """Ask for an entry of a flat array, to be read a few hundred instructions later.

    Arrays of the edges of a large graph lie outside the caches, and entries drawn at random are
    each a wait of some hundred nanoseconds; asked for in advance, many of them pass at once. Any
    position is allowed: nothing is read that could fail. None in the place of the array does
    nothing.
    """

    def generate(context, builder, signature, args):
        kind, _ = signature.args
        if isinstance(kind, types.Array):
            byte = ir.IntType(8).as_pointer()
            data = context.make_array(kind)(context, builder, args[0]).data
            address = builder.bitcast(builder.gep(data, [args[1]]), byte)
            number = ir.IntType(32)
            arguments = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
            ask = builder.module.declare_intrinsic("llvm.prefetch", (byte,), arguments)
            builder.call(ask, [address, number(READ), number(KEEP_CLOSE), number(DATA)])
        return context.get_dummy_value()

    return types.void(array, position), generate


@njit(cache=True, nogil=True)
def last_of_rows(first, end, indptr, like):
    """Where the rows from ``first`` on end that have ``FETCHED`` numbers together, or are one."""
    until = first + 1
    while until < end and (indptr[until + 1] - indptr[first]) * like.shape[1] <= FETCHED:
        until += 1
    return until


@njit(cache=True, nogil=True)
def room_for_rows(begin, end, indptr, like):
    """(most edges, k) for the edges of any rows that ``last_of_rows`` takes together."""
    most = min(indptr[end] - indptr[begin], FETCHED // like.shape[1])
    for i in range(begin, end):
        most = max(most, indptr[i + 1] - indptr[i])
    return np.empty((most, like.shape[1]), like.dtype)


@njit(cache=True, nogil=True)
def fetch(first, last, edge_ids, values, room):
    """Values (n_edges, k) of the edges at the positions from first to last, by position."""
    if values.shape[1] == 1:
        for p in range(np.uint64(first), np.uint64(last)):
            room[p - np.uint64(first), np.uint64(0)] = values[np.uint64(edge_ids[p]), np.uint64(0)]
        return
    for p in range(np.uint64(first), np.uint64(last)):
        for h in range(np.uint64(values.shape[1])):
            room[p - np.uint64(first), h] = values[np.uint64(edge_ids[p]), h]


@njit(cache=True, nogil=True)
def place(first, last, edge_ids, room, values):
    """The way back: write what ``room`` holds for these positions into values, by edge id."""
    final, k = np.uint64(last - 1), np.uint64(values.shape[1])
    for p in range(np.uint64(first), np.uint64(last)):
        prefetch(values, np.uint64(edge_ids[min(p + AHEAD, final)]) * k)
        for h in range(k):
            values[np.uint64(edge_ids[p]), h] = room[p - np.uint64(first), h]
