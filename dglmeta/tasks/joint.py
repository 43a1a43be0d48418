"""Several pair tasks on one graph, drawn together as the rows of one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.data import LinkSplit
from dglmeta.graph import HeteroCSR
from dglmeta.tasks.base import PairTask
from dglmeta.tasks.link import LinkTask

__all__ = ["JointBatch", "JointPairs"]


class JointBatch(NamedTuple):
    """What one step learns from: row t holds the pairs of task t, row 0 the primary ones."""

    src: Tensor
    """(T + 1, B) int64 node ids over all types."""
    dst: Tensor
    """(T + 1, B) int64 node ids over all types."""
    label: Tensor
    """(T + 1, B) float32, 0 or 1."""
    edge_weight: Tensor
    """(E,) float32: 0 on the edges the primary pairs ask about, in both directions, else 1."""


class JointPairs:
    """A primary link task and auxiliary pair tasks over the nodes of all types.

    Messages run along and against every edge of the training graph, and never along an edge that
    the batch at hand is asking about.

    Parameters
    ----------
    training : HeteroCSR
        Its target edges are the training positives, in the order of the split's rows.
    split : LinkSplit
        Its training rows are the primary task.
    auxiliary : sequence of PairTask
        Further tasks, each drawing as many pairs as the primary one.
    device : {"cpu", "cuda"}
        Where the adjacency and the batches lie. Draws are the same.
    """

    def __init__(
        self,
        training: HeteroCSR,
        split: LinkSplit,
        auxiliary: Sequence[PairTask] = (),
        *,
        device: str = "cpu",
    ) -> None:
        self.primary = LinkTask.of_training(split)
        self.auxiliary = tuple(auxiliary)
        everything = training.homogeneous(both_ways=True)
        self.adjacency = everything.adjacency.to(device)
        self.device = device
        self.offsets = everything.offsets
        # Edge ids of each training row, along and against the target edge; -1 for a negative.
        positive = split.train.label > 0
        number = np.where(positive, np.cumsum(positive) - 1, -1)
        along = everything.edge_offsets[split.target, True]
        against = everything.edge_offsets[split.target, False]
        self._along = np.where(positive, number + along, -1)
        self._against = np.where(positive, number + against, -1)
        self._all_edges = torch.ones(self.adjacency.n_edges, device=device)

    @property
    def n_tasks(self) -> int:
        """T + 1: the auxiliary tasks and the primary one."""
        return 1 + len(self.auxiliary)

    @property
    def n_nodes(self) -> int:
        """Nodes of all types."""
        return self.adjacency.n_src

    def epoch(self, batch: int, rng: np.random.Generator) -> Iterator[JointBatch]:
        """One pass over the primary rows in random order.

        Parameters
        ----------
        batch : int
            Pairs B of each task, all rows if there are fewer; what is left over of an epoch waits
            for another.
        rng : Generator
            All chance comes from here.
        """
        for rows in self.primary.epoch(min(batch, len(self.primary)), rng):
            yield self.draw(rows, rng)

    def draw(self, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> JointBatch:
        """The batch of the given training rows, with as many pairs of each auxiliary task."""
        drawn = [self.primary.take(rows), *(t.draw(len(rows), rng) for t in self.auxiliary)]
        tasks = (self.primary, *self.auxiliary)
        src, dst = np.empty((2, len(tasks), len(rows)), np.int64)
        label = np.empty(src.shape, np.float32)
        for t, (task, pairs) in enumerate(zip(tasks, drawn, strict=True)):
            src[t] = pairs.src + self.offsets[task.source_type]
            dst[t] = pairs.dst + self.offsets[task.target_type]
            label[t] = pairs.label
        return JointBatch(
            torch.from_numpy(src).to(self.device),
            torch.from_numpy(dst).to(self.device),
            torch.from_numpy(label).to(self.device),
            self._without_edges_of(rows),
        )

    def locate(self, task: LinkTask) -> tuple[Tensor, Tensor]:
        """Node ids over all types of every row of a task, each (1, n)."""
        src = np.asarray(task.rows.src, np.int64) + self.offsets[task.source_type]
        dst = np.asarray(task.rows.dst, np.int64) + self.offsets[task.target_type]
        return self._row(src), self._row(dst)

    def _row(self, ids: npt.NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(ids)[None].to(self.device)

    def by_type(self, z: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Rows over all nodes (N, ...) as one array a node type."""
        ends = [*list(self.offsets.values())[1:], len(z)]
        return {t: z[begin:end] for (t, begin), end in zip(self.offsets.items(), ends, strict=True)}

    def _without_edges_of(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """Edge weights with the rows' own positive edges taken out."""
        ids = np.concatenate([self._along[rows], self._against[rows]])
        weight = self._all_edges.clone()
        weight[torch.from_numpy(ids[ids >= 0]).to(self.device)] = 0
        return weight
