"""Embeddings as files other programs read."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError, DataError

__all__ = ["check_embeddings_path", "write_embeddings"]

Embeddings = Mapping[str, npt.NDArray[np.float32]]


def check_embeddings_path(path: Path) -> None:
    """Refuse a file that could not be written in the end.

    Raises
    ------
    ConfigError
        If the file's ending is neither .npz nor .parquet.
    DataError
        If its folder is not there.
    """
    if path.suffix not in WRITERS:
        raise ConfigError(
            f"embeddings: expected a file that ends in {' or '.join(WRITERS)}, got {path}. "
            f"The ending chooses the format."
        )
    if not path.parent.is_dir():
        raise DataError(
            f"embeddings: expected a folder at {path.parent}, got none. Make it, or choose another."
        )


def write_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write embeddings for NumPy or for a table reader, as the file's ending says.

    An .npz holds one (n, d) array for each node type. A .parquet has one row for each node with the
    columns ``type``, ``id`` (its number within the type) and ``embedding`` (a list of d numbers).

    Parameters
    ----------
    path : Path
        Ends in .npz or .parquet.
    embeddings : dict of node type to (n, d) float32

    Raises
    ------
    ConfigError
        If the file's ending is neither.
    DataError
        If the file cannot be written.
    """
    check_embeddings_path(path)
    try:
        WRITERS[path.suffix](path, embeddings)
    except OSError as error:
        raise DataError(
            f"embeddings: expected to write {path}, got {error}. Choose another place."
        ) from error


def _write_npz(path: Path, embeddings: Embeddings) -> None:
    # Not np.savez, to which a node type named "file" would be the file's name.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, z in embeddings.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(z), allow_pickle=False)


def _write_parquet(path: Path, embeddings: Embeddings) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for name, z in embeddings.items():
        n, d = z.shape
        ends = pa.array(np.arange(n + 1) * d)
        columns = {
            "type": pa.array([name] * n, pa.string()),
            "id": pa.array(np.arange(n)),
            "embedding": pa.LargeListArray.from_arrays(ends, pa.array(z.ravel())),
        }
        tables.append(pa.table(columns))
    pq.write_table(pa.concat_tables(tables), path)


WRITERS = {".npz": _write_npz, ".parquet": _write_parquet}
