"""What the tables of SAME share: tasks put together, ways of learning them, and Delta_m.

Delta_m is the mean over tasks of (M - M_alone) / M_alone, M the test metric and M_alone that of a
network trained end to end on the task alone (Vandenhende et al., arXiv 2004.13379), run by run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dglmeta.nn.multi_task import TASKS
from dglmeta.reproduce.table import Entry, Grid, Measured, Row, mean

__all__ = [
    "ALONE",
    "COMBINED",
    "NOTES",
    "PAPER",
    "QUICK",
    "ROWS",
    "columns_of",
    "delta",
    "delta_grid",
    "metric_in",
    "task_grid",
]

COMBINED = {
    "gc+nc": ("gc", "nc"),
    "gc+lp": ("gc", "lp"),
    "nc+lp": ("nc", "lp"),
    "all": TASKS,
}
"""Tasks that are learned together."""

ALONE: dict[str, dict[str, Any]] = {
    f"alone-{task}": {"variant": "classical", "tasks": (task,)} for task in TASKS
}
"""Each task end to end; every protocol has its own."""

PAPER = {
    "protocol": "paper", "norm": "layer", "hidden": True, "batch": 16, "passes": 5,
    "inner_lr": 0.04, "task_weights": (), "lr": 2e-3, "epochs": 20, "patience": 10,
}  # fmt: skip
"""Heads, episodes and inner step of the published program; rows are normalised as in the clean
protocol, and a larger step size stands for many thousand epochs."""

UNTRAINED = {"untrained-all": {"variant": "untrained", "epochs": 1, "patience": 1}}
"""What the features and edges alone are worth to a linear model."""

ROWS = {
    **{data: Row(data, {}, 10, splits=True) for data in ("enzymes", "dhfr")},
    "proteins": Row("proteins", {}, 3, splits=True),
    **{f"{data}/paper": Row(data, PAPER, 10, splits=True) for data in ("enzymes", "dhfr")},
}

QUICK = {"epochs": 1, "patience": 1, "passes": 1, "pretrain_passes": 1, "d": 8}

NOTES = (
    "Printed: Buffelli and Vandin, arXiv 2201.03326, in per cent there. Its links are told by the "
    "accuracy of a probe where the table says AUC, among negatives that all touch a graph's first "
    "nodes; rows of the paper's protocol do so too, and nothing is printed for the others.",
    "Frozen embeddings are judged by a linear model, which is fitted to the training graphs; "
    "classical training and tasks alone by their trained heads. 70, 10 and 20 % of the graphs are "
    "to train, choose and test with, dealt anew for every seed.",
    "Rows of the paper's protocol are trained for 20 epochs of five passes with a step size of "
    "2e-3, where the published program takes thousands with 5e-4; a network for classes of graphs "
    "alone learns hardly anything from its features in that time.",
    "proteins has one attribute a node here; the printed row is of another file with 29.",
)


def columns_of(*variants: str) -> dict[str, dict[str, Any]]:
    """Every variant with every combination of tasks, each task alone, and an untrained encoder."""
    together = {
        f"{variant}-{name}": {"variant": variant, "tasks": tasks}
        for variant in variants
        for name, tasks in COMBINED.items()
    }
    return {**together, **ALONE, **UNTRAINED}


def metric_in(row: str, column: str, task: str) -> str:
    """The test metric of a task: accuracy, or of links the area under the curve.

    Under the paper's protocol a probe of links is judged by its accuracy, as published.
    """
    heads = column.startswith(("alone", "classical", "finetune"))
    accuracy = task != "lp" or (row.endswith("/paper") and not heads)
    return f"test_{task}_{'accuracy' if accuracy else 'auc'}"


def tasks_of(column: str) -> tuple[str, ...]:
    """The tasks of a column."""
    name = column.partition("-")[2]
    return COMBINED.get(name, (name,))


def task_grid(
    measured: Measured, task: str, title: str, printed: Mapping[str, Mapping[str, str]]
) -> Grid:
    """A task's metric in every column that learns it, beside the printed values in per cent.

    Parameters
    ----------
    measured : Measured
    task, title : str
    printed : mapping of row to mapping of column to str
        Values of the column's tasks, such as ``"50.1 86.1"``.
    """
    columns = [c for c in measured.table.columns if task in tasks_of(c)]
    rows = []
    for row in measured.rows:
        entries = []
        for column in columns:
            value = printed_value(printed, row, column, task)
            entries.append(measured.entry(row, column, metric_in(row, column, task), value))
        rows.append((row, entries))
    return Grid(title, ("", *columns), rows)


def printed_value(
    printed: Mapping[str, Mapping[str, str]], row: str, column: str, task: str
) -> float | None:
    """One printed value as a fraction; None where there is none."""
    text = printed.get(row, {}).get(column)
    if text is None:
        return None
    return float(text.split()[tasks_of(column).index(task)]) / 100


def delta(measured: Measured, row: str, column: str) -> tuple[float, ...]:
    """Delta_m of a column in every run that finished with all it takes, run by run."""
    by_task = []
    for task in tasks_of(column):
        metric, alone = metric_in(row, column, task), metric_in(row, f"alone-{task}", task)
        ours = measured.whole(row, column, metric)
        base = measured.whole(row, f"alone-{task}", alone)
        by_task.append([(m - b) / b for m, b in zip(ours, base, strict=False)])
    return tuple(mean(values) for values in zip(*by_task, strict=False))


def delta_grid(measured: Measured, printed: Mapping[str, Mapping[str, float]]) -> Grid:
    """Delta_m of every column that learns several tasks; printed values in per cent."""
    columns = [c for c in measured.table.columns if len(tasks_of(c)) > 1]
    rows = [
        (
            row,
            [
                Entry(
                    delta(measured, row, c),
                    printed[row][c] / 100 if c in printed.get(row, {}) else None,
                )
                for c in columns
            ],
        )
        for row in measured.rows
    ]
    return Grid("Delta_m", ("", *columns), rows)
