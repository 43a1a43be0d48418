"""How well the embeddings of HGCVAE tell classes apart, with few labels and with none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from dglmeta.systems.parts.hgcvae.config import Config
from dglmeta.systems.parts.hgcvae.setup import State
from dglmeta.tasks.clustering import cluster_scores
from dglmeta.tasks.few_labels import classification_scores, probe_few_labels

__all__ = ["embedding_metrics", "head_metrics"]

PROBE_SEED = 0


def embedding_metrics(
    state: State, config: Config, embedded: Mapping[str, npt.NDArray[np.float32]]
) -> dict[str, float]:
    """Means of linear models for each number of labels, and of clusterings where all is labelled.

    ``micro_f1_20`` and so on: logistic regression on the embeddings, ``probe_repeats`` times, each
    metric at the step that is best by it on validation nodes. ``nmi``, ``ari``: of ten runs of
    k-means.
    """
    z = embedded[state.node_type]
    found: dict[str, float] = {}
    for behind, split in state.splits.items():
        scores = probe_few_labels(
            z, split, repeats=config.probe_repeats, seed=PROBE_SEED, lr=config.probe_lr
        )
        found |= {f"{name}{behind}": float(np.mean(values)) for name, values in scores.items()}
    labels = state.ds.labels
    if labels is not None:
        known = labels >= 0
        scores = cluster_scores(z[known], labels[known], seed=PROBE_SEED)
        found |= {name: float(np.mean(values)) for name, values in scores.items()}
    return found


def head_metrics(state: State, config: Config, split: str) -> dict[str, float]:
    """Of the trained head: what it was trained for, and on validation nodes the objective."""
    behind, parts = list(state.splits.items())[-1]
    rows = getattr(parts, split)
    logits = state.head(state.model.encode(state.near, state.x).mu[rows.node])
    scores = classification_scores(logits.cpu().numpy(), rows.label)
    found = {f"{name}{behind}": value for name, value in scores.items()}
    return found if split == "test" else {**found, "objective": scores["micro_f1"]}
