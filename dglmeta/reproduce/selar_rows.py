"""What the tables of SELAR share: rows, strategies, and the printed values by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dglmeta.reproduce.table import Entry, Grid, Measured, Row

__all__ = [
    "CANDIDATES",
    "ENCODERS",
    "NOTES",
    "STRATEGIES",
    "by_strategy",
    "chosen_mean",
    "chosen_printed",
    "rows_of",
    "strategy_grid",
]

ENCODERS = {"gcn": "gcn", "gat": "gat", "gin": "gin", "sgc": "stacked-sgc", "gtn": "gtn"}
"""Ours by the paper's name."""

STRATEGIES = ("vanilla", "weights-only", "multi-task", "selar", "selar+hint")
"""In the order of the printed columns."""

CANDIDATES = ("selar", "selar+hint")
"""What "chosen" chooses from."""

NOTES = (
    "Printed: Hwang et al., arXiv 2007.08294 and its journal version, by their protocol; "
    "weights-only is their w/o meta-path, multi-task their w/ meta-path.",
    "Links: ours learns from each training positive beside a negative of its source drawn anew "
    "(negatives = 'drawn' in the packaged settings), the paper from stored negatives. Both are "
    "judged on stored ones.",
    "sgc is the authors' reading of it, two layers of a linear map and two propagations with ReLU "
    "between: our encoder stacked-sgc.",
)


def rows_of(data: str, encoders: Sequence[str] = tuple(ENCODERS), seeds: int = 3) -> dict[str, Row]:
    """Rows ``data/encoder``."""
    return {f"{data}/{name}": Row(data, {"encoder": ENCODERS[name]}, seeds) for name in encoders}


def by_strategy(values: str) -> dict[str, float]:
    """Printed values in the order of the strategies."""
    return dict(zip(STRATEGIES, map(float, values.split()), strict=True))


def chosen_mean(measured: Measured, row: str, metric: str) -> float | None:
    """Mean test metric of the candidate that validation prefers."""
    best = measured.best(row, CANDIDATES, metric)
    return None if best is None else measured.mean(row, best, f"test_{metric}")


def chosen_printed(printed: Mapping[str, float]) -> float | None:
    """The better one of the printed candidates."""
    return max((printed[name] for name in CANDIDATES if name in printed), default=None)


def strategy_grid(
    measured: Measured,
    title: str,
    metric: str,
    printed: Mapping[str, Mapping[str, float]],
    choose_by: str,
) -> Grid:
    """Strategies, and the candidate whose validation metric ``choose_by`` is better."""
    lines = []
    for row in measured.rows:
        of_row = printed.get(row, {})
        entries = [
            measured.entry(row, name, f"test_{metric}", of_row.get(name)) for name in STRATEGIES
        ]
        best = measured.best(row, CANDIDATES, choose_by)
        entry = Entry(printed=chosen_printed(of_row))
        if best is not None:
            ours = measured.values(row, best, f"test_{metric}")
            entry = Entry(ours, chosen_printed(of_row), best)
        lines.append((row, [*entries, entry]))
    return Grid(title, ("", *STRATEGIES, "chosen"), lines)
