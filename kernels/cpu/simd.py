"""Many numbers at once: vector registers for kernels whose inner loop LLVM does not vectorise.

A loop over an edge's features is too short to vectorise well when its length is only known at run
time. These intrinsics keep a block of features of one row in registers while the edges of the row
pass by: ``WIDTH`` of them, or ``WIDE`` where there are so many. They compile for any processor; one
without registers so wide splits them.

Arrays are C-contiguous with any number of axes; ``start`` counts elements from the very first.
"""

from __future__ import annotations

from math import factorial, log2, prod

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

__all__ = [
    "WIDE",
    "WIDTH",
    "add_product",
    "add_scaled",
    "address_of",
    "empty_lines",
    "exp",
    "larger",
    "largest",
    "load",
    "load_first",
    "load_wide",
    "prefetch_block",
    "prefetch_wide",
    "splat",
    "store",
    "store_first",
    "total",
    "zeros",
    "zeros_wide",
]

WIDTH = 16
WIDE = 64
LINE_BYTES = 64
"""What a processor fetches at once."""

SMALL_BYTES = 65_536
"""Of an array that lies in the innermost caches, where nothing needs to be gained."""

BIT, BYTE, INT32, INT64 = (ir.IntType(bits) for bits in (1, 8, 32, 64))

LOG2_E = log2(2.718281828459045)
LN2_HIGH, LN2_LOW = 0.693359375, -2.121944400546905827679e-4
"""Natural logarithm of 2 in two parts; whole multiples of the first are exact."""


