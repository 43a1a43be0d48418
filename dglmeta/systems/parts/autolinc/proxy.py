r"""The short training that AutoLINC compares candidate losses by, many of them at once.

The graph network of the task, narrower, is trained for some epochs on projected features. All
candidates begin with the same parameters and see the same dropout, so that a candidate's outcome
does not depend on what is trained beside it. Their gradients in the logits come from one kernel.

Four times on the way validation balanced accuracy is taken, and a candidate is given up

    finite        if a loss or logit is not finite,
    monotonicity  if over the epochs so far loss and training balanced accuracy rise together
                  (Spearman's rank correlation above 0, the loss not flat),
    performance   if it is below 0.8, 0.9, 0.95 of what the tenth best had at that time.

Its reward is the greatest balanced accuracy that it had; 0 where it was given up by one of the
first two. What is not given up, and is promising, is trained on further draws of the training
nodes, and its reward is the mean. Draws differ in how hard they are, by more than good losses do,
so accuracies are first divided by how easy the draw is for three plain losses.

Source: AutoLINC, ICML 2024, section 4.3. The length of the training and the thresholds are not
published, and decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds
from scipy.stats import rankdata
from torch import Tensor

from dglmeta.nn.many_models import ManyModels, dropout_mask
from dglmeta.ops.backend import bridge_of
from dglmeta.systems.parts.autolinc.config import QUARTERS, Config
from dglmeta.systems.parts.autolinc.setup import Problem
from dglmeta.tasks.expression import Expression, ManyLosses, parse_expression
from dglmeta.train.many_adam import ManyAdam

__all__ = ["Draws", "Proxy", "Trained"]

Reals = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

LAGGING = (0.8, 0.9, 0.95)
"""Shares of the tenth best's balanced accuracy, after each part but the last."""

REFERENCE = ("(u - y)^2", "(u - y/n)^2", "(n*u - y)^2")
"""What tells how easy a draw is: plain losses, without and with regard to class sizes."""

FLAT = 1e-6
"""Relative range of a loss that does not move."""


@dataclass
class Trained:
    """How the training of a candidate went."""

    curve: list[float]
    """Validation balanced accuracy after each part it went through."""
    given_up: str = ""
    """Why it was; empty if it went to the end."""
    again: list[float] = field(default_factory=list)
    """Rewards on further draws, over how easy these are."""
    ease: float = 1.0
    """How easy the first draw is, beside the mean draw."""

    @property
    def reward(self) -> float:
        """The greatest balanced accuracy over ease, in the mean over draws, at most 1; or 0."""
        if self.given_up in ("finite", "monotonicity"):
            return 0.0
        return min(float(np.mean([max(self.curve) / self.ease, *self.again])), 1.0)


