"""Link prediction: whether the target edge joins a pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dglmeta.data import LinkSplit, Rows
from dglmeta.errors import DataError
from dglmeta.graph import Adjacency, EdgeType, Homogeneous
from dglmeta.kernels.cpu.negative import sample_negatives
from dglmeta.tasks.base import PairBatch

__all__ = ["LinkTask", "PairedLinkTask", "TargetEdges"]

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LinkTask:
    """The rows of a link split, each a pair and whether the target edge joins it.

    Parameters
    ----------
    target : (str, str, str)
        The edge type to predict.
    rows : Rows
        Pairs and labels, positives and negatives.
    """

    target: EdgeType
    rows: Rows

    @classmethod
    def of_training(cls, split: LinkSplit) -> LinkTask:
        """The training rows of a split.

        Raises
        ------
        DataError
            If there is no training positive or no training negative.
        """
        n_positive = int(split.train.label.sum())
        if n_positive in (0, len(split.train.label)):
            raise DataError(
                f"LinkTask: expected training rows of both kinds, got {n_positive} positives among "
                f"{len(split.train.label)} rows of {split.target}. The graph needs target edges."
            )
        return cls(split.target, split.train)

    @property
    def name(self) -> str:
        """The relation's name."""
        return self.target[1]

    @property
    def source_type(self) -> str:
        """Source node type of the target edge."""
        return self.target[0]

    @property
    def target_type(self) -> str:
        """Destination node type of the target edge."""
        return self.target[2]

    def __len__(self) -> int:
        return len(self.rows.label)

    def draw(self, n: int, rng: np.random.Generator) -> PairBatch:
        """``n`` distinct rows, uniformly."""
        return self.take(rng.choice(len(self), n, replace=False))

    def take(self, index: Ids) -> PairBatch:
        """The rows at ``index``."""
        return PairBatch(self.rows.src[index], self.rows.dst[index], self.rows.label[index])

    def sample(self, index: Ids, rng: np.random.Generator) -> PairBatch:
        """What a step learns from at ``index``: those rows."""
        del rng
        return self.take(index)

    def epoch(self, batch: int, rng: np.random.Generator) -> Iterator[Ids]:
        """Row numbers of one pass in random order, in batches of equal size.

        What is left over when ``batch`` does not divide the rows waits for another epoch.
        """
        order = rng.permutation(len(self))
        for start in range(0, max(len(self) - batch, 0) + 1, batch):
            yield order[start : start + batch]


@dataclass(frozen=True)
class PairedLinkTask(LinkTask):
    """Every positive beside a negative of the same source, whose target is drawn anew each time.

    Stored negatives tell a model how many of a source's rows came to lie in training, which is the
    contrary of how many it has elsewhere. And a positive is asked about without its edge: were the
    negatives of its source asked about with it, the number of a node's edges would tell them apart,
    as it cannot when the model is used (Dong et al., FakeEdge, arXiv 2211.15899). In a batch of
    pairs both lose the same edge. What is held out is not known here; it may come up as a negative.

    Parameters
    ----------
    target : (str, str, str)
        The edge type to predict.
    rows : Rows
        Of training. Negatives among them are not used.
    n_targets : int
        Number of nodes of the target's type; negatives are uniform over those that no positive
        of ``rows`` joins to the source, nor, where it is of the same type, the source itself.

    Raises
    ------
    DataError
        If a source of a positive is joined to every target.
    """

    n_targets: int

    def __post_init__(self) -> None:
        sources = np.unique(self.rows.src[self.positives])
        full = sources[self.negatives(sources, np.random.default_rng(0)) < 0]
        if len(full):
            raise DataError(
                f"PairedLinkTask: expected every source to lack some of the {self.n_targets} "
                f"targets of {self.target}, got {self.source_type} {full[0]} joined to all. Keep "
                f"the stored negatives."
            )

    @cached_property
    def positives(self) -> Ids:
        """(n,) row numbers of the positives."""
        return np.flatnonzero(self.rows.label > 0)

    @cached_property
    def joined(self) -> Adjacency:
        """The positives, from sources to targets."""
        src, dst = self.rows.src[self.positives], self.rows.dst[self.positives]
        return Adjacency.from_coo(src, dst, (int(src.max(initial=-1)) + 1, self.n_targets))

    def __len__(self) -> int:
        return 2 * len(self.positives)

    def draw(self, n: int, rng: np.random.Generator) -> PairBatch:
        """``n`` samples: distinct positives, then negatives of their sources."""
        pairs = self.sample(rng.choice(self.positives, (n + 1) // 2, replace=False), rng)
        return PairBatch(pairs.src[:n], pairs.dst[:n], pairs.label[:n])

    def sample(self, index: Ids, rng: np.random.Generator) -> PairBatch:
        """The positive rows at ``index``, then a negative of each one's source."""
        src = self.rows.src[index]
        return PairBatch(
            np.append(src, src),
            np.append(self.rows.dst[index], self.negatives(src, rng)),
            np.repeat(np.array([1, 0], self.rows.label.dtype), len(index)),
        )

    def negatives(self, src: Ids, rng: np.random.Generator) -> Ids:
        """For each of some sources of positives a target it lacks, uniformly; -1 for lack of one.

        Notes
        -----
        Cost O(degree) each, in the order of a microsecond.
        """
        adj, seed = self.joined, int(rng.integers(2**63))
        same_type = self.source_type == self.target_type
        dst: Ids = sample_negatives(
            adj.indptr, adj.indices, src, adj.n_dst, seed, forbid_diagonal=same_type
        )
        return dst

    def epoch(self, batch: int, rng: np.random.Generator) -> Iterator[Ids]:
        """Rows of positives in random order, half of ``batch`` at a time."""
        order, n = rng.permutation(self.positives), max(batch // 2, 1)
        for start in range(0, max(len(order) - n, 0) + 1, n):
            yield order[start : start + n]


class TargetEdges:
    """The edges that give the training rows of a link split away.

    Parameters
    ----------
    split : LinkSplit
    everything : Homogeneous
        The split's training graph, both ways: its target edges are the training positives, in the
        order of the split's rows.
    """

    def __init__(self, split: LinkSplit, everything: Homogeneous) -> None:
        positive = split.train.label > 0
        number = np.where(positive, np.cumsum(positive) - 1, -1)
        self._ways = [
            np.where(positive, number + everything.edge_offsets[split.target, forward], -1)
            for forward in (True, False)
        ]

    def asked(self, rows: Ids) -> Ids:
        """Ids of the edges, along and against, that join the positive ones of some rows."""
        ids = np.concatenate([way[rows] for way in self._ways])
        return ids[ids >= 0]
