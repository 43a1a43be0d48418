"""Links of a pass that are held out, and as many pairs of nodes that no edge joins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.tasks.episodes.parts import Asked, Deal, random_ranks
from dglmeta.tasks.graphs.spans import pointers, spans

__all__ = ["LinkSplit", "draw_distinct", "non_edges", "split_links"]

Ids = npt.NDArray[np.int64]

LEAST_EDGES = 3


class LinkSplit(NamedTuple):
    """What is asked about links, and the edges that are left for messages."""

    support: Asked
    target: Asked
    heard: Ids
    """(n, 2) rows of the ends; all edges of graphs that serve other tasks among them."""


def split_links(
    deal: Deal, rng: np.random.Generator, *, support: int = 20, target: int = 20
) -> LinkSplit:
    """Hold out links of each graph for support and target, and draw negatives for both.

    Parameters
    ----------
    deal : Deal
    rng : numpy.random.Generator
    support, target : int
        Per cent of a graph's edges in either part, rounded, one edge at least; 80 in all at most.

    Notes
    -----
    A graph with fewer than 3 edges, or in which all nodes are joined, is for messages only.
    Negatives are a uniform subset of the pairs that no edge of the whole graph joins, none in both
    parts; where there are too few, the parts share all of them.
    """
    serves = deal.serves("lp")
    n_nodes, n_edges = deal.rows.n_nodes[deal.number], deal.rows.n_edges[deal.number]
    n_free = n_nodes * (n_nodes - 1) // 2 - n_edges
    asked = serves & (n_edges >= LEAST_EDGES) & (n_free > 0)
    n_target, n_support = (
        asked * np.rint(n_edges * (percent / 100)).astype(np.int64).clip(1)
        for percent in (target, support)
    )
    n_both = n_target + n_support

    edge = np.flatnonzero(serves[deal.place_of_edge])
    place = deal.place_of_edge[edge]
    rank = random_ranks(place, rng)
    in_target = rank < n_target[place]
    in_support = ~in_target & (rank < n_both[place])
    heard = np.ones(len(deal.edges), bool)
    heard[edge[in_target | in_support]] = False

    n_wanted = np.minimum(n_both, n_free)
    place, pairs = _draw_non_edges(deal, n_free, n_wanted, rng)
    nth = np.arange(len(place)) - pointers(n_wanted)[place]
    late = nth >= (n_wanted - n_wanted * n_support // n_both.clip(1))[place]
    return LinkSplit(
        _asked(deal, edge[in_support], place[late], pairs[late]),
        _asked(deal, edge[in_target], place[~late], pairs[~late]),
        deal.edges[heard],
    )


def draw_distinct(n_each: Ids, n_wanted: Ids, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """For each group g, ``n_wanted[g]`` different numbers below ``n_each[g]``, in random order.

    Parameters
    ----------
    n_each, n_wanted : (k,) int64
        Of each group; no more are wanted than there are.
    rng : numpy.random.Generator

    Returns
    -------
    group, number : (n,) int64
        Groups ascending. Ordered choices are all equally likely.

    Notes
    -----
    Numbers are drawn, and drawn again for those that came before; each round at least halves, on
    average, what is missing, as groups of which more than half is wanted are shuffled whole
    instead. Cost O(n log n).
    """
    whole = n_each * (2 * n_wanted > n_each)
    group = np.repeat(np.arange(len(n_each)), whole)
    number = spans(np.zeros_like(whole), whole)
    order = rng.permutation(len(group))
    group, number = group[order], number[order]
    begin = pointers(n_each)[:-1]
    while (n_missing := (n_wanted - np.bincount(group, minlength=len(n_each))).clip(0)).any():
        more = np.repeat(np.arange(len(n_each)), n_missing)
        group = np.concatenate([group, more])
        number = np.concatenate([number, rng.integers(0, n_each[more])])
        _, new = np.unique(begin[group] + number, return_index=True)
        new.sort()
        group, number = group[new], number[new]
    order = np.argsort(group, kind="stable")
    group, number = group[order], number[order]
    nth = np.arange(len(group)) - pointers(np.bincount(group, minlength=len(n_each)))[group]
    wanted = nth < n_wanted[group]
    return group[wanted], number[wanted]


def non_edges(node_ptr: Ids, edges: Ids, ranks: Ids) -> Ids:
    """(n, 2) pairs u < v of given ranks among all that are in one graph and no edge.

    Parameters
    ----------
    node_ptr : (k + 1,) int64
        Where the nodes of each of k graphs begin.
    edges : (m, 2) int64
        u < v, ascending.
    ranks : (n,) int64
        In the order of (u, v) through all graphs.

    Notes
    -----
    Pairs are numbered row by row. Before edge e there are ``number[e] - e`` pairs that are none.
    """
    n_each = np.diff(node_ptr)
    row = np.arange(node_ptr[-1])
    first = pointers(np.repeat(node_ptr[1:], n_each) - row - 1)  # number of the pair (u, u + 1)
    number = first[edges[:, 0]] + edges[:, 1] - edges[:, 0] - 1
    pair = ranks + np.searchsorted(number - np.arange(len(edges)), ranks, side="right")
    u = np.searchsorted(first[:-1], pair, side="right") - 1
    return np.stack([u, pair - first[u] + u + 1], axis=1)


def _draw_non_edges(
    deal: Deal, n_free: Ids, n_wanted: Ids, rng: np.random.Generator
) -> tuple[Ids, Ids]:
    """(n,) places and (n, 2) rows of pairs that no edge joins, in random order at each place."""
    place, rank = draw_distinct(n_free, n_wanted, rng)
    return place, non_edges(deal.node_ptr, deal.edges, pointers(n_free)[place] + rank)


def _asked(deal: Deal, held: Ids, place: Ids, pairs: Ids) -> Asked:
    """Edges of one part and its negatives, those of a mini-batch together, edges first."""
    rows = np.concatenate([deal.edges[held], pairs]).T
    label = np.repeat([1.0, 0.0], [len(held), len(pairs)])
    batch = deal.batch[np.concatenate([deal.place_of_edge[held], place])]
    order = np.argsort(batch, kind="stable")
    return Asked(rows[:, order], label[order], batch[order])
