"""Link prediction: whether the target edge joins a pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dglmeta.data import LinkSplit, Rows
from dglmeta.errors import DataError
from dglmeta.graph import EdgeType, Homogeneous
from dglmeta.tasks.base import PairBatch

__all__ = ["LinkTask", "TargetEdges"]


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

    def take(self, index: npt.NDArray[np.int64]) -> PairBatch:
        """The rows at ``index``."""
        return PairBatch(self.rows.src[index], self.rows.dst[index], self.rows.label[index])

    def epoch(self, batch: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
        """Row numbers of one pass in random order, in batches of equal size.

        What is left over when ``batch`` does not divide the rows waits for another epoch.
        """
        order = rng.permutation(len(self))
        for start in range(0, max(len(self) - batch, 0) + 1, batch):
            yield order[start : start + batch]


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

    def asked(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Ids of the edges, along and against, that join the positive ones of some rows."""
        ids = np.concatenate([way[rows] for way in self._ways])
        return ids[ids >= 0]
