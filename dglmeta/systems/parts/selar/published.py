"""SELAR's published program: ``protocol="paper"``, for comparison with the printed tables.

It differs from Algorithm 1, and from what we stand for, in these points, all kept here:

- the training pairs are dealt into folds once; a step draws a batch and a meta batch of every fold,
  and one more batch for w; what runs out begins anew;
- pairs come in the order of users, never shuffled;
- the pairs asked about, and the meta pairs, stay among the edges that messages run on;
- the look-ahead moves embeddings and the primary head, and leaves the encoder where it is;
- neighbours are sampled in training and in evaluation, which is therefore noisy;
- hub nodes hear and do not speak, and negatives count when they are chosen.

Not kept: iteration counts that outrun the data, rows beyond which no batch was ever drawn, and
networks rebuilt at random in each fold.

Source: the program that goes with Hwang et al., arXiv 2007.08294, read for what it computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import torch

from dglmeta.data.splits import k_folds
from dglmeta.meta import Linearization, Params, descend, hypergradient, parameters_of
from dglmeta.systems.parts.selar.log import describe_epoch
from dglmeta.tasks import LinkPrediction, link_metrics

if TYPE_CHECKING:
    from dglmeta.systems.parts.selar.state import State
    from dglmeta.systems.selar import SELAR

__all__ = ["published_epoch", "published_metrics"]

Ids = npt.NDArray[np.int64]

SEED = 777
"""Of the folds, fixed for a run."""


def published_epoch(system: SELAR, state: State, rng: np.random.Generator) -> Iterator[None]:
    """One pass over the training pairs."""
    config = system.config
    rows = _by_user(state)
    size = min(config.batch, len(rows))
    folds = _folds(len(rows), config.folds)
    inner = [_batches(rows[np.setdiff1d(np.arange(len(rows)), c)], size) for c in folds]
    meta = [_batches(rows[c], size) for c in folds]
    every = _batches(rows, size)
    for _ in range(max(len(rows) // size, 1)):
        if system.strategy.weighted:
            pairs = list(zip(map(next, inner), map(next, meta), strict=True))
            _learn_weighing(system, state, pairs, rng)
        batch = state.tasks.draw(next(every), rng)
        terms = system.terms(state, batch)
        at = Linearization(terms.outputs, state.weights(batch.view))
        system.descend(state, batch.view, terms, at)
        if state.averaged is not None:
            state.averaged.update_parameters(state.model)
        yield
    state.progress = describe_epoch(system, state, batch)


def _learn_weighing(
    system: SELAR, state: State, drawn: list[tuple[Ids, Ids]], rng: np.random.Generator
) -> None:
    """Move Theta by the mean over folds, each with a batch and a meta batch of its own."""
    theta = parameters_of(state.weighing)
    total = {name: torch.zeros_like(p) for name, p in theta.items()}
    for rows, meta_rows in drawn:
        # One graph holds both: embeddings of rows in use are shared by look-ahead and meta loss.
        both = np.concatenate([rows, meta_rows])
        batch = state.tasks.draw(both, rng)
        terms = system.terms(state, batch)
        w = state.weights(batch.view)
        asked = torch.arange(len(rows), len(both))
        look = hypergradient(
            *terms[:3], [terms.fold(asked)], w, theta, lr=_published_sizes(system, w)
        )
        for name, g in look.gradients.items():
            total[name] += g / len(drawn)
    descend(state.weighing_optimizer, state.weighing, total)


def _published_sizes(system: SELAR, w: Params) -> Params:
    """Step sizes of the look-ahead: none for the encoder and the auxiliary heads."""
    sizes = {}
    for name, p in w.items():
        size = torch.zeros_like(p)
        if name == "embedding":
            size += system.config.lr
        elif name.startswith("heads."):
            size[0] = system.config.lr  # heads are stacked; the primary one comes first
        sizes[name] = size
    return sizes


def published_metrics(state: State, part: str, size: int = 1024) -> dict[str, float]:
    """AUC, AP and F1 of a part of the split, by sampled neighbourhoods."""
    asked = cast(LinkPrediction, state.primary).asked(part)
    rng, logits = np.random.default_rng(SEED), []
    for begin in range(0, len(asked), size):
        rows = np.arange(begin, min(begin + size, len(asked)))
        batch = state.tasks.around(state.tasks.samples_of(asked, rows), rows[:0], rng)
        located = state.locate(state.messages(batch.view), batch.view, batch.samples)
        with torch.no_grad():
            model = state.judged
            w = dict(model.named_parameters())
            if model.features is None:
                w["embedding"] = model.embedding[batch.view.nodes]
            (s,) = torch.func.functional_call(model, w, (located,))
        logits.append(s.numpy())
    return link_metrics(np.concatenate(logits), asked.rows.label)


def _by_user(state: State) -> Ids:
    """Numbers of the training rows in the order of users, positives first."""
    rows = state.primary.training.rows
    return np.lexsort((rows.dst, -rows.label, rows.src))


def _folds(n: int, n_folds: int) -> list[Ids]:
    """Places of each fold; one fold is the first of three."""
    return list(k_folds(n, max(n_folds, 3) if n_folds == 1 else n_folds, seed=SEED))[:n_folds]


def _batches(rows: Ids, size: int) -> Iterator[Ids]:
    """Batches in order, without end; what is left over of a pass is passed over."""
    size = min(size, len(rows))
    while True:
        for begin in range(0, len(rows) - size + 1, size):
            yield rows[begin : begin + size]
