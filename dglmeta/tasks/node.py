"""Node classification: the class of a labelled node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dglmeta.data import LabelledNodes, NodeSplit
from dglmeta.errors import DataError
from dglmeta.tasks.base import ClassBatch

__all__ = ["NodeTask"]


@dataclass(frozen=True, eq=False)
class NodeTask:
    """The labelled nodes of one part of a split.

    Parameters
    ----------
    source_type : str
        The type of the nodes.
    n_classes : int
    rows : LabelledNodes
    """

    source_type: str
    n_classes: int
    rows: LabelledNodes

    @classmethod
    def of_training(cls, split: NodeSplit) -> NodeTask:
        """The training nodes of a split.

        Raises
        ------
        DataError
            If they are all of one class.
        """
        task = cls.of_part(split, "train")
        if len(np.unique(task.rows.label)) < 2:
            raise DataError(
                f"NodeTask: expected training nodes of several classes, got {len(task)} of type "
                f"{split.node_type!r}, all of class {task.rows.label[0]}. Label more nodes, or "
                f"split with another seed."
            )
        return task

    @classmethod
    def of_part(cls, split: NodeSplit, part: str) -> NodeTask:
        """The nodes of a part of a split: "train", "valid" or "test"."""
        return cls(split.node_type, split.n_classes, getattr(split, part))

    @property
    def name(self) -> str:
        """The node type, and that it is the class that is asked for."""
        return f"{self.source_type} class"

    @property
    def target_type(self) -> None:
        """None: samples are single nodes."""
        return None

    def __len__(self) -> int:
        return len(self.rows.node)

    def draw(self, n: int, rng: np.random.Generator) -> ClassBatch:
        """``n`` distinct nodes, uniformly."""
        return self.take(rng.choice(len(self), n, replace=False))

    def take(self, index: npt.NDArray[np.int64]) -> ClassBatch:
        """The rows at ``index``."""
        return ClassBatch(self.rows.node[index], None, self.rows.label[index])

    def sample(self, index: npt.NDArray[np.int64], rng: np.random.Generator) -> ClassBatch:
        """What a step learns from at ``index``: those rows."""
        del rng
        return self.take(index)

    def epoch(self, batch: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
        """Row numbers of one pass in random order, in batches of equal size.

        What is left over when ``batch`` does not divide the rows waits for another epoch.
        """
        order = rng.permutation(len(self))
        for start in range(0, max(len(self) - batch, 0) + 1, batch):
            yield order[start : start + batch]
