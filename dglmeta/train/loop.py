"""The one loop that every system trains in."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from dglmeta.errors import ConfigError, DataError
from dglmeta.train.checkpoint import load_checkpoint, save_checkpoint
from dglmeta.train.run import RunFolder

__all__ = ["History", "Trainable", "fit", "restore"]

# A checkpoint may cost at most this share of the time since the one before.
CHECKPOINT_SHARE = 0.05


class Trainable(Protocol):
    """What the loop needs of a system's training state."""

    def train_epoch(self, epoch: int) -> Iterator[None]:
        """Run one epoch, yielding after each step; all chance comes from the seed and ``epoch``."""

    def validate(self) -> dict[str, float]:
        """Metrics on the validation split, behind ``valid_``."""

    def log(self) -> dict[str, Any]:
        """Whatever else of the last epoch belongs into metrics.jsonl."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes in training: nested dicts of tensors and numbers."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` gave."""


@dataclass
class History:
    """How a training run went."""

    best_epoch: int = -1
    best_value: float = -np.inf
    epochs: int = 0
    steps: int = 0
    seconds_total: float = 0.0
    step_seconds: list[float] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds_per_step(self) -> dict[str, float]:
        """Median, 10th and 90th percentile of the steps of this process."""
        p10, median, p90 = np.percentile(self.step_seconds or [0.0], [10, 50, 90])
        return {"median": float(median), "p10": float(p10), "p90": float(p90)}


def fit(
    trainable: Trainable,
    *,
    epochs: int,
    patience: int,
    monitor: str,
    run: RunFolder | None = None,
    resume: bool = False,
    description: str = "train",
) -> History:
    """Train until ``epochs``, or until ``monitor`` has not risen for ``patience`` epochs.

    The best state is restored at the end. With a run folder every epoch is written to
    metrics.jsonl and the state to checkpoint.pt, so that a run stopped by Ctrl-C or by force
    continues with ``resume`` to exactly the metrics it would have reached.

    Parameters
    ----------
    trainable : Trainable
        Changed in place.
    epochs, patience : int
        Both >= 1.
    monitor : str
        Name of the validation metric to maximise.
    run : RunFolder, optional
        Where to log and checkpoint; nothing is written when absent.
    resume : bool
        Continue from the folder's checkpoint; start afresh if there is none.
    description : str
        Shown beside the progress bar, which appears on a terminal only.

    Raises
    ------
    ConfigError
        If ``epochs`` or ``patience`` is below 1.
    DataError
        If the monitored metric is not a number, or the checkpoint is damaged.
    """
    if min(epochs, patience) < 1:
        raise ConfigError(
            f"fit: expected epochs and patience of at least 1, got {epochs} and {patience}."
        )
    history = History()
    best = copy.deepcopy(trainable.state_dict())
    if resume and run is not None and run.checkpoint.is_file():
        history, best = _continue(trainable, run)
    clock = _CheckpointClock()
    start = time.perf_counter() - history.seconds_total
    bar = tqdm(
        total=epochs,
        initial=history.epochs,
        desc=description,
        unit="epoch",
        disable=not sys.stderr.isatty(),
    )
    with bar:
        while history.epochs < epochs and history.epochs - history.best_epoch <= patience:
            _run_epoch(trainable, history)
            metrics = trainable.validate()
            value = metrics[monitor]
            if not np.isfinite(value):
                raise DataError(f"fit: expected a finite {monitor}, got {value}. Lower the rate.")
            if value > history.best_value:
                history.best_value, history.best_epoch = value, history.epochs
                best = copy.deepcopy(trainable.state_dict())
            history.metrics.append({"epoch": history.epochs, **metrics, **trainable.log()})
            history.epochs += 1
            history.seconds_total = time.perf_counter() - start
            if run is not None:
                run.append_metrics(history.metrics[-1])
                if clock.is_due():
                    with clock:
                        save_checkpoint(run.checkpoint, _snapshot(trainable, history, best))
            bar.set_postfix_str(f"{monitor} {value:.4f}, best {history.best_value:.4f}")
            bar.update()
    if run is not None:
        save_checkpoint(run.checkpoint, _snapshot(trainable, history, best))
    trainable.load_state_dict(best)
    return history


def _run_epoch(trainable: Trainable, history: History) -> None:
    """One epoch, each step timed."""
    begun = time.perf_counter()
    for _ in trainable.train_epoch(history.epochs):
        now = time.perf_counter()
        history.step_seconds.append(now - begun)
        history.steps += 1
        begun = now


def _snapshot(trainable: Trainable, history: History, best: dict[str, Any]) -> dict[str, Any]:
    return {
        "state": trainable.state_dict(),
        "best": best,
        "history": {
            "best_epoch": history.best_epoch,
            "best_value": history.best_value,
            "epochs": history.epochs,
            "steps": history.steps,
            "seconds_total": history.seconds_total,
            "metrics": history.metrics,
        },
    }


def restore(trainable: Trainable, run: RunFolder) -> None:
    """Put the best state of a run into ``trainable``.

    Raises
    ------
    DataError
        If the checkpoint is missing, damaged, or of another configuration.
    """
    saved = load_checkpoint(run.checkpoint)
    _load(trainable, saved, "best", run)


def _continue(trainable: Trainable, run: RunFolder) -> tuple[History, dict[str, Any]]:
    """Put the last state back, and cut metrics.jsonl to the epochs it knows."""
    saved = load_checkpoint(run.checkpoint)
    _load(trainable, saved, "state", run)
    history = History(**saved["history"])
    run.rewrite_metrics(history.metrics)
    return history, saved["best"]


def _load(trainable: Trainable, saved: dict[str, Any], which: str, run: RunFolder) -> None:
    try:
        trainable.load_state_dict(saved[which])
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"checkpoint: expected {run.checkpoint} to fit this configuration, got {error}. "
            f"Use the settings and data the run was begun with, or start in a new folder."
        ) from error


class _CheckpointClock:
    """Says when the next checkpoint is due, so that writing stays a small share of the time."""

    def __init__(self) -> None:
        self._last, self._cost = -np.inf, 0.0

    def is_due(self) -> bool:
        return time.perf_counter() - self._last >= self._cost / CHECKPOINT_SHARE

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, *_error: object) -> None:
        self._last = time.perf_counter()
        self._cost = self._last - self._begun
