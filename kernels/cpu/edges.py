"""How kernels read per-edge arrays: by edge id, whatever the position, and ahead of their need."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["edge_at", "prefetch"]

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
