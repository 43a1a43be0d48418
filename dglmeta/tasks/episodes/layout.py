"""Episodes as encoders read them, cut from one block-diagonal graph of a whole pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.graph import Adjacency
from dglmeta.nn.multi_task import Question, TaskGraphs
from dglmeta.tasks.episodes.parts import Asked, Deal
from dglmeta.tasks.graphs.layout import hear
from dglmeta.tasks.graphs.spans import pointers

__all__ = ["Episode", "Part", "build_episodes"]

Ids = npt.NDArray[np.int64]


class Part(NamedTuple):
    """Support or target of an episode."""

    graphs: TaskGraphs
    """Of all tasks, in the order of the episode's."""
    questions: dict[str, Question]
    """By task; one of which nothing could be asked is missing."""

    def to(self, device: str) -> Part:
        """The same on "cpu" or "cuda"."""
        questions = {task: question.to(device) for task, question in self.questions.items()}
        return Part(self.graphs.to(device), questions)


class Episode(NamedTuple):
    """A mini-batch of graphs that serve some tasks."""

    tasks: tuple[str, ...]
    support: Part
    target: Part

    def to(self, device: str) -> Episode:
        """The same on "cpu" or "cuda"; itself on "cpu", where episodes are made."""
        if device == "cpu":
            return self
        return Episode(self.tasks, self.support.to(device), self.target.to(device))


def build_episodes(
    deal: Deal,
    support: dict[str, Asked],
    target: dict[str, Asked],
    heard: Ids,
    *,
    joint: bool,
    dtype: torch.dtype,
) -> list[Episode]:
    """Episodes from what was drawn for a pass.

    Parameters
    ----------
    deal : Deal
    support, target : dict of task to Asked
        The same object if the parts are one.
    heard : (n, 2) int64
        Rows of the ends of the undirected edges that messages run over.
    joint : bool
        As for :class:`dglmeta.tasks.episodes.Episodes`. Parts that have the same graphs share them
        in any case.
    dtype : torch.dtype
    """
    whole = _Layout.of(deal, heard, dtype)
    if target is support:
        parts = _parts(whole, whole.cut(), support)
        return [Episode(deal.tasks, part, part) for part in parts]
    if joint or "gc" not in deal.tasks:
        layouts, graphs = [whole, whole], [whole.cut()] * 2
    else:
        layouts = [whole.without(other["gc"].rows) for other in (target, support)]
        graphs = [layout.cut() for layout in layouts]
    supports, targets = map(_parts, layouts, graphs, (support, target))
    return [Episode(deal.tasks, *parts) for parts in zip(supports, targets, strict=True)]


@dataclass(frozen=True, eq=False)
class _Layout:
    """Graphs of a pass, all of them or some, side by side."""

    deal: Deal
    heard: Tensor
    messages: Adjacency
    weight: Tensor
    row: Ids
    """(N' + 1,) of each row of the pass, how many before it are here."""

    @classmethod
    def of(cls, deal: Deal, heard: Ids, dtype: torch.dtype) -> _Layout:
        """All graphs of a pass."""
        read = hear(deal.rows, deal.node, heard, dtype)
        return cls(deal, *read, np.arange(len(deal.node) + 1))

    def without(self, places: Ids) -> _Layout:
        """The same without the graphs at some places."""
        stays = np.ones(len(self.deal.number), bool)
        stays[places] = False
        kept = stays[self.deal.place_of_row]
        row = pointers(kept)
        n_heard = self.messages.out_degrees
        edge = np.repeat(kept, n_heard)
        indices = row[self.messages.indices[edge]].astype(self.messages.indices.dtype)
        messages = Adjacency(pointers(n_heard[kept]), indices, None, int(row[-1]))
        heard, weight = self.heard[torch.from_numpy(kept)], self.weight[torch.from_numpy(edge)]
        return _Layout(self.deal, heard, messages, weight, row)

    @cached_property
    def place_ptr(self) -> Ids:
        """(S + 1,) where each place begins here."""
        return self.row[self.deal.node_ptr]

    @cached_property
    def task_ptr(self) -> Ids:
        """(K, T + 1) where each task begins here, and the mini-batch ends."""
        n_tasks = len(self.deal.tasks)
        first = np.arange(self.deal.n_batches)[:, None] * n_tasks
        begin: Ids = self.place_ptr[self.deal.cell_ptr[first + np.arange(n_tasks + 1)]]
        return begin

    def cut(self) -> list[TaskGraphs]:
        """The graphs of each mini-batch."""
        indptr, cuts = self.messages.indptr, []
        for ptr in self.task_ptr.tolist():
            a, b = ptr[0], ptr[-1]
            first, last = indptr[a], indptr[b]
            indices = self.messages.indices[first:last] - a
            messages = Adjacency(indptr[a : b + 1] - first, indices, None, b - a)
            local = tuple(p - a for p in ptr)
            cuts.append(TaskGraphs(self.heard[a:b], messages, self.weight[first:last], local))
        return cuts


def _parts(layout: _Layout, graphs: list[TaskGraphs], asked: dict[str, Asked]) -> list[Part]:
    """One part of every episode."""
    parts = [Part(cut, {}) for cut in graphs]
    for task, about in asked.items():
        ask = _about_graphs if task == "gc" else _about_rows
        ptr = pointers(np.bincount(about.batch, minlength=len(parts))).tolist()
        wanted = [k for k in range(len(parts)) if ptr[k] < ptr[k + 1]]
        questions = ask(layout, about, [(k, slice(ptr[k], ptr[k + 1])) for k in wanted])
        for k, question in zip(wanted, questions, strict=True):
            parts[k].questions[task] = question
    return parts


def _about_rows(
    layout: _Layout, about: Asked, spans: list[tuple[int, slice]]
) -> Iterator[Question]:
    """Questions of each mini-batch about nodes or links."""
    rows = torch.from_numpy(layout.row[about.rows] - layout.task_ptr[about.batch, 0])
    label = torch.from_numpy(about.label)
    if label.is_floating_point():
        label = label.to(layout.weight.dtype)
    return (Question(rows[..., here], label[here]) for _, here in spans)


def _about_graphs(
    layout: _Layout, about: Asked, spans: list[tuple[int, slice]]
) -> Iterator[Question]:
    """Questions of each mini-batch about graphs, which stand one after another."""
    number = torch.from_numpy(layout.deal.number[about.rows])
    label = torch.from_numpy(about.label)
    for k, here in spans:
        begin, end = layout.task_ptr[k, [0, -1]]
        first, last = about.rows[[here.start, here.stop - 1]]
        ptr = layout.place_ptr[first : last + 2]
        nodes = np.arange(ptr[0] - begin, ptr[-1] - begin, dtype=layout.messages.indices.dtype)
        pool = Adjacency(ptr - ptr[0], nodes, None, int(end - begin))
        yield Question(number[here], label[here], pool)
