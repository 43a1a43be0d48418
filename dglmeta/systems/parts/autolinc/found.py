"""What a search for a loss found, and where it is read from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dglmeta.errors import ConfigError
from dglmeta.systems.parts.autolinc.config import PUBLISHED, Config
from dglmeta.tasks.expression import PUBLISHED_FOR, named_loss
from dglmeta.train import RunFolder
from dglmeta.train.checkpoint import load_checkpoint

__all__ = ["Found", "found_in", "known_loss"]

BORROWED = "found:"
"""What a loss begins with that an earlier run found; its folder follows."""


@dataclass(frozen=True)
class Found:
    """A loss, and how it was found.

    It is a part of the checkpoint of the training with it, so that a run that is resumed never
    goes on with another.
    """

    loss: str
    """Infix."""
    record: Mapping[str, Any]
    """For result.json."""

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Found | None:
        """What a finished run found; None if it did not search."""
        found = record.get("found")
        return None if found is None else cls(found["loss"], found)

    @classmethod
    def of_checkpoint(cls, run: RunFolder) -> Found | None:
        """What a run that was interrupted in training trains with; None if it did not get there.

        Raises
        ------
        DataError
            If the checkpoint is damaged.
        """
        if not run.checkpoint.is_file():
            return None
        part = load_checkpoint(run.checkpoint)["state"].get("found")
        return None if part is None else cls.of_record({"found": json.loads(part["record"])})

    def state_dict(self) -> dict[str, str]:
        """What a checkpoint holds."""
        return {"record": json.dumps(dict(self.record))}

    def load_state_dict(self, state: Mapping[str, str]) -> None:
        """Check that a checkpoint is of this loss.

        Raises
        ------
        ValueError
            If it is of another.
        """
        other = json.loads(state["record"])["loss"]
        if other != self.loss:
            raise ValueError(f"the loss {other!r} in the place of {self.loss!r}")


def known_loss(config: Config, data: str, out: str | Path | None = None) -> Found | None:
    """The loss, found before, of a run that does not search; None of a baseline or a formula.

    Raises
    ------
    ConfigError
        If it is to be the published one, and none was for the data and encoder; as
        :func:`found_in`.
    DataError
        As :func:`found_in`.
    """
    if config.loss == PUBLISHED:
        return _published(data, config.encoder)
    return found_in(config.loss, out)


def _published(data: str, encoder: str) -> Found:
    name = PUBLISHED_FOR.get((data, encoder))
    if name is None:
        there = ", ".join(f"{known} with {by}" for known, by in PUBLISHED_FOR)
        raise ConfigError(
            f"autolinc: expected data and an encoder that a loss was published for, got {data} "
            f"with {encoder}. There are: {there}. Or name a loss, such as autolinc:D."
        )
    loss = named_loss(name)
    return Found(loss.infix, {"loss": loss.infix, "latex": loss.latex, "published": name})


def found_in(loss: str, out: str | Path | None = None) -> Found | None:
    """What the run in the folder after "found:" found; None of other losses.

    A folder that is not there is looked for from the run's own folder ``out``, too.

    Raises
    ------
    ConfigError
        If that run did not search.
    DataError
        If there is no finished run.
    """
    if not loss.startswith(BORROWED):
        return None
    told = loss.removeprefix(BORROWED)
    folder = Path(told) if out is None or Path(told).exists() else (Path(out) / told).resolve()
    found = Found.of_record(RunFolder(folder, write=False).read_result())
    if found is None:
        raise ConfigError(
            f"autolinc: expected a run in {folder} that searched for its loss, got one that was "
            f"given it. Give what `dglmeta train autolinc --loss search --out` wrote."
        )
    return Found(found.loss, {**found.record, "from": told})
