"""How graphs are dealt to tasks, and what of them is support and what is target.

A pass over some graphs is one layout of them, mini-batch after mini-batch and, within one, task
after task. A graph that serves a task there has a place in it; rows are those of nodes in the
layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.tasks.graphs.layout import layout_edges, layout_rows
from dglmeta.tasks.graphs.rows import GraphRows
from dglmeta.tasks.graphs.spans import pointers, spans

__all__ = [
    "Asked",
    "Deal",
    "Shares",
    "deal_graphs",
    "random_ranks",
    "split_graphs",
    "split_nodes",
]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

RANDOM_BITS = 40
"""Of the keys by which groups are put in random order."""


class Shares(NamedTuple):
    """Per cent of what is asked about that is asked in a part; the defaults are the published."""

    graphs: int = 60
    """Of a share of graphs, rounded down, in support; the others are target."""
    nodes: int = 30
    """Of each class of nodes, rounded down, in support; the others are target."""
    links: int = 20
    """Of a graph's edges, rounded, in support."""
    target_links: int = 20
    """Of a graph's edges, rounded, in target; messages run over what is left."""


class Asked(NamedTuple):
    """What one part of a pass asks of one task, mini-batch after mini-batch."""

    rows: Ids
    """(n,) rows; of links (2, n) rows of the ends; of graphs (n,) places."""
    label: Array
    """(n,) int64 classes; of links 1.0 or 0.0."""
    batch: Ids
    """(n,) mini-batch, ascending."""


@dataclass(frozen=True, eq=False)
class Deal:
    """Graphs dealt to T tasks in each of K mini-batches."""

    rows: GraphRows
    tasks: tuple[str, ...]
    number: Ids
    """(S,) graph at each place."""
    cell_ptr: Ids
    """(K T + 1,): places of task t in mini-batch k from ``cell_ptr[k T + t]`` on."""

    @property
    def n_batches(self) -> int:
        """K."""
        return (len(self.cell_ptr) - 1) // len(self.tasks)

    @cached_property
    def batch(self) -> Ids:
        """(S,) mini-batch of each place."""
        return self._cell // len(self.tasks)

    def serves(self, task: str) -> Mask:
        """(S,) whether the graph at each place serves a task."""
        if task not in self.tasks:
            return np.zeros(len(self.number), bool)
        serves: Mask = self._cell % len(self.tasks) == self.tasks.index(task)
        return serves

    @cached_property
    def node_ptr(self) -> Ids:
        """(S + 1,) where the rows of each place begin."""
        return self._layout[0]

    @cached_property
    def node(self) -> Ids:
        """(N',) node of each row, as the table of graphs numbers it."""
        return self._layout[1]

    @cached_property
    def edges(self) -> Ids:
        """(m', 2) ends u < v of all edges, ascending."""
        return self._edges[0]

    @cached_property
    def place_of_edge(self) -> Ids:
        """(m',)."""
        return self._edges[1]

    @cached_property
    def place_of_row(self) -> Ids:
        """(N',)."""
        return np.repeat(np.arange(len(self.number)), np.diff(self.node_ptr))

    @cached_property
    def _cell(self) -> Ids:
        return np.repeat(np.arange(len(self.cell_ptr) - 1), np.diff(self.cell_ptr))

    @cached_property
    def _layout(self) -> tuple[Ids, Ids]:
        return layout_rows(self.rows, self.number)

    @cached_property
    def _edges(self) -> tuple[Ids, Ids]:
        return layout_edges(self.rows, self.number)


def deal_graphs(
    rows: GraphRows,
    tasks: tuple[str, ...],
    numbers: Ids,
    n_batches: int,
    rng: np.random.Generator,
    *,
    every: bool = False,
) -> Deal:
    """Shuffle graphs, cut them into mini-batches and deal those to tasks, all as evenly as can be.

    Parameters
    ----------
    rows : GraphRows
    tasks : tuple of str
    numbers : (n,) int64
        Graphs; at least as many as mini-batches.
    n_batches : int
    rng : numpy.random.Generator
    every : bool
        Whether a graph serves every task of its mini-batch, else one. What is left over of a
        mini-batch after equal shares goes to the classes of graphs first, which need two.
    """
    order, n_tasks = rng.permutation(numbers), len(tasks)
    begin = len(order) * np.arange(n_batches + 1) // n_batches
    size = np.diff(begin)[:, None]
    share, first = np.repeat(size, n_tasks, axis=1), np.repeat(begin[:-1, None], n_tasks, axis=1)
    if not every:
        turn = np.argsort(np.argsort([task != "gc" for task in tasks], kind="stable"))
        share = size // n_tasks + (turn < size % n_tasks)
        first = first + np.cumsum(share, axis=1) - share
    number = order[spans(first.ravel(), share.ravel())]
    return Deal(rows, tasks, number, pointers(share.ravel()))


def split_graphs(deal: Deal, support: int = 60) -> tuple[Asked, Asked]:
    """Support and target of the classes of graphs: a percentage of each share, and the rest.

    The share is in random order already. Neither is empty where the share has two graphs.
    """
    place = np.flatnonzero(deal.serves("gc"))
    batch = deal.batch[place]
    n_each = np.bincount(batch, minlength=deal.n_batches)
    n_support = np.minimum((n_each * support // 100).clip(1), n_each - 1)
    begin = pointers(n_each)[:-1]
    early = np.arange(len(place)) - begin[batch] < n_support[batch]
    return _parts(place, deal.rows.classes("graphs")[deal.number[place]], batch, early)


def split_nodes(deal: Deal, rng: np.random.Generator, support: int = 30) -> tuple[Asked, Asked]:
    """Support and target of the classes of nodes: a percentage of each at random, and the rest.

    The class is that within a mini-batch; one of two nodes or more has a node in either part.
    Nodes of a negative class are not asked about.
    """
    label = deal.rows.classes("nodes")[deal.node]
    row = np.flatnonzero(deal.serves("nc")[deal.place_of_row] & (label >= 0))
    label, batch = label[row], deal.batch[deal.place_of_row[row]]
    group = batch * (label.max(initial=0) + 1) + label
    n_each = np.bincount(group)
    n_support = np.maximum(n_each * support // 100, n_each >= 2)
    early = random_ranks(group, rng) < n_support[group]
    return _parts(row, label, batch, early)


def random_ranks(group: Ids, rng: np.random.Generator) -> Ids:
    """(n,) place of each item in a random order of its group."""
    order = np.argsort((group << RANDOM_BITS) + rng.integers(1 << RANDOM_BITS, size=len(group)))
    begin = pointers(np.bincount(group))[:-1]
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group)) - begin[group[order]]
    return rank


def _parts(rows: Ids, label: Ids, batch: Ids, early: Mask) -> tuple[Asked, Asked]:
    first, second = (Asked(rows[part], label[part], batch[part]) for part in (early, ~early))
    return first, second
