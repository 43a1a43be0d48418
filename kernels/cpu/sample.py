"""Neighbours drawn without replacement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.edges import edge_at, prefetch
from dglmeta.kernels.cpu.pool import BLOCKS_PER_THREAD, get_num_threads, row_blocks, run_blocks
from dglmeta.kernels.rng import as_word, random_below, random_uint64, stream

__all__ = ["Drawn", "Frontier", "cut_rows", "run_pieces", "sample_each", "sample_neighbors"]

Array = npt.NDArray[Any]

NEIGHBOURS = 0x6E6569676862 << 16
"""First block of the random streams used here, one a hop, apart from other kernels' ("neighb")."""

EDGES_A_PIECE = 1 << 14
"""Enough work for a thread to be worth the Python that calls it."""

DEARER = 3
"""How much more work pieces need than rows of one kernel before threads pay: each is started from
Python, one thread at a time."""

ROWS_AHEAD = 16
"""Rows drawn before the first of their edges is read: enough loads on the way at once."""

ALL = 2**62

A_LINE = np.uint64(8)
"""Neighbouring ids that memory delivers together."""

ZERO, ONE, LOW_6 = np.uint64(0), np.uint64(1), np.uint64(63)


class Frontier(NamedTuple):
    """Nodes that draw edges of one type; arguments of :func:`sample_neighbors`."""

    indptr: Array
    indices: Array
    edge_ids: Array | None
    nodes: Array
    fanout: int
    seed: int


class Drawn(NamedTuple):
    """Edges drawn by a frontier; what :func:`sample_neighbors` returns."""

    indptr: Array
    neighbours: Array
    edge_ids: Array


def sample_neighbors(
    indptr: Array,
    indices: Array,
    edge_ids: Array | None,
    nodes: Array,
    fanout: int,
    seed: int,
    hop: int,
) -> Drawn:
    """Some edges of each node, drawn uniformly without replacement.

    Parameters
    ----------
    indptr : (n_rows + 1,) int64
    indices : (n_edges,) int32 or int64
    edge_ids : (n_edges,) int64 or None
        Id of the edge at each position; None for the positions themselves.
    nodes : (n,) integers
        Rows, in [0, n_rows).
    fanout : int
        Most edges a node; -1 takes all. Parallel edges are drawn each on its own.
    seed : int
    hop : int
        In [0, 65536). Another hop is another independent draw.

    Returns
    -------
    indptr : (n + 1,) int64
        Row r belongs to nodes[r].
    neighbours : (n_drawn,), dtype of indices
        In the order drawn; in that of their row where it is taken whole.
    edge_ids : (n_drawn,) int64

    Notes
    -----
    What a node draws depends on (seed, hop, node) and its edges alone: not on threads nor on the
    other nodes, and the same node given twice draws the same edges twice.
    Cost O(n_drawn) for fan-outs up to 64, beyond it O(n_drawn fanout) quick comparisons; bytes:
    the results. Parallel over nodes.

    References
    ----------
    Bentley and Floyd, "A sample of brilliance", Communications of the ACM 30(9), 1987.

    Examples
    --------
    >>> star = np.array([0, 3]), np.array([5, 6, 7]), None
    >>> sample_neighbors(*star, np.array([0]), fanout=-1, seed=0, hop=0)
    Drawn(indptr=array([0, 3]), neighbours=array([5, 6, 7]), edge_ids=array([0, 1, 2]))
    """
    return sample_each([Frontier(indptr, indices, edge_ids, nodes, fanout, seed)], hop)[0]


def sample_each(frontiers: Sequence[Frontier], hop: int) -> list[Drawn]:
    """``sample_neighbors`` for several frontiers, the work of all shared among the threads."""
    results = []
    for indptr, indices, _, nodes, fanout, _ in frontiers:
        out_indptr = np.empty(len(nodes) + 1, np.int64)
        n_drawn = _count(indptr, nodes, ALL if fanout < 0 else fanout, out_indptr)
        neighbours, edge_ids = np.empty(n_drawn, indices.dtype), np.empty(n_drawn, np.int64)
        results.append(Drawn(out_indptr, neighbours, edge_ids))
    n_all = sum(len(drawn.edge_ids) for drawn in results)
    pieces = [
        (begin, end, *frontier[:4], as_word(frontier.seed), NEIGHBOURS + hop, *drawn)
        for frontier, drawn in zip(frontiers, results, strict=True)
        for begin, end in cut_rows(drawn.indptr, n_all)
    ]
    run_pieces(_draw_rows, pieces, 10 * n_all)
    return results


