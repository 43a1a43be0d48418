"""The best candidates of AutoLINC's search, trained in full as one batch and ranked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dglmeta.kernels.cpu.expression import evaluate_expressions
from dglmeta.nn.many_models import ManyModels
from dglmeta.systems.autolinc_config import Config
from dglmeta.systems.autolinc_setup import Problem
from dglmeta.tasks.expression import Expression, compile_expressions
from dglmeta.tasks.metrics import balanced_metrics
from dglmeta.train.many_adam import ManyAdam, ManyPlateau

__all__ = ["rank_in_full"]


def rank_in_full(
    config: Config, problems: Sequence[Problem], candidates: Sequence[Expression], seed: int
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

    Returns
    -------
    ranking : list of dict
        ``loss`` and ``latex``, ``score``, the greatest mean of accuracy and macro-F1 on validation
        nodes, and the ``bacc`` that went with it, both in the mean over draws; the best score
        first, the earlier of equals. Where one overflows on the way, both are 0.
    """
    by_draw = [_best(config, p, candidates, seed + k) for k, p in enumerate(problems)]
    ranking = [
        {"loss": c.infix, "latex": c.latex}
        | {name: float(np.mean([found[name] for found in of_one])) for name in of_one[0]}
        for c, of_one in zip(candidates, zip(*by_draw, strict=True), strict=True)
    ]
    return sorted(ranking, key=lambda entry: -entry["score"])


def _best(
    config: Config, problem: Problem, candidates: Sequence[Expression], seed: int
) -> list[dict[str, float]]:
    """Score and balanced accuracy of each candidate at its best step."""
    training = _Training(config, problem, candidates, seed)
    best = [{"score": -1.0, "bacc": 0.0} for _ in candidates]
    for _ in range(config.epochs):
        training.step()
        for k, found in enumerate(training.validate()):
            if found is None:  # for good, as parameters are no numbers any more
                best[k] = {"score": 0.0, "bacc": 0.0}
            elif found["score"] > best[k]["score"]:
                best[k] = found
    return best


class _Training:
    """Candidates that are trained together."""

    def __init__(
        self, config: Config, problem: Problem, candidates: Sequence[Expression], seed: int
    ) -> None:
        self.config, self.split = config, problem.split
        self.train, self.valid = (
            problem.field(part.node) for part in (self.split.train, self.split.valid)
        )
        n = len(candidates)
        self.models = ManyModels(
            config.encoder.upper(), problem.x.shape[1], config.d, self.split.n_classes, n,
            seeds=[seed] * n, heads=config.n_heads,
        )  # fmt: skip
        self.optimizer = ManyAdam(
            self.models.stacked(), lr=config.lr, weight_decay=config.weight_decay
        )
        self.plateau = ManyPlateau(self.optimizer, factor=0.5, patience=config.plateau)
        self.programs = compile_expressions(candidates)
        label = self.split.train.label
        self.one_hot = np.eye(self.split.n_classes, dtype=np.float32)[label]
        self.counts = self.one_hot.sum(axis=0)
        self.generator = torch.Generator().manual_seed(seed)

    def step(self) -> None:
        """One step of each."""
        logits = self.models(self.train, dropout=self.config.dropout, generator=self.generator)
        _, slope = evaluate_expressions(
            *self.programs, logits.detach().numpy(), self.one_hot, self.counts
        )
        self.optimizer.zero_grad()
        logits.backward(torch.from_numpy(slope / slope[0].size))
        self.optimizer.step()

    def validate(self) -> list[dict[str, float] | None]:
        """Score and balanced accuracy of each, if finite; step sizes follow cross-entropy."""
        with torch.no_grad():
            logits = self.models(self.valid)
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
