"""What a finished run of Meta-Graph has to tell beside its metrics: curves, and signatures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dglmeta.graph import Adjacency
from dglmeta.systems.parts.meta_graph.setup import State

__all__ = ["describe_adaptation", "describe_signatures"]


def describe_adaptation(state: State) -> dict[str, Any]:
    """How well each test graph was predicted after some steps; of the last look at them.

    ``valid_auc`` and ``test_auc`` have a row a step and a column a graph.
    """
    if "test" not in state.paths:
        return {}
    curve = state.paths["test"].curve
    return {
        "graphs": [state.names[k] for k in state.split.test],
        "steps": curve.steps.tolist(),
        "valid_auc": curve.valid.tolist(),
        "test_auc": curve.test.tolist(),
        "chosen_step": curve.steps[curve.chosen].tolist(),
    }


def describe_signatures(state: State) -> dict[str, Any]:
    """The signature of each graph, all numbers in a row, beside what its known edges look like.

    The pairs of graphs whose signatures are alike, and the statistics in which they are alike too,
    say what a signature has learned to read (the paper's Table 4).
    """
    if state.signature is None:
        return {}
    batch = state.batch(np.arange(len(state.graphs)))
    with torch.no_grad():
        film = state.signature(batch.whole)
    rows = [_statistics(graph.known) for graph in state.graphs]
    return {
        "graphs": list(state.names),
        "vectors": torch.cat(list(film.values()), dim=1).tolist(),
        "statistics": {name: [row[name] for row in rows] for name in rows[0]},
    }


def _statistics(known: Adjacency) -> dict[str, float]:
    """Of a graph's known edges."""
    from scipy.sparse.csgraph import connected_components

    adj, degree = known.to_scipy(), known.out_degrees
    wedges = float((degree * (degree - 1)).sum())  # each counted from both ends
    closed = float((adj @ adj).multiply(adj).sum())
    return {
        "nodes": float(known.n_src),
        "known edges": known.n_edges / 2,
        "mean degree": float(degree.mean()),
        "isolated nodes": float((degree == 0).mean()),
        "clustering": closed / wedges if wedges else 0.0,
        "components": float(connected_components(adj, directed=False)[0]),
    }
