"""A stable sort of small integers: where each key's entries begin, and the order of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dglmeta.kernels.gpu.device import array_module

__all__ = ["counting_order"]


def counting_order(keys: Any, n_keys: int) -> tuple[Any, Any]:
    """The order that sorts small integers, equal ones staying in theirs.

    As :func:`dglmeta.kernels.cpu.order.counting_order`: the same arrays. CuPy's radix sort, of the
    narrowest integers that hold the keys, as it takes a pass a byte; then a search for each of
    ``n_keys``. Bytes: the results, some 40 an entry while sorting, as CuPy's places have 64 bits,
    and 8 ``n_keys``.
    """
    xp = array_module()
    narrow = keys.astype(_narrowest(n_keys), copy=False)
    order = xp.argsort(narrow, kind="stable")
    wanted = xp.arange(n_keys + 1, dtype=_narrowest(n_keys + 1))
    starts = xp.searchsorted(narrow[order].astype(wanted.dtype, copy=False), wanted)
    short = len(keys) <= np.iinfo(np.int32).max
    return starts.astype(np.int64, copy=False), order.astype(np.int32 if short else np.int64)


def _narrowest(n_keys: int) -> type:
    """An integer type that holds the numbers below n_keys."""
    if n_keys <= 1 << 16:
        return np.uint16
    return np.int32 if n_keys <= 1 << 31 else np.int64
