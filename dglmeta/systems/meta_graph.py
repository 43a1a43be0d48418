r"""Meta-Graph: few-shot link prediction, learned over many graphs.

Of a new graph few edges are known. A graph auto-encoder with parameters phi is to predict the
others after K steps of gradient descent on the known ones, and what is learned over the training
graphs is where to begin, theta, and how a graph's signature should modulate the encoder, psi:

    s_G = psi(G),    phi_0 = theta,    phi_{k+1} = phi_k - alpha d L_train(phi_k, s_G) / d phi,

    min over (theta, psi) of  sum_G L_valid(phi_K, s_G)                          (Algorithm 1).

L is the negative evidence bound of pairs, z_u . z_v the logit of one. The outer gradient goes
through the K steps, in theta and in psi, by Hessian-vector products (:mod:`dglmeta.meta.unrolled`);
all graphs of a step are computed at once, each with parameters of its own.

Known edges are asked about in folds, with messages over the other known ones; held-out edges with
messages over all known ones.

Source: Bose et al., arXiv 1912.09867. The published program does otherwise in places, see
:mod:`dglmeta.systems.parts.meta_graph.published`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.data import Dataset, GraphDataset
from dglmeta.errors import ConfigError
from dglmeta.meta import Params, one_per_task, parameters_of, unrolled_gradient
from dglmeta.nn import StackedGraphs, encode
from dglmeta.systems.base import System
from dglmeta.systems.parts.meta_graph.adapt import Path, adapt, embeddings, test_metrics
from dglmeta.systems.parts.meta_graph.config import METHODS, Config, Method
from dglmeta.systems.parts.meta_graph.findings import describe_adaptation, describe_signatures
from dglmeta.systems.parts.meta_graph.heuristics import HEURISTICS, heuristic_metrics
from dglmeta.systems.parts.meta_graph.published import published_epoch
from dglmeta.systems.parts.meta_graph.setup import State, begin
from dglmeta.tasks import FewShotBatch, LocatedPairs, evidence_loss

__all__ = ["MetaGraph"]

KEPT = 5
"""Inner steps whose graphs are kept for the way back: a quarter faster, and bounded in memory."""


class MetaGraph(System):
    """Meta-learned few-shot link prediction.

    Examples
    --------
    >>> import dglmeta as dm
    >>> config = MetaGraph.Config(epochs=1, adapt_steps=5, train_fraction=0.3)
    >>> result = MetaGraph(config).fit(dm.load_dataset("toy-graphs"), seed=0)
    >>> sorted(result.metrics)[:3]
    ['test_ap', 'test_ap_5_steps', 'test_auc']
    """

    name = "meta-graph"
    monitor = "valid_auc"
    many_graphs = True
    Config = Config
    config: Config

    @property
    def method(self) -> Method:
        """What the configured method switches on."""
        return METHODS[self.config.method]

    def init(self, ds: Dataset | GraphDataset, seed: int, split_seed: int) -> State:
        """Prepared graphs, theta and psi.

        Raises
        ------
        DataError
            If the data set is a single graph.
        """
        return begin(self.config, ds, seed, split_seed, self.device)

    def epoch(self, state: State, rng: np.random.Generator) -> Iterator[None]:
        """Go through the training graphs some times, a few at once."""
        state.losses.clear()
        if not self.method.trains:
            return
        if self.config.protocol == "paper":
            yield from published_epoch(self, state, rng)
            return
        for _ in range(self.config.passes):
            order = rng.permutation(state.split.train)
            for some in np.array_split(order, -(-len(order) // self.config.graphs)):
                self.step(state, state.batch(some), rng)
                yield

    def step(self, state: State, batch: FewShotBatch, rng: np.random.Generator) -> None:
        """One step on theta and psi; changes ``state``."""
        config = self.config
        steps = config.inner_steps if self.method.inner else 0
        known = [batch.draw_training(k, rng).at(batch.fold(k)) for k in range(steps)]
        held_out = batch.draw_validation(rng).at(batch.whole)
        signature = {} if state.signature is None else state.signature(batch.whole)

        def loss(phi: Params, film: Params, graphs: StackedGraphs, pairs: LocatedPairs) -> Tensor:
            return evidence_loss(encode(phi, graphs, film), graphs, pairs, minus=config.minus)

        result = unrolled_gradient(
            lambda phi, film, k: loss(phi, film, batch.fold(k), known[k]),
            lambda phi, film: loss(phi, film, batch.whole, held_out),
            one_per_task(parameters_of(state.model), len(batch)),
            signature,
            steps=steps,
            lr=config.inner_lr,
            clip=config.clip,
            mask=config.moved(parameters_of(state.model)),
            order=config.order,
            kept=KEPT,
        )
        state.learn(result, signature, len(batch), config.clip)

    def adapt(self, state: State, batch: FewShotBatch) -> Path:
        """Descend from theta on each graph of a batch."""
        with torch.no_grad():
            film = {} if state.signature is None else state.signature(batch.whole)
        theta = parameters_of(state.model)
        return adapt(batch, theta, film, self.config)

    def evaluate(self, state: State, split: str) -> dict[str, float]:
        """How well the test edges of the valid or test graphs are told from non-edges, on average.

        Each graph is adapted on its known edges, and its validation edges say after how many steps
        it is judged; ``_5_steps`` is after five.
        """
        graphs = [state.graphs[k] for k in getattr(state.split, split)]
        if self.config.method in HEURISTICS:
            at_best = at_five = heuristic_metrics(self.config.method, state, split)
        else:
            batch = state.batch(getattr(state.split, split))
            path = state.paths[split] = self.adapt(state, batch)
            at_best, at_five = (
                test_metrics(graphs, embeddings(batch, phi, path.film), minus=self.config.minus)
                for phi in (path.best, path.early)
            )
        late = {f"{split}_{name}": value for name, value in at_best.items()}
        return late | {f"{split}_{name}_5_steps": value for name, value in at_five.items()}

    def embed(self, state: State) -> dict[str, npt.NDArray[np.float32]]:
        """(n, d) embeddings of every test graph's nodes, by its name, each where it fits best.

        Raises
        ------
        ConfigError
            If the method embeds nothing.
        """
        if self.config.method in HEURISTICS:
            raise ConfigError(
                f"meta-graph: expected a method that trains an encoder to embed nodes, got "
                f"{self.config.method!r}. Train another."
            )
        batch = state.batch(state.split.test)
        path = self.adapt(state, batch)
        z = embeddings(batch, path.best, path.film)
        return {state.names[k]: rows for k, rows in zip(state.split.test, z, strict=True)}

    def log(self, state: State) -> dict[str, Any]:
        """The mean outer loss of the epoch."""
        return {"outer_loss": float(np.mean(state.losses))} if state.losses else {}

    def findings(self, state: State) -> dict[str, Any]:
        """How each test graph was predicted on the way of adaptation; the graphs' signatures."""
        found = {
            "adaptation": describe_adaptation(state),
            "signatures": describe_signatures(state),
        }
        return {name: value for name, value in found.items() if value}
