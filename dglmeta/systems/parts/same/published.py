r"""SAME as its authors' program does it: ``protocol="paper"``, for their printed tables.

It departs from the paper, and from what we stand for, in these places:

1. Non-edges are the *first* m of a graph with m edges, row by row, and so touch its first nodes:
   links are told by whether an end is one of them.
2. The link head, and the probe of links, read the ends beside each other: a sum of what either
   says alone.
3. The probe's embeddings hear the links that are asked about, and it is judged by accuracy.
4. The link loss takes probabilities for logits, which leaves them between 0.5 and 0.73.
5. Nothing is drawn: support sets are the first by number, and each graph serves the same task in
   every epoch.
6. Nodes are pooled by their sum, and rows of features divided by theirs.

Not repeated: the choice of an epoch by the targets' scores after adaptation, which is made here by
validation graphs and a linear model, as in the clean protocol; and a link head without the ReLU
that the paper gives it, which is a sum of its ends with or without.

Source: facts of the program as listed in the project's notes on arXiv 2201.03326.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from dglmeta.errors import ConfigError
from dglmeta.graph import Adjacency
from dglmeta.nn.multi_task import Question
from dglmeta.tasks.episodes import Episode, Part
from dglmeta.tasks.episodes.holdout import first_non_edges
from dglmeta.tasks.graphs import GraphRows, layout_edges, layout_rows, task_graphs

__all__ = ["PublishedEpisodes"]

Ids = npt.NDArray[np.int64]

SUPPORT = {"gc": 0.6, "nc": 0.3, "lp": 0.8}
"""Share of the graphs, of the nodes of a class, and of a graph's links that support."""


class PublishedEpisodes:
    """Episodes without chance (1, 5): made once, and given again in every pass.

    Parameters
    ----------
    rows : GraphRows
    tasks : sequence of str
    batch : int
        Graphs an episode; of the last, what is left, if that is a graph for each task, or every
        graph serves all of them.
    joint, every : bool
        As for :class:`dglmeta.tasks.episodes.Episodes`. With ``every``, links are asked about all
        at once, those that are heard too.

    Raises
    ------
    ConfigError
        If a batch is too small for the tasks.
    """

    def __init__(
        self,
        rows: GraphRows,
        tasks: Sequence[str],
        *,
        batch: int = 16,
        joint: bool = False,
        every: bool = False,
    ) -> None:
        self.rows, self.tasks, self.batch = rows, tuple(tasks), batch
        self.joint, self.every = joint, every
        self._made: dict[bytes, list[Episode]] = {}
        self._check_size("a batch", batch)

    @property
    def least(self) -> int:
        """Fewest graphs of an episode."""
        return 1 if self.every else len(self.tasks)

    def draw(self, numbers: Ids, rng: np.random.Generator) -> list[Episode]:
        """The same episodes whenever the graphs are the same; ``rng`` is not used.

        Raises
        ------
        ConfigError
            If there are too few graphs for the tasks.
        """
        del rng
        self._check_size("graphs", len(numbers))
        key = numbers.tobytes()
        if key not in self._made:
            cuts = range(self.batch, len(numbers), self.batch)
            some = [part for part in np.split(numbers, cuts) if len(part) >= self.least]
            self._made[key] = [self._episode(part) for part in some]
        return self._made[key]

    def _check_size(self, what: str, n: int) -> None:
        if n < self.least:
            raise ConfigError(
                f"PublishedEpisodes: expected {what} of {self.least} at least, one for each of "
                f"{', '.join(self.tasks)}, got {n}. Give more or ask for fewer tasks."
            )

    def _episode(self, numbers: Ids) -> Episode:
        served = [self._served(numbers, k) for k in range(len(self.tasks))]
        if self.every:
            whole = self._part(served, "all")
            return Episode(self.tasks, whole, whole)
        support, target = self._part(served, "support"), self._part(served, "target")
        if self.joint:
            target = target._replace(graphs=support.graphs)
        return Episode(self.tasks, support, target)

    def _served(self, numbers: Ids, position: int) -> Ids:
        """Graph i serves task i // q, q of them each; those left over serve tasks in turn."""
        if self.every:
            return numbers
        n_tasks, place = len(self.tasks), np.arange(len(numbers))
        task = place // (len(numbers) // n_tasks)
        served: Ids = numbers[np.where(task < n_tasks, task, place % n_tasks) == position]
        return served

    def _part(self, served: list[Ids], which: str) -> Part:
        """The graphs of all tasks one after another, and their questions."""
        apart = not (self.joint or self.every)
        asked = [
            _ask(self.rows, task, numbers, which, apart=apart)
            for task, numbers in zip(self.tasks, served, strict=True)
        ]
        ptr = np.append(0, np.cumsum([a.n_rows for a in asked])).tolist()
        graphs = task_graphs(
            self.rows,
            np.concatenate([a.numbers for a in asked]),
            np.concatenate([a.messages + first for a, first in zip(asked, ptr, strict=False)]),
            ptr,
        )
        questions = {
            task: a.question(first, ptr[-1])
            for task, a, first in zip(self.tasks, asked, ptr, strict=False)
            if len(a.label)
        }
        return Part(graphs, questions)


