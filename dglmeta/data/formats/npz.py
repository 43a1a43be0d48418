"""Reader of single graphs with features and labels in the npz format of gnn-benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.data.dataset import Dataset
from dglmeta.data.formats.arrays import UNREADABLE, Arrays
from dglmeta.data.graph_dataset import NODE, undirected
from dglmeta.data.node_splits import LabelledNodes, NodeSplit
from dglmeta.errors import DataError

__all__ = ["COMPUTERS", "PHOTO", "read_amazon_computers", "read_amazon_photo", "read_npz_graph"]

Ids = npt.NDArray[np.int64]

COMPUTERS = "amazon_electronics_computers.npz"
PHOTO = "amazon_electronics_photo.npz"

MATRICES = ("adj", "attr")
PIECES = ("data", "indices", "indptr", "shape")


def read_amazon_computers(folder: str | Path) -> Dataset:
    """Products of Amazon's computers that are bought together. See :func:`read_npz_graph`."""
    return read_npz_graph(Path(folder) / COMPUTERS)


def read_amazon_photo(folder: str | Path) -> Dataset:
    """Products of Amazon's photo shop that are bought together. See :func:`read_npz_graph`."""
    return read_npz_graph(Path(folder) / PHOTO)


def read_npz_graph(path: str | Path) -> Dataset:
    """A graph whose nodes have features and one class each, from one ``.npz`` file.

    Reads two sparse matrices in compressed rows, ``adj_data``, ``adj_indices``, ``adj_indptr``,
    ``adj_shape`` and the same of ``attr``, and ``labels`` (n,) from 0. Other arrays of the file are
    left alone, and no pickle is read. Edges become undirected; loops, repeats and entries of value
    0 are dropped.

    Parameters
    ----------
    path : path

    Returns
    -------
    ds : Dataset
        Of node type ``"node"`` and edge type ``("node", "link", "node")``, every edge in both
        directions. ``node_data["node"]["feat"]`` is (n, d) float32, dense. ``node_split`` deals
        all nodes at random, 60, 20 and 20 per cent.

    Raises
    ------
    DataError
        If the file is missing or damaged, an array is missing or of another form, or an id is out
        of range.

    References
    ----------
    Shchur et al., Pitfalls of graph neural network evaluation, arXiv 1811.05868.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from scipy.sparse import csr_array
    >>> matrices = {"adj": csr_array(np.eye(5, k=1)), "attr": csr_array(np.eye(5)[:, :2])}
    >>> arrays = {f"{m}_{piece}": getattr(x, piece) for m, x in matrices.items()
    ...           for piece in ("data", "indices", "indptr", "shape")}
    >>> with TemporaryDirectory() as place:
    ...     np.savez(Path(place) / "chain.npz", labels=np.array([0, 1, 0, 1, 0]), **arrays)
    ...     ds = read_npz_graph(Path(place) / "chain.npz")
    >>> ds.counts
    {'node': 5, 'edge types': 1, 'edges': 8, 'classes': 2, 'labelled': 5}
    """
    path = Path(path)
    arrays = _read_needed(path)
    adj, attr = (_rows(arrays, matrix) for matrix in MATRICES)
    n = adj.shape[0]
    if adj.shape[1] != n or attr.shape[0] != n:
        raise DataError(
            f"{path}: expected a square adj and as many rows in attr, got shapes {adj.shape} and "
            f"{attr.shape}. Make the file again."
        )
    feat = np.zeros(attr.shape, np.float32)
    feat[attr.row, attr.column] = attr.value
    kept = adj.value != 0
    hg = undirected(n, adj.row[kept], adj.column[kept], {"feat": feat})
    rows = LabelledNodes(np.arange(n), arrays.ids("labels", (n,)))
    try:
        return Dataset(path.stem, hg, node_split=NodeSplit.at_random(NODE, rows))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


class _Entries(NamedTuple):
    """A sparse matrix, entry by entry."""

    row: Ids
    column: Ids
    value: npt.NDArray[np.float64]
    shape: tuple[int, int]


def _read_needed(path: Path) -> Arrays:
    """The arrays that are needed only: others of the public files are pickles."""
    names = [f"{matrix}_{piece}" for matrix in MATRICES for piece in PIECES]
    if not path.is_file():
        raise DataError(f"{path.parent}: expected {path.name}, got no such file. Put it there.")
    try:
        with np.load(path, allow_pickle=False) as file:
            there = [name for name in (*names, "labels") if name in file.files]
            return Arrays(path, {name: file[name] for name in there})
    except (*UNREADABLE, AttributeError) as error:
        raise DataError(
            f"{path}: expected an .npz file, got one that cannot be read without pickles "
            f"({error}). Make it again."
        ) from None


def _rows(arrays: Arrays, matrix: str) -> _Entries:
    """The entries of a matrix in compressed rows."""
    n_rows, n_columns = arrays.ids(f"{matrix}_shape", (2,)).tolist()
    column = arrays.ids(f"{matrix}_indices", (None,), n_columns)
    start = arrays.ids(f"{matrix}_indptr", (n_rows + 1,))
    lengths = np.diff(start)
    if start[0] != 0 or start[-1] != len(column) or lengths.min(initial=0) < 0:
        raise DataError(
            f"{arrays.path}: expected {matrix}_indptr to rise from 0 to {len(column)}, got "
            f"{start[0]} to {start[-1]}. Make the file again."
        )
    value = arrays.get(f"{matrix}_data")
    if value.shape != column.shape or value.dtype.kind not in "biuf":
        raise DataError(
            f"{arrays.path}: expected {matrix}_data as {len(column)} numbers, got {value.dtype} of "
            f"shape {value.shape}. Make the file again."
        )
    row = np.repeat(np.arange(n_rows), lengths)
    return _Entries(row, column, value.astype(np.float64), (n_rows, n_columns))
