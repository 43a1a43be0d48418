"""A chain of sparse structures as one argument of a kernel, whatever its length.

Numba compiles a tuple of arrays anew for every length and counts references whenever one is taken
out. A table of the addresses of the arrays does neither: one machine code serves every meta-path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic

__all__ = [
    "Chain",
    "addresses",
    "column",
    "entry",
    "link",
    "prefetch_columns",
    "prefetch_row",
    "row",
]


class Chain(NamedTuple):
    """Structures one after the other. Keep it as long as a kernel works on its ``table``."""

    indptr: tuple[npt.NDArray, ...]
    """(n_rows + 1,) int64 each."""
    indices: tuple[npt.NDArray, ...]
    """(n_edges,) each: columns, rows of the next step; all int32 or all int64."""
    table: npt.NDArray
    """(n_steps, 2) uint64: where ``indptr`` and ``indices`` of each step lie in memory."""
    kind: np.int32 | np.int64
    """A zero of the dtype of ``indices``."""


def link(steps: Sequence[tuple[npt.NDArray, npt.NDArray]]) -> Chain:
    """The chain of some structures; a copy only of what has not the dtype said above.

    Parameters
    ----------
    steps : sequence of (indptr, indices)
        One structure a step; the columns of each are rows of the next.
    """
    dtype = np.result_type(np.int32, *(indices.dtype for _, indices in steps))
    indptr = tuple(np.ascontiguousarray(a, np.int64) for a, _ in steps)
    indices = tuple(np.ascontiguousarray(a, dtype) for _, a in steps)
    table = np.stack([addresses(indptr), addresses(indices)], axis=1)
    return Chain(indptr, indices, table, dtype.type(0))


def addresses(arrays: Sequence[npt.NDArray]) -> npt.NDArray:
    """(n,) uint64: where contiguous arrays lie in memory, for as long as they are kept."""
    return np.array([array.ctypes.data for array in arrays], np.uint64)


@intrinsic
def _read(typingctx, address, position, kind):
    """Number ``position`` of the array of type ``kind`` that begins at an address."""

    def generate(context, builder, signature, args):
        pointer = ir.PointerType(context.get_value_type(kind))
        return builder.load(builder.gep(builder.inttoptr(args[0], pointer), [args[1]]))

    return kind(types.uint64, types.uint64, kind), generate


@intrinsic
def _prefetch(typingctx, address, position, kind):
    """Start to bring number ``position`` of an array near; a hint, so any position is safe."""

    def generate(context, builder, signature, args):
        pointer = ir.PointerType(context.get_value_type(kind))
        element = builder.gep(builder.inttoptr(args[0], pointer), [args[1]])
        element = builder.bitcast(element, ir.PointerType(ir.IntType(8)))
        word = ir.IntType(32)
        function = ir.FunctionType(ir.VoidType(), [element.type, word, word, word])
        hint = builder.module.declare_intrinsic("llvm.prefetch", [element.type], function)
        to_read, keep, data_cache = word(0), word(3), word(1)
        builder.call(hint, [element, to_read, keep, data_cache])
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64, kind), generate


@njit(cache=True, nogil=True)
def prefetch_row(table, step, node):
    """Ask for a node's offsets, which ``row`` will read."""
    _prefetch(table[step, 0], np.uint64(node), np.int64(0))


@njit(cache=True, nogil=True)
def prefetch_columns(table, step, node, kind):
    """Ask for the beginning of a node's columns, once its offsets are near."""
    position, _ = row(table, step, node)
    _prefetch(table[step, 1], position, kind)


@njit(cache=True, nogil=True)
def row(table, step, node):
    """First position, and the one after the last, of a node's row in a step; both uint64."""
    address, node = table[step, 0], np.uint64(node)
    zero = np.int64(0)
    begin, end = _read(address, node, zero), _read(address, node + np.uint64(1), zero)
    return np.uint64(begin), np.uint64(end)


@njit(cache=True, nogil=True)
def column(address, position, kind):
    """The column at a position of a step whose indices begin at ``address``: ``table[step, 1]``."""
    return np.uint64(_read(address, position, kind))


@njit(cache=True, nogil=True)
def entry(address, position):
    """Entry of the int64 array that lies at an address."""
    return _read(address, np.uint64(position), np.int64(0))
