"""Nodes met in a sample, numbered from nought."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.sample import Drawn, cut_rows, run_pieces
from dglmeta.kernels.rng import random_uint64

__all__ = ["Met", "Numbering", "distinct", "look_up", "number", "relabel", "relabel_rows"]

Array = npt.NDArray[Any]

SPARSE_FROM = 2048
"""Nodes for each one met, from where on a sort costs less than a bitmap of all."""

RANKED_UP_TO = np.uint64(64)
"""Longest row sorted by comparing all with all, which costs less here than branches."""

ONE, SIX, LOW_6 = np.uint64(1), np.uint64(6), np.uint64(63)


class Met(NamedTuple):
    """The nodes of one type that a hop meets, for a numbering of their own."""

    first: Array
    """(n,) integers, distinct: they become 0..n-1."""
    drawn: Sequence[Drawn]
    """By each edge type that comes from this type of node."""
    n_nodes: int
    """Nodes of this type in the whole graph."""


class Numbering(NamedTuple):
    """Numbers of some nodes: ``places[k]`` for the k-th lowest id."""

    nodes: Array
    """(n_met,) int64: the node of each number."""
    words: Array
    """(n_nodes // 64 + 1,) uint64: a bit for each node, set if it is met."""
    ranks: Array
    """(n_nodes // 64 + 1,) int64: nodes met below each word."""
    places: Array
    """(n_met,) int32, or int64 where that is too short."""
    known: Array | None
    """(n_met,) integers: the nodes in order, if the bits are for places in it; else None."""


def relabel(first: Array, others: Array, n_nodes: int) -> tuple[Array, Array]:
    """Number nodes: those of ``first`` in their order, then the rest by rising id.

    Parameters
    ----------
    first : (n,) integers, distinct
        They become 0..n-1.
    others : (m,) integers
        In any order, repeated or not, members of ``first`` or not.
    n_nodes : int
        All ids lie in [0, n_nodes).

    Returns
    -------
    nodes : (n_met,) int64
        The node of each number.
    local : (m,) int32, or int64 where that is too short
        ``nodes[local]`` is ``others``.

    Notes
    -----
    Cost O(n + m + n_nodes / 64); bytes: the results, 3/8 n_nodes and 4 n_met. A bitmap of all nodes
    ranks those met; where it would be much longer than n + m, these are sorted first. Parallel but
    for the marking.

    Examples
    --------
    >>> relabel(np.array([9, 4]), np.array([7, 9, 5, 7]), 10)
    (array([9, 4, 5, 7]), array([3, 0, 2, 3], dtype=int32))
    """
    numbering = number(first, [others], n_nodes)
    return numbering.nodes, look_up(numbering, others)


def number(first: Array, others: Sequence[Array], n_nodes: int) -> Numbering:
    """The numbering of ``relabel``, of which :func:`look_up` reads numbers; one thread."""
    others = [nodes for nodes in others if len(nodes)]
    n_entries = len(first) + sum(map(len, others))
    if n_nodes <= SPARSE_FROM * (n_entries + 1):
        return _number(first, others, n_nodes)
    known = np.unique(np.concatenate([first, *others]))
    first, *others = (np.searchsorted(known, nodes) for nodes in (first, *others))
    numbering = _number(first, others, len(known))
    return numbering._replace(nodes=known[numbering.nodes], known=known)


def look_up(numbering: Numbering, nodes: Array) -> Array:
    """The number of each of these nodes, all of which are in the numbering."""
    local = np.empty(len(nodes), numbering.places.dtype)
    blocks = row_blocks(range(len(nodes) + 1), 4 * len(nodes))
    run_blocks(_look_up, blocks, *_table(numbering), _keys(numbering, nodes), local)
    return local


def relabel_rows(met: Sequence[Met]) -> list[tuple[Array, list[Drawn]]]:
    """``relabel`` for what was drawn from nodes of several types, work shared among the threads.

    Returns
    -------
    nodes, drawn : for each member of ``met``
        The node of each number; the edges drawn, with numbers in the place of ids and each row
        sorted by them, parallel edges in the order drawn.
    """
    n_each = [sum(len(drawn.edge_ids) for drawn in one.drawn) for one in met]
    n_all = sum(n_each)
    numberings: list[Any] = [None] * len(met)
    jobs = [(k, met, numberings) for k, n in enumerate(n_each) if n]
    run_pieces(_number_type, jobs, 2 * n_all)
    pieces, results = [], []
    for one, numbering in zip(met, numberings, strict=True):
        if numbering is None:
            results.append((one.first, list(one.drawn)))
            continue
        local = []
        for indptr, neighbours, edge_ids in one.drawn:
            numbers = np.empty(len(neighbours), numbering.places.dtype)
            out = Drawn(indptr, numbers, np.empty_like(edge_ids))
            local.append(out)
            row = *_table(numbering), _keys(numbering, neighbours), edge_ids, *out
            pieces += [(begin, end, *row) for begin, end in cut_rows(indptr, n_all)]
        results.append((numbering.nodes, local))
    run_pieces(_look_up_rows, pieces, 5 * n_all)
    return results


def distinct(ids: Array) -> Array:
    """The ids, each once, in the order of their first appearance.

    Parameters
    ----------
    ids : (n,) integers >= 0

    Returns
    -------
    distinct : (n_distinct,) int64

    Notes
    -----
    Cost O(n) expected, by hashing; bytes: up to 40 n. One thread.

    Examples
    --------
    >>> distinct(np.array([9, 4, 9]))
    array([9, 4])
    """
    return _distinct(ids)


def _number_type(k: int, met: Sequence[Met], numberings: list[Any]) -> None:
    first, drawn, n_nodes = met[k]
    numberings[k] = number(first, [edges.neighbours for edges in drawn], n_nodes)


def _number(first: Array, others: Sequence[Array], n_nodes: int) -> Numbering:
    old = np.zeros(n_nodes // 64 + 1, np.uint64)
    _mark(first, old)
    words = old.copy()
    for nodes in others:
        _mark(nodes, words)
    ranks = np.empty(len(words), np.int64)
    n_met = _rank(words, ranks)
    nodes = np.empty(n_met, np.int64)
    places = np.empty(n_met, np.int32 if n_met < 2**31 else np.int64)
    _place(first, old, words, ranks, places, nodes)
    return Numbering(nodes, words, ranks, places, None)


def _table(numbering: Numbering) -> tuple[Array, Array, Array]:
    return numbering.words, numbering.ranks, numbering.places


def _keys(numbering: Numbering, nodes: Array) -> Array:
    """What the nodes are called in the table."""
    return nodes if numbering.known is None else np.searchsorted(numbering.known, nodes)


@njit(cache=True, nogil=True)
def _mark(nodes, words):
    for t in range(np.uint64(len(nodes))):
        node = np.uint64(nodes[t])
        words[node >> SIX] |= ONE << (node & LOW_6)


@njit(cache=True, nogil=True)
def _rank(words, ranks):
    """Fill ranks with the number of bits set below each word; returns that of all."""
    total = np.uint64(0)
    for w in range(np.uint64(len(words))):
        ranks[w] = total
        total += _n_bits(words[w])
    return np.int64(total)


@njit(cache=True, nogil=True)
def _place(first, old, words, ranks, places, nodes):
    """Number the nodes of ``first``, whose bits are in ``old``, then the others of ``words``."""
    for k in range(np.uint64(len(first))):
        node = np.uint64(first[k])
        places[_rank_of(node, words, ranks)] = k
        nodes[k] = node
    k = np.uint64(len(first))
    for w in range(np.uint64(len(words))):
        word, rank = words[w], np.uint64(ranks[w])
        new = word & ~old[w]
        while new != np.uint64(0):
            below = (new & -new) - ONE
            places[rank + _n_bits(word & below)] = k
            nodes[k] = (w << SIX) + _n_bits(below)
            k += ONE
            new &= new - ONE


@njit(cache=True, nogil=True)
def _look_up(begin, end, words, ranks, places, nodes, local):
    for t in range(np.uint64(begin), np.uint64(end)):
        local[t] = places[_rank_of(np.uint64(nodes[t]), words, ranks)]


@njit(cache=True, nogil=True)
def _look_up_rows(begin, end, words, ranks, places, nodes, edge_ids, indptr, local, out_edge_ids):
    keys = np.empty(RANKED_UP_TO, np.int64)
    for r in range(np.uint64(begin), np.uint64(end)):
        first, stop = np.uint64(indptr[r]), np.uint64(indptr[r + ONE])
        n = stop - first
        if n > RANKED_UP_TO:
            found = np.empty(n, local.dtype)
            _look_up(0, n, words, ranks, places, nodes[first:stop], found)
            order = np.argsort(found, kind="mergesort")
            local[first:stop], out_edge_ids[first:stop] = found[order], edge_ids[first:stop][order]
            continue
        for t in range(n):  # the number, then the place in the row: no two keys are equal
            place = places[_rank_of(np.uint64(nodes[first + t]), words, ranks)]
            keys[t] = (np.int64(place) << 6) | np.int64(t)
        for t in range(n):
            smaller = np.uint64(0)
            for s in range(n):
                smaller += np.uint64(keys[s] < keys[t])
            local[first + smaller] = keys[t] >> 6
            out_edge_ids[first + smaller] = edge_ids[first + t]


@njit(cache=True, nogil=True)
def _rank_of(node, words, ranks):
    """How many bits are set below that of the node."""
    w = node >> SIX
    return np.uint64(ranks[w]) + _n_bits(words[w] & ((ONE << (node & LOW_6)) - ONE))


@njit(cache=True, nogil=True)
def _n_bits(word):
    """How many bits of a word are set; LLVM makes one instruction of it."""
    word -= (word >> ONE) & np.uint64(0x5555555555555555)
    pairs = np.uint64(0x3333333333333333)
    word = (word & pairs) + ((word >> np.uint64(2)) & pairs)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(cache=True, nogil=True)
def _distinct(ids):
    size = 16
    while size < 2 * len(ids):
        size *= 2
    slots = np.full(size, -1, np.int64)  # open addressing: places in out at hashed slots
    out = np.empty(len(ids), np.int64)
    n = 0
    for node in ids:
        slot = np.int64(random_uint64(np.uint64(node), 0) & np.uint64(size - 1))
        while slots[slot] >= 0 and out[slots[slot]] != node:
            slot = (slot + 1) & (size - 1)
        if slots[slot] < 0:
            slots[slot] = n
            out[n] = node
            n += 1
    return out[:n].copy()