class Proxy:
    """A short training on the graph of a task.

    Parameters
    ----------
    config : Config
    problem : Problem
    seed : int
        Of the initial parameters and of dropout, alike for all candidates.
    x : (N, d_in), optional
        Features, if they were projected before.
    device : str
        Where it trains, "cpu" or "cuda".
    """

    def __init__(
        self,
        config: Config,
        problem: Problem,
        seed: int,
        x: Tensor | csr_array | None = None,
        device: str = "cpu",
    ) -> None:
        self.config, self.seed, self.device = config, seed, device
        if x is None:
            x = projected(problem.x, config.proxy_features)
        split = problem.split
        self.n_classes, self.d_in = split.n_classes, int(x.shape[1])
        self._train = problem.field(split.train.node, x, device)
        self._valid = problem.field(split.valid.node, x, device)
        self.label, self._valid_label = split.train.label, split.valid.label
        self.counts = np.bincount(self.label, minlength=self.n_classes).astype(np.float32)

    def train(self, candidates: Sequence[Expression], tenth: Sequence[float] = ()) -> list[Trained]:
        """Train candidates, each until it is given up.

        Parameters
        ----------
        candidates : sequence of Expression
            At least one.
        tenth : sequence of float
            The curve of the tenth best so far; nothing is said to lag behind where it is empty.

        Notes
        -----
        Cost, a candidate and epoch: (d_in + n_classes) proxy_d a hidden node, six times.
        """
        outcomes = [Trained([]) for _ in candidates]
        batch = _Batch.of(self, candidates)
        for quarter in range(QUARTERS):
            batch.advance(quarter)
            found = batch.balanced_accuracies()
            reason = self._reasons(quarter, batch, found, tenth)
            for k, value, why in zip(batch.number, found, reason, strict=True):
                outcomes[k].curve.append(float(value))
                outcomes[k].given_up = why
            stays = np.array([not why for why in reason])
            if not stays.any():
                break
            batch = batch if stays.all() else batch.select(stays)
        return outcomes

    def _reasons(
        self, quarter: int, batch: _Batch, found: Reals, tenth: Sequence[float]
    ) -> list[str]:
        """Why each candidate is given up, "" where it is not."""
        given_up = {
            "finite": ~np.isfinite(batch.losses).all(axis=0),
            "monotonicity": rise_together(batch.losses, batch.accuracies),
        }
        if quarter < len(LAGGING) and len(tenth) > quarter:
            given_up["performance"] = found < LAGGING[quarter] * tenth[quarter]
        asked = {why: bad for why, bad in given_up.items() if why in self.config.checks}
        return [next((why for why, bad in asked.items() if bad[k]), "") for k in range(len(found))]


class Draws:
    """The short training on several draws of the training nodes.

    Candidates that are not given up on the first are trained on the others, too, so that what is
    luck with a handful of nodes is not taken for merit.

    Attributes
    ----------
    ease : (draws,)
        What the plain losses come to on each draw, over the mean of draws.

    Parameters
    ----------
    config : Config
    problems : sequence of Problem
        Draws of one task, at least one; each has the seed after that of the one before.
    seed : int
    """

    def __init__(
        self, config: Config, problems: Sequence[Problem], seed: int, device: str = "cpu"
    ) -> None:
        x = projected(problems[0].x, config.proxy_features)
        self.proxies = [Proxy(config, p, seed + k, x, device) for k, p in enumerate(problems)]
        self.counts = self.proxies[0].counts
        self.ease = self._compared() if len(problems) > 1 else np.ones(1)

    def train(
        self, candidates: Sequence[Expression], tenth: Sequence[float] = (), bar: float = -np.inf
    ) -> list[Trained]:
        """As :meth:`Proxy.train`; curves are those of the first draw.

        Candidates go on to the next draw as long as the mean so far is above ``bar``.
        """
        (first, ease), *others = zip(self.proxies, self.ease.tolist(), strict=True)
        outcomes = first.train(candidates, tenth)
        for outcome in outcomes:
            outcome.ease = ease
        going = [k for k, outcome in enumerate(outcomes) if not outcome.given_up]
        for proxy, ease in others:
            going = [k for k in going if outcomes[k].reward > bar]
            if not going:
                break
            for k, again in zip(going, proxy.train([candidates[k] for k in going]), strict=True):
                outcomes[k].again.append(again.reward / ease)
        return outcomes

    def _compared(self) -> Reals:
        """Balanced accuracy of the plain losses on each draw, over the mean of draws."""
        plain = [parse_expression(text) for text in REFERENCE]
        reached = np.array([np.mean([max(t.curve) for t in p.train(plain)]) for p in self.proxies])
        return reached / reached.mean() if reached.all() else np.ones(len(reached))


def projected(x: csr_array, n_columns: int) -> Tensor | csr_array:
    """The leading left singular vectors of x times their values, rows of length 1 in the mean.

    x itself for 0 columns, or if it does not have more than ``n_columns``.
    """
    if not 0 < n_columns < min(x.shape):
        return x
    start = np.random.default_rng(0).standard_normal(min(x.shape))
    u, s, _ = svds(x, k=n_columns, v0=start)
    z = u * s
    z /= np.linalg.norm(z, axis=1).mean()
    return torch.from_numpy(z.astype(np.float32))


