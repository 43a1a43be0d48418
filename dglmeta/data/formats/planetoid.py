"""Reader of the citation graphs of Planetoid: Cora, CiteSeer, PubMed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from dglmeta.data.dataset import Dataset
from dglmeta.data.formats.pickles import Pickle, read_packed
from dglmeta.data.formats.tables import find_file
from dglmeta.data.node_splits import LabelledNodes, NodeSplit
from dglmeta.data.undirected import NODE, undirected
from dglmeta.errors import DataError

__all__ = ["file_names", "read_planetoid"]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]
Features = npt.NDArray[np.float32]

PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
"""What the files of a set end in."""

N_VALID = 500
"""Nodes after those of training that the public split validates with."""

MOST_FEAT_BYTES = 2**30
"""Of dense features; PubMed, the largest public set, has 38 MiB."""


def file_names(name: str) -> list[str]:
    """The files of a set, not packed.

    Examples
    --------
    >>> file_names("cora")[0]
    'ind.cora.x'
    """
    return [f"ind.{name}.{part}" for part in PARTS]


def read_planetoid(folder: str | Path, name: str) -> Dataset:
    """A citation graph whose nodes have words and one class each, in the public split.

    Reads ``ind.NAME.x``, ``.tx``, ``.allx`` (sparse rows of features), ``.y``, ``.ty``, ``.ally``
    (rows of one-hot classes), ``.graph`` (lists of neighbours) and ``.test.index`` (one id a line),
    each plain or gzipped. The first seven are pickles that Python 2 wrote; of those, nothing is
    loaded but arrays, sparse rows and lists. Node i is row i of ``allx``; row i of ``tx`` is the
    node on line i of ``test.index``. Edges become undirected; loops and repeats are dropped.

    Parameters
    ----------
    folder : path
    name : str
        ``cora``, ``citeseer``, ``pubmed``, or another set of this form.

    Returns
    -------
    ds : Dataset
        Of node type ``"node"`` and edge type ``("node", "link", "node")``, every edge in both
        directions. ``node_data["node"]["feat"]`` is (n, d) float32, dense, as stored. A node in no
        file of features, of which CiteSeer has 15, has a row of zeros and label -1, and is in no
        part. ``node_split`` trains with the rows of ``x``, validates with the 500 nodes after them
        and tests with ``test.index``.

    Raises
    ------
    DataError
        If a file is missing or damaged, a pickle names anything else, sizes do not agree, a row of
        classes has several, or an id is out of range.

    References
    ----------
    Yang et al., Revisiting semi-supervised learning with graph embeddings, arXiv 1603.08861.

    Examples
    --------
    >>> read_planetoid("nowhere", "cora")
    Traceback (most recent call last):
    dglmeta.errors.DataError: nowhere: expected ind.cora.allx or ind.cora.allx.gz, got neither.
    Put it there.
    """
    files = _Files(Path(folder), name)
    known, tests = files.rows("all"), files.rows("t")
    n_train = files.count_train(known)
    test_ids = files.test_ids(known, tests)
    n_nodes = int(test_ids.max()) + 1
    feat = np.zeros((n_nodes, known.feat.shape[1]), np.float32)
    labels = np.full(n_nodes, -1)
    for ids, rows in ((slice(len(known.label)), known), (test_ids, tests)):
        feat[ids], labels[ids] = rows.feat, rows.label
    hg = undirected(n_nodes, *files.edges(n_nodes), {"feat": feat})
    valid = np.arange(n_train, min(n_train + N_VALID, len(known.label)))
    parts = (np.arange(n_train), valid, np.sort(test_ids))
    try:
        split = _split(parts, labels, known.n_classes)
        return Dataset(name, hg, node_split=split, labels=labels)
    except DataError as error:
        raise DataError(f"{files.folder}: {name}: {error}") from None


class _Rows(NamedTuple):
    """Nodes with what is known of them."""

    feat: Features
    """(n, d)."""
    label: Ids
    """(n,): -1 for a row without a class."""
    n_classes: int


class _Files(NamedTuple):
    """The files of a set."""

    folder: Path
    name: str

    def path(self, part: str) -> Path:
        """Of one file, packed or not."""
        file = f"ind.{self.name}.{part}"
        path = find_file(self.folder, file)
        if path is None:
            raise DataError(
                f"{self.folder}: expected {file} or {file}.gz, got neither. Put it there."
            )
        return path

    def rows(self, prefix: str) -> _Rows:
        """The nodes of ``PREFIXx`` and ``PREFIXy``; with prefix "" those of training."""
        path = self.path(f"{prefix}x")
        matrix = Pickle.read(path).rows()
        n, d = matrix.shape
        if 4 * n * d > MOST_FEAT_BYTES:
            _refuse(path, f"dense features of at most {MOST_FEAT_BYTES:,} bytes", f"{n:,} x {d:,}")
        labels = self.path(f"{prefix}y")
        one_hot = Pickle.read(labels).array()
        if one_hot.ndim != 2 or len(one_hot) != n or one_hot.shape[1] < 2:
            wanted = f"classes of shape ({n}, 2 or more), for the rows of {path.name}"
            _refuse(labels, wanted, f"{one_hot.shape}")
        feat = matrix.astype(np.float32).toarray()
        return _Rows(feat, _classes(labels, one_hot), one_hot.shape[1])

    def count_train(self, known: _Rows) -> int:
        """Number of nodes of training, which must be the first of ``allx``."""
        first = self.rows("")
        n = len(first.label)
        same = _same_columns(first, known) and np.array_equal(first.label, known.label[:n])
        if not same:
            _refuse(self.path("y"), "the first rows of ally", "others")
        return n

    def test_ids(self, known: _Rows, tests: _Rows) -> Ids:
        """Node of each row of ``tx``: after those of ``allx``, not too far, and each once."""
        path = self.path("test.index")
        if not _same_columns(known, tests):
            sizes = [(rows.feat.shape[1], rows.n_classes) for rows in (known, tests)]
            _refuse(self.path("tx"), f"(features, classes) {sizes[0]} as allx", f"{sizes[1]}")
        try:
            ids = np.array([int(word) for word in read_packed(path).split()], np.int64)
        except (ValueError, OverflowError) as error:
            _refuse(path, "one id a line", f"another text ({error})")
        first, n = len(known.label), len(tests.label)
        if len(ids) != n or n == 0 or len(np.unique(ids)) != n:
            _refuse(path, f"{n} different ids, one for each row of tx", f"{len(ids)}")
        limit = 2 * (first + n)
        if ids.min() < first or ids.max() >= limit:
            _refuse(path, f"ids from {first} to {limit - 1}", f"{ids.min()} to {ids.max()}")
        return ids

    def edges(self, n_nodes: int) -> tuple[Ids, Ids]:
        """Both ends of every link listed."""
        path = self.path("graph")
        src, dst = Pickle.read(path).neighbours()
        last = max(src.max(initial=0), dst.max(initial=0))
        if last >= n_nodes:
            _refuse(path, f"nodes from 0 to {n_nodes - 1}, the last of test.index", f"{last}")
        return src, dst


def _same_columns(one: _Rows, other: _Rows) -> bool:
    return (one.feat.shape[1], one.n_classes) == (other.feat.shape[1], other.n_classes)


def _classes(path: Path, one_hot: Array) -> Ids:
    """The class of each row; -1 if it is all zeros."""
    if not np.isin(one_hot, (0, 1)).all() or (one_hot.sum(1) > 1).any():
        _refuse(path, "rows of zeros with at most one 1", "others")
    return np.where(one_hot.any(1), one_hot.argmax(1), -1)


def _split(parts: tuple[Ids, Ids, Ids], labels: Ids, n_classes: int) -> NodeSplit:
    """Nodes with their classes; those without are left out."""
    known = (part[labels[part] >= 0] for part in parts)
    return NodeSplit(NODE, n_classes, *(LabelledNodes(part, labels[part]) for part in known))


def _refuse(path: Path, expected: str, got: str) -> NoReturn:
    raise DataError(f"{path}: expected {expected}, got {got[:200]}. Fetch it again.")
