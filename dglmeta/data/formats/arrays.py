"""Arrays read from files that others wrote, and what such files may be refused for."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.data.formats.tables import read_bytes
from dglmeta.errors import DataError

__all__ = ["UNREADABLE", "Arrays"]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]

UNREADABLE = (
    ValueError,
    TypeError,
    RuntimeError,
    EOFError,
    OSError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and zipfile raise about damaged files; a TypeError if it is a single array."""


@dataclass(frozen=True)
class Arrays:
    """The arrays of a file, each checked when asked for.

    Parameters
    ----------
    path : Path
        For messages.
    content : dict of str to array
    """

    path: Path
    content: dict[str, Array]

    @classmethod
    def read(cls, path: Path) -> Arrays:
        """All arrays of an .npz file, which may be gzipped; pickles are not read."""
        try:
            with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as file:
                return cls(path, {name: file[name] for name in file.files})
        except UNREADABLE as error:
            raise DataError(
                f"{path}: expected an .npz file without pickles, got one that cannot be read "
                f"({error}). Make it again."
            ) from None

    def get(self, name: str) -> Array:
        """An array of any form."""
        if name not in self.content:
            raise DataError(
                f"{self.path}: expected an array {name!r}, got {sorted(self.content)}. "
                f"Make the file again."
            )
        return self.content[name]

    def ids(self, name: str, shape: tuple[int | None, ...], limit: int | None = None) -> Ids:
        """Integers of a shape, None for any length, all from 0 to ``limit`` - 1."""
        values = self.get(name)
        fits = values.ndim == len(shape) and all(
            n in (None, m) for n, m in zip(shape, values.shape, strict=True)
        )
        if not fits or not np.issubdtype(values.dtype, np.integer):
            wanted = ", ".join("n" if n is None else str(n) for n in shape)
            raise DataError(
                f"{self.path}: expected {name} as integers of shape ({wanted}), got "
                f"{values.dtype} of shape {values.shape}. Make the file again."
            )
        values = values.astype(np.int64)
        if limit is not None:
            self.require(name, values, 0, limit)
        return values

    def require(self, name: str, ids: Ids, first: int, limit: int) -> None:
        """Refuse ids that are not from ``first`` to ``limit`` - 1."""
        wrong = (ids < first) | (ids >= limit)
        if wrong.any():
            raise DataError(
                f"{self.path}: expected ids from {first} to {limit - 1} in {name}, got "
                f"{ids[wrong][0]}. Make the file again."
            )
