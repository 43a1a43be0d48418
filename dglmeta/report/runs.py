"""What training runs left in their folders, and which of them are alike."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dglmeta.errors import DataError
from dglmeta.train import RunFolder

__all__ = ["KINDS", "Group", "Run", "group_runs"]

BY_TASK = ("train_loss", "task_weights", "hint_weights")
KINDS = ("system", "data", "strategy", "encoder", "method", "loss")
MAX_SETTING = 60


@dataclass(frozen=True)
class Run:
    """What a run left in its folder.

    Parameters
    ----------
    path : Path
    config : dict
        config.toml.
    epochs : list of dict
        metrics.jsonl.
    result : dict, optional
        result.json; None of a run that has not finished.
    notes : tuple of str
        What a reader must know about it.
    """

    path: Path
    config: dict[str, Any]
    epochs: list[dict[str, Any]]
    result: dict[str, Any] | None
    notes: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Run:
        """Read a run's folder.

        Raises
        ------
        DataError
            If it is none, or one of its files is damaged. A last line that was cut off while it
            was written is only noted.
        """
        folder = RunFolder(path, write=False)
        config = folder.read_config()
        epochs, notes = _read_metrics(folder.metrics)
        result = folder.read_result() if (folder.path / "result.json").exists() else None
        if result is None:
            notes.append(
                "This run is not finished: it has no result.json, so there are no test metrics. "
                "Finish it with dglmeta train and --resume."
            )
        elif not isinstance(result.get("metrics"), dict):
            raise DataError(
                f"report: expected metrics in {folder.path / 'result.json'}, got none. "
                f"Train the run again."
            )
        elif len(epochs) != result.get("epochs", len(epochs)):
            notes.append(
                f"metrics.jsonl has {len(epochs)} epochs and result.json is about "
                f"{result['epochs']}: the run went on, or lines were lost."
            )
        return cls(Path(path), config, epochs, result, tuple(notes))

    @property
    def facts(self) -> dict[str, Any]:
        """What it ran on and how, in text."""
        config, system = self.config["config"], self.config["system"]
        names = ["strategy", "encoder", "method", "protocol"]
        if system == "autolinc":  # of others it is one setting among many
            names.insert(3, "loss")
        if config.get("method") == system:  # which then has a variant; no baseline has
            names.insert(3, "variant")
        kinds = {k: config[k] for k in names if k in config}
        return {"system": system, "data": self.config["data"], **kinds}

    @property
    def title(self) -> str:
        """One line that tells runs apart."""
        facts = {k: v for k, v in self.facts.items() if k not in ("data", "protocol")}
        kind = " ".join(dict.fromkeys(map(str, facts.values())))
        split = self.config.get("split_seed")
        seed = f"seed {self.config.get('seed', 'unknown')}" + (f", split {split}" if split else "")
        return f"{kind} on {self.facts['data']}, {seed}"

    @cached_property
    def best(self) -> int | None:
        """The best epoch: the result's, or so far by validation AUC, or by the first metric."""
        if self.result is not None and "best_epoch" in self.result:
            return int(self.result["best_epoch"])
        names = [k for e in self.epochs for k in e if k.startswith("valid_")]
        monitor = "valid_auc" if "valid_auc" in names else next(iter(names), "")
        told = [e for e in self.epochs if math.isfinite(e.get(monitor, math.nan))]
        return max(told, key=lambda e: e[monitor])["epoch"] if told else None

    @property
    def metrics(self) -> dict[str, float]:
        """The result's metrics; of an unfinished run none."""
        return dict(self.result["metrics"]) if self.result is not None else {}


@dataclass(frozen=True)
class Group:
    """Runs on one data set that differ by their seeds only.

    Parameters
    ----------
    name : str
        What sets them apart from other groups on the data set.
    data : str
    runs : list of Run
    """

    name: str
    data: str
    runs: list[Run]


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Put runs together that differ by their seeds only.

    A group is named by those of system, strategy, encoder, method and loss that differ between any
    runs, and by the settings in which it differs from groups that are equal in those.
    """
    telling = [k for k in KINDS if k != "data" and len({r.facts.get(k) for r in runs}) > 1]
    alike: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        kind = json.dumps([run.facts.get(k) for k in KINDS])
        settings = json.dumps(run.config["config"], sort_keys=True)
        alike.setdefault(kind, {}).setdefault(settings, []).append(run)
    groups: list[Group] = []
    for by_settings in alike.values():
        configs = [members[0].config["config"] for members in by_settings.values()]
        apart = sorted({k for c in configs for k in c if any(c[k] != o.get(k) for o in configs)})
        for members, config in zip(by_settings.values(), configs, strict=True):
            facts = members[0].facts
            words = [str(facts[k]) for k in telling or ("strategy",) if k in facts]
            own = [_shortened(f"{k} {_plain(config.get(k))}") for k in apart]
            name = ", ".join([" ".join(words) or facts["system"], *own])
            if any((g.name, g.data) == (name, facts["data"]) for g in groups):
                name += f" ({len(groups) + 1})"
            groups.append(Group(name, facts["data"], members))
    return groups


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SETTING else f"{text[: MAX_SETTING - 3]}..."


def _read_metrics(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The epochs, and notes on what is missing of them."""
    if not path.is_file():
        return [], ["metrics.jsonl is not there, so there are no curves."]
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"report: expected to read {path}, got {error}.") from error
    epochs = []
    for number, line in enumerate(lines, 1):
        try:
            epochs.append(_checked(json.loads(line)))
        except ValueError as error:
            if number == len(lines) and isinstance(error, json.JSONDecodeError):
                return epochs, [
                    f"The last line of metrics.jsonl, number {number}, is damaged, as when a run "
                    f"is killed while it writes. It is left out."
                ]
            raise DataError(
                f"report: expected a JSON object an epoch in {path}, got in line {number}: "
                f"{error}. Mend the line or train the run again."
            ) from error
    return epochs, []


def _checked(line: Any) -> dict[str, Any]:
    """A line whose known keys have the shape they should; null is not a number.

    Raises
    ------
    ValueError
        Saying which has not.
    """
    if not isinstance(line, dict) or not isinstance(line.get("epoch"), int):
        raise ValueError("no object with a whole number as epoch")
    kept = dict(line)
    for key, value in line.items():
        if key.startswith("valid_"):
            kept[key] = _number(key, value)
        elif key in BY_TASK:
            kept[key] = {task: _number(key, v) for task, v in _items(key, value)}
        elif key == "weighting":
            kept[key] = _checked_curves(value)
    return kept


def _checked_curves(value: Any) -> dict[str, Any]:
    parts = dict(_items("weighting", value))
    loss = _numbers("weighting.loss", parts.get("loss"))
    curves = {
        task: {label: _numbers(f"weighting of {task}", v) for label, v in _items(task, by_label)}
        for task, by_label in _items("weighting.curves", parts.get("curves"))
    }
    if any(len(v) != len(loss) for by_label in curves.values() for v in by_label.values()):
        raise ValueError(f"weighting: expected {len(loss)} values a curve, as many as losses")
    return {"loss": loss, "curves": curves}


def _items(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise ValueError(f"{name}: expected an object, got {type(value).__name__}")
    yield from value.items()


def _numbers(name: str, value: Any) -> list[float]:
    if not isinstance(value, list):
        raise ValueError(f"{name}: expected a list, got {type(value).__name__}")
    return [_number(name, v) for v in value]


def _number(name: str, value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name}: expected a number, got {value!r}")
    return float(value)