class _Asked(NamedTuple):
    """What one task hears and asks, its rows numbered from 0."""

    numbers: Ids
    n_rows: int
    messages: Ids
    rows: Ids
    label: npt.NDArray[Any]
    pool: tuple[Ids, Ids] | None = None

    def question(self, first: int, n_rows: int) -> Question:
        """The same where the task's rows begin at ``first`` of ``n_rows``."""
        label = torch.from_numpy(self.label)
        if self.pool is None:
            return Question(torch.from_numpy(np.ascontiguousarray(self.rows + first)), label)
        indptr, columns = self.pool
        pool = Adjacency(indptr, (columns + first).astype(np.int32), None, n_rows)
        return Question(torch.from_numpy(self.rows), label, pool)


def _ask(rows: GraphRows, task: str, numbers: Ids, which: str, *, apart: bool) -> _Asked:
    """A task's part; ``apart`` leaves graphs out that a part is not about."""
    if task == "gc":
        chosen = numbers[_between(np.arange(len(numbers)), len(numbers), task, which)]
        return _ask_graphs(rows, chosen if apart else numbers, chosen)
    ptr, old = layout_rows(rows, numbers)
    edges, graph = layout_edges(rows, numbers)
    if task == "nc":
        label = rows.classes("nodes")[old]
        place, count = _places(label)
        here = np.flatnonzero(_between(place, count, task, which))
        return _Asked(numbers, len(old), edges, here, label[here])
    n_edges = rows.n_edges[numbers]
    negatives, of = first_non_edges(rows, numbers, n_edges)
    negatives += (ptr[of] - rows.node_ptr[numbers[of]])[:, None]
    heard = _between(*_places(graph), task, "support")
    asked = [
        pairs[_between(_places(owner)[0], n_edges[owner], task, which)]
        for pairs, owner in ((edges, graph), (negatives, of))
    ]
    label = np.repeat(np.array([1, 0], np.float32), [len(pairs) for pairs in asked])
    return _Asked(numbers, len(old), edges[heard], np.concatenate(asked).T, label)


def _ask_graphs(rows: GraphRows, numbers: Ids, chosen: Ids) -> _Asked:
    """The classes of some of the graphs that lie there."""
    ptr, old = layout_rows(rows, numbers)
    edges, _ = layout_edges(rows, numbers)
    is_asked = np.isin(numbers, chosen)
    columns = np.flatnonzero(np.repeat(is_asked, np.diff(ptr)))
    indptr = np.append(0, np.cumsum(np.diff(ptr)[is_asked]))
    label = rows.classes("graphs")[chosen]
    return _Asked(numbers, len(old), edges, chosen, label, (indptr, columns))


def _between(place: Ids, count: Any, task: str, which: str) -> npt.NDArray[np.bool_]:
    """Whether the place among so many is in the support, in the target, or in "all"."""
    cut = np.floor(SUPPORT[task] * np.asarray(count) + 1e-9)
    inside: npt.NDArray[np.bool_] = place < (cut if which == "support" else count)
    return inside & (place >= cut) if which == "target" else inside


def _places(group: Ids) -> tuple[Ids, Ids]:
    """Place of each member in its group by order, and how many the group has."""
    order = np.argsort(group, kind="stable")
    size = np.bincount(group)
    begin = np.cumsum(size) - size
    place = np.empty_like(group)
    place[order] = np.arange(len(group)) - begin[group[order]]
    return place, size[group]
