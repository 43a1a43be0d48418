"""The training runs behind a table: which are there, what they came to, and how one is trained."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from dglmeta.data import Dataset, GraphDataset, load_dataset
from dglmeta.errors import DataError
from dglmeta.systems import System
from dglmeta.train import RunFolder

__all__ = [
    "Finished",
    "Run",
    "Runner",
    "Standing",
    "Trainer",
    "WEIGHT",
    "read_finished",
    "stand",
]

LENGTHS = ("epochs", "patience")
"""Settings that a run may be continued with when they have grown."""
WEIGHT = "weight of "
"""Put before a task's name, the mean weight that the best epoch gave it."""


@dataclass(frozen=True)
class Run:
    """One training: a system, its settings, data and a seed.

    Parameters
    ----------
    system : type of System
    name : str
        The folder of its seeds.
    data : str
        A registered name.
    config : System.Config
    seed, split_seed : int
    """

    system: type[System]
    name: str
    data: str
    config: Any
    seed: int
    split_seed: int = 0

    @property
    def path(self) -> Path:
        """Where it lies in the folder of all runs."""
        split = f"-split-{self.split_seed}" if self.split_seed else ""
        return Path(self.name) / f"seed-{self.seed}{split}"

    @property
    def settings(self) -> dict[str, Any]:
        """The config as files give it back: lists for tuples."""
        settings: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self.config)))
        return settings

    @property
    def what(self) -> dict[str, Any]:
        """System, data and seeds, as a run folder's config.toml has them."""
        names = {"system": self.system.name, "data": self.data}
        return {**names, "seed": self.seed, "split_seed": self.split_seed}


Runner = Callable[[Run, Path, bool], object]
"""``runner(run, folder, resume)`` trains and leaves result.json in the folder."""


class Standing(NamedTuple):
    """How far a run is, and if it is "changed", in what."""

    state: str  # "absent", "changed", "begun" or "finished"
    why: str = ""


class Finished(NamedTuple):
    """What a finished run came to."""

    metrics: dict[str, float]  # those of result.json, and the weights of tasks
    record: dict[str, Any]  # result.json


def stand(run: Run, folder: Path) -> Standing:
    """How far a run is.

    Returns
    -------
    standing : Standing
        "finished" and "begun" runs have the settings asked for. One that trained for fewer epochs
        than are asked for is "begun", one that trained for more is "changed". A finished run from
        before a setting there was has its default, and may have others of those that its config
        calls ``idle``.
    """
    if not (folder / "config.toml").is_file():
        return Standing("absent")
    files = RunFolder(folder, write=False)
    try:
        begun = files.read_config()
    except DataError:
        return Standing("changed", "for its config.toml cannot be read")
    try:
        settings = files.read_result()["config"]
        finished = True
    except (DataError, KeyError):
        settings, finished = begun["config"], False
    changes = _changes({k: begun.get(k) for k in run.what}, run.what)
    now, was = run.settings, begun["config"]
    if finished:
        usual = dataclasses.replace(run, config=type(run.config)()).settings
        was, settings = usual | was, usual | settings
    free = {*LENGTHS, *(getattr(run.config, "idle", ()) if finished else ())}
    changes |= {k: c for k, c in _changes(was, now).items() if k not in free}
    lengths = {k: c for k, c in _changes(settings, now).items() if k in LENGTHS}
    changes |= {k: (was, now) for k, (was, now) in lengths.items() if was is None or was > now}
    if changes:
        texts = (f"{k}: {a!r} -> {b!r}" for k, (a, b) in changes.items())
        return Standing("changed", f"for settings have changed: {', '.join(texts)}")
    return Standing("finished" if finished and not lengths else "begun")


def _changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = sorted(was.keys() | now.keys())
    return {k: (was.get(k), now.get(k)) for k in names if was.get(k) != now.get(k)}


def read_finished(folder: Path) -> Finished:
    """What a finished run came to.

    Raises
    ------
    DataError
        If its result.json is missing or damaged.
    """
    files = RunFolder(folder, write=False)
    record = files.read_result()
    metrics = dict(record["metrics"])
    if files.metrics.is_file():
        for line in files.metrics.read_text(encoding="utf-8").splitlines():
            epoch = json.loads(line)
            if epoch["epoch"] == record["best_epoch"]:
                weights = epoch.get("task_weights", {})
                metrics |= {f"{WEIGHT}{task}": weight for task, weight in weights.items()}
    return Finished(metrics, record)


@dataclass(frozen=True)
class Trainer:
    """The runner that trains.

    Parameters
    ----------
    data_dir : path, optional
        Folder of the data sets.
    device : {"cpu", "cuda"}
    load : callable
        ``load(name, root=data_dir)`` -> Dataset or GraphDataset. To run in several processes, a
        function that they can import.
    """

    data_dir: Path | None = None
    device: str = "cpu"
    load: Callable[..., Dataset | GraphDataset] = load_dataset

    def __call__(self, run: Run, folder: Path, resume: bool) -> None:
        """Train one run."""
        system = run.system(run.config)
        system.fit(self._data(run), **self._settings(run, folder, resume))

    def together(self, runs: Sequence[tuple[Run, Path, bool]]) -> list[BaseException | None]:
        """Train runs of one system, config and data set; what each failed by, or None."""
        first = runs[0][0]
        system = first.system(first.config)
        settings = [self._settings(*given) for given in runs]
        outcomes = system.fit_together(self._data(first), settings)
        return [o if isinstance(o, BaseException) else None for o in outcomes]

    def _data(self, run: Run) -> Dataset | GraphDataset:
        return _dataset(self.load, run.data, self.data_dir)

    def _settings(self, run: Run, folder: Path, resume: bool) -> dict[str, Any]:
        """What ``fit`` takes besides the data."""
        seeds = {"seed": run.seed, "split_seed": run.split_seed}
        return {**seeds, "out": folder, "resume": resume, "device": self.device}


@lru_cache(maxsize=1)  # runs of a row follow one another
def _dataset(
    load: Callable[..., Dataset | GraphDataset], name: str, root: Path | None
) -> Dataset | GraphDataset:
    return load(name, root=root)