def empty_lines(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray:
    """An array as ``np.empty`` makes it, but one that begins where a line does.

    NumPy's begin 16 bytes off, and then every vector of sixteen numbers lies in two lines: twice
    the work for whoever reads or writes them at random. Below 64 KiB they are NumPy's.
    """
    n_bytes = prod(shape) * np.dtype(dtype).itemsize
    if n_bytes < SMALL_BYTES:
        return np.empty(shape, dtype)
    memory = np.empty(n_bytes + LINE_BYTES, np.uint8)
    start = -memory.ctypes.data % LINE_BYTES
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


class Lanes(types.Type):
    """So many numbers of one dtype, held in registers."""

    def __init__(self, dtype: types.Number, n: int) -> None:
        self.dtype = dtype
        self.n = n
        super().__init__(name=f"Lanes({dtype}, {n})")

    @property
    def align(self) -> int:
        """Bytes of one number."""
        return self.dtype.bitwidth // 8


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    """An LLVM vector."""

    def __init__(self, manager, kind):
        scalar = manager.lookup(kind.dtype).get_value_type()
        super().__init__(manager, kind, ir.VectorType(scalar, kind.n))


# Between memory and registers.


def _zeros(array, n):
    kind = Lanes(array.dtype, n)

    def generate(context, builder, signature, args):
        return ir.Constant(context.get_value_type(kind), None)

    return kind(array), generate


@intrinsic
def zeros(typingctx, array):
    """``WIDTH`` zeros of the array's dtype."""
    return _zeros(array, WIDTH)


@intrinsic
def zeros_wide(typingctx, array):
    """``WIDE`` zeros of the array's dtype."""
    return _zeros(array, WIDE)


def _load(array, start, n):
    kind = Lanes(array.dtype, n)

    def generate(context, builder, signature, args):
        value = builder.load(_address(context, builder, array, *args, kind))
        value.align = kind.align
        return value

    return kind(array, start), generate


@intrinsic
def load(typingctx, array, start):
    """``array[start : start + WIDTH]``."""
    return _load(array, start, WIDTH)


@intrinsic
def load_wide(typingctx, array, start):
    """``array[start : start + WIDE]``."""
    return _load(array, start, WIDE)


@intrinsic
def load_first(typingctx, array, start, n):
    """``array[start : start + n]`` and zeros, n at most ``WIDTH``; nothing beyond is read."""
    kind = Lanes(array.dtype, WIDTH)

    def generate(context, builder, signature, args):
        vector = context.get_value_type(kind)
        address = _address(context, builder, array, *args[:2], kind)
        given = (address, INT32(kind.align), _first(builder, args[2]), ir.Constant(vector, None))
        return _masked(builder, "load", vector, vector, given)

    return kind(array, start, types.uint64), generate


@intrinsic
def store(typingctx, array, start, lanes):
    """Write the lanes to the elements from ``start`` on."""

    def generate(context, builder, signature, args):
        address = _address(context, builder, array, *args[:2], lanes)
        builder.store(args[2], address).align = lanes.align
        return context.get_dummy_value()

    return types.void(array, start, lanes), generate


@intrinsic
def store_first(typingctx, array, start, lanes, n):
    """Write the first n of ``WIDTH`` lanes; nothing beyond is touched."""

    def generate(context, builder, signature, args):
        address = _address(context, builder, array, *args[:2], lanes)
        given = (args[2], address, INT32(lanes.align), _first(builder, args[3]))
        _masked(builder, "store", ir.VoidType(), args[2].type, given)
        return context.get_dummy_value()

    return types.void(array, start, lanes, types.uint64), generate


def _prefetch(array, start, n):
    kind = Lanes(array.dtype, n)

    def generate(context, builder, signature, args):
        address = _address(context, builder, array, *args, kind)
        address = builder.bitcast(address, ir.PointerType(BYTE))
        call = builder.module.declare_intrinsic(
            "llvm.prefetch",
            [address.type],
            ir.FunctionType(ir.VoidType(), [address.type, INT32, INT32, INT32]),
        )
        for offset in range(0, kind.n * kind.align, LINE_BYTES):
            line = builder.gep(address, [INT64(offset)])
            builder.call(call, [line, INT32(0), INT32(3), INT32(1)])  # to read, soon, data
        return context.get_dummy_value()

    return types.void(array, start), generate


@intrinsic
def prefetch_block(typingctx, array, start):
    """Ask for what ``load`` will want soon; any ``start`` is harmless."""
    return _prefetch(array, start, WIDTH)


@intrinsic
def prefetch_wide(typingctx, array, start):
    """Ask for what ``load_wide`` will want soon; any ``start`` is harmless."""
    return _prefetch(array, start, WIDE)


@intrinsic
def address_of(typingctx, array):
    """Where the array begins: as good as the array here, and cheap to hand to another function.

    Numba counts references to arrays that go in and out of functions, which costs more than a short
    function does. Whoever holds the address must hold the array too.
    """

    def generate(context, builder, signature, args):
        return context.make_array(array)(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), generate


# Arithmetic, lane by lane.


@intrinsic
def splat(typingctx, array, value):
    """``WIDTH`` times the same value, in the array's dtype."""
    kind = Lanes(array.dtype, WIDTH)

    def generate(context, builder, signature, args):
        number = context.cast(builder, args[1], value, array.dtype)
        return _every(builder, context.get_value_type(kind), number)

    return kind(array, value), generate


@intrinsic
def add_scaled(typingctx, lanes, factor, others):
    """``lanes + factor * others``, with one rounding where the processor can."""

    def generate(context, builder, signature, args):
        number = context.cast(builder, args[1], factor, lanes.dtype)
        return _add_product(builder, args[0], _every(builder, args[0].type, number), args[2])

    return lanes(lanes, factor, lanes), generate


@intrinsic
def add_product(typingctx, lanes, a, b):
    """``lanes + a * b``, with one rounding where the processor can."""

    def generate(context, builder, signature, args):
        return _add_product(builder, *args)

    return lanes(lanes, lanes, lanes), generate


@intrinsic
def larger(typingctx, a, b):
    """The larger in each lane; b where either is not a number."""

    def generate(context, builder, signature, args):
        return _larger(builder, *args)

    return a(a, a), generate


@intrinsic
def exp(typingctx, lanes):
    """Exponential of each lane, to about one unit in the last place.

    Powers are at most 88 (float32) or 709; results below the smallest normal number are 0. With n
    the whole number nearest to x / ln 2, e^x is 2^n times e to a power of at most 0.35, which is
    summed by Taylor's series; n comes out in the last bits once 1.5 * 2^mantissa is added.
    """
    mantissa, lowest, terms = (23, -87.0, 7) if lanes.dtype.bitwidth == 32 else (52, -708.0, 13)
    bits = ir.IntType(lanes.dtype.bitwidth)
    whole = ir.VectorType(bits, lanes.n)

    def generate(context, builder, signature, args):
        (x,) = args

        def constant(value, vector=x.type):
            return ir.Constant(vector, [value] * lanes.n)

        vanishes = builder.fcmp_ordered("<", x, constant(lowest))
        power = builder.select(vanishes, constant(lowest), x)
        shift = constant(1.5 * 2.0**mantissa)
        shifted = _add_product(builder, shift, power, constant(LOG2_E))
        n = builder.fsub(shifted, shift)
        rest = _add_product(builder, power, n, constant(-LN2_HIGH))
        rest = _add_product(builder, rest, n, constant(-LN2_LOW))
        series = constant(1 / factorial(terms))
        for k in reversed(range(terms)):
            series = _add_product(builder, constant(1 / factorial(k)), series, rest)
        bias = constant(2 ** (bits.width - mantissa - 2) - 1, whole)
        exponent = builder.add(builder.bitcast(shifted, whole), bias)
        scale = builder.bitcast(builder.shl(exponent, constant(mantissa, whole)), x.type)
        return builder.select(vanishes, constant(0.0), builder.fmul(series, scale))

    return lanes(lanes), generate


# Over all lanes.


@intrinsic
def total(typingctx, lanes):
    """The sum of all lanes, each half onto the other."""

    def generate(context, builder, signature, args):
        return _halve(builder, args[0], builder.fadd)

    return lanes.dtype(lanes), generate


@intrinsic
def largest(typingctx, lanes):
    """The largest of all lanes."""

    def generate(context, builder, signature, args):
        return _halve(builder, args[0], lambda a, b: _larger(builder, a, b))

    return lanes.dtype(lanes), generate


def _address(context, builder, array_type, array, start, lanes):
    """Pointer to the vector that begins at an element of an array."""
    data = array
    if isinstance(array_type, types.Array):
        data = context.make_array(array_type)(context, builder, array).data
    element = builder.gep(data, [start])
    return builder.bitcast(element, ir.PointerType(context.get_value_type(lanes)))


def _masked(builder, what, result, vector, given):
    """Call LLVM's masked load or store."""
    kind = ir.FunctionType(result, [value.type for value in given])
    name = f"llvm.masked.{what}.v{vector.count}{vector.element.intrinsic_name}.p0"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)


def _first(builder, n):
    """Mask of the first n of ``WIDTH`` lanes."""
    places = ir.Constant(ir.VectorType(INT64, WIDTH), list(range(WIDTH)))
    return builder.icmp_unsigned("<", places, _every(builder, places.type, n))


def _every(builder, vector, value):
    """A vector with one value in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, INT32(0))
    nowhere_else = ir.Constant(ir.VectorType(INT32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, undefined, nowhere_else)


def _add_product(builder, lanes, a, b):
    product = builder.fmul(a, b, flags=("contract",))
    return builder.fadd(lanes, product, flags=("contract",))


def _larger(builder, a, b):
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _halve(builder, value, combine):
    """Fold the upper half of the lanes onto the lower until one is left."""
    n = value.type.count
    while n > 1:
        n //= 2
        halves = (list(range(at, at + n)) for at in (0, n))
        low, high = (
            builder.shuffle_vector(value, value, ir.Constant(ir.VectorType(INT32, n), half))
            for half in halves
        )
        value = combine(low, high)
    return builder.extract_element(value, INT32(0))
