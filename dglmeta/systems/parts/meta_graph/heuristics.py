"""Link prediction by what is known of one graph alone, without learning from others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.systems.parts.meta_graph.adapt import mean_metrics
from dglmeta.systems.parts.meta_graph.setup import State
from dglmeta.tasks import FewShotGraph, adamic_adar, cosine_scores, deepwalk

__all__ = ["HEURISTICS", "heuristic_metrics"]

HEURISTICS = ("adamic-adar", "deepwalk")


def heuristic_metrics(method: str, state: State, split: str) -> dict[str, float]:
    """Metrics of the test edges of the valid or test graphs; computed once a run."""
    if split not in state.heuristics:
        graphs = [state.graphs[k] for k in getattr(state.split, split)]
        scores = [_scores(method, graph, state.seed) for graph in graphs]
        state.heuristics[split] = mean_metrics(graphs, lambda b, _pairs: scores[b])
    return state.heuristics[split]


def _scores(method: str, graph: FewShotGraph, seed: int) -> npt.NDArray[Any]:
    """Of the test edges, then of the non-edges beside them."""
    u, v = np.concatenate([graph.split.test, graph.split.test_negatives]).T
    if method == "adamic-adar":
        return adamic_adar(graph.known, u, v)
    return cosine_scores(deepwalk(graph.known, seed=seed), u, v)
