"""A table of a paper: what it compares, the runs that it needs, and the figures they gave."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dglmeta.errors import ConfigError
from dglmeta.reproduce.runs import Finished, Run
from dglmeta.systems import System
from dglmeta.train import config_from_dict, packaged_config

__all__ = [
    "Entry",
    "Grid",
    "Measured",
    "PaperTable",
    "Row",
    "Verdict",
    "above",
    "at_least",
    "digest",
    "mean",
    "spread",
    "standard_error",
]

TELLING = ("encoder", "strategy", "method", "variant")
"""Settings that packaged ones may depend on, and that a run's folder is named by."""

QUICK = {"epochs": 2, "patience": 2}
ROUNDING = 1e-9
"""Means of equal numbers may differ by so little."""


class Row(NamedTuple):
    """What the runs of a row have in common."""

    data: str
    settings: Mapping[str, Any]  # over the packaged ones
    seeds: int = 3
    splits: bool = False  # whether each seed has the split of its number, too; else all split 0
    lacks: tuple[str, ...] = ()  # columns that do not apply to its data


class Entry(NamedTuple):
    """One place of a grid."""

    ours: tuple[float, ...] = ()  # one a seed
    printed: float | None = None
    note: str = ""


class Grid(NamedTuple):
    """Figures as a reader sees them."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, Sequence[Entry]]]
    digits: int = 4
    error: bool = False  # whether means stand beside their standard error, not the spread


class Verdict(NamedTuple):
    """Whether a claim holds in a row; None where a figure for it is not there."""

    claim: str
    row: str
    ours: float | None
    bound: float | None
    holds: bool | None


@dataclass(frozen=True)
class PaperTable:
    """A table of a paper.

    Parameters
    ----------
    name, title : str
    system : type of System
    rows : mapping of str to Row
        Such as ``lastfm/gcn``.
    columns : mapping of str to settings
        What is varied within a row; every row and column is a set of runs.
    metric : str
        The one that progress tells, without ``test_``.
    grids : callable
        ``grids(measured)`` -> the figures to show.
    judge : callable
        ``judge(measured)`` -> the verdicts.
    notes : tuple of str
        Footnotes.
    quick : mapping of str to setting
        What a smoke run is set to.
    """

    name: str
    title: str
    system: type[System]
    rows: Mapping[str, Row]
    columns: Mapping[str, Mapping[str, Any]]
    metric: str
    grids: Callable[[Measured], list[Grid]]
    judge: Callable[[Measured], list[Verdict]] = lambda _measured: []
    notes: tuple[str, ...] = ()
    quick: Mapping[str, Any] = field(default_factory=lambda: dict(QUICK))

    def check_rows(self, rows: Sequence[str] | None) -> tuple[str, ...]:
        """The rows asked for, in the table's order; all when None.

        Raises
        ------
        ConfigError
            If one does not exist; the message lists those that do.
        """
        return self._check("rows", self.rows, rows)

    def check_columns(self, columns: Sequence[str] | None) -> tuple[str, ...]:
        """The columns asked for, as :meth:`check_rows` does with rows."""
        return self._check("columns", self.columns, columns)

    def _check(
        self, what: str, known: Iterable[str], asked: Sequence[str] | None
    ) -> tuple[str, ...]:
        if asked is None:
            return tuple(known)
        unknown = [name for name in asked if name not in known]
        if unknown or not asked:
            raise ConfigError(
                f"{self.name}: expected {what} among {', '.join(known)}, "
                f"got {', '.join(unknown) or 'none'}. Separate several by commas."
            )
        return tuple(name for name in known if name in asked)

    def runs(self, row: str, column: str, seeds: int, *, quick: bool = False) -> list[Run]:
        """The runs of one place, one a seed; none where the column does not apply.

        Equal settings have equal names, whichever table asks for them.
        """
        data, shared, _, splits, lacks = self.rows[row]
        if column in lacks:
            return []
        kind = self.system.Config
        changed = {**shared, **self.columns[column]}
        named = {k: changed[k] for k in TELLING if k in changed}
        usual = packaged_config(self.system.name, data, **named) | named
        config = config_from_dict(kind, {**usual, **changed})
        ordinary = config_from_dict(kind, usual)
        parts = [self.system.name, data, *named.values()]
        for name in changed:
            if getattr(config, name) != getattr(ordinary, name):
                parts += [name, _text(getattr(config, name))]
        if quick:
            config = dataclasses.replace(config, **self.quick)
        name = "-".join(parts)
        return [
            Run(self.system, name, data, config, seed, seed if splits else 0)
            for seed in range(seeds)
        ]


@dataclass
class Measured:
    """What the runs of a table came to.

    Parameters
    ----------
    table : PaperTable
    runs : dict of (row, column) to list of Run
        Of the rows shown.
    outcomes : dict of path to Finished or str
        By :attr:`Run.path`; a str says in a line why the run failed.
    """

    table: PaperTable
    runs: dict[tuple[str, str], list[Run]]
    outcomes: dict[Path, Finished | str] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows shown."""
        return tuple(dict.fromkeys(row for row, _ in self.runs))

    def finished(self, row: str, column: str) -> list[Finished]:
        """What finished, a seed each."""
        all_of_it = (self.outcomes[run.path] for run in self.runs.get((row, column), ()))
        return [outcome for outcome in all_of_it if not isinstance(outcome, str)]

    def failures(self, row: str, column: str) -> list[str]:
        """Why the others did not."""
        all_of_it = (self.outcomes[run.path] for run in self.runs.get((row, column), ()))
        return [outcome for outcome in all_of_it if isinstance(outcome, str)]

    def values(self, row: str, column: str, metric: str) -> tuple[float, ...]:
        """A metric of the finished runs; empty if they do not have it."""
        found = (done.metrics.get(metric) for done in self.finished(row, column))
        return tuple(value for value in found if value is not None)

    def mean(self, row: str, column: str, metric: str) -> float | None:
        """Mean over seeds; None unless every run has it."""
        values = self.whole(row, column, metric)
        return mean(values) if values else None

    def paired(self, row: str, one: str, other: str, metric: str) -> tuple[float, ...]:
        """What one column has over another in each run that finished in both, run by run.

        Nothing where one of them was not run.
        """
        gains = []
        for pair in zip(*(self.runs.get((row, c), ()) for c in (one, other)), strict=False):
            values = [
                None if isinstance(done, str) else done.metrics.get(metric)
                for done in (self.outcomes[run.path] for run in pair)
            ]
            if None not in values:
                gains.append(values[0] - values[1])  # type: ignore[operator]
        return tuple(gains)

    def whole(self, row: str, column: str, metric: str) -> tuple[float, ...]:
        """A metric of every run, or nothing if one failed or lacks it; verdicts rest on it."""
        if (row, column) not in self.runs:
            return ()
        values = self.values(row, column, metric)
        return values if len(values) == len(self.runs[row, column]) else ()

    def best(self, row: str, columns: Iterable[str], metric: str) -> str | None:
        """The column of the best mean validation metric, the first of equals.

        The test split has no part in it, nor has a column that was not run. None if a run of any
        failed, or there is none.
        """
        run = [column for column in columns if self.runs.get((row, column))]
        means = {column: self.mean(row, column, f"valid_{metric}") for column in run}
        known = {column: value for column, value in means.items() if value is not None}
        return max(known, key=known.__getitem__) if 0 < len(known) == len(means) else None

    def entry(self, row: str, column: str, metric: str, printed: float | None = None) -> Entry:
        """A metric, beside the printed value."""
        failures = self.failures(row, column)
        note = ""
        if failures:
            share = f" ({len(failures)} of {len(self.runs[row, column])} seeds)"
            note = f"failed{share}: {failures[0]}"
        return Entry(self.values(row, column, metric), printed, note)


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    return float(np.mean(values))


