"""Link prediction by one graph alone, to compare with: Adamic-Adar and DeepWalk.

Each sees the edges it is handed and no others: hand it the training edges of a graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError, DataError, DglmetaError
from dglmeta.graph import Adjacency
from dglmeta.kernels.cpu.sddmm import sddmm
from dglmeta.kernels.cpu.spgemm_masked import multiply_masked
from dglmeta.kernels.cpu.walk import random_walks
from dglmeta.kernels.rng import derive_seed

__all__ = ["adamic_adar", "cosine_scores", "deepwalk"]

Scores = npt.NDArray[np.float64]

WALK, ORDER, MODEL = range(3)
"""Labels of the random streams drawn here, for ``derive_seed``."""

LONGEST_WALK = 10_000
"""Words of a sentence that gensim reads; it drops the rest without a word."""

BATCH_WORDS = 1_000
"""Words between changes of the learning rate: with gensim's 10,000, small graphs see few rates."""


def adamic_adar(adj: Adjacency, src: npt.ArrayLike, dst: npt.ArrayLike) -> Scores:
    """How many neighbours each pair has in common, one of few neighbours counting more.

    The sum over common neighbours w of ``1 / log(degree of w)``.

    Parameters
    ----------
    adj : Adjacency
        Undirected: every edge both ways. Parallel edges count once, self loops not at all.
    src, dst : (n,) integers
        Nodes of each pair, in any order; a pair may be given twice. Of a node with itself, the
        common neighbours are those that have others too.

    Returns
    -------
    scores : (n,) float64
        0 where nothing is in common, as for nodes without edges.

    Raises
    ------
    DataError
        If ``adj`` is not symmetric, or an id is not that of a node, or the lengths differ.

    Notes
    -----
    On the host. Cost O(edges + n log n + degrees of the neighbours of every node in ``src``), by
    the masked product: bytes O(edges + n), never those of the product. The same bits for any number
    of threads, and for a pair the other way round.

    References
    ----------
    Adamic and Adar, Friends and neighbors on the Web, 2003.

    Examples
    --------
    >>> path = Adjacency.from_coo([0, 1, 1, 2], [1, 0, 2, 1], (3, 3))
    >>> adamic_adar(path, [0, 0], [2, 1]).round(4)
    array([1.4427, 0.    ])
    """
    graph = _simple(adj)
    mask = Adjacency.from_coo(src, dst, graph.shape)
    degree = graph.out_degrees
    # A node of degree 1 lies between no two nodes, and its logarithm is 0.
    weight = np.zeros(graph.n_src)
    weight[degree > 1] = 1 / np.log(degree[degree > 1])
    indptr, indices, values = multiply_masked(
        graph.indptr,
        graph.indices,
        weight[graph.indices],
        graph.indptr,
        graph.indices,
        None,
        mask.indptr,
        mask.indices,
        graph.n_dst,
    )
    found = _keys(indptr, indices, graph.n_dst)  # ascending, as the columns of the mask are
    source, target = mask.coo()
    wanted = source.astype(np.int64) * graph.n_dst + target
    place = np.searchsorted(found, wanted)
    met = np.append(found, -1)[place] == wanted
    return np.where(met, np.append(values, 0.0)[place], 0.0)


def deepwalk(
    adj: Adjacency,
    *,
    d: int = 64,
    n_walks: int = 10,
    length: int = 80,
    window: int = 5,
    seed: int = 0,
) -> npt.NDArray[np.float32]:
    """A vector for each node, near those of the nodes that random walks meet beside it.

    Skip-gram with hierarchical softmax, one epoch, over walks as sentences; by gensim.

    Parameters
    ----------
    adj : Adjacency
        Square. A walk takes a uniform edge at each node, and ends early where there is none.
    d : int
        Length of a vector.
    n_walks : int
        Walks from each node.
    length : int
        Nodes of a walk, 2 to 10,000.
    window : int
        How far apart in a walk two nodes are at most to count as beside each other; for each node
        of a walk the distance allowed is drawn from 1 to this.
    seed : int
        The same seed gives the same vectors, in any process.

    Returns
    -------
    z : (n, d) float32
        Zero for nodes that no walk of at least two nodes meets: those without edges.

    Raises
    ------
    ConfigError
        If a number is not in its range.
    DataError
        If ``adj`` is not square.
    DglmetaError
        If gensim is not installed.

    Notes
    -----
    Cost O(n n_walks length window d log n), in one thread, as several would write in any order.
    Bytes: 8 n length of one walk from each node at a time, and 8 n d of the model. Frequent nodes
    are not thinned out, as gensim would by itself: DeepWalk has no such step, and in a small graph
    all nodes are frequent.

    References
    ----------
    Perozzi, Al-Rfou and Skiena, arXiv 1403.6652, algorithms 1 and 2.
    """
    _check_at_least(1, d=d, n_walks=n_walks, window=window)
    _check_at_least(2, length=length)
    if length > LONGEST_WALK:
        raise ConfigError(
            f"deepwalk: expected length up to {LONGEST_WALK:,}, got {length:,}. The usual is 80."
        )
    graph = _square("deepwalk", adj)
    train = _skip_gram()
    z = np.zeros((graph.n_src, d), np.float32)
    if graph.n_edges == 0:
        return z
    vectors = train(
        _Walks(graph, n_walks, length, seed),
        sg=1,
        hs=1,
        negative=0,
        sample=0,
        vector_size=d,
        window=window,
        min_count=0,
        epochs=1,
        workers=1,
        batch_words=BATCH_WORDS,
        seed=derive_seed(seed, MODEL) % 2**32,
        hashfxn=_stable_hash,
    ).wv
    z[np.array(vectors.index_to_key, np.int64)] = vectors.vectors
    return z


