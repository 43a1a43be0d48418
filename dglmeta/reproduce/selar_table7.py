"""SELAR, Table 7: what cross-validation of the meta data is worth."""

from __future__ import annotations

from dglmeta.reproduce.selar_rows import NOTES, rows_of
from dglmeta.reproduce.table import Grid, Measured, PaperTable, Verdict, above, mean
from dglmeta.systems import SELAR

__all__ = ["TABLE"]

COLUMNS = {
    "1 fold": {"strategy": "selar", "folds": 1},
    "3 folds": {"strategy": "selar", "folds": 3},
}
PRINTED = {
    "lastfm/gcn": {"1 fold": 0.7885, "3 folds": 0.8296},
    "lastfm/gat": {"1 fold": 0.8287, "3 folds": 0.8294},
    "lastfm/gin": {"1 fold": 0.8234, "3 folds": 0.8361},
    "lastfm/sgc": {"1 fold": 0.7691, "3 folds": 0.7827},
    "lastfm/gtn": {"1 fold": 0.7897, "3 folds": 0.7988},
}
MEAN = "mean of encoders"


def grids(measured: Measured) -> list[Grid]:
    """Test AUC."""
    lines = [
        (row, [measured.entry(row, column, "test_auc", PRINTED[row][column]) for column in COLUMNS])
        for row in measured.rows
    ]
    return [Grid("Test AUC", ("", *COLUMNS), lines)]


def judge(measured: Measured) -> list[Verdict]:
    """Whether three folds are better in the mean of all encoders."""
    return [
        above(
            "3 folds above 1 fold",
            MEAN,
            over_encoders(measured, "3 folds"),
            over_encoders(measured, "1 fold"),
        )
    ]


def over_encoders(measured: Measured, column: str) -> float | None:
    """Mean test AUC over all encoders; None if one is not there."""
    means = [measured.mean(row, column, "test_auc") for row in measured.table.rows]
    known = [value for value in means if value is not None]
    return mean(known) if len(known) == len(means) else None


TABLE = PaperTable(
    name="selar-table7",
    title="SELAR, Table 7: one fold of meta data against three, Last-FM",
    system=SELAR,
    rows=rows_of("lastfm"),
    columns=COLUMNS,
    metric="auc",
    grids=grids,
    judge=judge,
    notes=(
        *NOTES,
        f"In the mean of encoders the paper gains "
        f"{mean([p['3 folds'] - p['1 fold'] for p in PRINTED.values()]):+.4f}.",
    ),
)
