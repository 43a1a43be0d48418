"""Counter-based random numbers: the same numbers whatever the order they are asked in.

A number is a pure function of (seed, block, row, draw): no state passes from one draw to the next,
so results do not depend on threads, workers or on what else is in a batch. ``stream`` hashes
(seed, block, row) into a 64-bit key; ``random_uint64`` is then output number ``draw`` of SplitMix64
started at that key (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014, with mixing constants 13 of Stafford's table, as in their reference).

Everything is uint64: mixing signed and unsigned integers would make Numba compute in float64.

Examples
--------
>>> key = stream(seed=7, block=0, row=3)
>>> bits = random_uint64(key, draw=0)
>>> int(random_below(bits, 10)), round(float(random_unit(bits)), 3)
(4, 0.469)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["derive_seed", "random_array", "random_below", "random_uint64", "random_unit", "stream"]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
LOW_32 = np.uint64(0xFFFFFFFF)
TO_UNIT = 2.0**-53


@njit(cache=True, nogil=True)
def _mix(bits):
    """A bijection of 64-bit words in which every input bit changes about half the output bits."""
    bits = (bits ^ (bits >> np.uint64(30))) * MIX_1
    bits = (bits ^ (bits >> np.uint64(27))) * MIX_2
    return bits ^ (bits >> np.uint64(31))


@njit(cache=True, nogil=True)
def stream(seed, block, row):
    """Key of the stream that belongs to (seed, block, row), for ``random_uint64``.

    For one seed and block it is a bijection of the row, so no two rows share a key.

    Parameters
    ----------
    seed, block, row : integers
        Taken modulo 2**64, so negative ones are welcome.

    Returns
    -------
    key : uint64

    Notes
    -----
    A few nanoseconds; call it once a row and ``random_uint64`` once a draw.
    """
    key = _mix(np.uint64(seed) + GOLDEN)
    key = _mix((key ^ np.uint64(block)) + GOLDEN)
    return _mix((key ^ np.uint64(row)) + GOLDEN)


@njit(cache=True, nogil=True)
def random_uint64(key, draw):
    """64 uniform bits: number ``draw`` (from 0) of the stream ``key``. About 1 ns.

    Parameters
    ----------
    key : uint64
        From ``stream``.
    draw : integer >= 0

    Returns
    -------
    bits : uint64
    """
    return _mix(np.uint64(key) + (np.uint64(draw) + np.uint64(1)) * GOLDEN)


@njit(cache=True, nogil=True)
def random_below(bits, n):
    """A uniform integer in [0, n) made of 64 uniform bits: the high word of ``bits * n``.

    Parameters
    ----------
    bits : uint64
    n : integer in [0, 2**63)
        0 gives 0.

    Returns
    -------
    number : int64

    Notes
    -----
    No outcome's probability is off by more than a factor ``1 +- n / 2**64``: 3e-10 for n = 2**32.

    References
    ----------
    Lemire, "Fast random integer generation in an interval", arXiv 1805.10941, without the rejection
    that removes this bias.
    """
    bits, n = np.uint64(bits), np.uint64(n)
    half = np.uint64(32)
    bits_high, bits_low = bits >> half, bits & LOW_32
    n_high, n_low = n >> half, n & LOW_32
    # Schoolbook product in base 2**32, of which only the upper 64 of 128 bits are kept.
    cross = bits_high * n_low + ((bits_low * n_low) >> half)
    other = bits_low * n_high + (cross & LOW_32)
    return np.int64(bits_high * n_high + (cross >> half) + (other >> half))


@njit(cache=True, nogil=True)
def random_unit(bits):
    """A uniform multiple of 2**-53 in [0, 1) made of 64 uniform bits (float64)."""
    return np.float64(np.uint64(bits) >> np.uint64(11)) * TO_UNIT


def random_array(seed: int, block: int, rows: npt.NDArray, draw: int = 0) -> npt.NDArray:
    """64 random bits for each row: ``random_uint64(stream(seed, block, rows[i]), draw)``.

    Parameters
    ----------
    seed, block : int
        Taken modulo 2**64.
    rows : (n,) integers
    draw : int
        Which number of each row's stream, from 0.

    Returns
    -------
    bits : (n,) uint64

    Notes
    -----
    Cost O(n), 1 ns each (one core of a Xeon of 2023); 8 bytes each.

    Examples
    --------
    >>> both = random_array(7, 0, np.array([3, 4]))
    >>> bool(both[1] == random_array(7, 0, np.array([4]))[0])
    True
    """
    out = np.empty(len(rows), np.uint64)
    _fill(as_word(seed), as_word(block), rows, as_word(draw), out)
    return out


def derive_seed(seed: int, *labels: int) -> int:
    """A new seed in [0, 2**63), one for each sequence of integer labels: epochs, blocks, tasks.

    Examples
    --------
    >>> derive_seed(0, 1) != derive_seed(0, 2) != derive_seed(0, 1, 2)
    True
    """
    key = stream(as_word(seed), as_word(len(labels)), as_word(0))
    for place, label in enumerate(labels):
        key = stream(as_word(key), as_word(place), as_word(label))
    return int(key) >> 1


def as_word(number: int) -> np.uint64:
    """Any Python integer modulo 2**64, as kernels take seeds."""
    return np.uint64(int(number) & 0xFFFFFFFFFFFFFFFF)


@njit(cache=True, nogil=True)
def _fill(seed, block, rows, draw, out):
    for i in range(len(rows)):
        out[i] = random_uint64(stream(seed, block, rows[i]), draw)
