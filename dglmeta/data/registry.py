"""Data sets by name: found, fetched, read, or refused with what to do."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from dglmeta.data.catalogue import DATASETS, Entry, tu_entry
from dglmeta.data.dataset import Dataset
from dglmeta.data.files import locate
from dglmeta.data.files import verify as verify_files
from dglmeta.data.folder import read_folder
from dglmeta.data.folder_schema import SCHEMA_FILE
from dglmeta.data.formats.tu import read_tu
from dglmeta.data.graph_dataset import GraphDataset
from dglmeta.errors import ConfigError, DataError

__all__ = ["DATASETS", "Entry", "load_dataset"]

TU = "tu/"
"""Before the name of any set of TUDataset."""


def load_dataset(
    name: str | Path, root: str | Path | None = None, *, verify: bool = False, **options: Any
) -> Dataset | GraphDataset:
    """A data set by name, or the one in a folder of the user's own tables.

    Names that stand for many graphs, such as ``toy-graphs`` or ``firstmm``, and those of TUDataset
    give a :class:`GraphDataset`; all others, and folders, a :class:`Dataset`.

    Parameters
    ----------
    name : str or path
        A name of :data:`DATASETS`; ``tu/NAME`` for any set of TUDataset, whose ``NAME.zip``, or a
        folder ``NAME`` of its files, lies in the folder ``tudataset`` (see :func:`read_tu`); the
        path of such a ``NAME.zip``; or a folder with ``schema.toml`` (see :func:`read_folder`).
    root : path, optional
        Where to look first for the folders of data sets; then ``$DGLMETA_DATA``, then the user's
        cache, into which what is missing is fetched.
    verify : bool
        Compare the files found with the sha256 of the public ones, where it is known.
    **options
        Passed to the reader or generator, such as ``seed`` or ``shuffle_path``.

    Raises
    ------
    DataError
        If the name is unknown, or a file is missing and cannot be fetched, or is damaged.
    ConfigError
        If the data set takes no such option.

    Examples
    --------
    >>> ds = load_dataset("toy")
    >>> ds.csr.n_nodes
    {'user': 8, 'item': 8, 'tag': 4}
    """
    if name in DATASETS:
        return _named(str(name), DATASETS[str(name)], root, verify, options)
    if isinstance(name, str) and name.startswith(TU):
        return _named(name, _tu(name.removeprefix(TU), root), root, verify, options)
    path = Path(name)
    if path.is_dir():
        return _call(read_folder, str(name), path, **options)
    if path.is_file() and path.suffix == ".zip":
        ds = _call(partial(read_tu, path.parent, path.stem), str(name), **options)
        return replace(ds, name=str(name))
    raise _unknown(str(name))


def _named(
    name: str, entry: Entry, root: str | Path | None, verify: bool, options: dict[str, Any]
) -> Dataset | GraphDataset:
    """A data set with an entry; its files are fetched where they are missing."""
    if not entry.folder:
        return _call(entry.read, name, **options)
    folder = locate(entry.folder, entry.files, root)
    if verify:
        verify_files(folder, [file for file in entry.files if file.sha256])
    ds = _call(entry.read, name, folder, **options)
    ds = replace(ds, name=name, card=entry.card or ds.card)
    if isinstance(ds, GraphDataset):
        return ds
    return replace(ds, metapaths=entry.metapaths or ds.metapaths)


def _tu(name: str, root: str | Path | None) -> Entry:
    """The entry of a set of TUDataset: the archive's, unless there is only a folder."""
    packed, unpacked = tu_entry(name), tu_entry(name, unpacked=True)
    try:
        locate(packed.folder, packed.files, root)
    except DataError as missing:
        try:
            locate(unpacked.folder, unpacked.files, root)
        except DataError:
            raise missing from None
        return unpacked
    return packed


def _call(
    read: Callable[..., Dataset | GraphDataset], name: str, *args: Any, **options: Any
) -> Dataset | GraphDataset:
    """Call a reader; an option it does not have is a ConfigError."""
    parameters = inspect.signature(read).parameters
    unknown = [o for o in options if o not in parameters]
    if unknown:
        known = [p for p in parameters if p != "folder"]
        raise ConfigError(
            f"load_dataset({name!r}): expected options among {known}, got {unknown}. Correct it."
        )
    return read(*args, **options)


def _unknown(name: str) -> DataError:
    close = difflib.get_close_matches(name, DATASETS, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return DataError(
        f"load_dataset: expected a folder with {SCHEMA_FILE}, a NAME.zip of TUDataset, {TU}NAME or "
        f"one of {', '.join(DATASETS)}, got {name!r}. {hint}Give one of these."
    )
