"""A meta-path as steps to walk along and back, and where walks from both its ends should meet."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from dglmeta.graph import Adjacency, HeteroCSR, MetaPath
from dglmeta.kernels.cpu.chain import Chain
from dglmeta.kernels.twins import twin
from dglmeta.paths.chain import Array

__all__ = ["Meeting", "Route"]

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

    Parameters
    ----------
    hg : HeteroCSR
    path : MetaPath
        Valid in the graph's schema.
    """

    def __init__(self, hg: HeteroCSR, path: MetaPath) -> None:
        self.path = path
        self.n_nodes = tuple(hg.n_nodes[node_type] for node_type in path.node_types)
        self._hg = hg

    @property
    def is_on_device(self) -> bool:
        """Whether the graph lies on a GPU."""
        return self._hg.device != "cpu"

    @cached_property
    def forward(self) -> Chain:
        """Step j leads from level j to level j + 1."""
        return _link([self._hg.step_adjacency(*step) for step in self.path.steps])

    @cached_property
    def backward(self) -> Chain:
        """Step j leads from level j + 1 to level j."""
        return _link([self._hg.step_adjacency(*step.reversed()) for step in self.path.steps])

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
        return Route(self._hg, self.path.reverse())

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
        there = _edges_by_step(self.forward.indptr, self.forward.indices, sources)
        back = _edges_by_step(self.backward.indptr[::-1], self.backward.indices[::-1], targets)
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
        each = _edges_by_step(self.forward.indptr, self.forward.indices, sources)
        return len(sources) * sum(each)


def _link(steps: list[Adjacency]) -> Chain:
    chain: Chain = twin("chain", steps[0].indptr).link([(s.indptr, s.indices) for s in steps])
    return chain


def _edges_by_step(
    indptrs: tuple[Array, ...], indices: tuple[Array, ...], starts: Array | None
) -> list[float]:
    """Edges that a walk over all nodes reached from a start is expected to follow at each step."""
    n_edges = [len(columns) for columns in indices]
    expected = [_mean_degree(indptrs[0], n_edges[0], starts)]
    for indptr, n, reached in zip(indptrs[1:], n_edges[1:], indices[:-1], strict=True):
        expected.append(min(expected[-1] * _mean_degree(indptr, n, reached), float(n)))
    return expected


def _mean_degree(indptr: Array, n_edges: int, rows: Array | None) -> float:
    """Mean number of edges of some rows, of about ``SAMPLE`` of them evenly spaced; or of all.

    A sum of integers divided once: the same number on every device.
    """
    if rows is None:
        return n_edges / max(len(indptr) - 1, 1)
    some = rows[:: max(len(rows) // SAMPLE, 1)]
    return int((indptr[1:][some] - indptr[some]).sum()) / max(len(some), 1)
