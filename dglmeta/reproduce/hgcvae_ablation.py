"""HGCVAE without one of its mechanisms at a time."""

from __future__ import annotations

from dglmeta.reproduce.hgcvae_rows import LABELS, METRICS, NOTES, QUICK, grid_of, rows_of
from dglmeta.reproduce.table import Grid, Measured, PaperTable, Verdict, above
from dglmeta.systems import HGCVAE

__all__ = ["TABLE"]

WITHOUT = {
    "contrast": {"variant": "reconstruction"},
    "generation": {"variant": "contrast"},
    "VI negatives": {"variant": "hgcvae", "late_negatives": "early"},
    "early negatives": {"variant": "hgcvae", "late_negatives": "late"},
    "masking": {"variant": "hgcvae", "mask_from": 0.0, "mask_to": 0.0},
    "ESCE": {"variant": "hgcvae", "error": "sce"},
    "KL": {"variant": "hgcvae", "kl_weight": 0.0},
}
"""What each column changes; that of "ESCE" has the plain scaled cosine error instead."""

COLUMNS = {"hgcvae": {"variant": "hgcvae"}, **{f"no {k}": v for k, v in WITHOUT.items()}}


def grids(measured: Measured) -> list[Grid]:
    """A grid of every metric, the numbers of labels side by side."""
    return [grid_of(measured, metric, {}) for metric in METRICS]


def judge(measured: Measured) -> list[Verdict]:
    """Whether each mechanism earns its place, by micro-F1."""
    return [
        above(
            f"micro-F1 with {k} labels above that without {name}",
            row,
            measured.mean(row, "hgcvae", f"test_micro_f1_{k}"),
            measured.mean(row, f"no {name}", f"test_micro_f1_{k}"),
        )
        for row in measured.rows
        for name in WITHOUT
        for k in LABELS
    ]


TABLE = PaperTable(
    name="hgcvae-ablation",
    title="HGCVAE: what each mechanism is worth",
    system=HGCVAE,
    rows=rows_of("heco-dblp", "heco-acm"),
    columns=COLUMNS,
    metric="micro_f1_60",
    grids=grids,
    judge=judge,
    notes=NOTES,
    quick=QUICK,
)
