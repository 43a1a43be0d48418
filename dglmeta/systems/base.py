"""What every system's ``fit`` returns, and how it is written down."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from dglmeta.data import Dataset, GraphDataset
from dglmeta.errors import ConfigError
from dglmeta.systems.checks import check_device
from dglmeta.train import History, RunFolder, describe_environment, fit, peak_rss_mib, restore

__all__ = ["Result", "System"]

PRECISIONS = ("highest", "high")
"""Of float32 products, as torch calls them; its "medium" rounds to bfloat16, too coarse here."""


@dataclasses.dataclass(frozen=True)
class Result:
    """A trained system.

    Parameters
    ----------
    metrics : dict of str to float
        Final metrics, each behind ``valid_`` or ``test_``.
    record : dict
        What result.json holds: settings, metrics, times, memory, versions.
    history : History
        Metrics of every epoch.
    embed : callable
        ``embed()`` -> dict of node type to (n, d) float32 embeddings.
    evaluate : callable
        ``evaluate("test")`` -> metrics of that split.
    """

    metrics: Mapping[str, float]
    record: Mapping[str, Any]
    history: History
    embed: Callable[[], dict[str, npt.NDArray[np.float32]]]
    evaluate: Callable[[str], dict[str, float]]

    def save(self, path: str | Path) -> None:
        """Write result.json and embeddings.npz into a folder."""
        folder = RunFolder(path)
        folder.write_result(self.record)
        np.savez_compressed(folder.path / "embeddings.npz", **self.embed())  # type: ignore[arg-type]


class System(abc.ABC):
    """A published method: what it is set to, how it begins, one epoch, how it is judged.

    A new system is one file with a subclass of this; training, checkpoints, run folders and the
    command line come with it. ``State`` is the system's own: whatever changes in training, with
    its modules and optimisers under ``parts``.
    """

    name: str
    """As the command line and result.json call it."""
    monitor: str
    """The validation metric that early stopping maximises."""
    Config: type
    """Frozen dataclass of settings; has ``epochs`` and ``patience``."""
    many_graphs: ClassVar[bool] = False
    """Whether it learns from data sets of many graphs, and not from a single one."""

    def __init__(self, config: Any = None) -> None:
        self.config = config if config is not None else self.Config()
        self.device = "cpu"

    @abc.abstractmethod
    def init(self, ds: Dataset | GraphDataset, seed: int, split_seed: int) -> Any:
        """The state before the first step."""

    @abc.abstractmethod
    def epoch(self, state: Any, rng: np.random.Generator) -> Iterator[None]:
        """Train for one epoch, yielding after each step; all chance comes from ``rng``."""

    @abc.abstractmethod
    def evaluate(self, state: Any, split: str) -> dict[str, float]:
        """Metrics of ``valid`` or ``test``, each name behind ``valid_`` or ``test_``."""

    @abc.abstractmethod
    def embed(self, state: Any) -> dict[str, npt.NDArray[np.float32]]:
        """(n, d) embeddings by node type."""

    def log(self, state: Any) -> dict[str, Any]:
        """What else of an epoch belongs into metrics.jsonl."""
        del state
        return {}

    def findings(self, state: Any) -> dict[str, Any]:
        """What else a finished run has to tell, for result.json."""
        del state
        return {}

    def fit(
        self,
        ds: Dataset | GraphDataset,
        *,
        seed: int = 0,
        split_seed: int = 0,
        out: str | Path | None = None,
        resume: bool = False,
        device: str = "cpu",
        precision: str = "highest",
    ) -> Result:
        """Train to the best validation epoch and test once.

        Parameters
        ----------
        ds : Dataset, or GraphDataset for what learns from many graphs
        seed, split_seed : int
            Initialisation and draws; the split.
        out : path, optional
            Run folder for config.toml, metrics.jsonl, checkpoint.pt and result.json.
        resume : bool
            Continue the run in ``out``.
        device : {"cpu", "cuda"}
            Where it is computed. Draws are the same, but for noise where a system says so; sums are
            rounded otherwise.
        precision : {"highest", "high"}
            Of dense products of float32: "high" lets a GPU round their factors to TF32. Sums over
            edges, losses and optimisers keep float32 either way.

        Raises
        ------
        DataError, ConfigError, DeviceError
            If the data lacks what the system needs, a setting contradicts it, or the device is
            not there.
        """
        self.device = check_device(device)
        if precision not in PRECISIONS:
            raise ConfigError(f"precision: expected one of {PRECISIONS}, got {precision!r}.")
        run = None if out is None else RunFolder(out)
        what = {"system": self.name, "data": ds.name, "seed": seed, "split_seed": split_seed}
        settings = dataclasses.asdict(self.config)
        if run is not None and resume:
            run.check_same(what, settings)
        state = self.init(ds, seed, split_seed)
        if run is not None:  # only now, for it clears an earlier run away
            run.begin(what, settings, resume=resume)
        training = _Training(self, state, seed)
        with _matmul_precision(precision):
            history = fit(
                training,
                epochs=self.config.epochs,
                patience=self.config.patience,
                monitor=self.monitor,
                run=run,
                resume=resume,
                description=f"{self.name} {ds.name}",
            )
        metrics = {**self.evaluate(state, "valid"), **self.evaluate(state, "test")}
        record = self._record(ds, seed, split_seed, metrics, history, state)
        if run is not None:
            run.write_result(record)
        return Result(
            metrics,
            record,
            history,
            embed=lambda: self.embed(state),
            evaluate=lambda split: self.evaluate(state, split),
        )

    @property
    def runs_at_once(self) -> int:
        """How many runs of these settings are best trained together in one process."""
        return 1

    def fit_together(
        self, ds: Dataset | GraphDataset, runs: Sequence[Mapping[str, Any]]
    ) -> list[Result | BaseException]:
        """Several runs of these settings, which may differ in all else that ``fit`` takes.

        Parameters
        ----------
        ds : Dataset or GraphDataset
        runs : sequence of mappings
            What :meth:`fit` takes besides the data, for each run.

        Returns
        -------
        outcomes : list of Result or error
            In their order. One that fails leaves the others to go on.
        """
        return [self._attempt(ds, settings) for settings in runs]

    def _attempt(
        self, ds: Dataset | GraphDataset, settings: Mapping[str, Any]
    ) -> Result | BaseException:
        try:
            return self.fit(ds, **settings)
        except Exception as failure:
            return failure

    def load(self, ds: Dataset | GraphDataset, run: RunFolder, *, device: str = "cpu") -> Result:
        """The best state of a finished run, ready to evaluate and embed."""
        self.device = check_device(device)
        record = run.read_result()
        state = self.init(ds, record["seed"], record["split_seed"])
        restore(_Training(self, state, record["seed"]), run)
        return Result(
            record["metrics"],
            record,
            History(),
            embed=lambda: self.embed(state),
            evaluate=lambda split: self.evaluate(state, split),
        )

    def _record(
        self,
        ds: Dataset | GraphDataset,
        seed: int,
        split_seed: int,
        metrics: Mapping[str, float],
        history: History,
        state: Any,
    ) -> dict[str, Any]:
        """The contents of result.json."""
        settings = dataclasses.asdict(self.config)
        learned = [
            part
            for part in state.parts.values()
            if isinstance(part, nn.Module) and not isinstance(part, AveragedModel)
        ]
        return {
            "system": self.name,
            "data": ds.name,
            "device": self.device,
            "protocol": "clean",
            **{
                k: settings[k]
                for k in ("encoder", "strategy", "method", "variant", "protocol")
                if k in settings
            },
            "seed": seed,
            "split_seed": split_seed,
            "metrics": dict(metrics),
            "best_epoch": history.best_epoch,
            "epochs": history.epochs,
            "steps": history.steps,
            "seconds_per_step": history.seconds_per_step,
            "seconds_total": history.seconds_total,
            "peak_rss_mib": peak_rss_mib(),
            "n_parameters": sum(p.numel() for m in learned for p in m.parameters()),
            "config": settings,
            **self.findings(state),
            **describe_environment(),
        }


class _Training:
    """A system and its state, as the training loop wants them."""

    def __init__(self, system: System, state: Any, seed: int) -> None:
        self.system, self.state, self.seed = system, state, seed

    def train_epoch(self, epoch: int) -> Iterator[None]:
        return self.system.epoch(self.state, np.random.default_rng([self.seed, epoch]))

    def validate(self) -> dict[str, float]:
        return self.system.evaluate(self.state, "valid")

    def log(self) -> dict[str, Any]:
        return self.system.log(self.state)

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self.state.parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self.state.parts.items():
            part.load_state_dict(state[name])


@contextmanager
def _matmul_precision(precision: str) -> Iterator[None]:
    """Torch's setting, put back afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
