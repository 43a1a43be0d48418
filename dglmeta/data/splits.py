"""Random splits of links that keep what is held out away from messages and labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.data.fractions import FRACTIONS, check_fractions, part_ends
from dglmeta.data.pairs import distinct_pairs, draw_negatives, sort_distinct
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency, EdgeType, HeteroCSR
from dglmeta.kernels.cpu.negative import contains

__all__ = ["LinkSplit", "Rows", "k_folds", "split_links"]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]


class Rows(NamedTuple):
    """Labelled pairs, in random order."""

    src: Ids
    """(n,) int64 source node ids."""
    dst: Ids
    """(n,) int64 destination node ids."""
    label: npt.NDArray[np.float32]
    """(n,) float32: 1 where the target edge joins the pair, else 0."""


@dataclass(frozen=True, eq=False)
class LinkSplit:
    """Labelled pairs of one edge type in three parts that share no pair.

    Parameters
    ----------
    target : (str, str, str)
        The edge type to predict.
    train, valid, test : Rows
    train_edge_ids : (n_train_positives,) int64
        One edge for each positive row of ``train``, in the order of those rows.
    held_out_edge_ids : (n_held_out,) int64
        Every edge that joins a positive pair of ``valid`` or ``test``, ascending.
    """

    target: EdgeType
    train: Rows
    valid: Rows
    test: Rows
    train_edge_ids: Ids
    held_out_edge_ids: Ids

    def training_graph(self, hg: HeteroCSR) -> HeteroCSR:
        """The graph without held-out edges; everything else is shared with ``hg``.

        Edge k of the target type joins the k-th positive row of ``train``; repeats of a pair are
        left out. An edge type that has exactly the target's pairs, turned round or not, loses the
        held-out ones too, for it would give them away.

        Parameters
        ----------
        hg : HeteroCSR
            The graph that was split.

        Raises
        ------
        SchemaError
            If it does not have the target edge type.
        DataError
            If it has fewer target edges than the graph that was split.
        """
        target = hg.adjacency(self.target)
        if max(self.train_edge_ids.max(), self.held_out_edge_ids.max()) >= target.n_edges:
            raise DataError(
                f"LinkSplit: expected the graph that was split, got one with only "
                f"{target.n_edges} edges of {self.target}. Give the same graph."
            )
        training = _keep_edges(hg, self.target, self.train_edge_ids)
        for triple, adj in hg.adjacencies.items():
            if triple != self.target and adj.n_edges == target.n_edges:
                copy = next((a for a in (adj, adj.T) if _same_edges(a, target)), None)
                if copy is not None:
                    training = _keep_edges(training, triple, self._kept(target, copy))
        return training

    def _kept(self, target: Adjacency, copy: Adjacency) -> Ids:
        """Ids of the edges of a copy of the target that are not held out."""
        ids = np.arange(target.n_edges) if target.edge_ids is None else target.edge_ids
        kept = ~np.isin(ids, self.held_out_edge_ids)  # by position, where the two agree
        copy_ids = np.arange(copy.n_edges) if copy.edge_ids is None else copy.edge_ids
        return np.sort(copy_ids[kept])


def split_links(
    hg: HeteroCSR,
    target: str | EdgeType,
    *,
    negatives: npt.ArrayLike | None = None,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> LinkSplit:
    """Split the pairs of an edge type, positives and negatives together, at random.

    Every distinct pair is one row. Where the edge type joins a node type to itself, a pair and its
    reverse fall into the same part.

    Parameters
    ----------
    hg : HeteroCSR
    target : str or (str, str, str)
        The edge type whose edges are the positives.
    negatives : (m, 2) integers, optional
        Pairs that are no edges, each counted once; drawn by :func:`draw_negatives` when absent.
    seed : int
        Same seed, same split.
    fractions : (float, float, float)
        Shares of train, valid and test, positive and of sum 1; valid and test are rounded down.

    Raises
    ------
    SchemaError
        If there is no such edge type.
    ConfigError
        If the fractions are not three positive numbers of sum 1.
    DataError
        If there are no positives, a negative is an edge or out of range, or a part would lack
        positives or negatives.

    Notes
    -----
    Cost O(n_edges log n_edges), peak about 150 bytes an edge where negatives are drawn.

    Examples
    --------
    >>> from dglmeta.data import toy
    >>> ds = toy()
    >>> split = split_links(ds.csr, "rated", seed=0)
    >>> len(split.train.src), len(split.valid.src), len(split.test.src)
    (30, 9, 9)
    >>> split.training_graph(ds.csr).adjacency("rated").n_edges, int(split.train.label.sum())
    (16, 16)
    """
    triple = hg.schema.edge_type(target)
    adj = hg.adjacency(triple)
    where = f"split_links({triple})"
    check_fractions(where, fractions)
    if adj.n_edges == 0:
        raise DataError(
            f"{where}: expected edges of the target type, got none. "
            f"Give the data set's positives, or another target."
        )
    rng = np.random.default_rng(seed)
    one_type = triple[0] == triple[2]
    if negatives is None:
        negatives = draw_negatives(adj, int(rng.integers(2**63)), loops=not one_type)
    wrong = _check_negatives(where, adj, negatives)
    src, dst, position = distinct_pairs(adj)
    pairs = np.concatenate([np.stack([src, dst], axis=1), wrong])  # (n_rows, 2)
    order, ends = _shuffle(pairs, rng, fractions, one_type=one_type)
    train, valid, test = (
        _rows(where, name, pairs, rows, len(src))
        for name, rows in zip(("train", "valid", "test"), np.split(order, ends), strict=True)
    )
    ids = np.arange(adj.n_edges) if adj.edge_ids is None else adj.edge_ids
    in_train = order[: ends[0]]
    in_train = in_train[in_train < len(src)]
    held_out = np.ones(len(src), bool)
    held_out[in_train] = False
    n_parallel = np.diff(position, append=adj.n_edges)
    return LinkSplit(
        triple,
        train,
        valid,
        test,
        train_edge_ids=ids[position[in_train]],
        held_out_edge_ids=np.sort(ids[np.repeat(held_out, n_parallel)]),
    )


def k_folds(n: int, k: int, *, seed: int = 0) -> tuple[Ids, ...]:
    """The numbers 0..n-1 dealt at random into ``k`` folds whose sizes differ by at most one.

    Parameters
    ----------
    n : int
        At least ``k``.
    k : int
        At least 2.
    seed : int

    Returns
    -------
    folds : k arrays of int64
        Each ascending; fold c is held out, the others are what is left.

    Raises
    ------
    ConfigError
        If ``k`` is below 2 or above ``n``.

    Examples
    --------
    >>> [len(fold) for fold in k_folds(10, 3)]
    [4, 3, 3]
    """
    if not 2 <= k <= n:
        raise ConfigError(f"k_folds: expected 2 <= k <= n = {n}, got k = {k}. Change k.")
    order = np.random.default_rng(seed).permutation(n)
    return tuple(np.sort(fold) for fold in np.array_split(order, k))


def _shuffle(
    pairs: Ids, rng: np.random.Generator, fractions: tuple[float, ...], *, one_type: bool
) -> tuple[Ids, Ids]:
    """Row numbers in the order train, valid, test, and where the first two end."""
    if not one_type:
        order = rng.permutation(len(pairs))
        return order, part_ends(len(pairs), fractions)
    # A pair and its reverse are one group; groups are shuffled, and stay together.
    group = np.unique(np.sort(pairs, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    n_groups = int(group.max()) + 1
    place = rng.permutation(n_groups)[group]
    order = np.argsort(place, kind="stable")
    return order, np.searchsorted(place[order], part_ends(n_groups, fractions))


def _rows(where: str, name: str, pairs: Ids, rows: Ids, n_positives: int) -> Rows:
    label = (rows < n_positives).astype(np.float32)
    if label.all() or not label.any():
        raise DataError(
            f"{where}: expected positives and negatives in {name}, got {len(label)} rows of which "
            f"{int(label.sum())} are positive. Give more edges, or another seed or fractions."
        )
    return Rows(pairs[rows, 0], pairs[rows, 1], label)


def _keep_edges(hg: HeteroCSR, triple: EdgeType, ids: Ids) -> HeteroCSR:
    """The graph with only some edges of one type, in the given order, with their features."""
    src, dst = hg.adjacencies[triple].coo()
    kept = hg.with_edges(triple, src[ids], dst[ids])
    if triple not in hg.edge_data:
        return kept
    features = {name: values[ids] for name, values in hg.edge_data[triple].items()}
    return replace(kept, edge_data={**kept.edge_data, triple: features})


def _same_edges(a: Adjacency, b: Adjacency) -> bool:
    return (
        a.shape == b.shape
        and np.array_equal(a.indptr, b.indptr)
        and np.array_equal(a.indices, b.indices)
    )


def _check_negatives(where: str, adj: Adjacency, negatives: npt.ArrayLike) -> Ids:
    pairs = np.asarray(negatives)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise DataError(
            f"{where}: expected negatives as (m, 2) integers, got {pairs.dtype} of shape "
            f"{pairs.shape}. Give a source and a destination each."
        )
    pairs = pairs.astype(np.int64)
    inside = ((pairs >= 0) & (pairs < adj.shape)).all(axis=1)
    if not inside.all():
        raise DataError(
            f"{where}: expected negatives below {adj.shape}, got {pairs[~inside][0].tolist()}. "
            f"Correct the ids."
        )
    joined = contains(adj.indptr, adj.indices, pairs[:, 0], pairs[:, 1])
    if joined.any():
        raise DataError(
            f"{where}: expected negatives that are no edges, got {pairs[joined][0].tolist()}, "
            f"which is one. Take it out."
        )
    keys = sort_distinct(pairs[:, 0] * adj.n_dst + pairs[:, 1])
    return np.stack(np.divmod(keys, adj.n_dst), axis=1)
