"""Positive and negative pairs of a meta-path, held in memory and drawn in microseconds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError
from dglmeta.graph import Adjacency, HeteroCSR, MetaPath, as_csr
from dglmeta.kernels.cpu.negative import contains
from dglmeta.kernels.cpu.negative import sample_negatives as draw_negatives
from dglmeta.paths.chain import read_metapath
from dglmeta.paths.plan import check_budget, estimate_product
from dglmeta.paths.product import metapath_product

__all__ = ["PairLabels", "label_pairs"]

Ids = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

DEFAULT_BUDGET_BYTES = 4 << 30
"""Enough for a hundred million joined pairs; more belongs into a label store on disk."""

LABEL_BYTES = 34
"""Most bytes a joined pair takes beside the product, while excluded pairs are sorted in."""


@dataclass(frozen=True, eq=False)
class PairLabels:
    """The pairs a meta-path joins, and exact draws from them and from those it does not join.

    A negative is a pair (u, v) that the path does not join and that is not excluded, where u is a
    source joined to something and v any node of the target type; with u != v where both are of
    one type.

    Parameters
    ----------
    metapath : MetaPath
    connected : Adjacency
        Everything that is no negative: the joined pairs and, for the sources joined to something,
        their excluded pairs and their pair with themselves. No parallel edges.
    src, dst : (n_positives,) int32, or int64 when ids do not fit
        The positives: joined pairs, without the excluded and without a node's pair with itself.
    """

    metapath: MetaPath
    connected: Adjacency
    src: npt.NDArray[Any]
    dst: npt.NDArray[Any]

    @property
    def n_positives(self) -> int:
        """Number of distinct positive pairs."""
        return len(self.src)

    @property
    def n_negatives(self) -> int:
        """Number of distinct negative pairs."""
        return int(self._negatives_before[-1])

    @cached_property
    def _negatives_before(self) -> Ids:
        """(n_src + 1,) number of negatives in earlier rows."""
        degrees = self.connected.out_degrees
        free = np.where(degrees > 0, self.connected.n_dst - degrees, 0)
        return np.append(0, np.cumsum(free))

    def sample_positives(self, n: int, rng: np.random.Generator) -> tuple[Ids, Ids]:
        """``n`` positives as (src, dst), drawn uniformly with replacement."""
        drawn = rng.integers(0, len(self.src), n)
        return self.src[drawn].astype(np.int64), self.dst[drawn].astype(np.int64)

    def sample_negatives(self, n: int, rng: np.random.Generator) -> tuple[Ids, Ids]:
        """``n`` negatives as (src, dst), drawn uniformly with replacement; none is rejected.

        Notes
        -----
        Cost O(log n_src + degree) each, in the order of a microsecond.
        """
        # A row in proportion to its negatives, then one of them uniformly: all equally likely.
        rank = rng.integers(0, self._negatives_before[-1], n)
        src = np.searchsorted(self._negatives_before, rank, side="right") - 1
        seed = int(rng.integers(0, 2**63 - 1))
        adj = self.connected
        dst: Ids = draw_negatives(adj.indptr, adj.indices, src, adj.n_dst, seed)
        return src, dst


def label_pairs(
    hg: HeteroCSR,
    metapath: MetaPath | str,
    *,
    exclude: Adjacency | None = None,
    budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
) -> PairLabels:
    """Label the pairs of a meta-path by whether the path joins them, in the graph given.

    Labels must not know held-out edges: give the training graph.

    Parameters
    ----------
    hg : HeteroCSR
    metapath : MetaPath or str
    exclude : Adjacency, optional
        Shape (n_source, n_target): pairs that are neither positive nor negative, such as the direct
        training edges of the link that is the primary task.
    budget_bytes : int or None
        Refuse if the labels would take more, before anything large is allocated; None for any size.

    Returns
    -------
    labels : PairLabels

    Raises
    ------
    SchemaError
        If the graph lacks a type the path names.
    DataError
        If ``exclude`` has another shape, or there is no positive or no negative pair.
    BudgetError
        If the budget is too small.

    Notes
    -----
    Cost: the product of :func:`dglmeta.metapath_product`, and a search for every joined pair.
    Bytes: 12 a joined pair, and 19 to 39 while they are made.

    Examples
    --------
    >>> rated = ("user", "rated", "item")
    >>> hg = HeteroCSR.from_edges({rated: ([0, 1, 2], [0, 0, 1])}, {"user": 3, "item": 2})
    >>> labels = label_pairs(hg, "user-item-user")
    >>> labels.src, labels.dst, labels.n_negatives
    (array([0, 1], dtype=int32), array([1, 0], dtype=int32), 4)
    """
    hg = as_csr(hg)
    path = read_metapath(hg, metapath)
    shape = (hg.n_nodes[path.source], hg.n_nodes[path.target])
    if exclude is not None and exclude.shape != shape:
        raise DataError(
            f"label_pairs: expected exclude of shape {shape} for '{path}', got {exclude.shape}. "
            f"Its rows are the path's sources, its columns the targets."
        )
    if budget_bytes is not None:
        estimate = estimate_product(hg, path)
        needed = estimate.bytes + LABEL_BYTES * estimate.nnz
        check_budget("label_pairs", estimate, needed, budget_bytes)
    product = metapath_product(hg, path, "reach", sort=True)
    joined = Adjacency(product.indptr.astype(np.int64), product.indices, None, shape[1])
    labels = _without_left_out(path, joined, _left_out(path, joined, exclude))
    _check_both_kinds(labels)
    return labels


def _left_out(path: MetaPath, joined: Adjacency, exclude: Adjacency | None) -> Adjacency:
    """Of joined sources: excluded pairs and, where types agree, the node's pair with itself."""
    none = np.zeros(0, np.int64)
    src, dst = exclude.coo() if exclude is not None else (none, none)
    if path.source == path.target:
        nodes = np.arange(joined.n_src)
        src, dst = np.append(src, nodes), np.append(dst, nodes)
    kept = joined.out_degrees[src] > 0
    pairs = np.unique(src[kept].astype(np.int64) * joined.n_dst + dst[kept])
    return Adjacency.from_coo(*np.divmod(pairs, max(joined.n_dst, 1)), joined.shape)


def _without_left_out(path: MetaPath, joined: Adjacency, left_out: Adjacency) -> PairLabels:
    """Labels where the pairs left out are neither positive nor negative."""
    src, dst = joined.coo()
    positive = ~_holds(left_out, src, dst)
    connected = joined
    extra_src, extra_dst = left_out.coo()
    extra = ~_holds(joined, extra_src, extra_dst)
    if extra.any():
        ends = np.append(src, extra_src[extra]), np.append(dst, extra_dst[extra])
        connected = Adjacency.from_coo(*ends, joined.shape)
    return PairLabels(path, connected, src[positive], dst[positive])


def _holds(adj: Adjacency, src: npt.NDArray[Any], dst: npt.NDArray[Any]) -> Flags:
    """Whether the adjacency has each pair."""
    found: Flags = contains(adj.indptr, adj.indices, src, dst)
    return found


def _check_both_kinds(labels: PairLabels) -> None:
    if labels.n_positives == 0:
        raise DataError(
            f"label_pairs: expected '{labels.metapath}' to join a pair that is not excluded, got "
            f"none. Choose another meta-path, or check that its edge types have edges."
        )
    if labels.n_negatives == 0:
        raise DataError(
            f"label_pairs: expected pairs that '{labels.metapath}' does not join, got none: it "
            f"joins every source to everything. Choose a more selective meta-path."
        )
