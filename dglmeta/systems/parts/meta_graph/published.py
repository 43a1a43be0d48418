r"""Meta-Graph as its authors' program does it: ``protocol="paper"``, for their printed tables.

It departs from the paper, and from what we stand for, in these places:

1. The number of adaptation steps is the best on the *test* edges, one for all graphs.
2. The outer loss passes messages over the validation edges it asks about, in one direction, and
   reads the signature off them.
3. Nothing is sampled: the embedding is its mean, in training too.
4. The last layer's second half is clamped to [0, 10] and taken for a log variance in the
   divergence, so that it has no gradient below 0.
5. Edges are split anew whenever a graph is looked at in training, so that in the end all of a
   training graph's edges were shown.
6. Losses and scores are of probabilities in float32: beyond |logit| 17 they are ties, and have no
   gradient.
7. Fine-tuned and fresh encoders stop by the validation loss of the encoder as it was *before*
   adaptation, which changes only with the negatives drawn.
8. Negatives may be loops.
9. The inner steps see psi as a constant, and the factor of clipping too; with ``order=1`` psi does
   not learn at all.

Its files also overwrite a curve by its last value when they stop early; that is not repeated here.

Source: facts of the program as listed in the project's notes on arXiv 1912.09867.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from dglmeta.data import few_shot_split
from dglmeta.meta import Params, detach, one_per_task, parameters_of, unrolled_gradient
from dglmeta.nn import encode
from dglmeta.systems.parts.meta_graph.quirks import heard_validation, published_loss
from dglmeta.systems.parts.meta_graph.setup import State, edge_seed, prepare_graph
from dglmeta.tasks import FewShotBatch, FewShotGraph

if TYPE_CHECKING:
    from dglmeta.systems.meta_graph import MetaGraph

__all__ = ["published_epoch"]


def published_epoch(system: MetaGraph, state: State, rng: np.random.Generator) -> Iterator[None]:
    """Go through the training graphs, their edges split anew each time (5)."""
    config = system.config
    for _ in range(config.passes):
        order = rng.permutation(state.split.train)
        for some in np.array_split(order, -(-len(order) // config.graphs)):
            graphs = [_split_anew(system, state, int(k), rng) for k in some]
            batch = FewShotBatch(graphs, loops=True, device=state.device)
            published_step(system, state, batch, rng)
            yield


def published_step(
    system: MetaGraph, state: State, batch: FewShotBatch, rng: np.random.Generator
) -> None:
    """One step on theta and psi; changes ``state``."""
    config = system.config
    steps = config.inner_steps if system.method.inner else 0
    known = [batch.draw_training(k, rng).at(batch.fold(k)) for k in range(steps)]
    heard = heard_validation(batch)
    held_out = batch.draw_validation(rng).at(heard)
    constant: Params = {}
    signature: Params = {}
    if state.signature is not None:
        constant = detach(state.signature(batch.whole))
        signature = state.signature(heard)
        if config.order == 1:
            signature = detach(signature)  # (9)

    def inner(phi: Params, _film: Params, k: int) -> Tensor:
        return published_loss(encode(phi, batch.whole, constant), batch.whole, known[k])

    def outer(phi: Params, film: Params) -> Tensor:
        return published_loss(encode(phi, heard, film), heard, held_out)

    result = unrolled_gradient(
        inner,
        outer,
        one_per_task(parameters_of(state.model), len(batch)),
        signature,
        steps=steps,
        lr=config.inner_lr,
        clip=config.clip,
        mask=config.moved(parameters_of(state.model)),
        order=config.order,
        constant_conditions=True,
        constant_clip=True,
    )
    state.learn(result, signature, len(batch), config.clip)


def _split_anew(
    system: MetaGraph, state: State, number: int, rng: np.random.Generator
) -> FewShotGraph:
    graph = state.ds.graphs[number]
    seed = edge_seed(int(rng.integers(2**31)), number)
    split = few_shot_split(graph, system.config.train_fraction, seed=seed)
    return prepare_graph(system.config, state.ds, number, split)
