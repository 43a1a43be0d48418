"""What a chain of steps reaches from a node, and the first chain that leads back from another.

A path of steps 0..L-1 runs over levels 0..L of nodes; step j leads from level j to level j + 1. The
nodes of all levels are numbered in one range, so that a bit of one bitmap marks a node reached at a
level: an eighth of a byte a node, small enough for the caches. Two nodes are joined if a search
back from the one meets a node marked from the other: it stops at the first. As rows are sorted, the
chain of nodes it then holds is, read backwards, the first in lexicographic order of all that join
the two.

``forward`` and ``backward`` are tables of ``chain.Chain``, of the steps and of the same edges the
other way: step j of ``backward`` leads from level j + 1 to level j.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.chain import column, row

__all__ = [
    "clear",
    "first_nodes",
    "is_marked",
    "reach",
    "scratch",
    "search",
    "trace",
]


def first_nodes(n_nodes: tuple[int, ...]) -> npt.NDArray:
    """Number of the first node of each level in the common range, and the end of the range.

    Levels begin at multiples of 64 and have room for one node more than they have; level 0, of
    which only the source counts, for no more.

    Parameters
    ----------
    n_nodes : (L + 1,) integers
        Of each level.

    Returns
    -------
    first : (L + 2,) uint64

    Examples
    --------
    >>> first_nodes((1000, 3, 64)).tolist()
    [0, 64, 128, 256]
    """
    room = [64, *((n // 64 + 1) * 64 for n in n_nodes[1:])]
    return np.append(0, np.cumsum(room)).astype(np.uint64)


@njit(cache=True, nogil=True)
def scratch(first):
    """Clear marks, and room for the nodes found at each level; pages not used cost nothing."""
    return np.zeros(first[-1] // np.uint64(64), np.uint64), np.empty(first[-1], np.int64)


@njit(cache=True, nogil=True)
def is_marked(marks, node):
    """Whether a node, numbered in the common range, is marked."""
    return (marks[node >> np.uint64(6)] >> (node & np.uint64(63))) & np.uint64(1) != np.uint64(0)


@njit(cache=True, nogil=True)
def reach(forward, kind, source, begin, depth, first, marks, nodes, n_found):
    """Mark and list what steps ``begin..depth-1`` reach; returns the number of edges followed.

    Level j then has ``n_found[j]`` distinct nodes, ``nodes[first[j]:][:n_found[j]]``, in no order.
    With ``begin > 0`` the levels up to it are taken as an earlier call left them.
    """
    if begin == 0:
        nodes[first[0]], n_found[0] = source, 1
    n_edges = np.uint64(0)
    for step in range(begin, depth):
        indices, here, there = forward[step, 1], first[step], first[step + 1]
        n = np.uint64(0)
        for i in range(np.uint64(n_found[step])):
            start, stop = row(forward, step, nodes[here + i])
            n_edges += stop - start
            for position in range(start, stop):
                node = column(indices, position, kind)
                word, bit = (there + node) >> np.uint64(6), np.uint64(1) << (node & np.uint64(63))
                seen = marks[word]
                nodes[there + n] = node
                n += np.uint64(seen & bit == np.uint64(0))
                marks[word] = seen | bit
        n_found[step + 1] = n
    return np.int64(n_edges)


@njit(cache=True, nogil=True)
def clear(depth, first, marks, nodes, n_found):
    """Take away the marks of levels 1..depth that ``reach`` set."""
    for level in range(1, depth + 1):
        here = first[level]
        for i in range(np.uint64(n_found[level])):
            marks[(here + np.uint64(nodes[here + i])) >> np.uint64(6)] = np.uint64(0)


@njit(cache=True, nogil=True)
def search(backward, kind, target, middle, here, marks, trail):
    """Look back from a node of the last level for one marked at level ``middle``, depth first.

    ``trail[middle:]`` becomes the first chain of nodes found. Level ``middle`` is the last or at
    most two before it: over more steps a search would meet the same nodes again and again.

    Parameters
    ----------
    here : uint64
        Common number of the first node of level ``middle``.
    trail : (L + 1,) uint64

    Returns
    -------
    found : bool
    n_edges : int
        Edges looked at, and one for every row.
    """
    # One exit and few array arguments, so that Numba need not count references for every pair.
    last = len(trail) - 1
    trail[last] = target
    found, n_edges = False, np.uint64(1)
    if last == middle:
        found = is_marked(marks, here + np.uint64(target))
    else:
        one_row = last == middle + 1
        columns, rows = backward[middle, 1], backward[last - 1, 1]
        at, end = np.uint64(0), np.uint64(1)
        if not one_row:
            at, end = row(backward, last - 1, target)
        while at < end and not found:
            node = np.uint64(target) if one_row else column(rows, at, kind)
            position, stop = row(backward, middle, node)
            n_edges += stop - position + np.uint64(1)
            while position < stop and not is_marked(marks, here + column(columns, position, kind)):
                position += np.uint64(1)
            n_edges -= stop - position
            found = position < stop
            at += np.uint64(1)
        if found:
            trail[middle + 1], trail[middle] = node, column(columns, position, kind)
    return found, np.int64(n_edges)


@njit(cache=True, nogil=True)
def trace(backward, kind, middle, first, marks, trail):
    """Continue the trail from level ``middle`` back to level 1, over the first marked nodes."""
    for level in range(middle, 1, -1):
        indices, below = backward[level - 1, 1], first[level - 1]
        position, _ = row(backward, level - 1, trail[level])
        while not is_marked(marks, below + column(indices, position, kind)):
            position += np.uint64(1)
        trail[level - 1] = column(indices, position, kind)
