r"""SELAR: auxiliary tasks on the graph itself, weighted sample by sample.

A model w (node embeddings, an encoder, one head a task) learns a primary task beside T auxiliary
ones, such as predicting which nodes a meta-path joins. A small network V with parameters Theta says
how much each training sample counts. With l_i the loss of sample i, n samples, of which B primary,

    L(w, Theta) = 1/n sum_i v_i l_i(w),     v_i = V(xi_i; Theta) / ( 1/B sum_primary V(xi; Theta) ),

xi_i = [loss, task, label] taken as constants. One step of training (Algorithm 1):

1. for each fold c of the primary samples, look ahead without it:  w_c = w - lr dL_c/dw;
2. move Theta down the gradient of  mean_c (mean loss of fold c at w_c);
3. move w down the gradient of L(w, Theta) over all samples, with the new Theta.

With hints, l_i of an auxiliary pair is that of the logit  c_i m_i + (1 - c_i) h_i  of the learner
and of a hint network that sees hub nodes; c_i = V_H([learner's loss, hint's loss, task, label]),
and Theta holds V_H too.

Step 2 needs Jacobian-vector products only (:mod:`dglmeta.meta.hypergradient`), and the three share
one forward pass at w. The edges a batch asks about leave the graph that messages run on.

Source: Hwang et al., arXiv 2007.08294. Folds split each batch, as in Algorithm 1; the published
program does otherwise, see :mod:`dglmeta.systems.parts.selar.published`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.func import functional_call

from dglmeta.data import Dataset
from dglmeta.meta import (
    Fold,
    Linearization,
    Params,
    adam_step_sizes,
    descend,
    hypergradient,
    parameters_of,
)
from dglmeta.nn import Located, Samples, mix
from dglmeta.systems.base import System
from dglmeta.systems.parts.selar.config import STRATEGIES, Config, Strategy
from dglmeta.systems.parts.selar.log import describe_epoch
from dglmeta.systems.parts.selar.published import published_epoch, published_metrics
from dglmeta.systems.parts.selar.setup import begin, can_replay
from dglmeta.systems.parts.selar.state import State
from dglmeta.tasks import JointBatch, View, binary_losses
from dglmeta.train import Replay

__all__ = ["SELAR", "Config"]

Outputs: TypeAlias = Callable[[Params], Tensor]


class Terms(NamedTuple):
    """A batch as functions of w and Theta; samples of all tasks in one row, task after task."""

    outputs: Outputs
    """w -> (k, n): the learner's logits, and with hints those of the hint networks; for samples
    with a class, their losses."""
    coefficients: Callable[..., Tensor]
    """outputs, Theta[, gamma] -> (k, n): weights v, and with hints the learner's shares c."""
    losses: Callable[[Tensor, Tensor], Tensor]
    """outputs, coefficients -> (n,): v_i l_i."""
    fold: Callable[[Tensor], Fold]
    """Places among the primary samples -> the fold that leaves them out."""


