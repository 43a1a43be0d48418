"""The links of one graph in train, valid and test, of which few are for training."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.data.undirected import LINK, NODE, SCHEMA, undirected
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import HeteroCSR

__all__ = ["FewShotSplit", "few_shot_split"]

Ids = npt.NDArray[np.int64]

LEAST_EDGES = 3
LEAST_FREE = 2


class FewShotSplit(NamedTuple):
    """Pairs of nodes u < v, sorted within each part; no pair is in two parts."""

    train: Ids
    """(n_train, 2) int64: the edges messages may pass along."""
    valid: Ids
    """(n_valid, 2) int64: edges to choose by."""
    test: Ids
    """(n_test, 2) int64: edges to test on."""
    valid_negatives: Ids
    """(n_valid, 2) int64: non-edges of the whole graph; fewer where it has too few."""
    test_negatives: Ids
    """(n_test, 2) int64: the same for the test."""

    def training_graph(self, hg: HeteroCSR) -> HeteroCSR:
        """The graph with its training edges only, in both directions; features are shared.

        Parameters
        ----------
        hg : HeteroCSR
            The graph that was split.
        """
        src, dst = self.train.T
        return undirected(hg.n_nodes[NODE], src, dst, hg.node_data.get(NODE))


def few_shot_split(
    hg: HeteroCSR, train_fraction: float = 0.1, *, valid_fraction: float = 0.2, seed: int = 0
) -> FewShotSplit:
    """Deal the undirected edges of a graph at random, and draw as many non-edges to rank them with.

    Parameters
    ----------
    hg : HeteroCSR
        As in a :class:`dglmeta.data.GraphDataset`.
    train_fraction, valid_fraction : float
        Shares of all edges, positive and of sum below 1. Both are rounded, but no part is empty;
        the rest is for the test.
    seed : int
        Same seed, same split.

    Returns
    -------
    split : FewShotSplit
        Negatives are a uniform subset of the pairs that no edge of the whole graph joins. Where
        there are too few, valid and test share all of them in proportion to their edges.

    Raises
    ------
    ConfigError
        If a fraction is not positive, or they leave nothing for the test.
    DataError
        If the graph has other types, fewer than 3 edges, or fewer than 2 pairs without one.

    Notes
    -----
    Non-edges are drawn by rank: the r-th pair that is no edge is found by bisection among the
    edges, so that nothing is rejected and a dense graph costs no more than a sparse one. Cost
    O(n_edges log n_edges + n_nodes), peak about 100 bytes an edge, in a dense graph up to 160 more.

    Examples
    --------
    >>> ring = undirected(12, range(12), [*range(1, 12), 0])
    >>> split = few_shot_split(ring, 0.25, valid_fraction=0.25)
    >>> len(split.train), len(split.valid), len(split.test), len(split.test_negatives)
    (3, 3, 6, 6)
    >>> split.training_graph(ring).adjacency(LINK).n_edges
    6
    """
    _check_fractions(train_fraction, valid_fraction)
    edges = _edges(hg)
    n_edges, n_nodes = len(edges), hg.n_nodes[NODE]
    n_free = n_nodes * (n_nodes - 1) // 2 - n_edges
    if n_edges < LEAST_EDGES or n_free < LEAST_FREE:
        raise DataError(
            f"few_shot_split: expected at least {LEAST_EDGES} edges and {LEAST_FREE} pairs without "
            f"one, got {n_edges} and {n_free} among {n_nodes} nodes. Leave this graph out."
        )
    n_train, n_valid = _sizes(n_edges, train_fraction, valid_fraction)
    rng = np.random.default_rng(seed)
    order = rng.permutation(n_edges)
    train, valid, test = (
        edges[np.sort(part)] for part in np.split(order, [n_train, n_train + n_valid])
    )
    n_negatives = min(n_edges - n_train, n_free)
    n_for_valid = round(n_negatives * n_valid / (n_edges - n_train))
    n_for_valid = min(max(n_for_valid, 1), n_negatives - 1)
    ranks = rng.choice(n_free, n_negatives, replace=False)
    negatives = (
        _non_edges(edges, n_nodes, np.sort(part)) for part in np.split(ranks, [n_for_valid])
    )
    return FewShotSplit(train, valid, test, *negatives)


def _check_fractions(train: float, valid: float) -> None:
    if not (train > 0 and valid > 0 and train + valid < 1):
        raise ConfigError(
            f"few_shot_split: expected a train_fraction and a valid_fraction above 0 and of sum "
            f"below 1, got {train} and {valid}. Change them."
        )


def _edges(hg: HeteroCSR) -> Ids:
    """(n_edges, 2) int64: each undirected edge once as u < v, sorted."""
    if hg.schema != SCHEMA:
        raise DataError(
            f"few_shot_split: expected a graph of edge type {LINK}, got {list(hg.adjacencies)}. "
            f"Build it with `undirected`."
        )
    adj = hg.host.adjacencies[LINK]
    u, v = np.repeat(np.arange(adj.n_src), adj.out_degrees), adj.indices.astype(np.int64)
    if 2 * int((u < v).sum()) != len(u):
        raise DataError(
            "few_shot_split: expected every edge in both directions and no loops, got other edges. "
            "Build the graph with `undirected`."
        )
    return np.stack([u, v], axis=1)[u < v]


def _sizes(n_edges: int, train_fraction: float, valid_fraction: float) -> tuple[int, int]:
    """Edges of train and of valid; at least one each, and one is left."""
    n_train = min(max(round(train_fraction * n_edges), 1), n_edges - 2)
    n_valid = min(max(round(valid_fraction * n_edges), 1), n_edges - n_train - 1)
    return n_train, n_valid


def _non_edges(edges: Ids, n_nodes: int, ranks: Ids) -> Ids:
    """The pairs u < v of given ranks among all that are no edge, both in order of (u, v).

    Pairs are numbered row by row. Before edge e there are ``number[e] - e`` pairs that are none.
    """
    row: Any = np.arange(n_nodes)
    first = row * (2 * n_nodes - row - 1) // 2  # number of the pair (u, u + 1)
    number = first[edges[:, 0]] + edges[:, 1] - edges[:, 0] - 1
    n_before = np.searchsorted(number - np.arange(len(edges)), ranks, side="right")
    pair = ranks + n_before
    u = np.searchsorted(first[:-1], pair, side="right") - 1
    return np.stack([u, pair - first[u] + u + 1], axis=1)
