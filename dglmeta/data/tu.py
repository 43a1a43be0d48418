"""Reader of the text format of TUDataset."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dglmeta.data.arrays import UNREADABLE
from dglmeta.data.graph_dataset import GraphDataset, undirected_parts
from dglmeta.data.tables import find_file, parse_csv, read_bytes
from dglmeta.errors import DataError

__all__ = ["read_tu"]

Ids = npt.NDArray[np.int64]
Array = npt.NDArray[Any]


def read_tu(folder: str | Path, name: str) -> GraphDataset:
    r"""Graphs with classes in the text format of TUDataset, from ``NAME.zip`` or a folder ``NAME``.

    Reads ``NAME_A.txt`` (row, column: ids of nodes over all graphs, from 1),
    ``NAME_graph_indicator.txt`` (graph of each node, from 1), ``NAME_graph_labels.txt``, and where
    they are there ``NAME_node_labels.txt`` and ``NAME_node_attributes.txt`` (comma separated). All
    else is left alone. Edges become undirected; loops and repeats are dropped.

    Parameters
    ----------
    folder : path
    name : str
        As its files begin, such as ``FIRSTMM_DB``.

    Returns
    -------
    ds : GraphDataset
        Classes of graphs and labels of nodes are renumbered from 0 in rising order. ``"feat"`` is
        one-hot of the node labels; attributes are beside it as ``"attributes"`` (n, d) float32.

    Raises
    ------
    DataError
        If a file is missing or damaged, a line is wrong, a graph has no node or no class, or an
        edge joins two graphs.

    References
    ----------
    Morris et al., TUDataset, arXiv 2007.08663.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> parts = {"A": "1, 2", "graph_indicator": "1\n1\n2", "graph_labels": "-1\n1"}
    >>> with TemporaryDirectory() as place:
    ...     (Path(place) / "TINY").mkdir()
    ...     for part, text in parts.items():
    ...         _ = (Path(place) / "TINY" / f"TINY_{part}.txt").write_text(text)
    ...     ds = read_tu(place, "TINY")
    >>> ds.counts, ds.labels
    ({'graphs': 2, 'nodes': 3, 'edges': 1, 'features': 0, 'classes': 2}, array([0, 1]))
    """
    files = _Files.open(Path(folder), name)
    classes = files.column("graph_labels")
    graph_of = files.column("graph_indicator") - 1
    _check_graphs(files, graph_of, len(classes))
    node_data: dict[str, Array] = {}
    if files.has("node_labels"):
        label = np.unique(files.column("node_labels", len(graph_of)), return_inverse=True)[1]
        node_data["label"] = label.astype(np.int64)
        node_data["feat"] = np.eye(int(label.max()) + 1, dtype=np.float32)[label]
    if files.has("node_attributes"):
        values = files.table("node_attributes", pa.float64(), len(graph_of))
        node_data["attributes"] = values.astype(np.float32)
    ends = files.table("A", pa.int64(), n_columns=2) - 1
    wrong = (ends < 0) | (ends >= len(graph_of))
    if wrong.any():
        lines = wrong[:, 0] | wrong[:, 1]
        files.refuse("A", lines, f"nodes 1 to {len(graph_of)}", int(ends[wrong][0]) + 1)
    src, dst = ends.T
    across = graph_of[src] != graph_of[dst]
    if across.any():
        pair = (ends[across][0] + 1).tolist()
        files.refuse("A", across, "both ends of an edge in one graph", pair)
    return GraphDataset(
        name,
        undirected_parts(graph_of, src, dst, node_data),
        tuple(str(number) for number in range(len(classes))),
        np.unique(classes, return_inverse=True)[1].astype(np.int64),
    )


@dataclass(frozen=True)
class _Files:
    """The text files of one data set, by what follows its name."""

    where: Path
    name: str
    content: dict[str, bytes]

    @classmethod
    def open(cls, folder: Path, name: str) -> _Files:
        path = find_file(folder, f"{name}.zip")
        if path is not None:
            return cls(path, name, _unzip(path, name))
        if (folder / name).is_dir():
            found = {p.name: read_bytes(p) for p in sorted((folder / name).glob(f"{name}_*.txt"))}
            return cls(folder / name, name, found)
        raise DataError(
            f"{folder}: expected {name}.zip or a folder {name}, got neither. Put one there."
        )

    def has(self, part: str) -> bool:
        return f"{self.name}_{part}.txt" in self.content

    def column(self, part: str, n_rows: int | None = None) -> Ids:
        """The one integer a line of a file."""
        return self.table(part, pa.int64(), n_rows, n_columns=1)[:, 0]

    def table(
        self,
        part: str,
        kind: pa.DataType,
        n_rows: int | None = None,
        n_columns: int | None = None,
    ) -> Array:
        """(n_rows, n_columns) numbers; as many columns as the first line where none are given."""
        file = f"{self.name}_{part}.txt"
        if file not in self.content:
            raise DataError(
                f"{self.where}: expected {file}, got {sorted(self.content)}. Fetch it again."
            )
        data = self.content[file].rstrip()
        if n_columns is None:
            n_columns = data.split(b"\n", 1)[0].count(b",") + 1
        columns = {f"column {number + 1}": kind for number in range(n_columns)}
        table = parse_csv(self.where / file, data, columns, header=False)
        if n_rows is not None and table.num_rows != n_rows:
            raise DataError(
                f"{self.where / file}: expected {n_rows} lines, one a node, got {table.num_rows}. "
                f"Fetch it again."
            )
        return np.stack([np.asarray(column) for column in table.columns], axis=1)

    def refuse(self, part: str, wrong: npt.NDArray[np.bool_], expected: str, got: Any) -> None:
        line = int(np.argmax(wrong)) + 1
        raise DataError(
            f"{self.where / f'{self.name}_{part}.txt'}, line {line}: expected {expected}, got "
            f"{got}. Correct the line, or fetch the file again."
        )


def _unzip(path: Path, name: str) -> dict[str, bytes]:
    """Text files of an archive by base name, for the public ones have a double slash before it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                base: archive.read(member)
                for member in archive.namelist()
                if (base := member.rsplit("/", 1)[-1]).startswith(f"{name}_")
            }
    except UNREADABLE as error:
        raise DataError(
            f"{path}: expected a whole zip file, got a damaged one ({error}). Fetch it again."
        ) from None


def _check_graphs(files: _Files, graph_of: Ids, n_graphs: int) -> None:
    """Refuse a node of no graph and a graph of no node."""
    wrong = (graph_of < 0) | (graph_of >= n_graphs)
    if wrong.any():
        expected = f"graphs 1 to {n_graphs}, as many as there are classes"
        files.refuse("graph_indicator", wrong, expected, int(graph_of[wrong][0]) + 1)
    empty = np.flatnonzero(np.bincount(graph_of, minlength=n_graphs) == 0)
    if len(empty):
        raise DataError(
            f"{files.where}: expected a node in each of {n_graphs} graphs, got none in graph "
            f"{empty[0] + 1}. Fetch it again."
        )
