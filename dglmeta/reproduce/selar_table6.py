"""SELAR, Table 6: tasks on degree, distance and PageRank beside the meta-paths."""

from __future__ import annotations

from typing import Any

from dglmeta.reproduce.selar_rows import NOTES, rows_of
from dglmeta.reproduce.selar_table5 import PRINTED as PRINTED_WITHOUT_TASKS
from dglmeta.reproduce.table import Grid, Measured, PaperTable, Verdict, above, spread
from dglmeta.systems import SELAR

__all__ = ["TABLE"]

AUXILIARY = ("degree", "distance", "pagerank", "metapath")
ROWS = rows_of("imdb", ("gcn", "gat", "gin"))
COLUMNS: dict[str, dict[str, Any]] = {
    "vanilla": {"strategy": "vanilla"},
    "multi-task": {"strategy": "multi-task", "auxiliary": AUXILIARY},
    "selar": {"strategy": "selar", "auxiliary": AUXILIARY},
}
PRINTED = {
    "imdb/gcn": {"multi-task": 0.6162, "selar": 0.6317},
    "imdb/gat": {"multi-task": 0.6029, "selar": 0.6164},
    "imdb/gin": {"multi-task": 0.5963, "selar": 0.6039},
}
for _row, _values in PRINTED.items():
    _values["vanilla"] = PRINTED_WITHOUT_TASKS[_row]["vanilla"]


def grids(measured: Measured) -> list[Grid]:
    """Macro F1 beside what is printed, and micro F1."""
    return [
        _grid(measured, "Test macro F1", "test_macro_f1", PRINTED),
        _grid(measured, "Test micro F1", "test_micro_f1", {}),
    ]


def _grid(
    measured: Measured, title: str, metric: str, printed: dict[str, dict[str, float]]
) -> Grid:
    lines = [
        (
            row,
            [
                measured.entry(row, column, metric, printed.get(row, {}).get(column))
                for column in COLUMNS
            ],
        )
        for row in measured.rows
    ]
    return Grid(title, ("", *COLUMNS), lines)


def judge(measured: Measured) -> list[Verdict]:
    """Whether each step up is more than chance."""
    return [
        gain(measured, row, better, worse)
        for row in measured.rows
        for better, worse in (("selar", "multi-task"), ("multi-task", "vanilla"))
    ]


def gain(measured: Measured, row: str, better: str, worse: str) -> Verdict:
    """Whether a column gains on another by more than the larger spread; one seed has no spread."""
    means = [measured.mean(row, column, "test_macro_f1") for column in (better, worse)]
    spreads = [spread(measured.whole(row, c, "test_macro_f1")) for c in (better, worse)]
    ours = None if None in means else means[0] - means[1]  # type: ignore[operator]
    bound = None if None in spreads else max(spreads)  # type: ignore[type-var]
    return above(f"{better} gains on {worse} by more than the spread", row, ours, bound)


TABLE = PaperTable(
    name="selar-table6",
    title="SELAR, Table 6: other auxiliary tasks beside meta-paths, IMDB",
    system=SELAR,
    rows=ROWS,
    columns=COLUMNS,
    metric="macro_f1",
    grids=grids,
    judge=judge,
    notes=(
        *NOTES,
        f"Auxiliary tasks: {', '.join(AUXILIARY)}. vanilla has none; its printed value is that of "
        f"Table 5.",
        "The spread is the larger one of the two columns.",
    ),
)
