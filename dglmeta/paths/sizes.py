"""Sizes of the products of all sub-chains of a meta-path, from a sample of their rows.

Some rows are multiplied out and counted. They are drawn with probabilities that rise with their
cost, and serve to correct a prediction for all rows, which alone takes ends to be independent of
each other and so overshoots where paths come back to where they began. What a correction may be off
by is told by how much the rows of the sample differ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dglmeta.kernels.cpu.bitmap import hub_degree, words_for
from dglmeta.kernels.cpu.spgemm import count_flops, multiply_reach
from dglmeta.kernels.cpu.spmm import spmm
from dglmeta.paths.chain import Array, Mode, Sparse, take_rows

__all__ = ["Estimate", "Sizes", "distinct", "measure_sizes"]

SAMPLED_ROWS = 1024
"""Rows drawn at most."""

SAMPLED_FLOPS = 1 << 21, 1 << 16
"""Most multiplications to extend a sample by a step: at most the first number, and if above the
second, only ``SAMPLED_SHARE`` of those of all rows."""

SAMPLED_SHARE = 1 / 50

FEWEST_ROWS = 8
"""Rows kept whatever they cost, so that their spread can be told."""


class Estimate(NamedTuple):
    """A total and its standard error."""

    total: float
    error: float


class Sizes(NamedTuple):
    """Estimates for every sub-chain i..j of at least two steps, and ways to multiply it."""

    entries: dict[tuple[int, int], Estimate]
    """(i, j): distinct pairs it joins; (i, i): edges of step i."""
    flops: dict[tuple[int, int, int], Estimate]
    """(i, k, j): multiplications to join the product of i..k to that of k+1..j."""
    work: dict[tuple[int, int, int], float]
    """(i, k, j): time of that, in multiplications: less than their number where rows are long."""


def measure_sizes(chain: list[Sparse], mode: Mode) -> Sizes:
    """Estimate what multiplying the chain costs, in any order.

    Parameters
    ----------
    chain : list of Sparse
    mode : {"reach", "count", "walk"}

    Notes
    -----
    Deterministic. Cost: a pass over the edges for every sub-chain that does not begin the path, one
    more, and ``SAMPLED_FLOPS``; bytes: 8 a node for every sub-chain, and those of the samples.
    """
    last = len(chain) - 1
    edges = {(i, i): Estimate(float(len(step.indices)), 0.0) for i, step in enumerate(chain)}
    sizes = Sizes(edges, {}, {})
    of_rows = [{i: np.diff(step.indptr).astype(np.float64)} for i, step in enumerate(chain)]
    """For each i, j: expected entries of each row of the product of i..j."""
    for i in range(last - 1, -1, -1):
        flops = count_flops(chain[i].indptr, chain[i].indices, chain[i + 1].indptr)
        samples = {i: _affordable(_every_row(chain[i]), flops)}
        for j in range(i + 1, last + 1):
            for k in range(i, j):
                sizes.flops[i, k, j], sizes.work[i, k, j] = _joining(
                    samples[k], of_rows[k + 1][j], chain[j].n_cols, of_rows[i][k], mode
                )
            if j == i + 1:
                sizes.flops[i, i, j] = Estimate(float(flops.sum()), 0.0)
            samples[j] = _extend(samples[j - 1], chain[j])
            if j == i + 1:
                expected = distinct(flops, chain[j].n_cols)
            else:
                expected = distinct(_row_sums(chain[i], of_rows[i + 1][j]), chain[j].n_cols)
            found = np.diff(samples[j].product.indptr)
            sizes.entries[i, j] = _total(samples[j], found, expected)
            ratio = sizes.entries[i, j].total / max(float(expected.sum()), 1.0)
            of_rows[i][j] = np.minimum(ratio * expected, chain[j].n_cols)
    return sizes


def _joining(
    sample: _Sample, right: Array, n_cols: int, expected: Array, mode: Mode
) -> tuple[Estimate, float]:
    """Multiplications of the sampled rows with rows of so many entries, and the time they take."""
    flops = _row_sums(sample.product, right)
    listing = flops + np.diff(sample.product.indptr)
    work = listing
    if mode == "reach":
        a_bitmap = np.where(right < hub_degree(n_cols), right, words_for(n_cols) / 8 + 4)
        marking = _row_sums(sample.product, np.minimum(a_bitmap, right)) + n_cols / 12
        work = np.minimum(listing, marking)
    return _total(sample, flops, expected), _total(sample, work, expected).total


class _Sample(NamedTuple):
    """Some rows of the product of some steps."""

    product: Sparse
    rows: Array
    """(n,) their numbers."""
    chances: Array
    """(n,) how often each was to be expected in the sample; 1 where all rows are."""
    complete: bool


def _every_row(matrix: Sparse) -> _Sample:
    return _Sample(matrix, np.arange(matrix.n_rows), np.ones(matrix.n_rows), True)


def _extend(sample: _Sample, step: Sparse) -> _Sample:
    """The rows, or as many of them as can be afforded, multiplied by one more step."""
    product = sample.product
    costs = count_flops(product.indptr, product.indices, step.indptr)
    sample = _affordable(sample, costs)
    indptr, indices, *_ = sample.product
    extended = multiply_reach(indptr, indices, step.indptr, step.indices, step.n_cols, sort=False)
    return sample._replace(product=Sparse(*extended, None, step.n_cols))


def _affordable(sample: _Sample, costs: Array) -> _Sample:
    """As many rows as may be multiplied; the dearer a row, the more likely it is drawn.

    Probabilities in proportion to the root of the cost give the least error for the whole cost
    where what is counted is in proportion to the cost.
    """
    most, few = SAMPLED_FLOPS
    limit = min(most, max(few, SAMPLED_SHARE * float((costs / sample.chances).sum())))
    if costs.sum() <= limit:
        return sample
    if sample.complete:
        weights = np.cumsum(np.sqrt(costs))
        rng = np.random.default_rng(0)
        drawn = np.searchsorted(weights, rng.random(SAMPLED_ROWS) * weights[-1], side="right")
    else:
        drawn = np.arange(len(costs))  # drawn independently: any first of them are a sample too
    n = max(FEWEST_ROWS, int(np.searchsorted(np.cumsum(costs[drawn]), limit)))
    kept = drawn[:n]
    if sample.complete:
        chances = len(kept) * np.sqrt(costs[kept]) / weights[-1]
    else:
        chances = sample.chances[kept] * (len(kept) / len(costs))
    return _Sample(take_rows(sample.product, kept), sample.rows[kept], chances, False)


def _total(sample: _Sample, found: Array, expected: Array) -> Estimate:
    """Sum over all rows of what was found in the sampled ones, from what was expected of all."""
    if sample.complete:
        return Estimate(float(found.sum()), 0.0)
    weights = 1 / sample.chances
    of_sample = float(expected[sample.rows] @ weights)
    if of_sample == 0:
        return Estimate(0.0, 0.0)
    ratio = float(found @ weights) / of_sample
    left = (found - ratio * expected[sample.rows]) * weights
    n = len(found)
    scale = float(expected.sum()) / of_sample
    error = scale * float(np.sqrt(left @ left * n / max(n - 1, 1)))
    return Estimate(ratio * float(expected.sum()), error)


def _row_sums(matrix: Sparse, of_columns: Array) -> Array:
    """(n_rows,) sum over each row's entries of a number for their column."""
    return spmm(matrix.indptr, matrix.indices, None, None, of_columns[:, None, None])[:, 0, 0]


def distinct(n_ends: Array, n: int) -> Array:
    """Expected number of different ones among ``n_ends`` independent draws from ``n``."""
    return -n * np.expm1(-n_ends / n) if n else np.zeros_like(n_ends)
