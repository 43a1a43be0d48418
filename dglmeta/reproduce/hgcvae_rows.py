"""What the tables of HGCVAE share: data sets, metrics, and how they are laid out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dglmeta.reproduce.table import Entry, Grid, Measured, Row

__all__ = ["LABELS", "METRICS", "NOTES", "QUICK", "clustering_grid", "grid_of", "rows_of"]

LABELS = (20, 40, 60)
"""Training labels a class."""

METRICS = {"micro_f1": "Test micro-F1", "macro_f1": "Test macro-F1", "auc": "Test AUC"}

QUICK: dict[str, Any] = {
    "epochs": 2, "patience": 2, "d": 8, "n_heads": 2, "edges": 100, "negatives": 64,
    "probe_repeats": 2,
}  # fmt: skip

NOTES = (
    "HGCVAE: arXiv 2310.11102. Embeddings are learned without labels and judged by logistic "
    "regression on 20, 40 or 60 nodes a class, 50 repeats a seed, each metric at the step that is "
    "best by it on 1,000 validation nodes; 1,000 other nodes test. Splits are those of HeCo, "
    "arXiv 2105.09111.",
    "han-20 and so on: a HAN of the same width, trained end to end on so many labels a class.",
)


def rows_of(*names: str) -> dict[str, Row]:
    """A row for each data set, three seeds of one split."""
    return {name: Row(name, {}, 3) for name in names}


def grid_of(
    measured: Measured, metric: str, printed: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> Grid:
    """A metric of every column, for each row and number of labels."""
    lines = []
    for row in measured.rows:
        for k in LABELS:
            name = f"{metric}_{k}"
            entries = [
                measured.entry(row, c, f"test_{name}", printed.get(row, {}).get(c, {}).get(name))
                if not c.startswith("han-") or c == f"han-{k}"
                else Entry()
                for c in measured.table.columns
            ]
            lines.append((f"{row}, {k} labels", entries))
    return Grid(METRICS[metric], ("", *measured.table.columns), lines)


def clustering_grid(measured: Measured) -> Grid:
    """Agreement of k-means with all classes, where embeddings are learned without labels."""
    columns = [c for c in measured.table.columns if not c.startswith("han-")]
    lines = [
        (f"{row}, {name.upper()}", [measured.entry(row, c, f"test_{name}") for c in columns])
        for row in measured.rows
        for name in ("nmi", "ari")
    ]
    return Grid("Clustering", ("", *columns), lines)
