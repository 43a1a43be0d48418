"""A meta-path as steps to walk along and back, and where walks from both its ends should meet."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from dglmeta.graph import Adjacency, HeteroCSR, MetaPath
from dglmeta.kernels.cpu.chain import Chain
from dglmeta.kernels.twins import twin
from dglmeta.paths.chain import Array

__all__ = ["Meeting", "Route", "route_along"]

KEPT = 16
"""Routes of a graph that are kept."""

_routes: WeakKeyDictionary[HeteroCSR, OrderedDict[MetaPath, Route]] = WeakKeyDictionary()

SAMPLE = 1024
"""Nodes and edges looked at to estimate how many edges a walk meets."""

MOST_BACK = 2
"""Steps searched back: over more, the same nodes would be searched from again and again."""

PAIR_EDGES = 100
"""What a pair costs beside the edges looked at for it, in edges: memory waited for."""


class Meeting(NamedTuple):
    """Where to meet, and the edges expected to be followed."""

    middle: int
    edges: float


class Route:
    """The steps of a meta-path in a graph, in both directions, on the graph's device.

    What it computes of the graph is kept: take it from :func:`route_along`, which keeps the routes
    asked for last.

    Parameters
    ----------
    path : MetaPath
    n_nodes : tuple of int
        Nodes of each type on the way.
    steps : list of Adjacency
        Step j leads from level j to level j + 1. They know nothing of their graph, which so may go
        while the route is kept.
    """

    def __init__(self, path: MetaPath, n_nodes: tuple[int, ...], steps: list[Adjacency]) -> None:
        self.path, self.n_nodes, self._steps = path, n_nodes, steps

    @property
    def is_on_device(self) -> bool:
        """Whether the graph lies on a GPU."""
        return self._steps[0].device != "cpu"

    @cached_property
    def forward(self) -> Chain:
        """Step j leads from level j to level j + 1."""
        return _link(self._steps)

    @cached_property
    def backward(self) -> Chain:
        """Step j leads from level j + 1 to level j."""
        return _link([step.T for step in self._steps])

    @cached_property
    def onward(self) -> list[Array]:
        """For levels 1..L-1, (n_nodes,) int64: paths to the end from each node, up to a limit."""
        counts: list[Array] = []
        for step in range(len(self.path) - 1, 0, -1):
            counts.insert(0, self._onward_from(step, counts[0] if counts else None))
        return counts

    def n_paths(self, sources: Array | None = None) -> Array:
        """(n,) int64: paths from each source, or from every one; at most ``MOST_PATHS``."""
        return self._onward_from(0, self.onward[0] if self.onward else None, sources)

    def _onward_from(self, step: int, onward: Array | None, rows: Array | None = None) -> Array:
        indptr, indices = self.forward.indptr[step], self.forward.indices[step]
        return twin("path_try", indptr).onward_counts(indptr, indices, onward, rows)

    def reversed(self) -> Route:
        """The route from the targets to the sources."""
        back = [step.T for step in reversed(self._steps)]
        return Route(self.path.reverse(), self.n_nodes[::-1], back)

    def meet(
        self, sources: Array | None, n_sources: float, targets: Array | None, n_pairs: float
    ) -> Meeting:
        """The level at which walks from sources and targets meet at least cost.

        A walk's edges are estimated as if degrees at its successive steps did not depend on each
        other, and what is marked at a level as if it lay there at random.

        Parameters
        ----------
        sources, targets : arrays
            Such nodes as will be asked for; None for any.
        n_sources : float
            How many distinct sources will be: each is walked from once.
        n_pairs : float
            How many pairs: each is walked back for, until the walks meet.
        """
        there = self._edges_by_step(sources)
        back = self._edges_back(targets)
        best = Meeting(len(self.path), np.inf)
        for middle in range(max(1, len(self.path) - MOST_BACK), len(self.path) + 1):
            searched = sum(back[: len(self.path) - middle])
            if middle < len(self.path):
                marked = -np.expm1(-there[middle - 1] / max(self.n_nodes[middle], 1))
                last = back[len(self.path) - middle - 1]
                searched *= min(1.0, 1 / max(marked * last, 1e-9))
            edges = n_sources * sum(there[:middle]) + n_pairs * (PAIR_EDGES + searched)
            best = min(best, Meeting(middle, edges), key=lambda meeting: meeting.edges)
        return best

    def edges_to_list(self, sources: Array) -> float:
        """Edges expected to be followed to list all that the sources are joined to."""
        return len(sources) * sum(self._edges_by_step(sources))

    def _edges_by_step(self, starts: Array | None) -> list[float]:
        indptrs, indices = self.forward.indptr, self.forward.indices
        return _followed(_mean_degree(indptrs[0], len(indices[0]), starts), self._met_there)

    def _edges_back(self, starts: Array | None) -> list[float]:
        indptrs, indices = self.backward.indptr, self.backward.indices
        return _followed(_mean_degree(indptrs[-1], len(indices[-1]), starts), self._met_back)

    @cached_property
    def _met_there(self) -> list[tuple[float, int]]:
        return _degrees_met(self.forward.indptr, self.forward.indices)

    @cached_property
    def _met_back(self) -> list[tuple[float, int]]:
        return _degrees_met(self.backward.indptr[::-1], self.backward.indices[::-1])


def route_along(hg: HeteroCSR, path: MetaPath) -> Route:
    """The route of a meta-path, which is valid in the graph's schema.

    The last ``KEPT`` of each graph are kept as long as it lives, with what they computed: tables of
    steps, and 8 bytes a node of the types on the way.
    """
    routes = _routes.setdefault(hg, OrderedDict())
    route = routes.pop(path, None)
    if route is None:
        steps = [hg.step_adjacency(*step) for step in path.steps]
        route = Route(path, tuple(hg.n_nodes[t] for t in path.node_types), steps)
    routes[path] = route
    while len(routes) > KEPT:
        routes.popitem(last=False)
    return route


def _link(steps: list[Adjacency]) -> Chain:
    chain: Chain = twin("chain", steps[0].indptr).link([(s.indptr, s.indices) for s in steps])
    return chain


def _followed(first: float, met: list[tuple[float, int]]) -> list[float]:
    """Edges that a walk over all nodes reached from a start is expected to follow at each step."""
    expected = [first]
    for degree, n_edges in met:
        expected.append(min(expected[-1] * degree, float(n_edges)))
    return expected


def _degrees_met(indptrs: tuple[Array, ...], indices: tuple[Array, ...]) -> list[tuple[float, int]]:
    """Of each step but the first: the mean degree of nodes as the step before meets them, edges."""
    steps = zip(indptrs[1:], indices[1:], indices[:-1], strict=True)
    return [(_mean_degree(ptr, len(cols), met), len(cols)) for ptr, cols, met in steps]


def _mean_degree(indptr: Array, n_edges: int, rows: Array | None) -> float:
    """Mean number of edges of some rows, of about ``SAMPLE`` of them evenly spaced; or of all.

    A sum of integers divided once: the same number on every device.
    """
    if rows is None:
        return n_edges / max(len(indptr) - 1, 1)
    some = rows[:: max(len(rows) // SAMPLE, 1)]
    return int((indptr[1:][some] - indptr[some]).sum()) / max(len(some), 1)
