"""Edges of many graphs held out to be asked about, each beside a pair that no edge joins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError
from dglmeta.tasks.episodes.links import draw_distinct, non_edges
from dglmeta.tasks.episodes.parts import random_ranks
from dglmeta.tasks.graphs.rows import GraphRows
from dglmeta.tasks.graphs.spans import pointers, spans

__all__ = ["LinkHoldout", "first_non_edges", "hold_out_links", "published_holdout"]

Ids = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class LinkHoldout(NamedTuple):
    """Pairs u < v to ask about, and the edges that embeddings may hear; all in one numbering."""

    messages: Ids
    """(k, 2) int64: edges, graph after graph, ascending."""
    pairs: Ids
    """(n, 2) int64: edges, then non-edges; each graph after graph, ascending."""
    label: Ids
    """(n,) int64: 1 of an edge, 0 of a non-edge."""
    graph: Ids
    """(n,) int64: number of the graph of each pair."""


def hold_out_links(rows: GraphRows, *, share: float = 0.2, seed: int) -> LinkHoldout:
    """Take edges of every graph out of its messages, to ask about them beside random non-edges.

    Parameters
    ----------
    rows : GraphRows
    share : float
        Of a graph's edges, in (0, 1); rounded, but at least one is held out and one is left.
        A graph of fewer than two edges, or without a non-edge, is asked nothing and keeps all.
    seed : int
        Same seed, same answer.

    Returns
    -------
    holdout : LinkHoldout
        Of each graph as many non-edges as edges, a uniform subset of those of the whole graph;
        all of them where there are fewer. Messages are all edges that are not asked about.

    Raises
    ------
    ConfigError
        If the share is not between 0 and 1.

    Notes
    -----
    O(m log m + N) with m edges and N nodes. Only where more than half of a graph's non-edges are
    asked about are they all laid out.
    """
    if not 0 < share < 1:
        raise ConfigError(
            f"hold_out_links: expected a share of the edges between 0 and 1, got {share}. "
            f"Change it."
        )
    rng = np.random.default_rng(seed)
    n_edges, n_free = rows.n_edges, _n_free(rows)
    n_held = np.clip(np.rint(share * n_edges).astype(np.int64), 1, np.maximum(n_edges - 1, 1))
    n_held[(n_edges < 2) | (n_free == 0)] = 0
    held = random_ranks(rows.graph_of_edge, rng) < n_held[rows.graph_of_edge]
    graph, rank = draw_distinct(n_free, np.minimum(n_held, n_free), rng)
    ranks = np.sort(pointers(n_free)[graph] + rank)
    return _holdout(rows, rows.edges[~held], held, non_edges(rows.node_ptr, rows.edges, ranks))


def published_holdout(rows: GraphRows) -> LinkHoldout:
    """The pairs that SAME's published figures ask about, with messages over all edges.

    Of a graph's m edges and of its *first* m non-edges, both row by row, the last tenth (rounded
    up, m - floor(0.9 m)). The non-edges all touch the first few nodes, and the edges asked about
    are heard: what is measured is mostly whether a node is one of the first. To compare with the
    paper only; :func:`hold_out_links` measures links.

    Parameters
    ----------
    rows : GraphRows

    References
    ----------
    SAME, arXiv 2201.03326; the paper does not say which non-edges, its authors' program does.
    """
    n_edges, n_free = rows.n_edges, _n_free(rows)
    n_listed = np.minimum(n_edges, n_free)
    place = np.arange(len(rows.edges)) - rows.edge_ptr[:-1][rows.graph_of_edge]
    held = place >= (9 * n_edges // 10)[rows.graph_of_edge]
    skipped = 9 * n_listed // 10
    ranks = spans(pointers(n_free)[:-1] + skipped, n_listed - skipped)
    return _holdout(rows, rows.edges, held, non_edges(rows.node_ptr, rows.edges, ranks))


def first_non_edges(rows: GraphRows, numbers: Ids, n_each: Ids) -> tuple[Ids, Ids]:
    """The first pairs without an edge of some graphs, row by row, and whose they are.

    Parameters
    ----------
    rows : GraphRows
    numbers : (B,) int64
        Graphs; one may be given several times.
    n_each : (B,) int64
        Pairs wanted of each; a graph that has fewer gives all.

    Returns
    -------
    pairs : (n, 2) int64
        u < v, numbers over all nodes.
    of : (n,) int64
        Place of their graph in ``numbers``.
    """
    n_free = _n_free(rows)
    n_given = np.minimum(n_each, n_free[numbers])
    ranks = spans(pointers(n_free)[numbers], n_given)
    return non_edges(rows.node_ptr, rows.edges, ranks), np.repeat(np.arange(len(numbers)), n_given)


def _holdout(rows: GraphRows, messages: Ids, held: Flags, negatives: Ids) -> LinkHoldout:
    pairs = np.concatenate([rows.edges[held], negatives])
    label = np.repeat([1, 0], [len(pairs) - len(negatives), len(negatives)])
    return LinkHoldout(messages, pairs, label, rows.graph_of_node[pairs[:, 0]])


def _n_free(rows: GraphRows) -> Ids:
    """(B,) pairs without an edge of each graph."""
    free: Ids = rows.n_nodes * (rows.n_nodes - 1) // 2 - rows.n_edges
    return free
