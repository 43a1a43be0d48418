"""Spans of consecutive numbers, many at a time, and checks of numbers of graphs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError

__all__ = ["check_numbers", "pointers", "spans"]

Ids = npt.NDArray[np.int64]


def pointers(n_each: Ids) -> Ids:
    """(k + 1,): where each of k spans begins when they stand one after another."""
    ptr = np.zeros(len(n_each) + 1, np.int64)
    np.cumsum(n_each, out=ptr[1:])
    return ptr


def spans(begin: Ids, n_each: Ids) -> Ids:
    """The numbers ``begin[i]`` up to ``begin[i] + n_each[i]``, for every i in turn."""
    ptr = pointers(n_each)
    return np.arange(ptr[-1]) + np.repeat(begin - ptr[:-1], n_each)


def check_numbers(where: str, numbers: npt.ArrayLike, n: int) -> Ids:
    """Numbers of graphs as int64, at least one, all of them below n."""
    ids = np.asarray(numbers)
    kind = ids.ndim == 1 and np.issubdtype(ids.dtype, np.integer) and len(ids) > 0
    if not kind or ids.min() < 0 or ids.max() >= n:
        got = f"{ids.min()} to {ids.max()}" if kind else f"{ids.dtype} of shape {ids.shape}"
        raise DataError(
            f"{where}: expected numbers of graphs, 0 to {n - 1}, got {got}. Correct them."
        )
    return ids.astype(np.int64, copy=False)
