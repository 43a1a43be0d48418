"""The folder of one training run: config.toml, metrics.jsonl, checkpoint.pt, result.json."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from dglmeta.errors import ConfigError, DataError

__all__ = ["RunFolder", "describe_environment", "peak_rss_mib"]


class RunFolder:
    """Where a run writes.

    Parameters
    ----------
    path : path
    write : bool
        Make the folder if it is absent. A folder that is only read must be there, and may be
        write-protected.

    Raises
    ------
    DataError
        If the folder cannot be made or written, or one to be read is not there.
    """

    def __init__(self, path: str | Path, *, write: bool = True) -> None:
        self.path = Path(path)
        if write:
            self._make()
        elif not self.path.is_dir():
            raise DataError(
                f"RunFolder: expected a run's folder, got {self.path}, which is not there. "
                f"Give what `dglmeta train --out` wrote."
            )

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        if not os.access(self.path, os.W_OK):
            raise self._unwritable("no permission to write")

    @property
    def checkpoint(self) -> Path:
        """checkpoint.pt, the state after the last epochs and the best one."""
        return self.path / "checkpoint.pt"

    @property
    def _config(self) -> Path:
        return self.path / "config.toml"

    @property
    def metrics(self) -> Path:
        """metrics.jsonl, one JSON object an epoch."""
        return self.path / "metrics.jsonl"

    def begin(self, what: Mapping[str, Any], settings: Mapping[str, Any], *, resume: bool) -> None:
        """Write config.toml, and clear away an earlier run unless it is to be resumed.

        Parameters
        ----------
        what : mapping
            System, data and seeds: the top of config.toml.
        settings : mapping
            The system's config: its ``[config]`` table. Text, numbers, booleans, or lists.
        resume : bool
            Keep the checkpoint; the settings must then be those it was begun with.

        Raises
        ------
        ConfigError
            If a resumed run was begun with other settings; the message names them.
        DataError
            If the folder cannot be written.
        """
        if resume and self._config.is_file():
            self.check_same(what, settings)
            return
        for path in (self.checkpoint, self.metrics, self.path / "result.json"):
            path.unlink(missing_ok=True)
        lines = [f"{k} = {_toml(v)}" for k, v in what.items()]
        lines += ["", "[config]"] + [f"{k} = {_toml(v)}" for k, v in settings.items()]
        self._write("config.toml", "\n".join(lines) + "\n")

    def check_same(self, what: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Refuse settings other than those a run in this folder was begun with, if there is one.

        The number of epochs and the patience may differ.

        Raises
        ------
        ConfigError
            Naming the settings that differ.
        DataError
            If the folder's config cannot be read.
        """
        if not self._config.is_file():
            return
        begun = self.read_config()
        now = {**what, **{f"config.{k}": _plain(v) for k, v in settings.items()}}
        was = {k: v for k, v in begun.items() if k != "config"}
        was |= {f"config.{k}": v for k, v in begun["config"].items()}
        differing = sorted(k for k in now.keys() | was.keys() if now.get(k) != was.get(k))
        differing = [k for k in differing if k not in ("config.epochs", "config.patience")]
        if differing:
            changes = ", ".join(f"{k}: {was.get(k)!r} -> {now.get(k)!r}" for k in differing)
            raise ConfigError(
                f"RunFolder: expected the settings that {self.path} was begun with, got {changes}. "
                f"Resume with the same ones, or start in a new folder."
            )

    def read_config(self) -> dict[str, Any]:
        """Read config.toml.

        Raises
        ------
        DataError
            If it is missing, not valid TOML, or not what ``begin`` wrote.
        """
        path = self._config
        try:
            begun = tomllib.loads(path.read_text(encoding="utf-8"))
            lacking = [key for key in ("system", "data", "config") if key not in begun]
            if lacking:
                raise ValueError(f"none of its {', '.join(lacking)}")
        except (OSError, ValueError) as error:
            raise DataError(
                f"RunFolder: expected a run's config at {path}, got {error}. "
                f"Give a folder that `dglmeta train --out` wrote."
            ) from error
        return begun

    def append_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Add one epoch's line.

        Raises
        ------
        DataError
            If it cannot be written, as on a full disk.
        """
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(metrics) + "\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def rewrite_metrics(self, metrics: Iterable[Mapping[str, Any]]) -> None:
        """Replace all lines, as a resumed run does with those its checkpoint knows."""
        self._write("metrics.jsonl", "".join(json.dumps(m) + "\n" for m in metrics))

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write result.json."""
        self._write("result.json", json.dumps(result, indent=2) + "\n")

    def read_result(self) -> dict[str, Any]:
        """Read result.json.

        Raises
        ------
        DataError
            If it is missing or damaged, as when the run has not finished.
        """
        path = self.path / "result.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise DataError(
                f"RunFolder: expected a finished run's {path}, got {error}. "
                f"Finish it with `dglmeta train ... --out {self.path} --resume`."
            ) from error

    def _write(self, name: str, text: str) -> None:
        """Write a file whole or not at all."""
        part = self.path / f"{name}.part"
        try:
            part.write_text(text, encoding="utf-8")
            os.replace(part, self.path / name)  # noqa: PTH105 - atomic everywhere
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, why: object) -> DataError:
        return DataError(
            f"RunFolder: expected a folder that can be written at {self.path}, got: {why}. "
            f"Choose another with --out."
        )


def describe_environment() -> dict[str, Any]:
    """Versions of what a result depends on, and the source commit where it is known."""
    names = ("dglmeta", "torch", "dgl", "numpy", "scipy", "numba")
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {"versions": versions, "commit": _commit()}


def peak_rss_mib() -> float:
    """Largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 2**10)


def _commit() -> str | None:
    """Commit of the source tree dglmeta runs from; None for an installed wheel."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def _plain(value: Any) -> Any:
    """A value as TOML gives it back."""
    return list(value) if isinstance(value, tuple) else value


def _toml(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False)
