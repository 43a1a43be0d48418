"""Numbers and settings as a person reads them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

__all__ = ["decimals", "mean_and_spread", "mebibytes", "seconds", "setting"]


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean and sample standard deviation; the spread of one value is not known.

    Examples
    --------
    >>> mean_and_spread([0.80, 0.82]), mean_and_spread([0.8]), mean_and_spread([])
    ('0.8100 ± 0.0141', '0.8000', '–')
    """
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4f}{spread}"


def decimals(value: float | None) -> str:
    """Four decimals, as metrics and weights are told."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.4f}"


def seconds(value: float) -> str:
    """A duration in the unit a person would choose.

    Examples
    --------
    >>> [seconds(s) for s in (0.00172, 0.0177, 12.34, 95.3, 7384)]
    ['1.72 ms', '17.7 ms', '12.3 s', '1 min 35 s', '2 h 3 min']
    """
    if value < 1:
        return f"{1e3 * value:.3g} ms"
    if value < 60:
        return f"{value:.3g} s"
    minutes, left = divmod(round(value), 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min {left} s"


def mebibytes(value: float) -> str:
    """A size in MiB, or in GiB from there on."""
    return f"{value:.0f} MiB" if value < 1024 else f"{value / 1024:.2f} GiB"


def setting(value: Any) -> str:
    """A setting as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(setting, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"
