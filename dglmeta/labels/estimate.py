"""What a label store will hold and take, found from a few labels before any is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.kernels.rng import derive_seed
from dglmeta.labels.block import all_pairs, draw_labels, encode, with_negatives
from dglmeta.labels.plan import Block, Request, cut_blocks, row_bounds
from dglmeta.paths.plan import size_text

__all__ = ["Expected", "LabelPlan", "PathPlan", "estimate_labels"]

Array = npt.NDArray[Any]

TRIAL_S = 0.5
"""A trial is a whole block, or as much of one as takes this long: a label among many is cheaper."""

FIRST_LABELS = 4_096
"""Positives of a first trial, which tells how long a block takes."""

TRIAL_PAIRS = 500_000
"""Bound on the pairs of the sources that are expanded to estimate how many there are in all."""

TRIALS = 5
"""From whose spread errors are told."""


@dataclass(frozen=True)
class Expected:
    """A number with its standard error: 0 where it is certain."""

    value: float
    error: float = 0.0

    def __add__(self, other: Expected) -> Expected:
        return Expected(self.value + other.value, math.hypot(self.error, other.error))

    def text(self, show: Callable[[float], str]) -> str:
        """``value +- twice the error``, or the value alone."""
        return f"{show(self.value)} +- {show(2 * self.error)}" if self.error else show(self.value)


@dataclass(frozen=True)
class PathPlan:
    """What the labels of one meta-path are expected to come to."""

    metapath: MetaPath
    parts: int
    rows: Expected
    bytes: Expected
    """On disk."""
    seconds: Expected
    """On one worker."""


@dataclass(frozen=True)
class LabelPlan:
    """What a label store is expected to come to; ``str`` of it is a table.

    Parameters
    ----------
    request : Request
    paths : tuple of PathPlan
    memory_bytes : int
        Most bytes a process takes beside the graph given.
    """

    request: Request
    paths: tuple[PathPlan, ...]
    memory_bytes: int

    @property
    def rows(self) -> Expected:
        """Labels of all meta-paths."""
        return sum((path.rows for path in self.paths), Expected(0))

    @property
    def bytes(self) -> Expected:
        """Bytes of all parts on disk."""
        return sum((path.bytes for path in self.paths), Expected(0))

    @property
    def seconds(self) -> Expected:
        """Time on one worker."""
        return sum((path.seconds for path in self.paths), Expected(0))

    def __str__(self) -> str:
        plans: list[tuple[str, PathPlan | LabelPlan]] = [(str(p.metapath), p) for p in self.paths]
        lines = [
            f"{name}: {plan.rows.text('{:,.0f}'.format)} labels, {plan.bytes.text(size_text)}, "
            f"{plan.seconds.text('{:.3g}'.format)} s on one worker"
            for name, plan in [*plans, ("in all", self)]
        ]
        lines.append(
            f"memory: at most {size_text(self.memory_bytes)} a process, beside the graph itself"
        )
        return "\n".join(lines)


def estimate_labels(hg: HeteroCSR, request: Request, memory_bytes: int) -> LabelPlan:
    """Expected labels, bytes and time of a request, from trial draws.

    Raises
    ------
    DataError
        If a meta-path joins nothing.
    BudgetError
        If negatives are too rare to be found by trying.

    Notes
    -----
    Cost: some thousand labels, or some hundred thousand pairs, for each meta-path.
    """
    blocks = cut_blocks(hg, request)
    paths = []
    for k, path in enumerate(request.metapaths):
        mine = [block for block in blocks if block.metapath == k]
        plan = _plan_draws if request.positives is not None else _plan_all
        paths.append(plan(hg, path, request, mine))
    return LabelPlan(request, tuple(paths), memory_bytes)


def _plan_draws(hg: HeteroCSR, path: MetaPath, request: Request, blocks: list[Block]) -> PathPlan:
    """A block costs a start and a price a label; both come from trials of two sizes."""
    k, ratio = blocks[0].metapath, request.negative_ratio
    rows = sum((block.positives or 0) + (block.negatives or 0) for block in blocks)

    def trial(n_positives: int, number: int) -> tuple[float, float]:
        """Seconds and bytes of a block of another size and number than those to come."""
        n_negatives = round(n_positives * ratio)
        began = perf_counter()
        data = encode(
            draw_labels(hg, path, request, Block(k, number, None, n_positives, n_negatives))
        )
        return perf_counter() - began, len(data) / (n_positives + n_negatives)

    trial(FIRST_LABELS, -1)  # compiles, and brings the graph near
    first, _ = trial(FIRST_LABELS, -2)
    n_most = blocks[0].positives or 1
    n_positives = max(min(n_most, int(FIRST_LABELS * TRIAL_S / first)), 2)
    starts = [trial(1, -3 - i)[0] for i in range(TRIALS)]
    seconds, sizes = zip(*(trial(n_positives, -8 - i) for i in range(TRIALS)), strict=True)
    start, whole = _mean(starts), _mean(seconds)
    n_labels = n_positives + round(n_positives * ratio)
    price = Expected(max(whole.value - start.value, 0.0) / n_labels, whole.error / n_labels)
    expected_s = _times(start, len(blocks)) + _times(price, rows)
    return PathPlan(path, len(blocks), Expected(rows), _times(_mean(sizes), rows), expected_s)


def _plan_all(hg: HeteroCSR, path: MetaPath, request: Request, blocks: list[Block]) -> PathPlan:
    """All pairs from those of some sources, drawn in proportion to the most each can have.

    So the mean ratio of pairs to the most there can be estimates the share of all (Hansen and
    Hurwitz, Ann. Math. Statist. 14(4), 1943).
    """
    bounds = row_bounds(hg, path)
    share, total = bounds / bounds.sum(), float(bounds.sum())
    rng = np.random.default_rng(derive_seed(request.seed, 0))
    n_each = max(min(int(TRIAL_PAIRS / TRIALS / (bounds @ share)), len(bounds)), 2)
    with_negatives(hg, path, all_pairs(hg, path, np.flatnonzero(bounds)[:1]), 1, 0)  # compiles
    ratios, seconds_a_bound, seconds_a_label, sizes = [], [], [], []
    for trial in range(TRIALS):
        sources, times = np.unique(rng.choice(len(bounds), n_each, p=share), return_counts=True)
        began = perf_counter()
        positives = all_pairs(hg, path, sources)
        listed = perf_counter()
        n_negatives = round(len(positives[0]) * request.negative_ratio)
        data = encode(with_negatives(hg, path, positives, n_negatives, trial))
        n_labels = len(positives[0]) + n_negatives
        seconds_a_bound.append((listed - began) / bounds[sources].sum())
        seconds_a_label.append((perf_counter() - listed) / n_labels)
        sizes.append(len(data) / n_labels)
        found = np.bincount(np.searchsorted(sources, positives[0]), minlength=len(sources))
        ratios.append(np.repeat(found / bounds[sources], times))
    rows = _times(_mean(np.concatenate(ratios)), total * (1 + request.negative_ratio))
    seconds = _times(_mean(seconds_a_bound), total) + _product(_mean(seconds_a_label), rows)
    return PathPlan(path, len(blocks), rows, _product(_mean(sizes), rows), seconds)


def _mean(values: Array | Sequence[float]) -> Expected:
    """The mean of independent measurements and its standard error."""
    return Expected(float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values))))


def _times(expected: Expected, factor: float) -> Expected:
    return Expected(expected.value * factor, expected.error * factor)


def _product(one: Expected, other: Expected) -> Expected:
    """The product of two independent estimates."""
    error = math.hypot(one.error * other.value, other.error * one.value)
    return Expected(one.value * other.value, error)
