"""Reader of the 24 graphs of protein interactions in their public form."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.data.formats.arrays import UNREADABLE
from dglmeta.data.formats.tables import find_file, read_bytes
from dglmeta.data.graph_dataset import GraphDataset, GraphSplit, undirected_parts
from dglmeta.errors import DataError
from dglmeta.graph import HeteroCSR

__all__ = ["FILES", "PARTS", "read_ppi"]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]

PARTS = ("train", "valid", "test")
"""Of the published split."""

FILES = tuple(
    f"{part}_{what}"
    for part in PARTS
    for what in ("graph.json", "feats.npy", "labels.npy", "graph_id.npy")
)
"""What is read."""


def read_ppi(folder: str | Path) -> GraphDataset:
    """Protein interactions of human tissues with features, in the form DGL and PyG fetch.

    For each of the parts train, valid and test reads ``PART_graph.json`` (node-link form of
    NetworkX; nodes 0 to n - 1), ``PART_feats.npy`` (n, d), ``PART_labels.npy`` (n, c) of 0 and 1,
    and ``PART_graph_id.npy`` (n,): the number of the graph a node is in. Edges become undirected;
    loops and repeats are dropped.

    Parameters
    ----------
    folder : path

    Returns
    -------
    ds : GraphDataset
        Graphs are named by their numbers; the published split is that of the parts. Rows of
        ``"feat"`` are divided by the sum of their absolute values, as features may be negative;
        rows of zeros stay. ``node_data["node"]["functions"]`` is (n, c) uint8: a protein has any
        number of them.

    Raises
    ------
    DataError
        If a file is missing or damaged, sizes do not agree, an edge joins two graphs, or a graph
        is in two parts.

    References
    ----------
    Hamilton et al., Inductive representation learning on large graphs, arXiv 1706.02216.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> def write(folder, part, number):
    ...     links = [{"source": 0, "target": 1}]
    ...     graph = {"nodes": [{"id": 0}, {"id": 1}], "links": links}
    ...     _ = (folder / f"{part}_graph.json").write_text(json.dumps(graph))
    ...     np.save(folder / f"{part}_feats.npy", np.array([[1.0, 3.0], [0.0, 0.0]]))
    ...     np.save(folder / f"{part}_labels.npy", np.ones((2, 4)))
    ...     np.save(folder / f"{part}_graph_id.npy", np.full(2, number))
    >>> with TemporaryDirectory() as place:
    ...     for number, part in enumerate(PARTS):
    ...         write(Path(place), part, number + 1)
    ...     ds = read_ppi(place)
    >>> ds.graphs[0].node_data["node"]["feat"].tolist(), ds.splits().test
    ([[0.25, 0.75], [0.0, 0.0]], array([2]))
    """
    folder = Path(folder)
    graphs: list[HeteroCSR] = []
    names: list[str] = []
    numbers = []
    for part in PARTS:
        found, of_part = _read_part(folder, part)
        numbers.append(np.arange(len(graphs), len(graphs) + len(found)))
        graphs += found
        names += [str(number) for number in of_part]
    return GraphDataset(folder.name, tuple(graphs), tuple(names), published=GraphSplit(*numbers))


def _read_part(folder: Path, part: str) -> tuple[tuple[HeteroCSR, ...], Ids]:
    """The graphs of a part, and the number of each."""
    n_nodes, src, dst = _read_links(folder, f"{part}_graph.json")
    feats = _read_array(folder, f"{part}_feats.npy", n_nodes, n_axes=2)
    functions = _read_array(folder, f"{part}_labels.npy", n_nodes, n_axes=2)
    graph_id = _read_array(folder, f"{part}_graph_id.npy", n_nodes, n_axes=1)
    numbers, graph_of = np.unique(graph_id.astype(np.int64), return_inverse=True)
    scale = np.abs(feats).sum(axis=1, keepdims=True)
    node_data: dict[str, Array] = {
        "feat": (feats / np.where(scale > 0, scale, 1)).astype(np.float32),
        "functions": functions.astype(np.uint8),
    }
    try:
        return undirected_parts(graph_of.astype(np.int64), src, dst, node_data), numbers
    except DataError as error:
        raise DataError(f"{folder / part}_graph.json: {error}") from None


def _read_links(folder: Path, name: str) -> tuple[int, Array, Array]:
    """Number of nodes, and both ends of every link."""
    path = _find(folder, name)
    try:
        graph = json.loads(read_bytes(path))
        ids = [node["id"] for node in graph["nodes"]]
        # NetworkX writes "links", from version 3.6 on "edges".
        links = graph["links"] if "links" in graph else graph["edges"]
        ends = np.array([[link["source"], link["target"]] for link in links]).reshape(-1, 2)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: expected a graph in the node-link form of NetworkX, got another file "
            f"({type(error).__name__}: {error}). Fetch it again."
        ) from None
    if len(ids) != len({*ids}) or {*ids} != {*range(len(ids))}:
        raise DataError(
            f"{path}: expected nodes numbered 0 to {len(ids) - 1}, got other ids. Number them in "
            f"the order of the features' rows."
        )
    return len(ids), ends[:, 0], ends[:, 1]


def _read_array(folder: Path, name: str, n_rows: int, n_axes: int) -> Array:
    path = _find(folder, name)
    try:
        values: Array = np.load(io.BytesIO(read_bytes(path)), allow_pickle=False)
    except UNREADABLE as error:
        raise DataError(
            f"{path}: expected an .npy file without pickles, got one that cannot be read "
            f"({error}). Fetch it again."
        ) from None
    if values.ndim != n_axes or len(values) != n_rows:
        raise DataError(
            f"{path}: expected {n_axes} axes and {n_rows} rows, one a node, got shape "
            f"{values.shape}. Fetch it again."
        )
    return values


def _find(folder: Path, name: str) -> Path:
    path = find_file(folder, name)
    if path is None:
        raise DataError(f"{folder}: expected {name} or {name}.gz, got neither. Put the file there.")
    return path