def rise_together(losses: Reals, accuracies: Reals) -> Mask:
    """(B,) whether Spearman's correlation of (T, B) losses and accuracies is above 0.

    Not where either does not move.
    """
    low, high = losses.min(axis=0), losses.max(axis=0)
    with np.errstate(invalid="ignore"):
        moves = high - low > FLAT * np.maximum(abs(low), abs(high))
    a, b = (rankdata(x, axis=0) for x in (losses, accuracies))
    together: Mask = ((a - a.mean(axis=0)) * (b - b.mean(axis=0))).sum(axis=0) > 1e-9
    return together & moves


@dataclass
class _Batch:
    """Candidates that are trained together."""

    proxy: Proxy
    number: npt.NDArray[np.int64]
    each: ManyLosses
    models: ManyModels
    optimizer: ManyAdam
    losses: Reals
    """(T, B) of the epochs so far."""
    accuracies: Reals
    """(T, B) balanced, of the training nodes under dropout."""

    @classmethod
    def of(cls, proxy: Proxy, candidates: Sequence[Expression]) -> _Batch:
        config, n = proxy.config, len(candidates)
        models = ManyModels(
            config.encoder.upper(), proxy.d_in, config.proxy_d, proxy.n_classes, n,
            seeds=[proxy.seed] * n, heads=config.n_heads,
        ).to(bridge_of(proxy.device).device_type)  # fmt: skip
        optimizer = ManyAdam(
            models.stacked(), config.proxy_lr, weight_decay=config.weight_decay,
            device=proxy.device,
        )  # fmt: skip
        each = ManyLosses(candidates, proxy.label, proxy.n_classes, proxy.device)
        none = np.empty((0, n))
        return cls(proxy, np.arange(n), each, models, optimizer, none, none)

    def select(self, stays: Mask) -> _Batch:
        """Those that stay, as they are."""
        keep = torch.from_numpy(np.flatnonzero(stays))
        models = self.models.select(keep)
        optimizer = self.optimizer.select(keep, models.stacked())
        traces = (trace[:, stays] for trace in (self.losses, self.accuracies))
        number, each = self.number[stays], self.each.select(stays)
        return _Batch(self.proxy, number, each, models, optimizer, *traces)

    def advance(self, quarter: int) -> None:
        """Train for the epochs of one part."""
        n = self.proxy.config.proxy_epochs
        first, last = (n * q // QUARTERS for q in (quarter, quarter + 1))
        found = [self._step(epoch) for epoch in range(first, last)]
        losses, accuracies = zip(*found, strict=True)
        self.losses = np.vstack([self.losses, *losses])
        self.accuracies = np.vstack([self.accuracies, *accuracies])

    def _step(self, epoch: int) -> tuple[Reals, Reals]:
        proxy, field = self.proxy, self.proxy._train
        generator = torch.Generator().manual_seed((proxy.seed << 20) + epoch)
        mask = dropout_mask(field.n_hidden, self.models.hidden, proxy.config.dropout, generator)
        logits = self.models(field, mask=mask)
        losses, slope = self.each(logits)
        self.optimizer.zero_grad()
        logits.backward(slope)
        self.optimizer.step()
        return losses, _balanced(logits.numpy(force=True), proxy.label, proxy.counts)

    def balanced_accuracies(self) -> Reals:
        """(B,) of the validation nodes."""
        proxy = self.proxy
        with torch.no_grad():
            z = self.models(proxy._valid).numpy(force=True)
        counts = np.bincount(proxy._valid_label, minlength=proxy.n_classes)
        return _balanced(z, proxy._valid_label, counts)


def _balanced(z: Reals, label: npt.NDArray[np.int64], counts: Reals) -> Reals:
    """(B,) balanced accuracies of (B, n, K) logits; 0 where one is not a number."""
    right = (z.argmax(axis=2) == label) & np.isfinite(z).all(axis=2)
    hits = right.astype(np.float64) @ np.eye(len(counts))[label]  # whole, so exact in any order
    found: Reals = (hits / np.maximum(counts, 1)).sum(axis=1) / np.count_nonzero(counts)
    return found
