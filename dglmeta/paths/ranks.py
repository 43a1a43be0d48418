"""How nodes rank in a graph: by PageRank, and in which fifth of an order they are."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dglmeta.graph import Adjacency
from dglmeta.kernels.cpu.spmm import spmm

__all__ = ["BOTTOM", "MIDDLE", "TOP", "page_rank", "rank_bins"]

TOP, MIDDLE, BOTTOM = range(3)
"""Classes of ``rank_bins``."""


def rank_bins(values: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Whether each value is among the highest fifth, the lowest fifth, or between.

    Parameters
    ----------
    values : (n,) numbers
        Equal ones rank in their order here: an earlier one above a later one.

    Returns
    -------
    bins : (n,) int64
        ``TOP`` (0) for n // 5 of them, ``BOTTOM`` (2) for as many, ``MIDDLE`` (1) for the rest.

    Examples
    --------
    >>> rank_bins(np.array([3, 9, 9, 1, 1]))
    array([1, 0, 1, 1, 2])
    """
    n_outer = len(values) // 5
    # Sorted from the last to the first, equal values come in reverse, so the order is descending.
    order = np.argsort(values[::-1], kind="stable")[::-1]
    ranked = len(values) - 1 - order
    bins = np.full(len(values), MIDDLE, np.int64)
    bins[ranked[:n_outer]] = TOP
    bins[ranked[len(values) - n_outer :]] = BOTTOM
    return bins


def page_rank(
    graph: Adjacency, *, damping: float = 0.85, tolerance: float = 1e-10
) -> npt.NDArray[np.float64]:
    """PageRank of every node: where a walk is that now and then starts anew at any node.

    The fixed point of ``p = damping (A D^-1 p + share of nodes without edges / n) + (1 - damping)
    / n``, by iteration from the uniform distribution.

    Parameters
    ----------
    graph : Adjacency
        Symmetric, on the host; parallel edges count each.
    damping : float
        Probability in (0, 1) that the walk goes on along an edge; a node without edges sends it to
        any node.
    tolerance : float
        Iteration ends where the sum of all changes is no larger.

    Returns
    -------
    p : (n,) float64
        Sums to 1, up to rounding; each node's error summed, damping / (1 - damping) tolerances.

    Notes
    -----
    Every iteration shrinks changes by ``damping`` at least: no more than
    ``log(tolerance / 2) / log(damping)`` of them, 146 by default. Cost O(edges) each, in parallel
    kernels; the same bits for any number of threads.

    Examples
    --------
    >>> star = Adjacency.from_coo([0, 1, 0, 2], [1, 0, 2, 0], (3, 3))
    >>> page_rank(star).round(4)
    array([0.4865, 0.2568, 0.2568])
    """
    n, degrees = graph.n_src, graph.out_degrees
    share = 1 / np.maximum(degrees, 1)  # of what a node holds, to each neighbour
    dangling = degrees == 0
    p = np.full(n, 1 / max(n, 1))
    for _ in range(math.ceil(math.log(tolerance / 2) / math.log(damping)) + 1):
        x = p.reshape(n, 1, 1)
        flow = spmm(graph.indptr, graph.indices, None, None, x, None, share).reshape(n)
        anywhere = (damping * p[dangling].sum() + 1 - damping) / max(n, 1)
        following = damping * flow + anywhere
        change, p = np.abs(following - p).sum(), following
        if change <= tolerance:
            break
    return p
