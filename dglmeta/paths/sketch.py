"""Rough sizes of the products of all sub-chains of a meta-path, without a pass over its edges.

Enough to choose an order by, which should take little of the time it saves. Of every step some
edges and rows are drawn. What ``sizes`` measures with its error is here foretold from degrees, and
corrected by how many paths of a few rows come together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import nan
from typing import NamedTuple

import numpy as np

from dglmeta.kernels.cpu.bitmap import hub_degree, words_for
from dglmeta.kernels.cpu.spgemm import multiply_reach
from dglmeta.paths.chain import Array, Mode, Sparse, take_rows
from dglmeta.paths.sizes import Estimate, Sizes, distinct

__all__ = ["sketch_sizes"]

DRAWN_EDGES = 1024
"""Edges of each step, to tell what follows an edge in the mean."""

DRAWN_ROWS = 64
"""Rows of each step to multiply out, as far as ``DRAWN_FLOPS`` reach."""

DRAWN_FLOPS = 1 << 12, 1 << 18
"""Multiplications to extend a sample by a step, fewest and most."""

FEWEST_ROWS = 2
"""Rows extended whatever they cost."""

GOLDEN = (5**0.5 - 1) / 2
"""The first of the multiples of this, modulo 1, are evenly spread, however many are taken."""

Ends = Callable[[Array], Array]
"""How many entries the rows of some product are foretold to have."""


class _Sample(NamedTuple):
    """Some rows of the product of some steps, such that any first of them are a sample too."""

    product: Sparse
    weights: Array
    """(n,) for how many rows each stands, up to a common factor."""

    def sums(self, of_entries: Array) -> Array:
        """(n,) sum over each row of a number for each entry."""
        before = np.append(0, np.cumsum(of_entries))
        return np.diff(before[self.product.indptr])

    def total(self, of_rows: Array) -> float:
        """Sum over all rows of the product, up to the common factor."""
        return float(of_rows @ self.weights)


def sketch_sizes(chain: list[Sparse], mode: Mode) -> Sizes:
    """Tell roughly what multiplying the chain costs, in any order.

    Parameters
    ----------
    chain : list of Sparse
    mode : {"reach", "count", "walk"}

    Returns
    -------
    sizes : Sizes
        Without the entries of the whole product, which no order depends on; errors are not known.

    Notes
    -----
    Deterministic. Cost: ``DRAWN_EDGES`` for each step, ``DRAWN_FLOPS`` for each sub-chain, more for
    chains that take long, or, where these are more, those of ``FEWEST_ROWS`` of its rows.
    """
    last = len(chain) - 1
    entries = {(i, i): Estimate(float(len(step.indices)), 0.0) for i, step in enumerate(chain)}
    sizes = Sizes(entries, {}, {})
    limit = _affordable(chain)
    ends: dict[tuple[int, int], Ends] = {
        (i, i): partial(_degrees, step) for i, step in enumerate(chain)
    }
    for i in range(last - 1, -1, -1):
        step = chain[i]
        columns, rows = _draw_edges(step)
        samples = {i: _draw_rows(step, rows)}
        for j in range(i + 1, last + 1):
            for k in range(i, j):
                ratio, share = _joining(samples[k], ends[k + 1, j], chain[j].n_cols, mode)
                if k == i:
                    ratio = _mean(ends[k + 1, j](columns))  # of more edges than those of the rows
                n = entries[i, k].total
                sizes.flops[i, k, j] = Estimate(n * ratio, nan)
                sizes.work[i, k, j] = n * (1 + ratio) * share
            if (i, j) == (0, last):
                break
            samples[j], kept = _extend(samples[j - 1], chain[j], limit)
            entries[i, j] = Estimate(sizes.flops[i, j - 1, j].total * kept, nan)
            if i > 0:
                onward = sizes.flops[i, i, j].total / max(entries[i, i].total, 1)
                foretold = partial(_foretold, step, onward, chain[j].n_cols)
                mean = _mean(foretold(rows) / np.maximum(_degrees(step, rows), 1))
                ratio = entries[i, j].total / max(mean * entries[i, i].total, 1)
                ends[i, j] = partial(_scaled, foretold, ratio, chain[j].n_cols)
    return sizes


def _affordable(chain: list[Sparse]) -> int:
    """Multiplications that are a small part of those of the chain, in whatever order.

    These are more than its edges, and more than its first rows have, which may be few.
    """
    fewest, most = DRAWN_FLOPS
    n_edges = sum(len(step.indices) for step in chain)
    return min(max(min(n_edges // 16, 64 * len(chain[0].indices)), fewest), most)


def _draw_edges(step: Sparse) -> tuple[Array, Array]:
    """Columns and rows of some edges, evenly spread; of all if they are few."""
    n = len(step.indices)
    positions = np.arange(min(n, DRAWN_EDGES))
    if n > DRAWN_EDGES:
        positions = (positions * GOLDEN % 1.0 * n).astype(np.int64)
    rows = np.searchsorted(step.indptr, positions, side="right") - 1
    return step.indices[positions], rows


def _draw_rows(step: Sparse, rows: Array) -> _Sample:
    """All rows if they are few, or by the root of their degree from those drawn by their degree.

    The root gives the least error for the whole cost where what is counted is in proportion to it.
    """
    if step.n_rows <= 2 * DRAWN_ROWS:
        spread = np.argsort(np.arange(step.n_rows) * GOLDEN % 1.0)
        return _Sample(take_rows(step, spread), np.ones(step.n_rows))
    roots = np.sqrt(_degrees(step, rows))
    before = np.cumsum(1 / np.maximum(roots, 1))
    drawn = np.arange(min(DRAWN_ROWS, len(rows))) * GOLDEN % 1.0
    drawn = np.searchsorted(before, drawn * before[-1] if len(before) else drawn)
    return _Sample(take_rows(step, rows[drawn]), 1 / roots[drawn])


def _joining(sample: _Sample, ends: Ends, n_cols: int, mode: Mode) -> tuple[float, float]:
    """Multiplications an entry of the left factor takes, and their cost relative to listing."""
    right = ends(sample.product.indices)
    n_entries = np.diff(sample.product.indptr)
    flops = sample.sums(right)
    listing = flops + n_entries
    total = max(sample.total(listing), 1e-9)
    share = 1.0
    if mode == "reach":
        a_bitmap = np.where(right < hub_degree(n_cols), right, words_for(n_cols) / 8 + 4)
        marking = sample.sums(np.minimum(a_bitmap, right)) + n_cols / 12
        share = sample.total(np.minimum(listing, marking)) / total
    return sample.total(flops) / max(sample.total(n_entries), 1e-9), share


def _extend(sample: _Sample, step: Sparse, limit: int) -> tuple[_Sample, float]:
    """The first rows multiplied by one more step, and what part of the paths are distinct pairs.

    That part is told by all rows as if ends were independent, and corrected by those multiplied.
    """
    indptr, indices, *_ = sample.product
    flops = sample.sums(_degrees(step, indices))
    expected = distinct(flops, step.n_cols)
    kept = sample.total(expected) / max(sample.total(flops), 1e-9)
    n = max(FEWEST_ROWS, int(np.searchsorted(np.cumsum(flops), limit)))
    indptr = indptr[: n + 1]
    left = indptr, indices[: indptr[-1]]
    product = multiply_reach(*left, step.indptr, step.indices, step.n_cols, sort=False)
    extended = _Sample(Sparse(*product, None, step.n_cols), sample.weights[:n])
    found = extended.total(np.diff(product[0]))
    return extended, kept * found / max(extended.total(expected[:n]), 1e-9)


def _degrees(step: Sparse, rows: Array) -> Array:
    return step.indptr[1:][rows] - step.indptr[rows]


def _foretold(step: Sparse, onward: float, n_cols: int, rows: Array) -> Array:
    """Distinct ends of the rows if each edge led to so many, drawn independently."""
    return distinct(_degrees(step, rows) * onward, n_cols)


def _scaled(ends: Ends, ratio: float, n_cols: int, rows: Array) -> Array:
    return np.minimum(ratio * ends(rows), n_cols)


def _mean(numbers: Array) -> float:
    return float(numbers.mean()) if len(numbers) else 0.0
