"""SAME, Figure 3: embeddings learned for two tasks serve a third."""

from __future__ import annotations

from typing import Any

from dglmeta.nn.multi_task import TASKS
from dglmeta.reproduce.same_rows import NOTES, PAPER, QUICK, metric_in
from dglmeta.reproduce.table import Grid, Measured, PaperTable, Row, Verdict, at_least, mean
from dglmeta.systems import SAME

__all__ = ["TABLE", "gain"]

VARIANTS = ("isame", "esame", "classical")

LEAST_GAIN = 0.1


def _columns() -> dict[str, dict[str, Any]]:
    """Every variant trained without each task, which a probe then measures."""
    return {
        f"{variant}-{task}": {
            "variant": variant,
            "tasks": tuple(other for other in TASKS if other != task),
            "judged": (task,),
            "measure": "probe",
        }
        for variant in VARIANTS
        for task in TASKS
    }


def grids(measured: Measured) -> list[Grid]:
    """The unseen task's metric by variant."""
    rows = [
        (
            f"{row}, {task} unseen",
            [measured.entry(row, f"{v}-{task}", metric_in(row, "probe", task)) for v in VARIANTS],
        )
        for row in measured.rows
        for task in TASKS
    ]
    return [Grid("Test metric of a task that was not trained", ("", *VARIANTS), rows)]


def judge(measured: Measured) -> list[Verdict]:
    """At least a tenth better than classical training, on the average of the three tasks."""
    return [
        at_least(
            f"{variant} serves an unseen task better than classical training, in the mean",
            row,
            gain(measured, row, variant),
            LEAST_GAIN,
        )
        for row in measured.rows
        for variant in ("isame", "esame")
    ]


def gain(measured: Measured, row: str, variant: str) -> float | None:
    """Mean relative gain over classical training; None unless all were run."""
    gains = []
    for task in TASKS:
        metric = metric_in(row, "probe", task)
        ours, base = (measured.mean(row, f"{v}-{task}", metric) for v in (variant, "classical"))
        if ours is None or base is None:
            return None
        gains.append(ours / base - 1)
    return mean(gains)


TABLE = PaperTable(
    name="same-figure3",
    title="SAME, Figure 3: embeddings of two tasks serve a third",
    system=SAME,
    rows={
        "enzymes": Row("enzymes", {}, 10, splits=True),
        "enzymes/paper": Row("enzymes", PAPER, 10, splits=True),
    },
    columns=_columns(),
    metric="score",
    grids=grids,
    judge=judge,
    notes=NOTES,
    quick=QUICK,
)
