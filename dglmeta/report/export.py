"""Embeddings and links as files other programs read."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError, DataError

__all__ = ["check_embeddings_path", "check_links_path", "write_embeddings", "write_links"]

Array = npt.NDArray[Any]
Embeddings = Mapping[str, npt.NDArray[np.float32]]
Ids = Mapping[str, Array]


def check_embeddings_path(path: Path) -> None:
    """Refuse a file that could not be written in the end.

    Raises
    ------
    ConfigError
        If the file's ending is neither .npz nor .parquet.
    DataError
        If its folder is not there.
    """
    _check_path("embeddings", path, WRITERS)


def check_links_path(path: Path) -> None:
    """Refuse a file that could not be written in the end.

    Raises
    ------
    ConfigError
        If the file's ending is neither .csv nor .parquet.
    DataError
        If its folder is not there.
    """
    _check_path("links", path, LINK_WRITERS)


def _check_path(what: str, path: Path, endings: Collection[str]) -> None:
    if path.suffix not in endings:
        raise ConfigError(
            f"{what}: expected a file that ends in {' or '.join(endings)}, got {path}. "
            f"The ending chooses the format."
        )
    if not path.parent.is_dir():
        raise DataError(
            f"{what}: expected a folder at {path.parent}, got none. Make it, or choose another."
        )


def write_embeddings(path: Path, embeddings: Embeddings, ids: Ids | None = None) -> None:
    """Write embeddings for NumPy or for a table reader, as the file's ending says.

    An .npz holds one (n, d) array for each node type, and beside it ``<type>.id`` where nodes have
    ids of their own. A .parquet has one row for each node with the columns ``type``, ``node`` (its
    number within the type), ``id`` (that, where it has none of its own; text, if any id is) and
    ``embedding`` (a list of d numbers).

    Parameters
    ----------
    path : Path
        Ends in .npz or .parquet.
    embeddings : dict of node type to (n, d) float32
    ids : dict of node type to (n,), optional
        Of types whose nodes have any: whole numbers or text.

    Raises
    ------
    ConfigError
        If the file's ending is neither.
    DataError
        If the file cannot be written.
    """
    check_embeddings_path(path)
    own = {name: x for name, x in (ids or {}).items() if name in embeddings}
    try:
        WRITERS[path.suffix](path, embeddings, own)
    except OSError as error:
        raise DataError(
            f"embeddings: expected to write {path}, got {error}. Choose another place."
        ) from error


def _write_npz(path: Path, embeddings: Embeddings, ids: Ids) -> None:
    # Not np.savez, to which a node type named "file" would be the file's name.
    plain = {f"{name}.id": x if x.dtype.kind in "iu" else x.astype(str) for name, x in ids.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, z in {**embeddings, **plain}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(z), allow_pickle=False)


def _write_parquet(path: Path, embeddings: Embeddings, ids: Ids) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = np.int64 if all(x.dtype.kind in "iu" for x in ids.values()) else str
    tables = []
    for name, z in embeddings.items():
        n, d = z.shape
        ends = pa.array(np.arange(n + 1) * d)
        columns = {
            "type": pa.array([name] * n, pa.string()),
            "node": pa.array(np.arange(n)),
            "id": pa.array(np.asarray(ids.get(name, np.arange(n))).astype(kind)),
            "embedding": pa.LargeListArray.from_arrays(ends, pa.array(z.ravel())),
        }
        tables.append(pa.table(columns))
    pq.write_table(pa.concat_tables(tables), path)


def write_links(path: Path, src: Array, dst: Array, logit: Array, ids: Array | None = None) -> None:
    """Write pairs of nodes for a table reader, as the file's ending says.

    The columns are ``src``, ``dst``, ``logit`` and ``probability``, which is its sigmoid.

    Parameters
    ----------
    path : Path
        Ends in .csv or .parquet.
    src, dst : (n,) int64
    logit : (n,) float32
    ids : (n_nodes,) array, optional
        What to write for a node; its number when absent.

    Raises
    ------
    ConfigError
        If the file's ending is neither.
    DataError
        If the file cannot be written.
    """
    import pyarrow as pa

    check_links_path(path)
    ends = [end if ids is None else ids[end] for end in (src, dst)]
    likely = 1 / (1 + np.exp(-np.clip(logit, -80, 80)))  # float32, whose exp overflows beyond
    columns = dict(zip(("src", "dst", "logit", "probability"), (*ends, logit, likely), strict=True))
    try:
        LINK_WRITERS[path.suffix](pa.table(columns), path)
    except OSError as error:
        raise DataError(
            f"links: expected to write {path}, got {error}. Choose another place."
        ) from error


def _write_csv_table(table: Any, path: Path) -> None:
    import pyarrow.csv

    with path.open("wb") as file:
        file.write((",".join(table.column_names) + "\n").encode())  # pyarrow would quote them
        options = pyarrow.csv.WriteOptions(include_header=False)
        pyarrow.csv.write_csv(table, file, options)


def _write_parquet_table(table: Any, path: Path) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, path)


WRITERS = {".npz": _write_npz, ".parquet": _write_parquet}
LINK_WRITERS = {".csv": _write_csv_table, ".parquet": _write_parquet_table}
