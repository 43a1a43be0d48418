"""Distances between given pairs of nodes, up to a limit, and pairs drawn by their distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.graph import Adjacency, MetaPath, Step
from dglmeta.kernels.cpu.walk import random_walks
from dglmeta.paths.connected import are_connected
from dglmeta.paths.frontier import as_heterograph
from dglmeta.paths.route import route_along

__all__ = ["draw_by_distance", "truncated_distances"]

Pairs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

MOST_ROUNDS = 25
"""Pairs proposed, for each one wanted, before a distance is taken to be rare or absent."""


def truncated_distances(
    graph: Adjacency, src: npt.NDArray[Any], dst: npt.NDArray[Any], limit: int
) -> npt.NDArray[np.int64]:
    """Edges on a shortest path between each pair of nodes, or ``limit + 1`` where it has more.

    Parameters
    ----------
    graph : Adjacency
        Square, on the host; paths run along its edges.
    src, dst : (n,) integers
        Valid ids.
    limit : int
        The largest distance told from larger ones, and from none at all.

    Returns
    -------
    distance : (n,) int64
        In [0, limit + 1].

    Notes
    -----
    For k = 1, 2, ... the pairs not yet joined are asked whether k steps join them, by the kernels
    of :func:`dglmeta.metapath_connected`, at their cost.

    Examples
    --------
    >>> line = Adjacency.from_coo([0, 1, 2], [1, 2, 3], (4, 4))
    >>> truncated_distances(line, np.array([0, 0, 0, 0]), np.array([0, 1, 2, 3]), limit=2)
    array([0, 1, 2, 3])
    """
    hg = as_heterograph(graph)
    step = Step(hg.schema.edge_types[0], True)
    distance = np.where(src == dst, 0, limit + 1)
    open_pairs = np.flatnonzero(src != dst)
    for k in range(1, limit + 1):
        route = route_along(hg, MetaPath((step,) * k))
        joined = are_connected(route, src[open_pairs], dst[open_pairs])
        distance[open_pairs[joined]] = k
        open_pairs = open_pairs[~joined]
    return distance


def draw_by_distance(graph: Adjacency, n: int, seed: int) -> tuple[Pairs, Pairs, Pairs, Pairs]:
    """Pairs of nodes at distance 1, 2, 3, and more than 3, or without any path.

    Parameters
    ----------
    graph : Adjacency
        Symmetric, without self loops or parallel edges, on the host.
    n : int
        Pairs of each kind.
    seed : int
        The same seed gives the same pairs, whatever the number of threads.

    Returns
    -------
    pairs : four (src, dst), each (n,) int64
        Fewer where fewer were found among ``MOST_ROUNDS * n`` tried; none where there are none.

    Notes
    -----
    With replacement. Distance 1: uniform over edges. Distance 2 or 3: the ends of a walk of so
    many uniform steps from a start uniform over nodes with edges, given that no shorter path joins
    them. Beyond: uniform over all such pairs.

    Examples
    --------
    >>> line = Adjacency.from_coo([0, 1, 1, 2], [1, 0, 2, 1], (3, 3))
    >>> near, two, three, far = draw_by_distance(line, 100, seed=0)
    >>> sorted(set(zip(*(ends.tolist() for ends in two))))
    [(0, 2), (2, 0)]
    >>> len(near[0]), len(three[0]), len(far[0])
    (100, 0, 0)
    """
    rng = np.random.default_rng(seed)
    starts = np.flatnonzero(graph.out_degrees)
    near = _draw_edges(graph, n, rng)
    two = _keep(graph, 2, n, lambda: _walk_ends(graph, 2, starts, n, rng))
    three = _keep(graph, 3, n, lambda: _walk_ends(graph, 3, starts, n, rng))
    far = _keep(graph, 4, n, lambda: _any_pairs(graph.n_src, n, rng))
    return near, two, three, far


def _keep(graph: Adjacency, distance: int, n: int, propose: Callable[[], Pairs]) -> Pairs:
    """The first ``n`` of the pairs proposed that no path shorter than ``distance`` joins."""
    kept: list[npt.NDArray[np.int64]] = [np.zeros((2, 0), np.int64)]
    n_kept = 0
    for _ in range(MOST_ROUNDS):
        pairs = np.stack(propose())
        is_right = truncated_distances(graph, pairs[0], pairs[1], distance - 1) == distance
        kept.append(pairs[:, is_right])
        n_kept += int(is_right.sum())
        if n_kept >= n:
            break
    src, dst = np.concatenate(kept, axis=1)[:, :n]
    return src, dst


def _draw_edges(graph: Adjacency, n: int, rng: np.random.Generator) -> Pairs:
    if graph.n_edges == 0:
        return _NO_PAIRS
    at = rng.integers(0, graph.n_edges, n)
    src = np.searchsorted(graph.indptr, at, side="right") - 1
    return src, graph.indices[at].astype(np.int64)


def _walk_ends(
    graph: Adjacency,
    n_steps: int,
    starts: npt.NDArray[np.int64],
    n: int,
    rng: np.random.Generator,
) -> Pairs:
    """Starts and ends of walks; none of them is cut short, as every edge leads back too."""
    if len(starts) == 0:
        return _NO_PAIRS
    src = starts[rng.integers(0, len(starts), n)]
    step = graph.indptr, graph.indices
    walks = random_walks([step] * n_steps, src, int(rng.integers(2**63 - 1)))
    return src, np.ascontiguousarray(walks[:, -1])


def _any_pairs(n_nodes: int, n: int, rng: np.random.Generator) -> Pairs:
    if n_nodes == 0:
        return _NO_PAIRS
    src, dst = rng.integers(0, n_nodes, (2, n))
    return src, dst


_NO_PAIRS: Pairs = (np.zeros(0, np.int64), np.zeros(0, np.int64))
