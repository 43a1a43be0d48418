"""The best candidates of AutoLINC's search, trained in full as one batch and ranked.

They are trained on a quarter of the draws; the better half goes on to the next quarter, and the
better half of these to the rest, so that most of the work is spent on what is hard to tell apart.

Source: AutoLINC, ICML 2024, for full training of the best; successive halving is Karnin, Koren and
Somekh's (Almost optimal exploration in multi-armed bandits, ICML 2013).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from dglmeta.nn.many_models import ManyModels
from dglmeta.ops.backend import bridge_of
from dglmeta.systems.parts.autolinc.config import Config
from dglmeta.systems.parts.autolinc.setup import Problem
from dglmeta.tasks.expression import Expression, ManyLosses
from dglmeta.tasks.metrics import balanced_metrics
from dglmeta.train.many_adam import ManyAdam, ManyPlateau

__all__ = ["rank_in_full"]

STILL = 500
"""Steps after which candidates are taken to be done, if none of them was better than before."""


def rank_in_full(
    config: Config,
    problems: Sequence[Problem],
    candidates: Sequence[Expression],
    seed: int,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Train candidates as the task asks for, and put them in order of validation.

    Parameters
    ----------
    config : Config
    problems : sequence of Problem
        Draws of the task; each has the seed after that of the one before.
    candidates : sequence of Expression
        At least one.
    seed : int
        Of initial parameters and dropout, alike for all.
    device : str
        Where they train, "cpu" or "cuda".

    Returns
    -------
    ranking : list of dict
        ``loss`` and ``latex``, ``score``, the greatest mean of accuracy and macro-F1 on validation
        nodes, and the ``bacc`` that went with it, both in the mean over the ``draws`` it was
        trained on; those trained on most draws first, among them the greatest bacc, the earlier of
        equals. Where one overflows on the way, both are 0.
    """
    found: list[list[dict[str, float]]] = [[] for _ in candidates]
    going = list(range(len(candidates)))
    with tqdm(total=len(problems), desc="finals", unit="draw", disable=None) as bar:
        for first, last in _stages(len(problems)):
            for k in range(first, last):
                some = [candidates[g] for g in going]
                of_draw = _best(config, problems[k], some, seed + k, device)
                for g, of_one in zip(going, of_draw, strict=True):
                    found[g].append(of_one)
                bar.update()
            better = sorted(going, key=lambda g: -_mean(found[g])["bacc"])
            going = sorted(better[: -(-len(better) // 2)])
    ranking = [
        {"loss": c.infix, "latex": c.latex, "draws": len(of_one), **_mean(of_one)}
        for c, of_one in zip(candidates, found, strict=True)
    ]
    return sorted(ranking, key=lambda entry: (-entry["draws"], -entry["bacc"]))


def _stages(n_draws: int) -> list[tuple[int, int]]:
    """A quarter of the draws, the next, and the rest; those of no draw are left out."""
    ends = [0, -(-n_draws // 4), -(-n_draws // 2), n_draws]
    return [(first, last) for first, last in itertools.pairwise(ends) if first < last]


def _mean(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each number."""
    return {name: float(np.mean([of_draw[name] for of_draw in found])) for name in found[0]}


def _best(
    config: Config, problem: Problem, candidates: Sequence[Expression], seed: int, device: str
) -> list[dict[str, float]]:
    """Score and balanced accuracy of each candidate at its best step."""
    training = _Training(config, problem, candidates, seed, device)
    best = [{"score": -1.0, "bacc": 0.0} for _ in candidates]
    latest = 0
    for epoch in range(config.epochs):
        training.step()
        for k, found in enumerate(training.validate()):
            if found is None:  # for good, as parameters are no numbers any more
                best[k] = {"score": 0.0, "bacc": 0.0}
            elif found["score"] > best[k]["score"]:
                best[k], latest = found, epoch
        if epoch - latest >= min(STILL, config.patience):
            break
    return best


class _Training:
    """Candidates that are trained together."""

    def __init__(
        self,
        config: Config,
        problem: Problem,
        candidates: Sequence[Expression],
        seed: int,
        device: str,
    ) -> None:
        self.config, self.split = config, problem.split
        self.train, self.valid = (
            problem.field(part.node, device=device) for part in (self.split.train, self.split.valid)
        )
        n = len(candidates)
        self.models = ManyModels(
            config.encoder.upper(), problem.x.shape[1], config.d, self.split.n_classes, n,
            seeds=[seed] * n, heads=config.n_heads,
        ).to(bridge_of(device).device_type)  # fmt: skip
        self.optimizer = ManyAdam(
            self.models.stacked(), config.lr, weight_decay=config.weight_decay, device=device
        )
        self.plateau = ManyPlateau(self.optimizer, factor=0.5, patience=config.plateau)
        self.losses = ManyLosses(candidates, self.split.train.label, self.split.n_classes, device)
        self.generator = torch.Generator().manual_seed(seed)

    def step(self) -> None:
        """One step of each."""
        logits = self.models(self.train, dropout=self.config.dropout, generator=self.generator)
        _, slope = self.losses(logits)
        self.optimizer.zero_grad()
        logits.backward(slope)
        self.optimizer.step()

    def validate(self) -> list[dict[str, float] | None]:
        """Score and balanced accuracy of each, if finite; step sizes follow cross-entropy."""
        with torch.no_grad():
            logits = self.models(self.valid).cpu()
        label = torch.from_numpy(self.split.valid.label)
        errors = [cross_entropy(z, label) for z in logits]
        self.plateau.step(torch.stack(errors))
        return [_scores(z, self.split.valid.label) for z in logits]


def _scores(z: Tensor, label: npt.NDArray[np.int64]) -> dict[str, float] | None:
    if not bool(torch.isfinite(z).all()):
        return None
    found = balanced_metrics(z.numpy(), label)
    accuracy = float((z.numpy().argmax(axis=1) == label).mean())
    return {"score": (accuracy + found["macro_f1"]) / 2, "bacc": found["bacc"]}
