"""Where data files lie on this machine, and how missing ones are fetched and checked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dglmeta.data.formats.tables import find_file, read_bytes
from dglmeta.errors import DataError

__all__ = ["DataFile", "locate", "verify"]

ENVIRONMENT = "DGLMETA_DATA"


@dataclass(frozen=True)
class DataFile:
    """A file of a data set, as its public origin serves it.

    Parameters
    ----------
    name : str
        On this machine; ``name.gz`` will do as well.
    url : str
        Where it can be fetched, not packed; empty if it is served nowhere in this form.
    sha256 : str
        Of the unpacked content.
    origin : str
        How to come by a file without ``url``: a sentence without its full stop.
    """

    name: str
    url: str
    sha256: str
    origin: str = ""

    @property
    def how_to_get(self) -> str:
        """What to do for a good copy."""
        return self.origin or f"Fetch it again from {self.url}"


def locate(folder: str, files: Sequence[DataFile], root: str | Path | None = None) -> Path:
    """The folder that holds all files of a data set; fetched into the cache if there is none.

    Looks for ``folder`` under ``root``, then under ``$DGLMETA_DATA``, then in the user's cache, and
    takes the first that is complete. Fetched files are checked by sha256; files found are taken
    as they are (see :func:`verify`).

    Parameters
    ----------
    folder : str
    files : sequence of DataFile
    root : path, optional

    Raises
    ------
    DataError
        If ``root`` is no folder, or a file is nowhere and cannot be fetched; the message says
        where to put it.
    """
    places = []
    if root is not None:
        if not Path(root).is_dir():
            raise DataError(
                f"--data-dir: expected a folder of data sets, got {root}, which is not there. "
                f"Make it, or leave it out to use the cache."
            )
        places.append(Path(root))
    if os.environ.get(ENVIRONMENT):
        places.append(Path(os.environ[ENVIRONMENT]))
    for place in places:
        if _is_complete(place / folder, files):
            return place / folder
    cache = _cache()
    if not _is_complete(cache / folder, files):
        _fetch(folder, files, cache, places)
    return cache / folder


def verify(folder: Path, files: Sequence[DataFile]) -> None:
    """Compare the unpacked content of every file with its known sha256.

    Raises
    ------
    DataError
        Naming the first file that differs or is missing.
    """
    for file in files:
        path = find_file(folder, file.name)
        if path is None:
            raise DataError(f"{folder}: expected {file.name} or {file.name}.gz, got neither.")
        found = hashlib.sha256(read_bytes(path)).hexdigest()
        if found != file.sha256:
            raise DataError(
                f"{path}: expected content of sha256 {file.sha256}, got {found}. "
                f"{file.how_to_get}, or load it without verify."
            )


def _is_complete(folder: Path, files: Sequence[DataFile]) -> bool:
    return all(find_file(folder, file.name) for file in files)


def _cache() -> Path:
    import pooch

    return Path(pooch.os_cache("dglmeta"))


def _fetch(folder: str, files: Sequence[DataFile], cache: Path, places: Sequence[Path]) -> None:
    """Fetch what the cache lacks; no address, a wrong checksum or no network is a DataError."""
    import pooch

    folders = [place / folder for place in (*places, cache)]
    for file in files:
        if find_file(cache / folder, file.name):
            continue
        if not file.url:
            reason = f"it is not fetched by itself. {file.origin}"
            raise _missing(folder, files, folders, reason)
        try:
            pooch.retrieve(file.url, f"sha256:{file.sha256}", fname=file.name, path=cache / folder)
        except (OSError, ValueError) as error:
            reason = f"{file.url} could not be fetched ({_first_line(error)}). Fetch it yourself"
            raise _missing(folder, files, folders, reason) from error


def _missing(
    folder: str, files: Sequence[DataFile], folders: Sequence[Path], reason: str
) -> DataError:
    """What is missing first where the data set is begun, or anywhere."""
    begun = [f for f in folders if any(find_file(f, file.name) for file in files)]
    put = (begun or folders)[0]
    missing = next(file for file in files if not find_file(put, file.name))
    others = ", with the other files" if len(files) > 1 else ""
    return DataError(
        f"{folder}: expected {missing.name} or {missing.name}.gz in one of "
        f"{', '.join(map(str, folders))}{others}; it is not there, and {reason} and put it in "
        f"{put}."
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
