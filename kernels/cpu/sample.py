"""Neighbours drawn without replacement, and the renumbering of what was drawn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.edges import edge_at
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.rng import as_word, random_below, random_uint64, stream

__all__ = ["relabel", "sample_neighbors"]

NEIGHBOURS = 0x6E6569676862 << 16
"""First block of the random streams used here, one a hop, apart from other kernels' ("neighb")."""


def sample_neighbors(
    indptr: npt.NDArray,
    indices: npt.NDArray,
    edge_ids: npt.NDArray | None,
    seeds: npt.NDArray,
    fanout: int,
    seed: int,
    hop: int,
) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """Some edges of each seed node, drawn uniformly without replacement.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    indices : (n_edges,) int32 or int64
    edge_ids : (n_edges,) int64 or None
        Id of the edge at each position; None for the positions themselves.
    seeds : (n,) integers
        Rows, in [0, n_rows).
    fanout : int
        Most edges a node; -1 takes all. Parallel edges are drawn each on its own.
    seed : int
    hop : int
        In [0, 65536). Another hop is another independent draw.

    Returns
    -------
    out_indptr : (n + 1,) int64
        Row r belongs to seeds[r].
    neighbours : (n_drawn,), dtype of indices
        In the order of the row they are drawn from, so sorted if it is.
    out_edge_ids : (n_drawn,) int64

    Notes
    -----
    What a node draws depends on (seed, hop, node) and its edges alone: not on threads nor on the
    other seeds, and the same node given twice draws the same edges twice.
    Cost O(n_drawn fanout) at worst; bytes: the results, and 8 fanout a thread. Parallel over seeds.

    References
    ----------
    Bentley and Floyd, "A sample of brilliance", Communications of the ACM 30(9), 1987.

    Examples
    --------
    >>> sample_neighbors(np.array([0, 3]), np.array([5, 6, 7]), None, np.array([0]), -1, 0, 0)
    (array([0, 3]), array([5, 6, 7]), array([0, 1, 2]))
    """
    degrees = indptr[seeds + 1] - indptr[seeds]
    out_indptr = np.zeros(len(seeds) + 1, np.int64)
    np.cumsum(degrees if fanout < 0 else np.minimum(degrees, fanout), out=out_indptr[1:])
    n_drawn = out_indptr[-1]
    neighbours, ids = np.empty(n_drawn, indices.dtype), np.empty(n_drawn, np.int64)
    blocks = row_blocks(out_indptr, 20 * n_drawn)
    structure, draw = (indptr, indices, edge_ids), (seeds, as_word(seed), NEIGHBOURS + hop)
    run_blocks(_draw_rows, blocks, *structure, *draw, out_indptr, neighbours, ids)
    return out_indptr, neighbours, ids


def relabel(nodes_first: npt.NDArray, others: npt.NDArray) -> tuple[npt.NDArray, npt.NDArray]:
    """Number nodes by first appearance, in ``nodes_first`` and then in ``others``.

    Parameters
    ----------
    nodes_first, others : (n,), (m,) integers >= 0
        Where ``nodes_first`` is distinct, as the destinations of a block are, its nodes become
        0..n-1.

    Returns
    -------
    nodes : (n_distinct,) int64
        The node that has each number.
    local : (m,) int64
        ``nodes[local]`` is ``others``.

    Notes
    -----
    Cost O(n + m) expected, by hashing; bytes: the results, and up to 32 (n + m). One thread.

    Examples
    --------
    >>> relabel(np.array([9, 4]), np.array([7, 9, 7]))
    (array([9, 4, 7]), array([2, 0, 2]))
    """
    return _relabel(nodes_first, others)


@njit(cache=True, nogil=True)
def _draw_rows(
    begin,
    end,
    indptr,
    indices,
    edge_ids,
    seeds,
    seed,
    block,
    out_indptr,
    neighbours,
    out_edge_ids,
):
    for r in range(begin, end):
        node = seeds[r]
        first, degree = indptr[node], indptr[node + 1] - indptr[node]
        out = out_indptr[r]
        # Offsets into the row are drawn in the place of the ids, which then replace them.
        offsets = out_edge_ids[out : out_indptr[r + 1]]
        _choose(degree, stream(seed, block, node), offsets)
        for t in range(len(offsets)):
            position = first + offsets[t]
            neighbours[out + t] = indices[position]
            offsets[t] = edge_at(edge_ids, position)


@njit(cache=True, nogil=True)
def _choose(n, key, chosen):
    """Floyd's algorithm: fill ``chosen`` with a uniform subset of [0, n), always sorted."""
    skipped = n - len(chosen)
    if skipped == 0:
        chosen[:] = np.arange(n)
        return
    for size in range(len(chosen)):
        last = skipped + size
        number = random_below(random_uint64(key, size), last + 1)
        place = size
        while place > 0 and chosen[place - 1] > number:
            place -= 1
        if place > 0 and chosen[place - 1] == number:
            chosen[size] = last
            continue
        for t in range(size, place, -1):
            chosen[t] = chosen[t - 1]
        chosen[place] = number


@njit(cache=True, nogil=True)
def _relabel(nodes_first, others):
    n_first, n = len(nodes_first), len(nodes_first) + len(others)
    size = 16
    while size < 2 * n:
        size *= 2
    slots = np.full(size, -1, np.int64)  # open addressing: local ids at hashed places
    nodes, local = np.empty(n, np.int64), np.empty(len(others), np.int64)
    n_nodes = 0
    for t in range(n):
        node = nodes_first[t] if t < n_first else others[t - n_first]
        slot = np.int64(random_uint64(np.uint64(node), 0) & np.uint64(size - 1))
        while slots[slot] >= 0 and nodes[slots[slot]] != node:
            slot = (slot + 1) & (size - 1)
        if slots[slot] < 0:
            slots[slot] = n_nodes
            nodes[n_nodes] = node
            n_nodes += 1
        if t >= n_first:
            local[t - n_first] = slots[slot]
    return nodes[:n_nodes].copy(), local
