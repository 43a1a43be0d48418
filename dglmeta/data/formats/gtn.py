"""Readers of the citation and film graphs that Graph Transformer Networks were tested on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.data.dataset import Dataset
from dglmeta.data.formats.arrays import Arrays
from dglmeta.data.formats.tables import find_file
from dglmeta.data.node_splits import LabelledNodes, NodeSplit
from dglmeta.errors import DataError
from dglmeta.graph import EdgeType, HeteroCSR

__all__ = ["ACM", "IMDB", "GtnLayout", "read_gtn", "read_gtn_acm", "read_gtn_imdb"]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GtnLayout:
    """What the file itself does not say.

    Parameters
    ----------
    file : str
    n_nodes : dict of str to int
        In the order of the file's ids, which count over all types. The first type is labelled.
    relations : dict of str to (str, str, str)
        Edge type of each relation to keep, by its name in the file, such as ``P-A``; the file has
        ``A-P`` beside it.
    n_features, n_classes : int
    """

    file: str
    n_nodes: Mapping[str, int]
    relations: Mapping[str, EdgeType]
    n_features: int
    n_classes: int


ACM = GtnLayout(
    "gtn-acm.npz",
    {"paper": 3025, "author": 5912, "subject": 57},
    {"P-A": ("paper", "written_by", "author"), "P-S": ("paper", "about", "subject")},
    n_features=1902,
    n_classes=3,
)
IMDB = GtnLayout(
    "gtn-imdb.npz",
    {"movie": 4661, "director": 2270, "actor": 5841},
    {"M-D": ("movie", "directed_by", "director"), "M-A": ("movie", "stars", "actor")},
    n_features=1256,
    n_classes=3,
)


def read_gtn_acm(folder: str | Path) -> Dataset:
    """ACM as in GTN and SELAR: papers with their authors and subjects. See :func:`read_gtn`."""
    return read_gtn(folder, ACM)


def read_gtn_imdb(folder: str | Path) -> Dataset:
    """IMDB as in GTN and SELAR: films with directors and actors. See :func:`read_gtn`."""
    return read_gtn(folder, IMDB)


def read_gtn(folder: str | Path, layout: GtnLayout) -> Dataset:
    """A graph of labelled nodes in the form of GTN, from one ``.npz`` file without pickles.

    The published archive holds ``edges.pkl`` (sparse matrices), ``labels.pkl`` and
    ``node_features.pkl``. A pickle can run any program, so none is read here; the ``.npz`` file
    has the same content: ``relations`` (names), ``edge_0``, ``edge_1``, ... (2, n) of ids over all
    types, source first; ``train``, ``valid``, ``test`` (n, 2) of node and class;
    ``feat_indptr``, ``feat_indices``, ``feat_shape``: where the 0/1 features are 1, in rows.

    Parameters
    ----------
    folder : path
    layout : GtnLayout

    Returns
    -------
    ds : Dataset
        Ids count within each type. The file stores every relation both ways; the graph holds it
        once, for messages and meta-paths go both ways over an edge. ``node_data[type]["feat"]``
        is (n, n_features) uint8: 17 MB for ACM, where float32 would be 68. ``node_split`` is the
        published split.

    Raises
    ------
    DataError
        If the file is missing or damaged, an array is missing or of another form, a relation is
        not the reverse of its other direction, an id or class is out of range, or a node is
        labelled twice.
    """
    folder = Path(folder)
    path = find_file(folder, layout.file)
    if path is None:
        raise DataError(f"{folder}: expected {layout.file}, got no such file. Put it there.")
    arrays = Arrays.read(path)
    hg = HeteroCSR.from_edges(
        _edges(arrays, layout),
        layout.n_nodes,
        {name: {"feat": rows} for name, rows in _features(arrays, layout).items()},
    )
    labelled, n = next(iter(layout.n_nodes.items()))
    parts = [_labels(arrays, name, n) for name in ("train", "valid", "test")]
    try:
        split = NodeSplit(labelled, layout.n_classes, *parts)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return Dataset(folder.name, hg, node_split=split)


def _ranges(layout: GtnLayout) -> dict[str, tuple[int, int]]:
    """First id of each type in the file, and the one after its last."""
    ends = np.cumsum(list(layout.n_nodes.values())).tolist()
    return dict(zip(layout.n_nodes, zip([0, *ends[:-1]], ends, strict=True), strict=True))


def _edges(arrays: Arrays, layout: GtnLayout) -> dict[EdgeType, tuple[Ids, Ids]]:
    names = [str(name) for name in np.atleast_1d(arrays.get("relations"))]
    ranges = _ranges(layout)
    edges = {}
    for relation, triple in layout.relations.items():
        back = "-".join(reversed(relation.split("-")))
        pairs = {}
        for name, types in ((relation, (triple[0], triple[2])), (back, (triple[2], triple[0]))):
            if name not in names:
                raise DataError(
                    f"{arrays.path}: expected relation {name!r}, got {names}. Make the file again."
                )
            array = f"edge_{names.index(name)}"
            pairs[name] = arrays.ids(array, (2, None))
            for row, node_type in zip(pairs[name], types, strict=True):
                arrays.require(f"{array} ({name}, {node_type})", row, *ranges[node_type])
        there, again = pairs[relation], pairs[back][::-1]
        # Both ways in one order, to be compared edge by edge.
        if not np.array_equal(there[:, np.lexsort(there)], again[:, np.lexsort(again)]):
            raise DataError(
                f"{arrays.path}: expected {back} to be {relation} turned round, got other edges. "
                f"Make the file again."
            )
        edges[triple] = (there[0] - ranges[triple[0]][0], there[1] - ranges[triple[2]][0])
    return edges


def _features(arrays: Arrays, layout: GtnLayout) -> dict[str, npt.NDArray[np.uint8]]:
    """0/1 features of every node type, dense."""
    n, d = sum(layout.n_nodes.values()), layout.n_features
    shape = arrays.ids("feat_shape", (2,))
    if shape.tolist() != [n, d]:
        raise DataError(
            f"{arrays.path}: expected features of shape {(n, d)}, got {tuple(shape.tolist())}. "
            f"Make the file again."
        )
    column = arrays.ids("feat_indices", (None,), d)
    start = arrays.ids("feat_indptr", (n + 1,), len(column) + 1)
    lengths = np.diff(start)
    if start[0] != 0 or start[-1] != len(column) or lengths.min() < 0:
        raise DataError(
            f"{arrays.path}: expected feat_indptr to rise from 0 to {len(column)}, got "
            f"{start[0]} to {start[-1]}, smallest step {lengths.min()}. Make the file again."
        )
    dense = np.zeros((n, d), np.uint8)
    dense[np.repeat(np.arange(n), lengths), column] = 1
    return {name: dense[first:end] for name, (first, end) in _ranges(layout).items()}


def _labels(arrays: Arrays, name: str, n: int) -> LabelledNodes:
    rows = arrays.ids(name, (None, 2))
    arrays.require(f"{name} (labelled nodes)", rows[:, 0], 0, n)
    return LabelledNodes(rows[:, 0], rows[:, 1])
