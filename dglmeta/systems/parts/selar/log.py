"""What an epoch of SELAR says of itself: losses by task, and how V and V_H weigh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dglmeta.meta import parameters_of

if TYPE_CHECKING:
    from dglmeta.systems.parts.selar.state import State
    from dglmeta.systems.selar import SELAR
    from dglmeta.tasks import JointBatch

__all__ = ["describe_epoch"]

LOSSES = [0.25 * k for k in range(21)]
"""Where the weighting curves are read: losses in nats."""


def describe_epoch(system: SELAR, state: State, batch: JointBatch) -> dict[str, object]:
    """What metrics.jsonl holds beside metrics, from the epoch's last batch.

    ``train_loss``: mean loss by task. Of weighted strategies ``task_weights``: mean weight by task
    relative to the primary one's, and ``weighting``: V of a sample's loss, by task and label. With
    hints ``hint_weights``: the learner's mean share of the mixed logits by task.
    """
    terms, rows = system.terms(state, batch), state.tasks.rows
    with torch.no_grad():
        o = terms.outputs(state.weights(batch.view))
        c = terms.coefficients(o, parameters_of(state.weighing))
        alone = c.clone()
        alone[0] = 1
        loss = terms.losses(o, alone)
        said: dict[str, object] = {"train_loss": _by_task(state, rows, loss)}
        if system.strategy.weighted:
            weight = _by_task(state, rows, c[0])
            primary = weight[state.tasks.names[0]]
            said["task_weights"] = {t: round(v / primary, 4) for t, v in weight.items()}
            said["weighting"] = _curves(state)
        if system.strategy.hints:
            share = _by_task(state, rows, c[1])
            hinted = {task.name for task in state.tasks.auxiliary_pairs}
            said["hint_weights"] = {t: v for t, v in share.items() if t in hinted}
    return said


def _by_task(state: State, rows: list[int], values: Tensor) -> dict[str, float]:
    """Mean of (n,) values by task, the primary one first."""
    means = dict(zip(rows, values.view(len(rows), -1).mean(1).tolist(), strict=True))
    return {name: round(means[t], 4) for t, name in enumerate(state.tasks.names)}


def _curves(state: State) -> dict[str, object]:
    """V over a grid of losses, by task and label."""
    tasks, weighter = state.tasks, state.weighing.weighter
    loss = torch.tensor(LOSSES, device=tasks.device)
    curves = {}
    for row, t in enumerate(tasks.rows):
        which = torch.full_like(loss, t, dtype=torch.int64)
        labels = (0, 1) if row < tasks.n_pair_tasks else (1,)
        curves[tasks.names[t]] = {
            str(y): [
                round(v, 4)
                for v in weighter(weighter.describe(loss, torch.full_like(loss, y), which)).tolist()
            ]
            for y in labels
        }
    return {"loss": LOSSES, "curves": curves}
