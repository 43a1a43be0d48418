"""Hub nodes, and the edges that tie them to a subgraph."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.negative import lower_bound
from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.cpu.sample import Drawn

__all__ = ["hub_edges", "top_hubs"]

Array = npt.NDArray[Any]

PIECE = 1 << 14
"""Positions of a hub's row, or nodes, that a thread looks at before it takes another piece."""

ONE, SIX, LOW_6 = np.uint64(1), np.uint64(6), np.uint64(63)


def top_hubs(degrees: Array, n_hubs: int) -> Array:
    """Ids of the nodes of highest degree, highest first; of equal ones the lowest id first.

    Parameters
    ----------
    degrees : (n,) numbers
    n_hubs : int >= 0
        More than n gives all.

    Returns
    -------
    hubs : (min(n_hubs, n),) int64

    Notes
    -----
    Cost O(n) and the sorting of those at least as high as the last; bytes: 8 n.

    Examples
    --------
    >>> top_hubs(np.array([3, 9, 3, 1]), 2)
    array([1, 0])
    """
    n_hubs = min(n_hubs, len(degrees))
    if n_hubs == 0:
        return np.zeros(0, np.int64)
    lowest = np.partition(degrees, -n_hubs)[-n_hubs]
    candidates = np.flatnonzero(degrees >= lowest)
    order = np.argsort(-degrees[candidates].astype(np.float64), kind="stable")
    return candidates[order[:n_hubs]]


def hub_edges(
    indptr: Array, indices: Array, edge_ids: Array | None, hubs: Array, nodes: Array, n_cols: int
) -> Drawn:
    """The edges between hubs and some nodes: those of the hubs' rows whose columns are the nodes.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    indices : (n_edges,) int32 or int64
        Sorted within rows.
    edge_ids : (n_edges,) int64 or None
        Id of the edge at each position; None for the positions themselves.
    hubs : (h,) integers
        Rows, in [0, n_rows).
    nodes : (n,) int64
        Columns, distinct and rising, in [0, n_cols).
    n_cols : int

    Returns
    -------
    indptr : (h + 1,) int64
        Row r belongs to hubs[r].
    neighbours : (n_found,), dtype of indices
        Members of ``nodes``, sorted within rows; for parallel edges each.
    edge_ids : (n_found,) int64

    Notes
    -----
    Cost O(min(degree, n log degree)) a hub: its row is read, with a bitmap of the nodes at hand, or
    the nodes are looked up in it. Bytes: the results, and n_cols / 8 where rows are read. Parallel
    over pieces of rows and of nodes, so that one heavy hub serves all threads.

    References
    ----------
    arXiv 2007.08294, HintNet. Its authors' program adds only edges towards hubs, and only from the
    last hop; for both directions call this on a matrix and on its transpose.

    Examples
    --------
    >>> star = np.array([0, 3]), np.array([1, 2, 3]), None
    >>> hub_edges(*star, hubs=np.array([0]), nodes=np.array([0, 2]), n_cols=4)
    Drawn(indptr=array([0, 1]), neighbours=array([2]), edge_ids=array([1]))
    """
    first, stop = indptr[hubs], indptr[hubs + 1]
    look_up = len(nodes) * np.log2(stop - first + 2) < stop - first
    words = np.zeros(0 if look_up.all() else n_cols // 64 + 1, np.uint64)
    if len(words):
        _mark(nodes, words)
    costs = np.where(look_up, len(nodes), stop - first)
    n_pieces = -(-costs // PIECE)
    hub = np.repeat(np.arange(len(hubs)), n_pieces)
    begin = PIECE * (np.arange(len(hub)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces))
    pieces = np.stack([first[hub], stop[hub], begin, np.minimum(begin + PIECE, costs[hub])], axis=1)
    matrix = pieces, look_up[hub], indices, nodes, words
    blocks = row_blocks(range(len(hub) + 1), 2 * int(costs.sum()))
    n_found, none = np.empty(len(hub), np.int64), np.zeros(0, np.int64)
    run_blocks(_find, blocks, *matrix, n_found, none, none)
    before = np.concatenate([none, [0], np.cumsum(n_found)])
    positions = np.empty(before[-1], np.int64)
    run_blocks(_find, blocks, *matrix, n_found, before, positions)
    ids = positions if edge_ids is None else edge_ids[positions]
    return Drawn(before[np.append(0, np.cumsum(n_pieces))], indices[positions], ids)


@njit(cache=True, nogil=True)
def _mark(nodes, words):
    for node in nodes:
        words[np.uint64(node) >> SIX] |= ONE << (np.uint64(node) & LOW_6)


@njit(cache=True, nogil=True)
def _find(begin, end, pieces, look_up, indices, nodes, words, n_found, before, positions):
    """Count the edges of each piece, and write where they stand if there is room for them."""
    for p in range(begin, end):
        first, stop, here, there = pieces[p]
        n, at = 0, before[p] if len(positions) else 0
        if look_up[p]:
            for k in range(here, there):
                first = lower_bound(indices, first, stop, nodes[k])
                while first < stop and indices[first] == nodes[k]:
                    if len(positions):
                        positions[at + n] = first
                    n += 1
                    first += 1
        else:
            for position in range(np.uint64(first + here), np.uint64(first + there)):
                node = np.uint64(indices[position])
                if (words[node >> SIX] >> (node & LOW_6)) & ONE:
                    if len(positions):
                        positions[at + n] = position
                    n += 1
        n_found[p] = n
