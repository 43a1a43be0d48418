"""Arrays of True that take no memory until they are written to.

A SciPy matrix of reachable pairs needs a True for every entry, a fifth of its memory, and all the
same. On Linux they are one small stretch of memory, mapped over and over, copied where written.
"""

from __future__ import annotations

import ctypes
import mmap
import os

import numpy as np
import numpy.typing as npt

__all__ = ["all_true"]

MAPPED_FROM = 1 << 22
"""Shorter arrays are simply filled."""

MAP_FIXED = 0x10
"""Of Linux; Python's mmap module does not name it."""

N_MAPPINGS = 64
"""The stretch is this part of the array: mappings are a limited resource of a process."""


def all_true(n: int) -> npt.NDArray[np.bool_]:
    """(n,) True, writable; large ones take n / 64 bytes, and what is written to a page each.

    Examples
    --------
    >>> all_true(3)
    array([ True,  True,  True])
    """
    if n < MAPPED_FROM or not hasattr(os, "memfd_create"):
        return np.ones(n, bool)
    try:
        return _mapped(n)
    except OSError:
        return np.ones(n, bool)


def _mapped(n: int) -> npt.NDArray[np.bool_]:
    """The array over one stretch of True, mapped to every part of its address range.

    Raises
    ------
    OSError
        If the system has no room, or does not let us.
    """
    pages = -(-n // (N_MAPPINGS * mmap.PAGESIZE))
    stretch = pages * mmap.PAGESIZE
    n_stretches = -(-n // stretch)
    # The range is reserved, and in the end freed, by this object; the parts only lie in it.
    room = mmap.mmap(-1, n_stretches * stretch, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    array = np.frombuffer(room, bool)
    map_at = ctypes.CDLL(None, use_errno=True).mmap
    map_at.restype = ctypes.c_void_p
    map_at.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    fd = os.memfd_create("true")
    try:
        if os.write(fd, b"\1" * stretch) < stretch:
            raise OSError("memfd: no room")
        for part in range(n_stretches):
            at = array.ctypes.data + part * stretch
            access = mmap.PROT_READ | mmap.PROT_WRITE
            if map_at(at, stretch, access, mmap.MAP_PRIVATE | MAP_FIXED, fd, 0) != at:
                raise OSError(ctypes.get_errno(), "mmap")
    finally:
        os.close(fd)
    return array[:n]
