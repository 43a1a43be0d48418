r"""SAME: one set of node embeddings that serves several tasks.

An encoder is learned, with a head for each task, such that its embeddings, frozen, serve a linear
model for classes of graphs, classes of nodes and links alike. To learn several tasks at once they
are not put against each other: in every episode each task tau adapts a copy of the parameters of
its own to its support set, and the starting point is moved so that all do well on their targets:

    theta_tau = theta - alpha d L_tau(support, theta) / d theta,

    min over theta of  sum_tau lambda_tau L_tau(target, theta_tau).                 (Algorithm 1)

iSAME adapts everything (implicit: embeddings move with the task); eSAME the heads alone (explicit:
they do not), which takes one pass through the encoder. Gradients of second order are exact, by
Hessian-vector products (:mod:`dglmeta.meta.unrolled`).

Source: Buffelli and Vandin, arXiv 2201.03326. The published program does otherwise in places, see
:mod:`dglmeta.systems.parts.same.published`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from dglmeta.data import Dataset, GraphDataset
from dglmeta.meta import (
    Params,
    gradient,
    leaves,
    one_per_task,
    parameters_of,
    unrolled_gradient,
)
from dglmeta.nn.multi_task import answer, encode_tasks
from dglmeta.systems.base import Result, System
from dglmeta.systems.parts.same.config import VARIANTS, Config, Variant
from dglmeta.systems.parts.same.judge import embed_graphs, head_metrics, probe_metrics
from dglmeta.systems.parts.same.setup import State, begin
from dglmeta.tasks.episodes import Episode, Part

__all__ = ["SAME"]

TOGETHER_BELOW = 2048
"""Width times graphs of an episode up to which runs in one step are quicker than in turn."""


class SAME(System):
    """Multi-task embeddings by single-task adaptation.

    Examples
    --------
    >>> import dglmeta as dm
    >>> config = SAME.Config(variant="esame", d=16, batch=8, epochs=2)
    >>> result = SAME(config).fit(dm.load_dataset("toy-graphs"), seed=0)
    >>> sorted(result.metrics)[:3]
    ['test_gc_accuracy', 'test_lp_auc', 'test_nc_accuracy']
    """

    name = "same"
    monitor = "valid_score"
    many_graphs = True
    Config = Config
    config: Config

    @property
    def variant(self) -> Variant:
        """What the configured variant switches on."""
        return VARIANTS[self.config.variant]

    def init(self, ds: Dataset | GraphDataset, seed: int, split_seed: int) -> State:
        """Graphs as rows, an encoder and heads.

        Raises
        ------
        DataError
            If the data set is a single graph, or lacks the labels of a task.
        """
        return begin(self.config, ds, seed, split_seed, self.device)

    def epoch(self, state: State, rng: np.random.Generator) -> Iterator[None]:
        """Go through the training graphs some times, an episode at a time."""
        state.losses.clear()
        if not self.variant.trains:
            return
        if self.variant.pretrains and not state.optimizer.state:
            for _ in range(self.config.pretrain_passes):
                for episode in state.every_task.draw(state.split.train, rng):
                    self.step(state, episode)
                    yield
        for _ in range(self.config.passes):
            for episode in state.episodes.draw(state.split.train, rng):
                self.step(state, episode)
                yield

    def step(self, state: State, episode: Episode) -> None:
        """One step on theta; changes ``state``."""
        here = episode.to(state.device)
        loss, found = self.outer_gradient(state, parameters_of(state.model), here)
        state.learn(found, float(loss))

    def outer_gradient(
        self, state: State, theta: Params, episode: Episode
    ) -> tuple[Tensor, Params]:
        """Outer loss, and its gradient in theta."""
        if not self.variant.adapts:
            return self.plain(state, theta, episode)
        way = self.explicit if self.variant.adapts == "heads" else self.implicit
        return way(state, theta, episode)

    def implicit(self, state: State, theta: Params, episode: Episode) -> tuple[Tensor, Params]:
        """Outer loss and gradient where everything adapts (iSAME).

        Each task has an encoder of its own, and a head that no other reads.
        """
        encoder, heads = _apart(theta)
        n_tasks, n_models = len(episode.tasks), episode.target.graphs.n_models
        own = {} if self.variant.together else one_per_task(encoder, n_tasks)
        if n_models > 1:
            own = {name: p.flatten(0, 1) for name, p in own.items()}
        result = unrolled_gradient(
            lambda phi, _, k: self.loss(state, phi, episode, episode.support),
            lambda phi, _: self.loss(state, phi, episode, episode.target, outer=True),
            {**encoder, **own, **heads},
            {},
            steps=self.config.inner_steps,
            lr=self.config.inner_lr,
            order=self.config.order,
            kept=1,
        )
        summed = {name: result.start[name].view(n_tasks, *p.shape).sum(0)
                  for name, p in encoder.items() if name in own}  # fmt: skip
        return result.loss, {**result.start, **summed}

    def explicit(self, state: State, theta: Params, episode: Episode) -> tuple[Tensor, Params]:
        """Outer loss and gradient where the heads adapt (eSAME), by one pass of the encoder.

        Each task reads its own head only, so each descends on its own whether their losses are
        added up or not.
        """
        encoder, heads = _apart(theta)
        encoder = leaves(encoder)
        z = encode_tasks(encoder, episode.target.graphs, state.form)
        result = unrolled_gradient(
            lambda phi, s, k: self.loss(state, phi, episode, episode.support, z=s["z"]),
            lambda phi, s: self.loss(state, phi, episode, episode.target, z=s["z"], outer=True),
            heads,
            {"z": z},
            steps=self.config.inner_steps,
            lr=self.config.inner_lr,
            order=self.config.order,
            kept=1,
        )
        return result.loss, {**gradient(z, encoder, result.conditions["z"]), **result.start}

    def plain(self, state: State, theta: Params, episode: Episode) -> tuple[Tensor, Params]:
        """Loss and gradient where nothing adapts."""
        at = leaves(theta)
        loss = self.loss(state, at, episode, episode.target, outer=True)
        return loss.detach(), gradient(loss, at)

    def loss(
        self,
        state: State,
        params: Mapping[str, Tensor],
        episode: Episode,
        part: Part,
        *,
        z: Tensor | None = None,
        outer: bool = False,
    ) -> Tensor:
        """Sum over tasks of what a part asks; times lambda in an outer loss."""
        if z is None:
            z = encode_tasks(params, part.graphs, state.form)
        total = z.new_zeros(())
        for position, task in enumerate(episode.tasks):
            if task not in part.questions:
                continue
            question = part.questions[task]
            logits = answer(
                task, params, z, part.graphs, position, question,
                additive=state.model.additive, pooling=state.pooling,
            )  # fmt: skip
            weight = self.config.weight(task) if outer and task in self.config.tasks else 1.0
            total = total + weight * state.task_loss(task, logits, question)
        return total

    def evaluate(self, state: State, split: str) -> dict[str, float]:
        """How well the graphs of a split are served, by task, and the mean of that.

        Frozen embeddings: a linear model is fitted to the training graphs. Links are asked about
        with embeddings that heard none of them.
        """
        judge = probe_metrics if self.config.measured_by == "probe" else head_metrics
        found = judge(state, self.config, split)
        found["score"] = float(np.mean(list(found.values())))
        return {f"{split}_{name}": value for name, value in found.items()}

    def embed(self, state: State) -> dict[str, npt.NDArray[np.float32]]:
        """(n, d) embeddings of the nodes of every graph, by its name."""
        z = embed_graphs(state, state.whole)
        parts = np.split(z, state.rows.node_ptr[1:-1])
        return dict(zip(state.ds.graph_names, parts, strict=True))

    @property
    def runs_at_once(self) -> int:
        """Ten while a step's calls cost more than its arithmetic."""
        return 10 if self.config.d * self.config.batch <= TOGETHER_BELOW else 1

    def fit_together(
        self, ds: Dataset | GraphDataset, runs: Sequence[Mapping[str, Any]]
    ) -> list[Result | BaseException]:
        """As :meth:`System.fit_together`, a step of all at once."""
        from dglmeta.systems.parts.same.together import fit_together

        return fit_together(self.config, ds, runs)

    def log(self, state: State) -> dict[str, Any]:
        """The mean outer loss of the epoch."""
        return {"outer_loss": float(np.mean(state.losses))} if state.losses else {}


def _apart(theta: Params) -> tuple[Params, Params]:
    """Parameters of the encoder, and of the heads."""
    encoder = {name: p for name, p in theta.items() if name.startswith("encoder.")}
    return encoder, {name: p for name, p in theta.items() if name not in encoder}