def spread(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None of fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def standard_error(values: Sequence[float]) -> float | None:
    """Of the mean; None of fewer than two values."""
    around = spread(values)
    return None if around is None else around / len(values) ** 0.5


def at_least(claim: str, row: str, ours: float | None, bound: float | None) -> Verdict:
    """Holds if ``ours`` reaches ``bound``."""
    known = ours is not None and bound is not None
    return Verdict(claim, row, ours, bound, ours >= bound - ROUNDING if known else None)  # type: ignore[operator]


def above(claim: str, row: str, ours: float | None, bound: float | None) -> Verdict:
    """Holds if ``ours`` is more than ``bound``."""
    known = ours is not None and bound is not None
    return Verdict(claim, row, ours, bound, ours > bound + ROUNDING if known else None)  # type: ignore[operator]


def digest(settings: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that stand for all settings."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _text(value: Any) -> str:
    """A setting as part of a folder's name; what would be none is told by digits.

    Examples
    --------
    >>> _text(("gc", "lp")), _text("autolinc:u*(n*u - y)")
    ('gc+lp', 'autolinc-u-n-u-y-cc939b')
    """
    text = "+".join(map(str, value)) if isinstance(value, tuple) else str(value)
    if re.fullmatch(r"[\w.+-]*", text):
        return text
    words = re.sub(r"\W+", "-", text).strip("-")
    return f"{words[:40]}-{digest({'': text})[:6]}"
