"""Reader of the heterographs that HeCo was tested on, which later methods are compared on."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dglmeta.data.dataset import Dataset
from dglmeta.data.formats.arrays import UNREADABLE
from dglmeta.data.formats.tables import TextTable, find_file, read_bytes
from dglmeta.data.node_splits import LabelledNodes, NodeSplit
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import EdgeType, HeteroCSR

__all__ = ["ACM", "AMINER", "DBLP", "FREEBASE", "HecoLayout", "read_heco"]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]

AGAIN = "Correct it, or fetch the file again."
UNSTORED = (*UNREADABLE, KeyError, AttributeError)
"""What SciPy raises about files that hold no sparse matrix, besides."""


@dataclass(frozen=True)
class HecoLayout:
    """What the files themselves do not say.

    Parameters
    ----------
    n_nodes : dict of str to int
        Number of nodes of every type; the files count each type from 0.
    relations : dict of str to (str, str, str)
        Edge type of each relation by its file, such as ``pa.txt``: lines of source and destination.
    labelled : str
        The node type with classes.
    n_classes : int
    features : dict of str to (str, int)
        File and number of columns of the features, by node type; only these are read.
    metapaths : tuple of str
        Recommended ones: those whose matrices are published beside the relations.
    labels_a_class : tuple of int
        Numbers of training nodes a class for which there is a split, from the smallest to the
        greatest.

    Raises
    ------
    ConfigError
        If a node type is named that has no number of nodes, or there is no split.
    """

    n_nodes: Mapping[str, int]
    relations: Mapping[str, EdgeType]
    labelled: str
    n_classes: int
    features: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    metapaths: tuple[str, ...] = ()
    labels_a_class: tuple[int, ...] = (20, 40, 60)

    def __post_init__(self) -> None:
        ends = {end for source, _, target in self.relations.values() for end in (source, target)}
        unknown = sorted({self.labelled, *self.features, *ends} - set(self.n_nodes))
        if unknown:
            raise ConfigError(
                f"HecoLayout: expected node types among {list(self.n_nodes)}, got {unknown}. "
                f"Give their number of nodes."
            )
        if not self.labels_a_class:
            raise ConfigError(
                "HecoLayout: expected labels_a_class to name a split, got (). Give one, such as 20."
            )


ACM = HecoLayout(
    {"paper": 4019, "author": 7167, "subject": 60},
    {"pa.txt": ("paper", "written_by", "author"), "ps.txt": ("paper", "about", "subject")},
    "paper",
    n_classes=3,
    features={"paper": ("p_feat.npz", 1902)},
    metapaths=("paper-author-paper", "paper-subject-paper"),
)
DBLP = HecoLayout(
    {"author": 4057, "paper": 14328, "conference": 20, "term": 7723},
    {
        "pa.txt": ("paper", "written_by", "author"),
        "pc.txt": ("paper", "published_at", "conference"),
        "pt.txt": ("paper", "mentions", "term"),
    },
    "author",
    n_classes=4,
    features={"author": ("a_feat.npz", 334)},
    metapaths=(
        "author-paper-author",
        "author-paper-conference-paper-author",
        "author-paper-term-paper-author",
    ),
)
FREEBASE = HecoLayout(
    {"movie": 3492, "actor": 33401, "director": 2502, "writer": 4459},
    {
        "ma.txt": ("movie", "stars", "actor"),
        "md.txt": ("movie", "directed_by", "director"),
        "mw.txt": ("movie", "written_by", "writer"),
    },
    "movie",
    n_classes=3,
    metapaths=("movie-actor-movie", "movie-director-movie", "movie-writer-movie"),
)
AMINER = HecoLayout(
    {"paper": 6564, "author": 13329, "reference": 35890},
    {"pa.txt": ("paper", "written_by", "author"), "pr.txt": ("paper", "cites", "reference")},
    "paper",
    n_classes=4,
    metapaths=("paper-author-paper", "paper-reference-paper"),
)


def read_heco(folder: str | Path, layout: HecoLayout) -> Dataset:
    """A graph of nodes with classes in the form of HeCo, from text and array files.

    Reads the relations, ``labels.npy`` (n,), the class of every node of the labelled type, and for
    every k of ``layout.labels_a_class`` the nodes in ``train_k.npy``, ``val_k.npy`` and
    ``test_k.npy``; and the features that the layout names, sparse matrices of
    ``scipy.sparse.save_npz``. Every file may be gzipped. No pickle is read, so the published
    ``nei_*.npy`` are not, nor are they needed: the graph has the same neighbours. Nor are the
    published meta-path matrices, as ``pap.npz``: :func:`dglmeta.metapath_product` gives the same.

    Parameters
    ----------
    folder : path
    layout : HecoLayout
        :data:`ACM`, :data:`DBLP`, :data:`FREEBASE` or :data:`AMINER` for the published sets.

    Returns
    -------
    ds : Dataset
        Every relation once, from the file's first column to its second, in its order.
        ``node_data[type]["feat"]`` is (n, d) float32, dense, as stored: in ACM rows sum to 1, in
        DBLP they are 0/1 and some all 0. Types without features in the layout have no ``"feat"``,
        in Freebase and AMiner even the labelled one. The authors took a one-hot identity matrix
        there; a model here learns an embedding a node, which is the same as a linear map of that
        and takes n d numbers where the matrix takes n². ``labels`` has all classes,
        ``label_splits`` the published splits by k, and ``node_split`` is that of the greatest k.

    Raises
    ------
    DataError
        If a file is missing or damaged, an id is no whole number or out of range, an edge occurs
        twice in a file, labels or features are of another shape than the layout says, a class is
        out of range, a node is in two parts of a split, or a split does not train on k nodes of
        every class.

    References
    ----------
    Wang et al., Self-supervised heterogeneous graph neural network with co-contrastive learning,
    arXiv 2105.09111.
    """
    folder = Path(folder)
    labels = _read_ids(
        folder, "labels.npy", "classes", layout.n_classes, layout.n_nodes[layout.labelled]
    )
    hg = HeteroCSR.from_edges(
        {triple: _edges(folder, file, triple, layout) for file, triple in layout.relations.items()},
        layout.n_nodes,
        {
            name: {"feat": _features(folder, file, (layout.n_nodes[name], d))}
            for name, (file, d) in layout.features.items()
        },
    )
    splits = {k: _split(folder, k, labels, layout) for k in layout.labels_a_class}
    return Dataset(
        folder.name,
        hg,
        metapaths=layout.metapaths,
        node_split=splits[layout.labels_a_class[-1]],
        labels=labels,
        label_splits=splits,
    )


def _edges(folder: Path, file: str, triple: EdgeType, layout: HecoLayout) -> tuple[Ids, Ids]:
    """The lines of a relation; numbers may be written as floats."""
    ends = {f"source ({triple[0]})": triple[0], f"destination ({triple[2]})": triple[2]}
    table = TextTable.read(folder, file, dict.fromkeys(ends, pa.float64()))
    columns = []
    for column, node_type in ends.items():
        values, n = np.asarray(table.columns[column]), layout.n_nodes[node_type]
        table.require(_are_ids(values, n), column, f"a whole number from 0 to {n - 1}")
        columns.append(values.astype(np.int64))
    source, destination = columns
    pairs = source * layout.n_nodes[triple[2]] + destination
    first = np.zeros(len(pairs), bool)
    first[np.unique(pairs, return_index=True)[1]] = True
    if not first.all():
        row = int(np.argmin(first))
        raise DataError(
            f"{table.path}, line {row + table.first_line}: expected every edge once, got "
            f"{source[row]} to {destination[row]} again. {AGAIN}"
        )
    return source, destination


def _split(folder: Path, k: int, labels: Ids, layout: HecoLayout) -> NodeSplit:
    """The published split with k training nodes a class."""
    parts = []
    for part in ("train", "val", "test"):
        file = f"{part}_{k}.npy"
        node = _read_ids(folder, file, f"nodes of type {layout.labelled!r}", len(labels))
        parts.append(LabelledNodes(node, labels[node]))
    try:
        split = NodeSplit(layout.labelled, layout.n_classes, *parts)
    except DataError as error:
        raise DataError(f"{folder}, split of {k} labels a class: {error}") from None
    sizes = np.bincount(split.train.label, minlength=layout.n_classes)
    if (sizes != k).any():
        raise DataError(
            f"{folder}: expected {k} nodes of each class in train_{k}.npy, got {sizes.tolist()}. "
            f"Fetch it and labels.npy again."
        )
    return split


def _read_ids(folder: Path, file: str, what: str, limit: int, length: int | None = None) -> Ids:
    """Whole numbers from 0 to ``limit`` - 1 of an .npy file, which may be stored as floats."""
    path = _found(folder, file)
    values = _loaded(path)
    if values.ndim != 1 or values.dtype.kind not in "iuf" or length not in (None, len(values)):
        count = "" if length is None else f"{length} "
        raise DataError(
            f"{path}: expected {count}{what} as numbers in one row, got {values.dtype} of shape "
            f"{values.shape}. {AGAIN}"
        )
    ok = _are_ids(values, limit)
    if not ok.all():
        raise DataError(
            f"{path}: expected {what} as whole numbers from 0 to {limit - 1}, got "
            f"{values[~ok][0]}. {AGAIN}"
        )
    return values.astype(np.int64)


def _features(folder: Path, file: str, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """A sparse matrix of a shape, dense."""
    from scipy.sparse import load_npz

    path = _found(folder, file)
    try:
        matrix = load_npz(io.BytesIO(read_bytes(path)))
        if matrix.format == "csr":
            matrix.check_format(full_check=True)
    except UNSTORED as error:
        raise DataError(
            f"{path}: expected a sparse matrix as scipy.sparse.save_npz writes it, got a file that "
            f"cannot be read as one ({error}). Fetch it again."
        ) from None
    good = matrix.shape == shape and matrix.format in ("csr", "coo") and matrix.dtype.kind in "biuf"
    if not good:
        raise DataError(
            f"{path}: expected numbers of shape {shape} in compressed rows, or as entries (coo), "
            f"got {matrix.dtype} of shape {matrix.shape} as {matrix.format}. {AGAIN}"
        )
    dense: npt.NDArray[np.float32] = matrix.astype(np.float32).toarray()
    return dense


def _found(folder: Path, file: str) -> Path:
    path = find_file(folder, file)
    if path is None:
        raise DataError(f"{folder}: expected {file} or {file}.gz, got neither. Put the file there.")
    return path


def _loaded(path: Path) -> Array:
    """The array of an .npy file; pickles are not read."""
    try:
        values = np.load(io.BytesIO(read_bytes(path)), allow_pickle=False)
    except UNREADABLE as error:
        raise DataError(
            f"{path}: expected an .npy file without pickles, got one that cannot be read "
            f"({error}). Fetch it again."
        ) from None
    if not isinstance(values, np.ndarray):
        raise DataError(f"{path}: expected one array as .npy, got an .npz file. Fetch it again.")
    return values


def _are_ids(values: Array, limit: int) -> npt.NDArray[np.bool_]:
    """Which values are whole numbers from 0 to ``limit`` - 1."""
    ok: npt.NDArray[np.bool_] = (values >= 0) & (values < limit) & (values == np.floor(values))
    return ok
