"""SELAR, Table 3: what the tasks weigh once learned."""

from __future__ import annotations

from dglmeta.reproduce.runs import WEIGHT
from dglmeta.reproduce.selar_rows import NOTES
from dglmeta.reproduce.selar_table2 import ROWS
from dglmeta.reproduce.table import Grid, Measured, PaperTable
from dglmeta.systems import SELAR

__all__ = ["TABLE"]

COLUMN = "selar"

# Relative to the mean of their own task, all tasks would weigh 1.
SETTINGS = {"strategy": "selar", "normaliser": "primary"}


def grids(measured: Measured) -> list[Grid]:
    """A grid for each data set: tasks by encoders."""
    table = measured.table
    found = []
    for data in dict.fromkeys(table.rows[row].data for row in measured.rows):
        rows = [row for row in measured.rows if table.rows[row].data == data]
        names = dict.fromkeys(
            name
            for row in rows
            for done in measured.finished(row, COLUMN)
            for name in done.metrics
            if name.startswith(WEIGHT)
        )
        lines = [
            (name.removeprefix(WEIGHT), [measured.entry(row, COLUMN, name) for row in rows])
            for name in names
        ]
        found.append(Grid(f"Mean weight of each task, {data}", ("task", *rows), lines))
    return found


TABLE = PaperTable(
    name="selar-table3",
    title="SELAR, Table 3: mean task weights learned",
    system=SELAR,
    rows=ROWS,
    columns={COLUMN: SETTINGS},
    metric="auc",
    grids=grids,
    notes=(
        *NOTES,
        "Mean weight in the best epoch, relative to the primary task's, which comes first; so the "
        "normaliser is primary, also where Table 2 has another. Printed values are not at hand.",
    ),
)