class SELAR(System):
    """Self-supervised auxiliary learning with meta-paths.

    Examples
    --------
    >>> import dglmeta as dm
    >>> config = SELAR.Config(strategy="multi-task", batch=8, epochs=2)
    >>> result = SELAR(config).fit(dm.load_dataset("toy"), seed=0)
    >>> sorted(result.metrics)[:3]
    ['test_ap', 'test_auc', 'test_f1']
    """

    name = "selar"
    monitor = "valid_auc"
    Config = Config
    config: Config

    @property
    def strategy(self) -> Strategy:
        """What the configured strategy switches on."""
        return STRATEGIES[self.config.strategy]

    def step(self, state: State, batch: JointBatch, rng: np.random.Generator) -> None:
        """One step of training; changes ``state``."""
        held_out: list[Tensor] = []
        if self.strategy.weighted:
            held_out = split_folds(batch.n_samples, self.config.folds, apart(rng))
        held_out = [c.to(self.device) for c in held_out]
        keep = state.dropout(batch.view, self.config.dropout, rng)
        if state.replay is None:
            self.learn(state, batch, held_out, keep)
        else:
            state.replay(*batch.samples, batch.view.edge_weight, *held_out)
        if state.averaged is not None:
            state.averaged.update_parameters(state.model)

    def learn(
        self, state: State, batch: JointBatch, held_out: Sequence[Tensor], keep: Tensor | None
    ) -> None:
        """Algorithm 1 on one batch, whose folds leave out these primary samples."""
        terms = self.terms(state, batch, keep)
        w, theta = state.weights(batch.view), parameters_of(state.weighing)
        if self.strategy.weighted:
            folds = [terms.fold(c) for c in held_out]
            moved = [name for name in w if not name.startswith("hints.")]  # no fold sees hints
            lr = self._look_ahead_lr(state)
            look = hypergradient(*terms[:3], folds, w, theta, lr=lr, moved=moved)
            descend(state.weighing_optimizer, state.weighing, look.gradients)
            at = look.at
        else:
            at = Linearization(terms.outputs, w)
        self.descend(state, batch.view, terms, at)

    def descend(self, state: State, view: View, terms: Terms, at: Linearization) -> None:
        """Step 3: move w down the gradient of L with Theta as it is now."""
        with torch.no_grad():
            theta = parameters_of(state.weighing)
            c = terms.coefficients(at.value, theta, self.config.attenuation)
        s = at.value.clone().requires_grad_()
        (slope,) = torch.autograd.grad(terms.losses(s, c).mean(), s)
        state.move(at.pullback(slope), view)

    def terms(self, state: State, batch: JointBatch, keep: Tensor | None = None) -> Terms:
        """L and the folds' losses at a batch."""
        samples, rows = batch.samples, state.tasks.rows
        n_pairs, label, of_task = samples.label.numel(), batch.label, state.tasks.of_task(batch)
        has_hint = (of_task > 0) & (torch.arange(len(of_task), device=self.device) < n_pairs)
        messages = state.messages(batch.view)

        def outputs_at(located: Located) -> Outputs:
            return lambda w: functional_call(state.model, w, (located,))

        def each(o: Tensor) -> Tensor:
            """(n,) losses of one row of outputs."""
            return torch.cat([binary_losses(o[:n_pairs], label[:n_pairs]), o[n_pairs:]])

        def losses(o: Tensor, c: Tensor) -> Tensor:
            return c[0] * each(mix(o[0], o[1], c[1]) if len(o) > 1 else o[0])

        def coefficients(o: Tensor, theta: Params, gamma: float = 1.0) -> Tensor:
            if not self.strategy.weighted:
                return torch.ones_like(o)
            logit, shares = o[0], []
            if self.strategy.hints:
                xi = state.weighing.mixer.describe(each(o[0]), each(o[1]), label, of_task)
                c = functional_call(state.weighing, theta, ("mixer", xi, gamma))
                shares = [torch.where(has_hint, c, 1.0)]
                logit = mix(o[0], o[1], shares[0])
            xi = state.weighing.weighter.describe(each(logit), label, of_task)
            v = functional_call(state.weighing, theta, ("weighter", xi)).view(len(rows), -1)
            v = relative(v, rows.index(0), self.config.normaliser)
            return torch.stack([v.flatten(), *shares])

        def fold(left_out: Tensor) -> Fold:
            alone = batch.primary(left_out)
            outputs = outputs_at(state.locate(messages, batch.view, alone, keep))

            def meta_loss(w: Params) -> Tensor:
                (o,) = outputs(w)
                return (binary_losses(o, alone.label[0]) if len(alone.label) else o).mean()

            return Fold(rows.index(0) * batch.n_samples + left_out, meta_loss)

        located = state.locate(messages, batch.view, samples, keep, hints=self.strategy.hints)
        return Terms(outputs_at(located), coefficients, losses, fold)

    def _look_ahead_lr(self, state: State) -> float | Params:
        sizes = None
        if self.config.look_ahead == "adam":
            sizes = adam_step_sizes(state.optimizer, state.model)
        return self.config.lr if sizes is None else sizes

    def init(self, ds: Dataset, seed: int, split_seed: int) -> State:
        """Split the data, label the auxiliary tasks, initialise w and Theta."""
        state = begin(self.config, ds, seed, split_seed, self.device)
        self.monitor = f"valid_{state.primary.monitor}"
        if self.device == "cuda" and can_replay(self.config):

            def learn(*tensors: Tensor) -> None:
                n, tasks = len(Samples._fields), state.tasks
                view = View(tasks.graph, tensors[n])
                batch = JointBatch(Samples(*tensors[:n]), view, tasks.primary_has_classes)
                self.learn(state, batch, tensors[n + 1 :], None)

            state.replay = Replay(learn)
        return state

    def epoch(self, state: State, rng: np.random.Generator) -> Iterator[None]:
        """One pass over the primary samples."""
        if self.config.protocol == "paper":
            yield from published_epoch(self, state, rng)
            return
        for batch in state.tasks.epoch(self.config.batch, rng):
            self.step(state, batch, rng)
            yield
        state.progress = describe_epoch(self, state, batch)

    def evaluate(self, state: State, split: str) -> dict[str, float]:
        """Metrics of a split, by the whole training graph; nothing is sampled."""
        with torch.no_grad():
            if self.config.protocol == "paper":
                metrics = published_metrics(state, split)
            else:
                whole = state.messages(state.tasks.whole)
                metrics = state.primary.judge(state.judged, whole, state.tasks, split)
        return {f"{split}_{name}": value for name, value in metrics.items()}

    def embed(self, state: State) -> dict[str, npt.NDArray[np.float32]]:
        """(n, d) embeddings of every node type."""
        with torch.no_grad():
            z = state.judged.everywhere(state.messages(state.tasks.whole)).cpu().numpy()
        return state.tasks.by_type(z)

    def log(self, state: State) -> dict[str, object]:
        """Losses by task in the epoch's last batch; how V, and V_H, weigh the tasks."""
        return state.progress


def relative(v: Tensor, primary: int = 0, normaliser: str = "primary") -> Tensor:
    """(T + 1, B) weights over the mean weight of the primary task's row, or of their own task.

    With "task" V chooses among the samples of a task and can turn no task down.
    """
    mean = v.mean(1, keepdim=True)  # (T + 1, 1)
    return v / ((mean if normaliser == "task" else mean[primary : primary + 1]) + 1e-8)


def split_folds(n: int, n_folds: int, rng: np.random.Generator) -> list[Tensor]:
    """Which of ``n`` primary samples each fold holds out; one fold holds out a third."""
    groups = torch.from_numpy(rng.permutation(n) % (3 if n_folds == 1 else n_folds))
    return [(groups == c).nonzero().squeeze(1) for c in range(n_folds)]


def apart(rng: np.random.Generator) -> np.random.Generator:
    """A stream of its own, which leaves ``rng`` where it is.

    Folds are split by it, so that with or without weights a seed gives the same batches.
    """
    return np.random.Generator(cast(np.random.PCG64, rng.bit_generator).jumped())
