"""Parts of the published program of Meta-Graph; numbers as in ``published.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.graph import Adjacency
from dglmeta.meta import Params
from dglmeta.nn import StackedGraphs, encode, stack_graphs
from dglmeta.tasks import FewShotBatch, LocatedPairs, Pairs, pair_logits

__all__ = ["FrozenStop", "heard_validation", "probabilities", "published_loss"]

SMALL = 1e-15
"""What the program adds to probabilities before it takes their logarithm, and clamps at."""

MAX_LOG_VARIANCE = 10.0


def heard_validation(batch: FewShotBatch) -> StackedGraphs:
    """Messages over the validation edges, from their first end to their second (2)."""
    states = []
    for graph in batch.graphs:
        u, v = graph.split.valid.T
        heard = Adjacency.from_coo(v, u, (graph.n_nodes, graph.n_nodes))
        states.append(graph.read(heard))
    return stack_graphs(states, batch.dtype).to(batch.device)


def published_loss(latent: Tensor, graphs: StackedGraphs, pairs: Pairs | LocatedPairs) -> Tensor:
    """() sum over graphs of the program's loss, in probabilities (3, 4, 6)."""
    located = pairs.at(graphs) if isinstance(pairs, Pairs) else pairs
    p = pair_logits(latent, graphs, located).sigmoid()
    right = torch.where(located.sign > 0, p, 1 - p)
    fit = -torch.dot(located.share, (right + SMALL).log())
    mu, second = latent.chunk(2, dim=1)
    log_variance = second.clamp(SMALL, MAX_LOG_VARIANCE)
    kl = -0.5 * (1 + log_variance - mu * mu - log_variance.exp()).sum(dim=1)
    return fit + torch.dot(graphs.kl_share, kl)


def probabilities(logits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Scores as the program ranks them: float32, in which 1 is reached (6)."""
    return torch.from_numpy(np.ascontiguousarray(logits, np.float32)).sigmoid().numpy()


class FrozenStop:
    """Says when an encoder stops that is watched by what it was before adaptation (7).

    Parameters
    ----------
    batch : FewShotBatch
    start, film : dict of name to tensor
        What is watched.
    patience : int
        Stop when for so many steps the loss was not below the least one.
    """

    def __init__(self, batch: FewShotBatch, start: Params, film: Params, patience: int) -> None:
        with torch.no_grad():
            self._latent = encode(start, batch.whole, film)
        self._batch, self._patience = batch, patience
        self._least, self._at = np.inf, 0

    def __call__(self, step: int, rng: np.random.Generator) -> bool:
        """Whether to stop at this step."""
        pairs = self._batch.draw_validation(rng)
        loss = float(published_loss(self._latent, self._batch.whole, pairs))
        if loss < self._least:
            self._least, self._at = loss, step
        return step - self._at >= self._patience
