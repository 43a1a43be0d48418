"""A stable counting sort: where each key's entries begin, and the order that brings them there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["counting_order"]


def counting_order(keys: npt.NDArray, n_keys: int) -> tuple[npt.NDArray, npt.NDArray]:
    """The order that sorts small integers, equal ones staying in theirs.

    Parameters
    ----------
    keys : (n,) int32 or int64
        In [0, n_keys).
    n_keys : int

    Returns
    -------
    starts : (n_keys + 1,) int64
        ``order[starts[k]:starts[k + 1]]`` are the places of key k.
    order : (n,) int32, or int64 when n does not fit
        ``keys[order]`` is sorted.

    Notes
    -----
    Cost O(n + n_keys), two passes; bytes: the results, and 8 n_keys. One thread.

    Examples
    --------
    >>> counting_order(np.array([2, 0, 2]), 3)
    (array([0, 1, 1, 3]), array([1, 0, 2], dtype=int32))
    """
    starts = np.zeros(n_keys + 1, np.int64)
    order = np.empty(len(keys), np.int32 if len(keys) <= np.iinfo(np.int32).max else np.int64)
    _place(keys, starts, order)
    return starts, order


@njit(cache=True, nogil=True)
def _place(keys, starts, order):
    for p in range(np.uint64(len(keys))):
        starts[np.uint64(keys[p]) + np.uint64(1)] += 1
    for k in range(np.uint64(1), np.uint64(len(starts))):
        starts[k] += starts[k - np.uint64(1)]
    place = starts.copy()
    for p in range(np.uint64(len(keys))):
        key = np.uint64(keys[p])
        order[np.uint64(place[key])] = p
        place[key] += 1
