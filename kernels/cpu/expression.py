"""Values and slopes of many elementwise loss expressions at once, each a program for a stack.

A loss of AutoLINC is a short expression of logits u, one-hot labels y and class counts n. Programs
are postfix codes. What carries no u is computed once for each pair (y, n), of which there are two a
class, and its slope in u is exactly 0 whatever the slopes of its operators; the rest are dual
numbers in forward mode, a few hundred elements an instruction. All arithmetic is float32, on
purpose: published losses rely on ``1 + 1e-12 == 1``.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.pool import row_blocks, run_blocks

__all__ = ["CODES", "EPS", "evaluate_expressions"]

EPS = 1e-12
"""Added in ``inv``, and to the magnitudes in ``log`` and ``sqrt``."""

CODES = {
    "end": 0, "constant": 1, "u": 2, "y": 3, "n": 4, "add": 5, "mul": 6, "neg": 7, "abs": 8,
    "inv": 9, "log": 10, "exp": 11, "tanh": 12, "square": 13, "sqrt": 14,
}  # fmt: skip
"""What the numbers of a program mean."""

END, CONSTANT, U, Y, N, ADD, MUL, NEG, ABS, INV, LOG, EXP, TANH, SQUARE, SQRT = CODES.values()
ADD_KNOWN, MUL_KNOWN, KNOWN = SQRT + 1, SQRT + 2, SQRT + 3

TINY, ONE, TWO, HALF, ZERO = (np.float32(x) for x in (EPS, 1, 2, 0.5, 0))

AT_ONCE = 512
"""Elements an instruction works on; a stack of them stays in the first cache."""

NS_AN_ELEMENT = 8
"""Rough time of a whole program."""


def evaluate_expressions(
    programs: npt.NDArray,
    constants: npt.NDArray,
    u: npt.NDArray,
    y: npt.NDArray,
    counts: npt.NDArray,
) -> tuple[npt.NDArray, npt.NDArray]:
    """``f_b(u, y, n)`` and ``df_b/du``, element by element, of every program b.

    Guarded: ``inv x = 1 / (x + eps)``, ``log x = s(x) ln(|x| + eps)``, ``sqrt x = s(x) sqrt(|x| +
    eps)`` with ``eps = 1e-12``, ``s(x) = 1`` for ``x >= 0`` and -1 below.

    Parameters
    ----------
    programs : (B, L) int8
        Postfix, in the numbers of ``CODES``, filled up with 0. Complete; this is not checked.
    constants : (B, L) float32
        Values of the codes ``constant``, elsewhere ignored.
    u : (B, n, K) float32, C-contiguous, or (1, n, K) for all programs alike
        Logits.
    y : (n, K) float32
        One-hot labels; other numbers are served too, more slowly.
    counts : (K,) float32
        Class counts.

    Returns
    -------
    value, derivative : (B, n, K) float32
        Not finite where arithmetic overflows. The slope of ``abs`` is 0 at 0.

    Notes
    -----
    Cost O(B n K L); bytes: the results, 4 n K, and 8 L (512 + 2 K) a thread. Parallel over programs
    and chunks of elements, the same bits for any number of threads.

    References
    ----------
    AutoLINC, ICML 2024. The guards are recovered: with them, and no other of the usual ones, all
    its published losses classify rightly.

    Examples
    --------
    >>> program = np.array([[CODES[c] for c in ("u", "y", "neg", "add", "square")]], np.int8)
    >>> u, y = np.array([[[3, 2]]], np.float32), np.array([[0, 1]], np.float32)
    >>> evaluate_expressions(program, np.zeros((1, 5), np.float32), u, y, np.ones(2, np.float32))
    (array([[[9., 1.]]], dtype=float32), array([[[6., 2.]]], dtype=float32))
    """
    n_programs, n_elements = len(programs), y.size
    value, derivative = (np.empty((n_programs, n_elements), np.float32) for _ in range(2))
    n_chunks = -(-n_elements // AT_ONCE)
    blocks = row_blocks(range(n_programs * n_chunks + 1), NS_AN_ELEMENT * value.size)
    known_y, known_n, pair = _pairs(y, counts)
    run_blocks(
        _chunks, blocks, n_chunks, programs, constants, u.reshape(len(u), -1), known_y, known_n,
        pair, value, derivative,
    )  # fmt: skip
    shape = (n_programs, *y.shape)
    return value.reshape(shape), derivative.reshape(shape)


def _pairs(y: npt.NDArray, counts: npt.NDArray) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """Distinct (y, n), and the number of the pair of each element."""
    n_rows, n_classes = y.shape
    if n_rows > 2 and np.all((y == 0) | (y == 1)):
        pair = (np.arange(n_classes, dtype=np.int32) + n_classes * y.astype(np.int32)).ravel()
        known_y = np.repeat(np.array([0, 1], np.float32), n_classes)
        return known_y, np.tile(counts.astype(np.float32), 2), pair
    known_n = np.broadcast_to(counts.astype(np.float32), y.shape).ravel()
    return y.astype(np.float32).ravel(), known_n, np.arange(y.size, dtype=np.int32)


@njit(cache=True, nogil=True, error_model="numpy")
def _chunks(
    begin, end, n_chunks, programs, constants, u, known_y, known_n, pair, value, derivative
):
    length = programs.shape[1]
    table = np.empty((length, len(known_y)), np.float32)
    known, scratch = np.empty_like(table), np.zeros_like(table)
    values = np.empty((length, AT_ONCE), np.float32)
    slopes = np.empty_like(values)
    codes, slots = np.empty(length, np.int8), np.zeros(length, np.int64)
    folded, n_codes = -1, 0
    for unit in range(begin, end):
        b, first = unit // n_chunks, unit % n_chunks * AT_ONCE
        last = min(first + AT_ONCE, len(pair))
        if b != folded:
            n_codes = _fold(
                programs[b], constants[b], known_y, known_n, known, scratch, table, codes, slots
            )
            folded = b
        _run(
            codes[:n_codes], slots, table, pair[first:last], u[b if len(u) > 1 else 0][first:last],
            values, slopes, value[b][first:last], derivative[b][first:last],
        )  # fmt: skip


# A known argument of a sum or product comes last, whichever side it stood on: both commute.
@njit(cache=True, nogil=True, error_model="numpy")
def _fold(program, constants, known_y, known_n, known, scratch, table, codes, slots):
    varies = np.zeros(len(program), np.bool_)
    m, top, n_codes, n_slots = len(known_y), 0, 0, 0
    for at in range(len(program)):
        code = program[at]
        if code == END:
            break
        if code <= N:
            varies[top] = code == U
            for i in range(np.uint64(m)):
                leaf = known_y[i] if code == Y else known_n[i]
                known[top, i] = constants[at] if code == CONSTANT else leaf
            emitted = varies[top]
            top += 1
        elif code <= MUL:
            top -= 1
            left, right = varies[top - 1], varies[top]
            emitted = left or right
            varies[top - 1] = emitted
            if left != right:
                for i in range(np.uint64(m)):
                    table[n_slots, i] = known[top if left else top - 1, i]
                slots[n_codes] = n_slots
                n_slots += 1
                code = ADD_KNOWN if code == ADD else MUL_KNOWN
            elif not emitted:
                _join(code, known, scratch, top - 1, m)
        else:
            emitted = varies[top - 1]
            if not emitted:
                _apply(code, known, scratch, top - 1, m)
        if emitted:
            codes[n_codes] = code
            n_codes += 1
    if not varies[0]:
        for i in range(np.uint64(m)):
            table[0, i] = known[0, i]
        codes[0], slots[0], n_codes = KNOWN, 0, 1
    return n_codes


@njit(cache=True, nogil=True, error_model="numpy")
def _run(codes, slots, table, pair, u, values, slopes, value, slope):
    m, top = len(u), 0
    for at in range(len(codes)):
        code = codes[at]
        if code == U:
            for i in range(np.uint64(m)):
                values[top, i] = u[i]
                slopes[top, i] = ONE
            top += 1
        elif code == KNOWN:
            for i in range(np.uint64(m)):
                values[0, i] = table[0, pair[i]]
                slopes[0, i] = ZERO
        elif code == ADD_KNOWN:
            for i in range(np.uint64(m)):
                values[top - 1, i] += table[slots[at], pair[i]]
        elif code == MUL_KNOWN:
            for i in range(np.uint64(m)):
                by = table[slots[at], pair[i]]
                values[top - 1, i] *= by
                slopes[top - 1, i] *= by
        elif code <= MUL:
            top -= 1
            _join(code, values, slopes, top - 1, m)
        else:
            _apply(code, values, slopes, top - 1, m)
    for i in range(np.uint64(m)):
        value[i], slope[i] = values[0, i], slopes[0, i]


@njit(cache=True, nogil=True, error_model="numpy")
def _join(code, values, slopes, row, m):
    v, d, w, e = values[row], slopes[row], values[row + 1], slopes[row + 1]
    if code == ADD:
        for i in range(np.uint64(m)):
            v[i] += w[i]
            d[i] += e[i]
    else:
        for i in range(np.uint64(m)):
            d[i] = d[i] * w[i] + v[i] * e[i]
            v[i] *= w[i]


# Slopes before values, as both stand where their argument did.
@njit(cache=True, nogil=True, error_model="numpy")
def _apply(code, values, slopes, row, m):
    v, d, n = values[row], slopes[row], np.uint64(m)
    if code == NEG:
        for i in range(n):
            v[i], d[i] = -v[i], -d[i]
    elif code == ABS:
        for i in range(n):
            d[i] *= ONE if v[i] > ZERO else (-ONE if v[i] < ZERO else v[i] * ZERO)
            v[i] = abs(v[i])
    elif code == INV:
        for i in range(n):
            v[i] = ONE / (v[i] + TINY)
            d[i] *= -(v[i] * v[i])
    elif code == LOG:
        for i in range(n):
            size = abs(v[i]) + TINY
            d[i] /= size
            v[i] = math.log(size) if v[i] >= ZERO else -math.log(size)
    elif code == EXP:
        for i in range(n):
            v[i] = math.exp(v[i])
            d[i] *= v[i]
    elif code == TANH:
        for i in range(n):
            v[i] = math.tanh(v[i])
            d[i] *= ONE - v[i] * v[i]
    elif code == SQUARE:
        for i in range(n):
            d[i] *= TWO * v[i]
            v[i] *= v[i]
    else:
        for i in range(n):
            root = math.sqrt(abs(v[i]) + TINY)
            d[i] *= HALF / root
            v[i] = root if v[i] >= ZERO else -root
