"""Data sets by name: found, fetched, read, or refused with what to do."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from dglmeta.data.catalogue import DATASETS, Entry
from dglmeta.data.dataset import Dataset
from dglmeta.data.files import locate
from dglmeta.data.files import verify as verify_files
from dglmeta.data.folder import read_folder
from dglmeta.data.folder_schema import SCHEMA_FILE
from dglmeta.data.graph_dataset import GraphDataset
from dglmeta.errors import ConfigError, DataError

__all__ = ["DATASETS", "Entry", "load_dataset"]


def load_dataset(
    name: str | Path, root: str | Path | None = None, *, verify: bool = False, **options: Any
) -> Dataset | GraphDataset:
    """A data set by name, or the one in a folder of the user's own tables.

    Names that stand for many graphs, such as ``toy-graphs`` or ``firstmm``, give a
    :class:`GraphDataset`; all others, and folders, a :class:`Dataset`.

    Parameters
    ----------
    name : str or path
        A name of :data:`DATASETS`, or a folder with ``schema.toml`` (see :func:`read_folder`).
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
    if name not in DATASETS:
        if Path(name).is_dir():
            return _call(read_folder, str(name), Path(name), **options)
        raise _unknown(str(name))
    entry = DATASETS[str(name)]
    if not entry.folder:
        return _call(entry.read, str(name), **options)
    folder = locate(entry.folder, entry.files, root)
    if verify:
        verify_files(folder, [file for file in entry.files if file.sha256])
    ds = _call(entry.read, str(name), folder, **options)
    ds = replace(ds, name=str(name), card=entry.card or ds.card)
    if isinstance(ds, GraphDataset):
        return ds
    return replace(ds, metapaths=entry.metapaths or ds.metapaths)


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
        f"load_dataset: expected a folder with {SCHEMA_FILE} or one of {', '.join(DATASETS)}, "
        f"got {name!r}. {hint}Give one of these."
    )
