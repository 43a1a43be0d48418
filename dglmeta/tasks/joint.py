"""Several tasks on one graph, drawn together as the rows of one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.graph import Homogeneous
from dglmeta.nn.model import ClassKind, Samples
from dglmeta.tasks.base import ALL_TYPES, ClassBatch, ClassTask, PairBatch, PairTask
from dglmeta.tasks.link import LinkTask, TargetEdges
from dglmeta.tasks.node import NodeTask
from dglmeta.tasks.surroundings import Surroundings, View

__all__ = ["JointBatch", "JointTasks"]

Ids = npt.NDArray[np.int64]
Drawn: TypeAlias = PairBatch | ClassBatch
Row: TypeAlias = tuple[Ids, Ids, npt.NDArray[Any]]
"""Source, target and label of a task's samples."""


class JointBatch(NamedTuple):
    """What one step learns from."""

    samples: Samples
    """Their nodes are those of the view's graph."""
    view: View
    primary_has_classes: bool = False
    """Whether the primary task is the first of those with classes, not of those about pairs."""

    @property
    def n_samples(self) -> int:
        """B, of each task."""
        return max(self.samples.src.shape[1], self.samples.class_src.shape[1])

    @property
    def label(self) -> Tensor:
        """(n,) labels, task after task; 1 for a sample with a class."""
        n = self.samples.class_label.numel()
        ones = torch.ones(n, dtype=self.samples.label.dtype, device=self.samples.label.device)
        return torch.cat([self.samples.label.flatten(), ones])

    def primary(self, places: Tensor) -> Samples:
        """Some samples of the primary task alone."""
        pairs, classes = self.samples[:3], self.samples[3:]
        if self.primary_has_classes:
            return Samples(*(t[:0] for t in pairs), *(t[:1, places] for t in classes))
        return Samples(*(t[:1, places] for t in pairs), *(t[:0] for t in classes))