def cosine_scores(z: npt.NDArray[Any], src: npt.ArrayLike, dst: npt.ArrayLike) -> Scores:
    """Cosine similarity of the vectors of each pair of nodes.

    Parameters
    ----------
    z : (m, d) numbers
    src, dst : (n,) integers
        Rows of z.

    Returns
    -------
    scores : (n,) float64
        In [-1, 1] but for rounding; 0 where a vector is zero.

    Raises
    ------
    DataError
        If an id is not that of a row, or the lengths differ.

    Notes
    -----
    Cost O((m + n) d); bytes: z once more in float64, and O(n).

    Examples
    --------
    >>> cosine_scores(np.array([[1, 0], [3, 3], [0, 0]]), [0, 0], [1, 2]).round(4)
    array([0.7071, 0.    ])
    """
    pairs = Adjacency.from_coo(src, dst, (len(z), len(z)))
    z = np.asarray(z, np.float64)
    norm = np.linalg.norm(z, axis=1, keepdims=True)
    unit = np.ascontiguousarray(z / np.where(norm > 0, norm, 1))[:, None]  # one head
    scores: Scores = sddmm(pairs.indptr, pairs.indices, pairs.edge_ids, unit, unit)[:, 0]
    return scores


@dataclass(frozen=True, eq=False)
class _Walks:
    """Walks as sentences of node names; each pass over them gives the same ones."""

    graph: Adjacency
    n_walks: int
    length: int
    seed: int

    def __iter__(self) -> Iterator[list[str]]:
        """One walk from each node with edges, in a new order, then the next from each."""
        steps = [(self.graph.indptr, self.graph.indices)] * (self.length - 1)
        starts = np.flatnonzero(self.graph.out_degrees)
        names = np.arange(self.graph.n_src).astype(str).astype(object)
        for turn in range(self.n_walks):
            rng = np.random.default_rng(derive_seed(self.seed, ORDER, turn))
            walks = random_walks(steps, rng.permutation(starts), derive_seed(self.seed, WALK, turn))
            for walk, n in zip(walks, (walks >= 0).sum(1), strict=True):  # -1 after a dead end
                yield names[walk[:n]].tolist()


def _skip_gram() -> Any:
    """Word2Vec of gensim, which takes a second to load."""
    try:
        from gensim.models import Word2Vec
    except ImportError as error:
        raise DglmetaError(
            "deepwalk: expected gensim, which trains the skip-gram, got none. "
            "Type: pip install 'dglmeta[baselines]'"
        ) from error
    return Word2Vec


def _stable_hash(text: str) -> int:
    """The same in every process, unlike Python's own hash of a text."""
    return crc32(text.encode())


def _simple(adj: Adjacency) -> Adjacency:
    """An undirected graph on the host without parallel edges and self loops."""
    graph = _square("adamic_adar", adj)
    n = graph.n_src
    row, column = np.repeat(np.arange(n), graph.out_degrees), graph.indices
    kept = row != column
    kept[1:] &= (row[1:] != row[:-1]) | (column[1:] != column[:-1])
    indptr = np.append(0, np.cumsum(np.bincount(row[kept], minlength=n)))
    simple = Adjacency(indptr, column[kept], None, n)
    turned = simple.T
    if not (
        np.array_equal(simple.indptr, turned.indptr)
        and np.array_equal(simple.indices, turned.indices)
    ):
        raise DataError(
            f"adamic_adar: expected every edge both ways, got {adj} with some one way only. "
            f"Add the reverse edges."
        )
    return simple


def _square(where: str, adj: Adjacency) -> Adjacency:
    """The adjacency on the host, if its edges join nodes of one type."""
    if adj.n_src != adj.n_dst:
        raise DataError(
            f"{where}: expected edges between nodes of one type, got {adj}. "
            f"Take dglmeta.paths.undirected.as_undirected of the graph."
        )
    return adj.host


def _keys(indptr: npt.NDArray[Any], indices: npt.NDArray[Any], n: int) -> npt.NDArray[np.int64]:
    """One number for each place of a matrix of n columns, by position."""
    keys: npt.NDArray[np.int64] = np.repeat(np.arange(len(indptr) - 1) * n, np.diff(indptr))
    keys += indices
    return keys


def _check_at_least(least: int, **settings: int) -> None:
    for name, value in settings.items():
        if value < least:
            raise ConfigError(f"deepwalk: expected {name} >= {least}, got {value}. Set {name}.")
