"""Reader of the text format of TUDataset."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dglmeta.data.formats.archives import unzip
from dglmeta.data.formats.tables import find_file, parse_csv, read_bytes
from dglmeta.data.graph_dataset import GraphDataset, undirected_parts
from dglmeta.errors import DataError

__all__ = ["check_tu_name", "read_tu"]

Ids = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

PARTS = ("A", "graph_indicator", "graph_labels", "node_labels", "node_attributes")
TARGETS = "graph_attributes"
"""Numbers in place of classes, of sets made for regression."""

WIDEST_FEAT = 1024
"""Most labels of nodes that become features, as a column for each would not fit otherwise."""


def read_tu(folder: str | Path, name: str) -> GraphDataset:
    r"""Graphs in the text format of TUDataset, from ``NAME.zip`` or a folder ``NAME``.

    Reads ``NAME_A.txt`` (row, column: ids of nodes over all graphs, from 1),
    ``NAME_graph_indicator.txt`` (graph of each node, from 1), ``NAME_graph_labels.txt``, and where
    they are there ``NAME_node_labels.txt`` and ``NAME_node_attributes.txt`` (comma separated). All
    else is left alone. Edges become undirected; loops and repeats are dropped.

    Nothing of an archive is written to disk; see :func:`dglmeta.data.formats.archives.unzip`.

    Parameters
    ----------
    folder : path
    name : str
        As its files begin, such as ``FIRSTMM_DB``.

    Returns
    -------
    ds : GraphDataset
        Classes of graphs and labels of nodes are renumbered from 0 in rising order; several labels
        of one node count as one. ``"feat"`` is one-hot of the node labels, where there are at most
        ``WIDEST_FEAT``; attributes are beside it as ``"attributes"`` (n, d) float32. A set made for
        regression has no classes; its targets are left alone.

    Raises
    ------
    DataError
        If the name has other characters than letters, digits and ``_-.``, a file is missing,
        damaged or not safe to unpack, a line is wrong, a graph has no node or no class, or an edge
        joins two graphs.

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
    check_tu_name(name)
    files = _Files.open(Path(folder), name)
    graph_of = files.column("graph_indicator") - 1
    if files.has("graph_labels") or not files.has(TARGETS):
        labels = _renumbered(files.table("graph_labels", pa.int64(), n_columns=1))
        n_graphs = len(labels)
    else:
        labels, n_graphs = None, len(np.unique(graph_of))
    _check_graphs(files, graph_of, n_graphs)
    src, dst = _edges(files, graph_of)
    return GraphDataset(
        name,
        undirected_parts(graph_of, src, dst, _node_data(files, len(graph_of))),
        tuple(str(number) for number in range(n_graphs)),
        labels,
    )


def check_tu_name(name: str) -> None:
    """Refuse a name of a set that is no plain name of a file, such as one with parts of a path.

    Raises
    ------
    DataError
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise DataError(
            f"TUDataset: expected a plain name, of letters, digits and _-., such as ENZYMES, got "
            f"{name!r}. Correct it."
        )


def _renumbered(rows: Ids) -> Ids:
    """Number of each distinct row, from 0 in rising order."""
    # Rows of one number are sorted as numbers, much faster than as rows.
    keys = rows[:, 0] if rows.shape[1] == 1 else rows
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _node_data(files: _Files, n_nodes: int) -> dict[str, Array]:
    """Labels, features and attributes of the nodes, as far as they are there."""
    data: dict[str, Array] = {}
    if files.has("node_labels"):
        label = _renumbered(files.table("node_labels", pa.int64(), n_nodes))
        n_labels = int(label.max()) + 1
        data["label"] = label
        if n_labels <= WIDEST_FEAT:
            data["feat"] = np.eye(n_labels, dtype=np.float32)[label]
    if files.has("node_attributes"):
        with np.errstate(over="ignore"):
            values = files.table("node_attributes", pa.float64(), n_nodes).astype(np.float32)
        wrong = ~np.isfinite(values)
        if wrong.any():
            value = values[wrong][0]
            files.refuse("node_attributes", wrong, "finite float32 numbers", value)
        data["attributes"] = values
    return data


def _edges(files: _Files, graph_of: Ids) -> Ids:
    """(2, n_lines): both ends of every line, each a node and both in one graph."""
    ends = files.table("A", pa.int64(), n_columns=2)
    wrong = (ends < 1) | (ends > len(graph_of))
    if wrong.any():
        files.refuse("A", wrong, f"nodes 1 to {len(graph_of)}", int(ends[wrong][0]))
    src, dst = ends.T - 1
    across = graph_of[src] != graph_of[dst]
    if across.any():
        pair = ends[across][0].tolist()
        files.refuse("A", across, "both ends of an edge in one graph", pair)
    return np.stack([src, dst])


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
            return cls(path, name, unzip(path, _wanted(name)))
        if (folder / name).is_dir():
            paths = (folder / name / file for file in _wanted(name))
            found = {path.name: read_bytes(path) for path in paths if path.is_file()}
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
        """Refuse the first line that is wrong, or has a number that is."""
        line = int(np.argwhere(wrong)[0, 0]) + 1
        raise DataError(
            f"{self.where / f'{self.name}_{part}.txt'}, line {line}: expected {expected}, got "
            f"{got}. Correct the line, or fetch the file again."
        )


def _wanted(name: str) -> list[str]:
    """The files that are read, by name."""
    return [f"{name}_{part}.txt" for part in (*PARTS, TARGETS)]


def _check_graphs(files: _Files, graph_of: Ids, n_graphs: int) -> None:
    """Refuse a node of no graph and a graph of no node."""
    wrong = (graph_of < 0) | (graph_of >= n_graphs)
    if wrong.any():
        as_many = "classes" if files.has("graph_labels") else "graphs"
        expected = f"graphs 1 to {n_graphs}, as many as there are {as_many}"
        files.refuse("graph_indicator", wrong, expected, int(graph_of[wrong][0]) + 1)
    empty = np.flatnonzero(np.bincount(graph_of, minlength=n_graphs) == 0)
    if len(empty):
        raise DataError(
            f"{files.where}: expected a node in each of {n_graphs} graphs, got none in graph "
            f"{empty[0] + 1}. Fetch it again."
        )
