"""SAME, Table II: what learning tasks together costs against learning each alone."""

from __future__ import annotations

from dglmeta.reproduce.same_rows import (
    COMBINED,
    NOTES,
    QUICK,
    ROWS,
    columns_of,
    delta,
    delta_grid,
)
from dglmeta.reproduce.table import Grid, Measured, PaperTable, Verdict, above, mean
from dglmeta.systems import SAME

__all__ = ["PRINTED", "TABLE", "worst"]

VARIANTS = ("isame", "esame", "classical", "finetune", "maml")

PRINTED = {
    "enzymes/paper": {
        "classical-all": 1.6, "isame-all": 1.5, "esame-all": 1.8,
        "classical-gc+lp": -25.3, "isame-gc+lp": 4.1,
        "classical-nc+lp": 7.2, "isame-nc+lp": 4.4,
    },
    "dhfr/paper": {
        "classical-all": -18.9, "isame-all": -0.5, "esame-all": -1.0,
        "classical-gc+lp": -28.3, "isame-gc+lp": 0.2,
        "classical-nc+lp": -29.1, "isame-nc+lp": -0.1,
    },
}  # fmt: skip


def grids(measured: Measured) -> list[Grid]:
    """Delta_m by tasks and variant."""
    return [delta_grid(measured, PRINTED)]


def judge(measured: Measured) -> list[Verdict]:
    """The worst combination of tasks of either variant is better than that of classical training.

    Where the paper's protocol is followed, which is where the claim was made.
    """
    return [
        above(
            f"worst Delta_m of {variant} above that of classical training",
            row,
            worst(measured, row, variant),
            worst(measured, row, "classical"),
        )
        for row in measured.rows
        if row.endswith("/paper")
        for variant in ("isame", "esame")
    ]


def worst(measured: Measured, row: str, variant: str) -> float | None:
    """The least mean Delta_m over the combinations of tasks; None unless all were run."""
    values = [delta(measured, row, f"{variant}-{name}") for name in COMBINED]
    return min(mean(v) for v in values) if all(values) else None


TABLE = PaperTable(
    name="same-table2",
    title="SAME, Table II: Delta_m of learning tasks together",
    system=SAME,
    rows=ROWS,
    columns=columns_of(*VARIANTS),
    metric="score",
    grids=grids,
    judge=judge,
    notes=NOTES,
    quick=QUICK,
)
