"""What runs of AutoLINC tell of a search for a loss, and what the loss looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from dglmeta.errors import ConfigError, DataError
from dglmeta.report.draw import Axes, Line, Picture, picture
from dglmeta.tasks.expression import Expression, expression_values
from dglmeta.tasks.expression.named import PREFIX, named_loss

__all__ = ["Finalist", "Rise", "Search", "plot_loss", "plot_search", "read_loss", "read_search"]

Array = npt.NDArray[np.float64]

SYSTEM = "autolinc"

MAJORITY = 20
"""Training nodes of a class of the majority, as in the citation sets."""

WIDE = np.linspace(-40.0, 40.0, 16001)
"""Logits among which the least value of a loss is looked for."""

POINTS = 801
USUAL = (-3.0, 3.0)
"""Logits that are shown of a loss that is least nowhere among them."""

MARGIN, LEAST_MARGIN = 0.25, 0.5
"""Shown beyond the least values: a share of the distance between them, but at least so much."""


BECAME = {
    "asked": "Candidates",
    "incomplete": "Without logit, label or count",
    "equality": "Equal to a known one",
    "finite": "Not finite",
    "separation": "Not separating classes",
    "trained": "Trained",
    "monotonicity": "Given up: not monotone",
    "performance": "Given up: far behind",
    "finished": "Trained to the end",
}
"""What became of candidates, in the order of a search."""


class Rise(NamedTuple):
    """A better candidate was found."""

    seconds: float
    trained: int
    """Candidates till then, this one too."""
    reward: float
    loss: str


class Finalist(NamedTuple):
    """A candidate that was trained in full, and how it did on validation nodes."""

    loss: str
    score: float
    bacc: float


class Search(NamedTuple):
    """The course of a search."""

    seconds: float
    counts: dict[str, int]
    """Candidates by what became of them."""
    rises: list[Rise]
    finalists: list[Finalist]
    source: str
    """The run that it was a part of; empty if it is this one."""

    @property
    def counted(self) -> list[tuple[str, str]]:
        """Rows of what became of candidates and how many."""
        names = BECAME | {name: name for name in self.counts if name not in BECAME}
        return [(told, f"{self.counts[k]:,}") for k, told in names.items() if k in self.counts]


def read_search(result: Mapping[str, Any] | None) -> Search | None:
    """What result.json tells of a search; None if the loss was given, or is in print.

    Raises
    ------
    DataError
        If it has another form.
    """
    told = (result or {}).get("found")
    if not told or "published" in told:
        return None
    try:
        return Search(
            float(told["seconds"]),
            {str(k): int(v) for k, v in told["counts"].items()},
            [
                Rise(float(r["seconds"]), int(r["trained"]), float(r["reward"]), str(r["loss"]))
                for r in told["rises"]
            ],
            [
                Finalist(str(f["loss"]), float(f["score"]), float(f["bacc"]))
                for f in told["finalists"]
            ],
            str(told.get("from", "")),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _misshapen("found", error) from error


def read_loss(config: Mapping[str, Any], result: Mapping[str, Any] | None) -> Expression | None:
    """The loss of a run of AutoLINC; None if it is no formula of one logit, or not known yet.

    Parameters
    ----------
    config : mapping
        config.toml.
    result : mapping, optional
        result.json.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    if config.get("system") != SYSTEM:
        return None
    told = str((result or {}).get("loss", config["config"].get("loss", "")))
    if not told.startswith(PREFIX):
        return None
    try:
        return named_loss(told)
    except ConfigError as error:
        raise _misshapen("loss", error) from error


def plot_search(search: Search) -> list[Picture]:
    """The best reward so far, over seconds and over candidates trained."""
    reached = [rise.reward for rise in search.rises]
    if not reached:
        return []
    trained = float(search.counts.get("trained", 0))
    courses = {
        "seconds": ([r.seconds for r in search.rises], search.seconds),
        "candidates trained": ([float(r.trained) for r in search.rises], trained),
    }
    pictures = []
    for name, (at, end) in courses.items():
        x, y = _stairs(at, reached, end)
        axes = Axes(name, "balanced accuracy, proxy")
        title = f"Best candidate, by {name}"
        line = Line("best", x, y)
        pictures.append(picture(f"search-{name.split()[0]}", title, [line], axes))
    return pictures


def _stairs(x: list[float], y: list[float], end: float) -> tuple[list[float], list[float]]:
    """A line that keeps a value until the next, and the last until the end."""
    after = [*x[1:], max(end, x[-1])]
    return (
        [place for pair in zip(x, after, strict=True) for place in pair],
        [value for value in y for _ in range(2)],
    )


def plot_loss(loss: Expression, rho: float) -> Picture:
    """A loss over the logit, for the class of a node and others, in the majority and minority.

    Each of the four curves is scaled to lie between 0 and 1, for their values may be powers of ten
    apart: a picture of where logits are drawn to, a dot, not of how strongly.

    Parameters
    ----------
    loss : Expression
    rho : float
        Imbalance; the minority has ``max(1, int(20 / rho))`` training nodes a class.
    """
    counts = tuple(dict.fromkeys((MAJORITY, max(1, int(MAJORITY / rho)))))
    kinds = [(y, n) for y in (1, 0) for n in counts]
    told = [_least(_values(loss, WIDE, y, n)) for y, n in kinds]
    u = np.linspace(*_window([at for at, _ in told if at is not None]), POINTS)
    lines = []
    for (y, n), (at, words) in zip(kinds, told, strict=True):
        value = _values(loss, u, y, n)
        there = np.isfinite(value)
        mark = None if at is None else float(u[np.abs(u - at).argmin()])
        style = "-" if n == MAJORITY else "--"
        curve = u[there].tolist(), _scaled(value[there]).tolist()
        lines.append(
            Line(f"y = {y}, N = {n}: {words}", *curve, colour=1 - y, style=style, mark=mark)
        )
    axes = Axes("logit", "loss, each curve scaled", (-0.04, 1.04))
    return picture("loss", f"Loss {loss.infix}", lines, axes, formula=loss.latex)


def _values(loss: Expression, u: Array, y: int, n: int) -> Array:
    """The loss of logits, NaN where it is not finite."""
    logits = torch.tensor(u, dtype=torch.float32)
    value = expression_values(loss, logits, torch.tensor(float(y)), torch.tensor(float(n)))
    found = value.expand_as(logits).numpy().astype(np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def _least(value: Array) -> tuple[float | None, str]:
    """Where a loss is least, between finite values; and in words."""
    if np.isnan(value).all() or np.nanmin(value) == np.nanmax(value):
        return None, "flat"
    k = int(np.nanargmin(value))
    if 0 < k < len(value) - 1 and np.isfinite(value[k - 1 : k + 2]).all():
        at = float(WIDE[k])
        return at, f"least at {round(at, 2) + 0.0:g}"
    return None, "least nowhere"


def _window(least: list[float]) -> tuple[float, float]:
    """Logits to show, 0 among them."""
    if not least:
        return USUAL
    low, high = min(0.0, *least), max(0.0, *least)
    margin = max(MARGIN * (high - low), LEAST_MARGIN)
    return low - margin, high + margin


def _scaled(value: Array) -> Array:
    """From 0 to 1; what is flat is 0."""
    if not len(value):
        return value
    height = float(np.ptp(value)) or 1.0
    scaled: Array = (value - value.min()) / height
    return scaled


def _misshapen(what: str, error: Exception) -> DataError:
    return DataError(
        f"report: expected {what} in result.json as autolinc writes it, got {error!r}. "
        f"Train the run again."
    )
