"""Sixteen numbers at once: vector registers for kernels whose inner loop LLVM does not vectorise.

A loop over an edge's features is too short to vectorise well when its length is only known at run
time. These intrinsics keep a block of ``WIDTH`` features of one row in registers while the edges
of the row pass by. They compile for any processor; one without wide registers splits them.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, register_model

__all__ = ["WIDTH", "add_scaled", "load", "store", "zeros"]

WIDTH = 16


class Lanes(types.Type):
    """``WIDTH`` floats of one dtype, held in registers."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    """An LLVM vector."""

    def __init__(self, manager, kind):
        scalar = manager.lookup(kind.dtype).get_value_type()
        super().__init__(manager, kind, ir.VectorType(scalar, WIDTH))


@intrinsic
def zeros(typingctx, array):
    """``WIDTH`` zeros of the array's dtype."""
    kind = Lanes(array.dtype)

    def generate(context, builder, signature, args):
        return ir.Constant(context.get_value_type(kind), None)

    return kind(array), generate


@intrinsic
def load(typingctx, array, start):
    """``array[start : start + WIDTH]`` of a flat array."""
    kind = Lanes(array.dtype)

    def generate(context, builder, signature, args):
        address = _address(context, builder, signature.args[0], *args, context.get_value_type(kind))
        value = builder.load(address)
        value.align = array.dtype.bitwidth // 8
        return value

    return kind(array, start), generate


@intrinsic
def store(typingctx, array, start, lanes):
    """Write ``array[start : start + WIDTH]`` of a flat array."""

    def generate(context, builder, signature, args):
        kind = context.get_value_type(signature.args[2])
        address = _address(context, builder, signature.args[0], args[0], args[1], kind)
        builder.store(args[2], address).align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, start, lanes), generate


@intrinsic
def add_scaled(typingctx, total, factor, lanes):
    """``total + factor * lanes``, with one rounding where the processor can."""

    def generate(context, builder, signature, args):
        vector = context.get_value_type(signature.args[0])
        value = context.cast(builder, args[1], signature.args[1], signature.args[0].dtype)
        first = builder.insert_element(
            ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
        )
        every = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        factors = builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), every)
        product = builder.fmul(factors, args[2], flags=("contract",))
        return builder.fadd(args[0], product, flags=("contract",))

    return total(total, factor, lanes), generate


def _address(context, builder, array_type, array, start, vector):
    """Pointer to the vector that begins at an element of a flat array."""
    data = context.make_array(array_type)(context, builder, array).data
    element = builder.gep(data, [start])
    return builder.bitcast(element, ir.PointerType(vector))
