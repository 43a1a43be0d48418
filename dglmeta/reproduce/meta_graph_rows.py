"""What the tables of Meta-Graph share: rows, methods, and how they are judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dglmeta.reproduce.table import (
    Entry,
    Grid,
    Measured,
    PaperTable,
    Row,
    Verdict,
    above,
    at_least,
    mean,
    standard_error,
)
from dglmeta.systems import MetaGraph
from dglmeta.systems.parts.meta_graph.config import METHODS

__all__ = ["COLUMNS", "NOTES", "ROWS", "by_row", "few_shot_table"]

OURS, *RIVALS = METHODS

CLOSE_RIVALS = ("maml", "finetune", "no-finetune")
"""Which are to be beaten by more than the spread where nothing is printed."""

COLUMNS: dict[str, dict[str, Any]] = {
    name: {"method": name} | ({} if method.trains else {"epochs": 1, "patience": 1})
    for name, method in METHODS.items()
}
"""One epoch is as good as many to what learns nothing from the training graphs."""

ROWS = {
    "firstmm/10": Row("firstmm", {"train_fraction": 0.1}, 10, splits=True),
    "firstmm/20": Row("firstmm", {"train_fraction": 0.2}, 10, splits=True),
    "firstmm/30": Row("firstmm", {"train_fraction": 0.3}, 10, splits=True),
    "ohmnet-brain/10": Row(
        "ohmnet-brain",
        {"train_fraction": 0.1, "graph_split": "leave-one-out", "features": ("degrees",)},
        9,
        splits=True,
    ),
    "amazon-computers-egos/10": Row(
        "amazon-computers-egos", {"train_fraction": 0.1}, 5, splits=True
    ),
}

PRINTED_FOR = tuple(name for name in ROWS if name.startswith("firstmm"))

QUICK = {"epochs": 1, "patience": 1, "passes": 1, "inner_steps": 1, "adapt_steps": 5}

NOTES = (
    "Printed: Bose et al., arXiv 1912.09867, by the authors' program, which reports the best of "
    "all steps on the test edges; ours reports the step that is best on the validation edges.",
    "A row's number is the percentage of each graph's edges that is known. Of ohmnet-brain each "
    "tissue is tested on once; the paper has other graphs in its place, and nothing is printed.",
    "All differences are paired: of runs with one split of the graphs and of their edges.",
    "Spread, in verdicts on differences: the standard error of the mean of the paired differences "
    "over splits. Splits of one data set share graphs, so it is too small if anything.",
)


def by_row(values: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Printed values by row and method, from those of a method in the order of known edges."""
    printed: dict[str, dict[str, float]] = {row: {} for row in ROWS}
    for method, text in values.items():
        for row, value in zip(PRINTED_FOR, text.split(), strict=True):
            printed[row][method] = float(value)
    return printed


def few_shot_table(
    name: str,
    title: str,
    metric: str,
    printed: Mapping[str, Mapping[str, float]],
    wanted: Mapping[str, float],
    notes: tuple[str, ...] = (),
) -> PaperTable:
    """All methods on all rows by one metric, and what Meta-Graph gains on each of the others.

    Parameters
    ----------
    name, title : str
    metric : str
        Without ``test_``.
    printed : mapping of row to mapping of method to float
    wanted : mapping of row to float
        What Meta-Graph is to reach.
    notes : tuple of str
    """

    def grids(measured: Measured) -> list[Grid]:
        values, gains = [], []
        for row in measured.rows:
            of_row = printed.get(row, {})
            entries = [measured.entry(row, m, f"test_{metric}", of_row.get(m)) for m in METHODS]
            values.append((row, entries))
            gains.append((row, _gains(measured, row, metric, of_row)))
        title = f"Test AUC of {OURS} less that of each other, paired; mean ± standard error"
        return [
            Grid("Test AUC", ("", *METHODS), values),
            Grid(title, ("", *RIVALS), gains, error=True),
        ]

    def judge(measured: Measured) -> list[Verdict]:
        return [
            verdict
            for row in measured.rows
            for verdict in _judge_row(measured, row, metric, wanted)
        ]

    return PaperTable(
        name=name,
        title=title,
        system=MetaGraph,
        rows=ROWS,
        columns=COLUMNS,
        metric=metric,
        grids=grids,
        judge=judge,
        notes=(*NOTES, *notes),
        quick=QUICK,
    )


def _gains(measured: Measured, row: str, metric: str, printed: Mapping[str, float]) -> list[Entry]:
    """What Meta-Graph gains on each rival, run by run."""
    gains = {rival: measured.paired(row, OURS, rival, f"test_{metric}") for rival in RIVALS}
    known = {rival for rival in RIVALS if OURS in printed and rival in printed}
    return [
        Entry(gains[rival], printed[OURS] - printed[rival] if rival in known else None)
        for rival in RIVALS
    ]


def _judge_row(
    measured: Measured, row: str, metric: str, wanted: Mapping[str, float]
) -> list[Verdict]:
    """Against what is wanted, against every other method, and by how much against the close ones.

    A rival that was not run, or failed in a run, leaves its verdicts undecided.
    """
    verdicts = []
    if row in wanted:
        ours = measured.mean(row, OURS, f"test_{metric}")
        verdicts.append(at_least("meta-graph reaches what is wanted", row, ours, wanted[row]))
    for rival in RIVALS:
        gains = measured.paired(row, OURS, rival, f"test_{metric}")
        whole = len(gains) == len(measured.runs.get((row, OURS), ())) > 0
        gain = mean(gains) if whole else None
        verdicts.append(above(f"meta-graph above {rival}", row, gain, 0.0))
        if row not in wanted and rival in CLOSE_RIVALS:
            error = standard_error(gains) if whole else None
            claim = f"meta-graph above {rival} by more than the spread"
            verdicts.append(above(claim, row, gain, error))
    return verdicts
