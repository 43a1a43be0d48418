"""HGCVAE against its halves, a HAN trained end to end, and raw features."""

from __future__ import annotations

from dglmeta.reproduce.hgcvae_rows import (
    LABELS,
    METRICS,
    NOTES,
    QUICK,
    clustering_grid,
    grid_of,
    rows_of,
)
from dglmeta.reproduce.table import Grid, Measured, PaperTable, Row, Verdict, above, at_least
from dglmeta.systems import HGCVAE

__all__ = ["PRINTED", "TABLE"]

UNLABELLED = {name: {"variant": name} for name in ("hgcvae", "contrast", "reconstruction")}
SUPERVISED = {f"han-{k}": {"variant": "supervised", "labels": k} for k in LABELS}
COLUMNS = {**UNLABELLED, **SUPERVISED, "features": {"variant": "features"}}
ROWS = rows_of("heco-dblp", "heco-acm")
ROWS |= {"heco-freebase": Row("heco-freebase", {}, 3, lacks=("features",))}  # there are none

PRINTED = {"heco-dblp": {"hgcvae": {"micro_f1_60": 0.9262}}}
"""The only figure of the paper at hand; of which number of labels it does not say."""


def grids(measured: Measured) -> list[Grid]:
    """A grid of every metric, the numbers of labels side by side, and clustering."""
    return [*(grid_of(measured, m, PRINTED) for m in METRICS), clustering_grid(measured)]


def judge(measured: Measured) -> list[Verdict]:
    """The printed figure, and whether both halves together beat each and the HAN with labels."""
    verdicts = []
    for row in measured.rows:
        ours = {k: measured.mean(row, "hgcvae", f"test_micro_f1_{k}") for k in LABELS}
        if row in PRINTED:
            wanted = PRINTED[row]["hgcvae"]["micro_f1_60"]
            verdicts.append(at_least("micro-F1 with 60 labels a class", row, ours[60], wanted))
        for k in LABELS:
            for other in ("contrast", "reconstruction", f"han-{k}"):
                theirs = measured.mean(row, other, f"test_micro_f1_{k}")
                claim = f"micro-F1 with {k} labels above that of {other}"
                verdicts.append(above(claim, row, ours[k], theirs))
    return verdicts


TABLE = PaperTable(
    name="hgcvae-main",
    title="HGCVAE: classes told from embeddings, with few labels",
    system=HGCVAE,
    rows=ROWS,
    columns=COLUMNS,
    metric="micro_f1_60",
    grids=grids,
    judge=judge,
    notes=NOTES,
    quick=QUICK,
)
