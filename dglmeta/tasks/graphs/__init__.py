"""Many graphs at once: their rows, how layers read them, and graphs of few known edges."""

from dglmeta.tasks.graphs.few_shot import FEATURES, FewShotGraph, degree_profile
from dglmeta.tasks.graphs.few_shot_batch import (
    FewShotBatch,
    LocatedPairs,
    Pairs,
    evidence_loss,
    pair_logits,
)
from dglmeta.tasks.graphs.layout import layout_edges, layout_rows, task_graphs
from dglmeta.tasks.graphs.rows import GraphRows, graph_rows

__all__ = [
    "FEATURES",
    "FewShotBatch",
    "FewShotGraph",
    "GraphRows",
    "LocatedPairs",
    "Pairs",
    "degree_profile",
    "evidence_loss",
    "graph_rows",
    "layout_edges",
    "layout_rows",
    "pair_logits",
    "task_graphs",
]
