"""SELAR, Table 4: recommendation on Last-FM."""

from __future__ import annotations

from dglmeta.reproduce.selar_rows import NOTES, rows_of
from dglmeta.reproduce.table import Entry, Grid, Measured, PaperTable, Verdict, at_least
from dglmeta.systems import SELAR

__all__ = ["TABLE"]

COLUMN = "selar"
CUTS = (2, 10, 50, 100)
JUDGED = (50, 100)

PRINTED = {
    "lastfm/gcn": (0.014, 0.059, 0.298, 0.416),
    "lastfm/gat": (0.046, 0.119, 0.297, 0.402),
    "lastfm/gin": (0.015, 0.063, 0.303, 0.390),
    "lastfm/sgc": (0.003, 0.051, 0.251, 0.353),
    "lastfm/gtn": (0.002, 0.097, 0.345, 0.415),
}
KGNN_LS = (0.044, 0.122, 0.277, 0.370)
"""The rival that the paper prints beside them."""


def grids(measured: Measured) -> list[Grid]:
    """Recall at each cut."""
    lines = [
        (
            row,
            [
                measured.entry(row, COLUMN, f"test_recall_at_{k}", printed)
                for k, printed in zip(CUTS, PRINTED[row], strict=True)
            ],
        )
        for row in measured.rows
    ]
    lines.append(("KGNN-LS, printed", [Entry(printed=value) for value in KGNN_LS]))
    header = ("", *(f"Recall@{k}" for k in CUTS))
    return [Grid("Test recall", header, lines, digits=3)]


def judge(measured: Measured) -> list[Verdict]:
    """Against the printed values, and against the rival's."""
    verdicts = []
    for row in measured.rows:
        for k in JUDGED:
            ours, at = measured.mean(row, COLUMN, f"test_recall_at_{k}"), CUTS.index(k)
            verdicts += [
                at_least(f"Recall@{k} at least as printed", row, ours, PRINTED[row][at]),
                at_least(f"Recall@{k} at least KGNN-LS's", row, ours, KGNN_LS[at]),
            ]
    return verdicts


TABLE = PaperTable(
    name="selar-table4",
    title="SELAR, Table 4: recommendation on Last-FM",
    system=SELAR,
    rows=rows_of("lastfm"),
    columns={COLUMN: {"strategy": "selar", "task": "recommendation"}},
    metric="recall_at_50",
    grids=grids,
    judge=judge,
    notes=NOTES,
)