def cut_rows(indptr: Array, n_all: int) -> Iterable[tuple[int, int]]:
    """Rows in pieces of equal numbers of edges, as many as suit their share of all n_all edges."""
    n, n_threads = int(indptr[-1]), get_num_threads()
    rounds = min(n_all // (n_threads * EDGES_A_PIECE), BLOCKS_PER_THREAD)
    n_pieces = -(-n_threads * max(rounds, 1) * n // max(n_all, 1))
    if n_threads == 1 or n_pieces <= 1:
        return [(0, len(indptr) - 1)] if n else []
    inner = np.searchsorted(indptr, n * np.arange(1, n_pieces) // n_pieces)
    return pairwise([0, *inner.tolist(), len(indptr) - 1])


def run_pieces(worker: Callable[..., None], pieces: Sequence[tuple[Any, ...]], ns: float) -> None:
    """Call ``worker(*piece)`` for every piece, on several threads if there is work for them.

    Parameters
    ----------
    worker : callable
        As for ``run_blocks``; what its pieces write must not overlap.
    pieces : sequence of argument tuples
    ns : float
        Rough time of the whole on one thread, in nanoseconds.
    """

    def run(begin: int, end: int) -> None:
        for piece in pieces[begin:end]:
            worker(*piece)

    run_blocks(run, row_blocks(range(len(pieces) + 1), ns / DEARER))


@njit(cache=True, nogil=True)
def _count(indptr, nodes, most, out_indptr):
    """Fill out_indptr with running totals of what each node draws; returns the last."""
    total = out_indptr[0] = 0
    for r in range(np.uint64(len(nodes))):
        node = np.uint64(nodes[r])
        total += min(indptr[node + ONE] - indptr[node], most)
        out_indptr[r + ONE] = total
    return total


@njit(cache=True, nogil=True)
def _draw_rows(
    begin, end, indptr, indices, edge_ids, nodes, seed, block, out_indptr, neighbours, out_edge_ids
):
    # Positions are drawn in the place of the ids, which replace them when they have arrived.
    for here in range(begin, end, ROWS_AHEAD):
        there = min(here + ROWS_AHEAD, end)
        for r in range(np.uint64(there), np.uint64(min(there + ROWS_AHEAD, end))):
            prefetch(indptr, nodes[r])
        for r in range(np.uint64(here), np.uint64(there)):
            node = np.uint64(nodes[r])
            first, degree = np.uint64(indptr[node]), np.uint64(indptr[node + ONE] - indptr[node])
            positions = out_edge_ids[out_indptr[r] : out_indptr[r + ONE]]
            n, apart = np.uint64(len(positions)), ONE
            if n == degree:
                for t in range(n):
                    positions[t] = first + t
                apart = A_LINE
            else:
                _choose(first, degree, stream(seed, block, node), positions)
            for t in range(ZERO, n, apart):
                prefetch(indices, positions[t])
                prefetch(edge_ids, positions[t])
        for t in range(np.uint64(out_indptr[here]), np.uint64(out_indptr[there])):
            position = np.uint64(out_edge_ids[t])
            neighbours[t] = indices[position]
            out_edge_ids[t] = edge_at(edge_ids, position)


@njit(cache=True, nogil=True)
def _choose(first, n, key, chosen):
    """Floyd's algorithm: fill ``chosen`` with a uniform subset of [first, first + n), unordered."""
    n_chosen = np.uint64(len(chosen))
    seen = np.uint64(0)  # bit b: some offset chosen is b modulo 64
    for t in range(n_chosen):
        last = n - n_chosen + t
        offset = np.uint64(random_below(random_uint64(key, t), last + ONE))
        if (seen >> (offset & LOW_6)) & ONE and _is_among(chosen, t, first + offset):
            offset = last
        seen |= ONE << (offset & LOW_6)
        chosen[t] = first + offset


@njit(cache=True, nogil=True)
def _is_among(numbers, n, number):
    """Whether one of the first n is the number."""
    found = False
    for t in range(n):  # to the end, so that several are compared at once
        found |= np.uint64(numbers[t]) == number
    return found
