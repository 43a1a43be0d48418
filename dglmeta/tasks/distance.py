"""Distance prediction: how many edges apart two nodes are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError
from dglmeta.graph import HeteroCSR
from dglmeta.paths.distances import draw_by_distance
from dglmeta.paths.undirected import as_undirected
from dglmeta.tasks.base import ALL_TYPES, ClassBatch

__all__ = ["DistanceTask"]

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DistanceTask:
    """Pairs of nodes 1 (class 0), 2 (1), 3 (2), or more edges apart, or not joined at all (3).

    A batch holds each class alike, to within one pair. A class without pairs has none: in a small
    or dense graph nothing may be far apart, and the other classes share its place.

    Parameters
    ----------
    src, dst : (m,) int64
        Ids over all node types, class after class.
    n_each : (4,) int64
        Pairs of each class.
    """

    src: Ids
    dst: Ids
    n_each: Ids

    name: ClassVar[str] = "distance"
    n_classes: ClassVar[int] = 4
    source_type: ClassVar[str] = ALL_TYPES
    target_type: ClassVar[str | None] = ALL_TYPES

    @classmethod
    def from_graph(cls, hg: HeteroCSR, *, seed: int = 0, n_pool: int = 20_000) -> Self:
        """Draw a pool of pairs of each class from a training graph, to take batches from.

        Parameters
        ----------
        hg : HeteroCSR
            Edges are taken both ways and whatever their type.
        seed : int
            The same seed gives the same pool, whatever the number of threads.
        n_pool : int
            Pairs of each class, at least 1: 16 bytes each. Fewer where fewer are found.

        Raises
        ------
        DataError
            If the graph has no edge between different nodes, or ``n_pool`` is not positive.

        Notes
        -----
        What pairs a class has: uniform over edges; for 2 and 3 edges apart the ends of random walks
        from a start uniform over nodes with edges, so that near every node some pairs are found and
        ends of high degree are preferred; and uniform over all pairs that are further apart. See
        :func:`dglmeta.paths.distances.draw_by_distance`.

        Examples
        --------
        >>> from dglmeta import load_dataset
        >>> task = DistanceTask.from_graph(load_dataset("toy").csr, n_pool=100)
        >>> np.bincount(task.draw(10, np.random.default_rng(0)).label)
        array([3, 2, 2, 3])
        """
        if n_pool < 1:
            raise DataError(f"DistanceTask: expected n_pool >= 1, got {n_pool}. Give some 20,000.")
        graph = as_undirected(hg)
        if graph.n_edges == 0:
            raise DataError(
                "DistanceTask: expected edges between different nodes, got none. "
                "Leave this task out."
            )
        pools = draw_by_distance(graph, n_pool, seed)
        src, dst = (np.concatenate(ends) for ends in zip(*pools, strict=True))
        return cls(src, dst, np.array([len(pool[0]) for pool in pools]))

    def draw(self, n: int, rng: np.random.Generator) -> ClassBatch:
        """``n`` pairs of the pool, uniform within each class, with replacement."""
        present = np.flatnonzero(self.n_each)
        # Where n does not divide, it is left to chance which classes have one more.
        label = present[(np.arange(n) + rng.integers(len(present))) % len(present)]
        before = np.cumsum(self.n_each) - self.n_each
        at = before[label] + rng.integers(0, self.n_each[label])
        return ClassBatch(self.src[at], self.dst[at], label)
