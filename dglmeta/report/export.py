"""Embeddings as files other programs read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError, DataError

__all__ = ["write_embeddings"]


def write_embeddings(path: Path, embeddings: Mapping[str, npt.NDArray[np.float32]]) -> None:
    """Write ``{node type: (n, d)}`` as .npz, or as .parquet with columns type, id, embedding.

    Raises
    ------
    ConfigError
        If the file's ending is neither.
    DataError
        If the file cannot be written.
    """
    writers = {".npz": _write_npz, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise ConfigError(f"embed: expected --out to end in .npz or .parquet, got {path}.")
    try:
        writers[path.suffix](path, embeddings)
    except OSError as error:
        raise DataError(f"embed: expected to write {path}, got {error}. Choose another.") from error


def _write_npz(path: Path, embeddings: Mapping[str, npt.NDArray[np.float32]]) -> None:
    np.savez_compressed(path, **dict(embeddings))  # type: ignore[arg-type]


def _write_parquet(path: Path, embeddings: Mapping[str, npt.NDArray[np.float32]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    widths = {z.shape[1] for z in embeddings.values()}
    kind = pa.list_(pa.float32(), widths.pop()) if len(widths) == 1 else pa.list_(pa.float32())
    tables = [
        pa.table(
            {
                "type": pa.array([name] * len(z)),
                "id": pa.array(np.arange(len(z))),
                "embedding": pa.array(list(z), kind),
            }
        )
        for name, z in embeddings.items()
    ]
    pq.write_table(pa.concat_tables(tables), path)
