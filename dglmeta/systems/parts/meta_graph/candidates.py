"""The best of all pairs that no edge joins, without ever holding all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.graph import Adjacency

__all__ = ["CandidateLinks", "reflected", "strongest_pairs"]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]

BLOCK = 1 << 20
"""Pairs scored at a time."""


class CandidateLinks(NamedTuple):
    """Pairs u < v that no edge joins, the likeliest first."""

    src: Ids
    dst: Ids
    logit: npt.NDArray[np.float32]


def strongest_pairs(
    z: npt.NDArray[np.float32],
    known: Adjacency,
    top: int,
    *,
    minus: int = 0,
    block: int = BLOCK,
) -> CandidateLinks:
    """The pairs u < v of highest z_u . z_v among those that no edge joins; of equals the first.

    Parameters
    ----------
    z : (n, d) float32
    known : Adjacency
        Shape (n, n), each edge in both directions.
    top : int
        At most so many.
    minus : int
        Last coordinates of z whose products are subtracted.
    block : int
        Pairs scored at a time.

    Notes
    -----
    Cost O(n^2 d), peak about 50 bytes for each pair of a block and for each one wanted.
    """
    n = len(z)
    kept, kept_codes, waiting = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    parts: list[tuple[Array, Ids]] = []
    least = np.float32(-np.inf)
    for logits, codes in _blocks(z, reflected(z, minus), known, block):
        better = logits > least if len(kept) == top else slice(None)
        parts.append(_best(logits[better], codes[better], top))
        waiting += len(parts[-1][0])
        if waiting >= max(top, block):
            kept, kept_codes = _merge([(kept, kept_codes), *parts], top)
            parts, waiting = [], 0
            least = kept.min(initial=np.inf)
    kept, kept_codes = _merge([(kept, kept_codes), *parts], top)
    order = np.argsort(-kept, kind="stable")
    src, dst = np.divmod(kept_codes[order], max(n, 1))
    return CandidateLinks(src, dst, kept[order])


def reflected(z: Array, minus: int) -> Array:
    """(n, d): z with its last ``minus`` coordinates negated, so that z_u . z'_v is a logit."""
    if not minus:
        return z
    at = z.shape[1] - minus
    return np.concatenate([z[:, :at], -z[:, at:]], axis=1)


def _blocks(
    z: npt.NDArray[np.float32], other: npt.NDArray[np.float32], known: Adjacency, block: int
) -> Iterator[tuple[Array, Ids]]:
    """Logits and codes u n + v of candidate pairs, some rows at a time, codes rising."""
    n = len(z)
    height = max(1, block // max(n, 1))
    for begin in range(0, n, height):
        end = min(begin + height, n)
        logits = z[begin:end] @ other[begin:].T  # columns before row begin are other rows' pairs
        row = np.repeat(np.arange(end - begin), known.out_degrees[begin:end])
        column = known.indices[known.indptr[begin] : known.indptr[end]].astype(np.int64) - begin
        free = np.arange(n - begin) > np.arange(end - begin)[:, None]
        free[row[column >= 0], column[column >= 0]] = False
        u, v = np.nonzero(free)
        yield logits[u, v], (u + begin) * n + v + begin


def _merge(parts: list[tuple[Array, Ids]], top: int) -> tuple[Array, Ids]:
    logits, codes = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _best(logits, codes, top)


def _best(logits: Array, codes: Ids, top: int) -> tuple[Array, Ids]:
    """The highest, the first of equals, in their order."""
    if len(logits) <= top:
        return logits, codes
    least = np.partition(logits, len(logits) - top)[len(logits) - top]
    taken = logits > least
    equal = np.flatnonzero(logits == least)
    taken[equal[: top - int(taken.sum())]] = True
    return logits[taken], codes[taken]
