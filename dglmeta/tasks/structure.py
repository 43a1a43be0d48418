"""Auxiliary tasks about a graph's structure and features, which need no meta-path.

Each labels the graph it is handed and nothing else: hand it the training graph, and no held-out
edge is in any label. Edges are taken both ways and whatever their type
(:func:`dglmeta.paths.undirected.as_undirected`); ids count over all node types. Each may be used
alone or beside others.

A task of your own is a class with ``from_graph``, and an entry in :data:`AUXILIARY`:

>>> from dglmeta import load_dataset
>>> class BusyTask(NodeClasses):  # whether a node has more neighbours than most
...     name = "busy"
...
...     @classmethod
...     def from_graph(cls, hg, *, seed=0):
...         degrees = as_undirected(hg).out_degrees
...         label = (degrees > np.median(degrees)).astype(np.int64)
...         return cls(np.arange(len(degrees)), label, n_classes=2)
>>> AUXILIARY["busy"] = BusyTask
>>> task = AUXILIARY["busy"].from_graph(load_dataset("toy").csr)
>>> task.draw(4, np.random.default_rng(0)).label.shape, int(task.label.sum())
((4,), 9)
>>> del AUXILIARY["busy"]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError, DataError, DglmetaError
from dglmeta.graph import HeteroCSR
from dglmeta.paths.ranks import page_rank, rank_bins
from dglmeta.paths.undirected import as_undirected
from dglmeta.tasks.base import ALL_TYPES, ClassBatch, ClassTask
from dglmeta.tasks.clusters import cluster_rows, gather_features
from dglmeta.tasks.distance import DistanceTask

__all__ = [
    "AUXILIARY",
    "AuxiliaryTask",
    "ClusteringTask",
    "DegreeTask",
    "NodeClasses",
    "PageRankTask",
    "PartitionTask",
]

Ids = npt.NDArray[np.int64]


class AuxiliaryTask(ClassTask, Protocol):
    """A task over classes that is made from a graph alone."""

    @classmethod
    def from_graph(cls, hg: HeteroCSR, *, seed: int = 0) -> Self:
        """Label a training graph; the same seed gives the same labels."""


@dataclass(frozen=True, eq=False)
class NodeClasses:
    """Nodes that each are of one class; drawn uniformly, with replacement.

    Parameters
    ----------
    nodes : (m,) int64
        Ids over all node types, in the order of the schema.
    label : (m,) int64
        Their classes, from 0.
    n_classes : int

    Raises
    ------
    DataError
        If there is no node.
    """

    nodes: Ids
    label: Ids
    n_classes: int

    name: ClassVar[str]
    source_type: ClassVar[str] = ALL_TYPES
    target_type: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        if len(self.nodes) == 0:
            raise DataError(
                f"{type(self).__name__}: expected a graph with nodes, got none. Give another graph."
            )

    def draw(self, n: int, rng: np.random.Generator) -> ClassBatch:
        """``n`` nodes."""
        drawn = rng.integers(0, len(self.nodes), n)
        return ClassBatch(self.nodes[drawn], None, self.label[drawn])


class DegreeTask(NodeClasses):
    """Whether a node is in the fifth with most neighbours (0), with fewest (2), or between (1)."""

    name = "degree"

    @classmethod
    def from_graph(cls, hg: HeteroCSR, *, seed: int = 0) -> Self:
        """Label all nodes of a training graph; nothing is drawn, so the seed does not matter.

        Parameters
        ----------
        hg : HeteroCSR
            A neighbour counts once, however many edges lead to it.
        seed : int

        Raises
        ------
        DataError
            If the graph has no node.

        Examples
        --------
        >>> from dglmeta import load_dataset
        >>> np.bincount(DegreeTask.from_graph(load_dataset("toy").csr).label)
        array([ 4, 12,  4])
        """
        degrees = as_undirected(hg).out_degrees
        return cls(np.arange(len(degrees)), rank_bins(degrees), 3)


class PageRankTask(NodeClasses):
    """Whether a node is in the fifth of highest PageRank (0), of lowest (2), or between (1)."""

    name = "pagerank"

    @classmethod
    def from_graph(cls, hg: HeteroCSR, *, seed: int = 0, damping: float = 0.85) -> Self:
        """Label all nodes of a training graph; nothing is drawn, so the seed does not matter.

        Parameters
        ----------
        hg : HeteroCSR
        seed : int
        damping : float
            Probability in (0, 1) of going on along an edge; else the walk starts at any node.

        Raises
        ------
        ConfigError
            If ``damping`` is not within (0, 1).
        DataError
            If the graph has no node.

        Notes
        -----
        The formula of SELAR (arXiv 2007.08294) has no damping. Without it the PageRank of a
        connected undirected graph is in proportion to degrees, which is :class:`DegreeTask`.
        """
        if not 0 < damping < 1:
            raise ConfigError(
                f"PageRankTask: expected damping in (0, 1), got {damping}. The usual one is 0.85."
            )
        ranks = page_rank(as_undirected(hg), damping=damping)
        return cls(np.arange(len(ranks)), rank_bins(ranks), 3)


class ClusteringTask(NodeClasses):
    """Which of K clusters of features a node is in."""

    name = "clustering"

    @classmethod
    def from_graph(cls, hg: HeteroCSR, *, seed: int = 0, n_clusters: int = 10) -> Self:
        """Cluster the features of all nodes that have some, by K-means.

        Parameters
        ----------
        hg : HeteroCSR
            ``node_data[type]["feat"]``, (n, F) of any numeric dtype and one width F, of at least
            one node type; nodes of the other types are left out.
        seed : int
            Of the first centres. The same seed gives the same labels.
        n_clusters : int
            K, at least 2. Where fewer rows differ, scikit-learn warns and some classes stay empty.

        Raises
        ------
        DataError
            If no node type has features, or widths differ, or a feature is not finite, or there
            are fewer rows than clusters.

        Notes
        -----
        Bytes: a float32 copy of the features. Up to 20,000 rows Lloyd's algorithm, at
        O(rows K F) an iteration; beyond, mini-batches. In one thread, as sums over threads add up
        in any order.
        """
        rows, nodes = gather_features(hg)
        _check_enough("ClusteringTask", "n_clusters", n_clusters, len(rows), "rows of features")
        return cls(nodes, cluster_rows(rows, n_clusters, seed), n_clusters)


class PartitionTask(NodeClasses):
    """Which of K parts a node is in that METIS cuts the graph into, of like size, by few edges."""

    name = "partition"

    @classmethod
    def from_graph(cls, hg: HeteroCSR, *, seed: int = 0, n_parts: int = 10) -> Self:
        """Partition a training graph.

        Parameters
        ----------
        hg : HeteroCSR
        seed : int
            Of METIS. The same seed gives the same parts.
        n_parts : int
            K, at least 2.

        Raises
        ------
        DglmetaError
            If pymetis is not installed.
        DataError
            If the graph has fewer nodes than parts.

        References
        ----------
        Karypis and Kumar, A fast and high quality multilevel scheme for partitioning irregular
        graphs, 1998.
        """
        graph = as_undirected(hg)
        _check_enough("PartitionTask", "n_parts", n_parts, graph.n_src, "nodes")
        try:
            import pymetis
        except ImportError as error:
            raise DglmetaError(
                "PartitionTask: expected pymetis, which cuts the graph, got none. "
                "Type: pip install pymetis"
            ) from error
        _, parts = pymetis.part_graph(
            n_parts,
            pymetis.CSRAdjacency(graph.indptr, graph.indices),
            options=pymetis.Options(seed=seed % 2**31),
        )
        return cls(np.arange(graph.n_src), np.asarray(parts, np.int64), n_parts)


AUXILIARY: dict[str, type[AuxiliaryTask]] = {
    "degree": DegreeTask,
    "distance": DistanceTask,
    "pagerank": PageRankTask,
    "clustering": ClusteringTask,
    "partition": PartitionTask,
}
"""The tasks that are made from any graph, by name. To add one is to add an entry."""


def _check_enough(where: str, setting: str, n_classes: int, n: int, what: str) -> None:
    if not 2 <= n_classes <= n:
        raise DataError(
            f"{where}: expected {setting} from 2 to the {n:,} {what}, got {n_classes}. "
            f"Set {setting}, or leave this task out."
        )