class JointTasks:
    """A primary task and auxiliary ones over the nodes of all types.

    Rows of a batch are tasks: those about pairs first, then those with classes, each in the order
    primary, auxiliary.

    Parameters
    ----------
    primary : LinkTask or NodeTask
    auxiliary : sequence of PairTask or ClassTask
        Each draws as many samples as the primary one.
    surroundings : Surroundings
    target : TargetEdges, optional
        Which edges ask about which primary rows: in a batch they leave the graph that messages
        run on. None where no edge gives a primary sample away.
    device : {"cpu", "cuda"}
        Where batches lie. Draws are the same.
    """

    def __init__(
        self,
        primary: LinkTask | NodeTask,
        auxiliary: Sequence[PairTask | ClassTask],
        surroundings: Surroundings,
        *,
        target: TargetEdges | None = None,
        device: str = "cpu",
    ) -> None:
        self.primary, self.auxiliary = primary, tuple(auxiliary)
        self.surroundings, self.target, self.device = surroundings, target, device
        every = [(t, task) for t, task in enumerate((primary, *auxiliary))]
        self._pairs = [(t, task) for t, task in every if _kind(task) is None]
        self._classes = [(t, task) for t, task in every if _kind(task) is not None]

    @property
    def graph(self) -> Homogeneous:
        """All nodes and training edges, both ways."""
        return self.surroundings.everything

    @cached_property
    def whole(self) -> View:
        """The view of all training edges."""
        return View(self.graph, self.surroundings.all_edges)

    @property
    def names(self) -> list[str]:
        """Of the tasks, the primary one first."""
        return [task.name for task in (self.primary, *self.auxiliary)]

    @property
    def rows(self) -> list[int]:
        """Task of each row of a batch; 0 is the primary one."""
        return [t for t, _ in (*self._pairs, *self._classes)]

    def of_task(self, batch: JointBatch) -> Tensor:
        """(n,) int64 task of each sample of a batch, row after row; 0 is the primary one."""
        n = batch.n_samples
        return self._row_tasks.repeat_interleave(n, output_size=len(self.rows) * n)

    @cached_property
    def _row_tasks(self) -> Tensor:
        return torch.tensor(self.rows, device=self.device)

    @property
    def n_pair_tasks(self) -> int:
        """P: rows of tasks about pairs."""
        return len(self._pairs)

    @property
    def primary_has_classes(self) -> bool:
        """Whether the primary task is among those with classes."""
        return _kind(self.primary) is not None

    @property
    def auxiliary_pairs(self) -> list[PairTask | ClassTask]:
        """The auxiliary tasks about pairs, in the order of their rows."""
        return [task for t, task in self._pairs if t > 0]

    @property
    def class_kinds(self) -> list[ClassKind]:
        """Of the rows of tasks with classes."""
        return [kind for _, task in self._classes if (kind := _kind(task)) is not None]

    def epoch(self, batch: int, rng: np.random.Generator) -> Iterator[JointBatch]:
        """One pass over the primary samples, in random order.

        Parameters
        ----------
        batch : int
            Samples B of each task, all if there are fewer; what is left over of an epoch waits
            for another.
        rng : Generator
            All chance comes from here.
        """
        for rows in self.primary.epoch(min(batch, len(self.primary)), rng):
            yield self.draw(rows, rng)

    def draw(self, rows: Ids, rng: np.random.Generator) -> JointBatch:
        """The batch of the given rows of the primary task, with as many of each auxiliary one."""
        primary = self.primary.sample(rows, rng)
        drawn: dict[int, Drawn] = {0: primary}
        drawn |= {t: task.draw(len(primary.src), rng) for t, task in enumerate(self.auxiliary, 1)}
        removed = np.zeros(0, np.int64) if self.target is None else self.target.asked(rows)
        return self.around(self._stack(drawn), removed, rng)

    def of_rows(self, task: LinkTask | NodeTask) -> Samples:
        """All samples of a primary task, such as those of another split, in one batch."""
        return self._to_device(self.samples_of(task, np.arange(len(task))))

    def samples_of(self, task: LinkTask | NodeTask, rows: Ids) -> Samples:
        """Some samples of a primary task, by nodes over all types."""
        return self._stack({0: task.take(rows)})

    def around(self, samples: Samples, removed: Ids, rng: np.random.Generator) -> JointBatch:
        """Samples over all nodes with their view, in whose numbering they come back."""
        around = self.surroundings
        if not around.fanouts and not around.hint_fanouts:
            view = around.around(removed[:0], removed, 0)
            return JointBatch(self._to_device(samples), view, self.primary_has_classes)
        ends, places = np.unique(samples.ends().numpy(), return_inverse=True)
        view = around.around(ends, removed, int(rng.integers(2**62)))
        if view.nodes is not None:  # the sample's nodes begin with the ends, in this order
            samples = samples.with_ends(torch.from_numpy(places.reshape(-1)))
        return JointBatch(samples, view, self.primary_has_classes)

    def n_nodes(self, node_type: str) -> int:
        """Number of nodes of a type."""
        begins = [*self.graph.offsets.values(), self.graph.adjacency.n_src]
        k = list(self.graph.offsets).index(node_type)
        return begins[k + 1] - begins[k]

    def by_type(self, z: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Rows over all nodes (N, ...) as one array a node type."""
        offsets = self.graph.offsets
        ends = [*list(offsets.values())[1:], len(z)]
        return {t: z[begin:end] for (t, begin), end in zip(offsets.items(), ends, strict=True)}

    def _stack(self, drawn: dict[int, Drawn]) -> Samples:
        """Draws as rows, by nodes over all types."""
        pairs = [self._row(task, drawn[t]) for t, task in self._pairs if t in drawn]
        classes = [self._row(task, drawn[t]) for t, task in self._classes if t in drawn]
        n = len(drawn[0].src)
        return Samples(*_columns(pairs, n, np.float32), *_columns(classes, n, np.int64))

    def _row(self, task: PairTask | ClassTask | NodeTask, drawn: Drawn) -> Row:
        """Source, target and label of a task's samples, by nodes over all types."""
        src = drawn.src + self._first(task.source_type)
        if drawn.dst is None:
            return src, src, drawn.label
        return src, drawn.dst + self._first(task.target_type), drawn.label

    def _first(self, node_type: str | None) -> int:
        return 0 if node_type is None or node_type == ALL_TYPES else self.graph.offsets[node_type]

    def _to_device(self, samples: Samples) -> Samples:
        return Samples(*(t.to(self.device) for t in samples))


def _kind(task: PairTask | ClassTask | NodeTask) -> ClassKind | None:
    """What a task with classes is about; None for one about pairs."""
    n_classes = getattr(task, "n_classes", None)
    return None if n_classes is None else ClassKind(n_classes, task.target_type is not None)


def _columns(rows: Sequence[Row], n: int, label: type[np.generic]) -> Iterator[Tensor]:
    """Sources, targets and labels of tasks, each (n_rows, n)."""
    dtypes: tuple[type[np.generic], ...] = (np.int64, np.int64, label)
    for column, dtype in enumerate(dtypes):
        out: npt.NDArray[Any] = np.empty((len(rows), n), dtype)
        for row, values in enumerate(rows):
            out[row] = values[column]
        yield torch.from_numpy(out)
