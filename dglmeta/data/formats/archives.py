"""Zip files of others, read into memory and refused where they are not safe."""

from __future__ import annotations

import gzip
import stat
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, cast

from dglmeta.data.formats.arrays import UNREADABLE
from dglmeta.errors import DataError

__all__ = ["unzip"]

MOST_UNPACKED = 2**32
MOST_RATIO = 100
ALWAYS_ALLOWED = 2**20
"""Bytes. Public archives of graphs as text unpack to between 3 and 10 times their size."""


def unzip(path: Path, wanted: Collection[str]) -> dict[str, bytes]:
    """The content of the files wanted of an archive, by name, in whatever folders they lie.

    Nothing is written to disk, and nothing is unpacked but these files. Together they may unpack
    to ``MOST_RATIO`` times the archive's size, or to ``ALWAYS_ALLOWED``, and never to more than
    ``MOST_UNPACKED``; no more is held in memory than they say they are.

    Parameters
    ----------
    path : Path
        Of a zip file, which may be gzipped once more.
    wanted : collection of str
        Names of files, without folders. What is not there is left out.

    Raises
    ------
    DataError
        If the archive cannot be read, or a file wanted is there twice, leads out of the archive by
        its name, is a link, is encrypted, is packed by another method than the usual one, is not
        as long as it says, or unpacks to too much.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     path = Path(place) / "a.zip"
    ...     with zipfile.ZipFile(path, "w") as archive:
    ...         archive.writestr("folder/one.txt", "1")
    ...         archive.writestr("folder/two.txt", "2")
    ...     unzip(path, ["one.txt", "three.txt"])
    {'one.txt': b'1'}
    """
    try:
        with _binary(path) as file, zipfile.ZipFile(file) as archive:
            members = _members(path, archive, wanted)
            _check_size(path, sum(member.file_size for member in members.values()))
            return {name: _unpacked(archive, member) for name, member in members.items()}
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(
            f"{path}: expected a whole zip file, got a damaged one ({error}). Fetch it again."
        ) from None


def _binary(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _members(
    path: Path, archive: zipfile.ZipFile, wanted: Collection[str]
) -> dict[str, zipfile.ZipInfo]:
    """The files wanted by name, for public archives have two slashes after the folder."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.rsplit("/", 1)[-1]
        if name not in wanted:
            continue
        problem = _problem(member) or ("is there twice" if name in found else "")
        if problem:
            raise DataError(
                f"{path}: expected plain files, each once, got {member.filename!r}, which "
                f"{problem}. Fetch it again from where you trust."
            )
        found[name] = member
    return found


def _problem(member: zipfile.ZipInfo) -> str:
    """Why a member of an archive is not to be unpacked; empty if it is."""
    folders = member.filename.split("/")[:-1]
    if folders and (folders[0] == "" or ":" in folders[0] or ".." in folders):
        return "leads out of the archive"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    if member.flag_bits & 1:
        return "is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is packed by method {member.compress_type}, neither stored nor deflated"
    return ""


def _check_size(path: Path, unpacked: int) -> None:
    """Refuse a bomb."""
    packed = path.stat().st_size
    limit = min(MOST_UNPACKED, max(ALWAYS_ALLOWED, MOST_RATIO * packed))
    if unpacked > limit:
        raise DataError(
            f"{path}: expected at most {limit:,} bytes unpacked from {packed:,}, got "
            f"{unpacked:,}. Fetch it again from where you trust, or unpack it yourself."
        )


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The content; whether a member ends where it says is seen here."""
    with archive.open(member) as file:
        data = file.read(member.file_size)  # unpacks no more than that, and checks the sum
    if len(data) != member.file_size:
        raise zipfile.BadZipFile(f"{member.filename} ends early")
    return data
