"""A journal of what a run has done, which survives the run being killed at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from dglmeta.errors import ConfigError, DataError

__all__ = ["Journal"]


class Journal:
    r"""JSON lines, each safely on disk before ``append`` returns: a header, then the entries.

    Parameters
    ----------
    path : path
        Begun if it is absent or empty, else read: a last line that is damaged or half-written, as
        a kill leaves it, is cut off. Its folder must be there.
    header : mapping
        What the entries depend on, such as settings and seeds.

    Raises
    ------
    ConfigError
        If the journal was begun with another header; the message names what differs.
    DataError
        If a line before the last is damaged, the file is not a journal, or it cannot be written.

    Notes
    -----
    Keys and values are kept as JSON gives them back: tuples become lists, keys text; NaN and
    infinities are allowed. One process at a time may write a journal. Opening costs a pass over the
    file and the memory of one line, appending one fsync.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "journal.jsonl"
    >>> Journal(path, {"seed": 0}).append({"rewards": (0.5, 0.25)})
    {'rewards': [0.5, 0.25]}
    >>> list(Journal(path, {"seed": 0}).entries)
    [{'rewards': [0.5, 0.25]}]
    """

    def __init__(self, path: str | Path, header: Mapping[str, Any]) -> None:
        self.path = Path(path)
        first = _line(header)
        try:
            n_lines, self._size = self._scan(first)
            self._read_until = self._size
            if n_lines == 0:
                self._begin(first)
            else:
                self._check_same(json.loads(first))
                os.truncate(self.path, self._size)
        except OSError as error:
            raise self._unwritable(error) from error

    @property
    def entries(self) -> Iterator[dict[str, Any]]:
        """The entries that were there on opening, in order, read from the file one at a time."""
        return islice(self._lines(), 1, None)

    def append(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Add an entry, and return it as it will be read back.

        Raises
        ------
        DataError
            If it cannot be written, as on a full disk, or holds what JSON cannot say.
        """
        line = _line(entry)
        try:
            self._write(line)
        except OSError as error:
            raise self._unwritable(error) from error
        return dict(json.loads(line))

    def _begin(self, header: bytes) -> None:
        self._write(header)
        self._read_until = self._size
        _sync_folder(self.path.parent)

    def _scan(self, header: bytes) -> tuple[int, int]:
        """How many whole lines there are, and where the last one ends."""
        if not self.path.exists():
            return 0, 0
        size, damaged = 0, b""
        n_lines = 0
        with self.path.open("rb") as file:
            for line in file:
                if damaged:
                    raise self._damaged(n_lines + 1, damaged)
                if _entry(line) is None:
                    damaged = line
                else:
                    n_lines, size = n_lines + 1, size + len(line)
        if n_lines == 0 and not header.startswith(damaged):
            raise self._damaged(1, damaged)
        return n_lines, size

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Header and entries, up to what was there on opening."""
        at = 0
        with self.path.open("rb") as file:
            while at < self._read_until:
                line = file.readline()
                entry = _entry(line)
                if entry is None:
                    raise DataError(
                        f"Journal: expected {self.path} as it was when opened, got another line "
                        f"{line[:60]!r}. Let nothing else write to it."
                    )
                at += len(line)
                yield entry

    def _write(self, line: bytes) -> None:
        """Put a line where the last whole one ends, over what a failed write may have left."""
        with self.path.open("r+b" if self.path.exists() else "xb") as file:
            file.truncate(self._size)
            file.seek(self._size)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._size += len(line)

    def _check_same(self, now: dict[str, Any]) -> None:
        was = next(self._lines())
        if json.dumps(was, sort_keys=True) == json.dumps(now, sort_keys=True):
            return
        keys = sorted(k for k in was.keys() | now.keys() if _differ(k, was, now))
        changes = ", ".join(f"{k}: {was.get(k)!r} -> {now.get(k)!r}" for k in keys)
        raise ConfigError(
            f"Journal: expected the settings that {self.path} was begun with, got {changes}. "
            f"Resume with the same ones, or start a new journal."
        )

    def _damaged(self, number: int, line: bytes) -> DataError:
        return DataError(
            f"Journal: expected a JSON object in line {number} of {self.path}, got {line[:60]!r}. "
            f"Only a last line may be damaged; restore the file, or start a new journal."
        )

    def _unwritable(self, why: object) -> DataError:
        return DataError(
            f"Journal: expected a file that can be written at {self.path}, got: {why}. "
            f"Choose another place, or make room."
        )


def _line(entry: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(dict(entry)).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Journal: expected what JSON can say, got: {error}. "
            f"Turn arrays and tensors into numbers and lists."
        ) from error


def _entry(line: bytes) -> dict[str, Any] | None:
    """What a line says; None for one that is damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _differ(key: str, was: dict[str, Any], now: dict[str, Any]) -> bool:
    """Compare as text, in which NaN equals NaN and 1 is not True."""
    missing = key not in was or key not in now
    return missing or json.dumps(was[key], sort_keys=True) != json.dumps(now[key], sort_keys=True)


def _sync_folder(folder: Path) -> None:
    """Make a new file's name survive a loss of power too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
