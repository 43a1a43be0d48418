"""Episodes of several models as one, so that a step computes all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from dglmeta.graph import Adjacency
from dglmeta.nn.multi_task import Question, TaskGraphs
from dglmeta.tasks.episodes.layout import Episode, Part
from dglmeta.tasks.graphs.spans import pointers

__all__ = ["merge_episodes"]

Ids = npt.NDArray[np.int64]


def merge_episodes(episodes: Sequence[Episode]) -> Episode:
    """One episode of S models, the s-th of which is asked what the s-th episode asks.

    Parameters
    ----------
    episodes : sequence of Episode
        Of the same tasks, at least one. A task that one of them asks nothing of is asked of none.
    """
    tasks = episodes[0].tasks
    support = _merged(tasks, [e.support for e in episodes])
    if all(e.target is e.support for e in episodes):
        return Episode(tasks, support, support)
    joint = all(e.target.graphs is e.support.graphs for e in episodes)
    target = _merged(tasks, [e.target for e in episodes], support.graphs if joint else None)
    return Episode(tasks, support, target)


def _merged(
    tasks: tuple[str, ...], parts: Sequence[Part], graphs: TaskGraphs | None = None
) -> Part:
    """One part of all; its graphs, if they are there already."""
    begin = np.array([part.graphs.task_ptr for part in parts]).T  # (T + 1, S)
    ptr = pointers(np.diff(begin, axis=0).ravel())
    shift = ptr[:-1].reshape(len(tasks), -1) - begin[:-1]  # of each task and model
    questions = {
        task: _asked_of_all([part.questions[task] for part in parts], shift[t], int(ptr[-1]))
        for t, task in enumerate(tasks)
        if all(task in part.questions for part in parts)
    }
    if graphs is None:
        graphs = _side_by_side([part.graphs for part in parts], shift, ptr)
    return Part(graphs, questions)


def _side_by_side(layouts: Sequence[TaskGraphs], shift: Ids, ptr: Ids) -> TaskGraphs:
    """The graphs of all models, task after task."""
    heard, weight, degree, column = [], [], [], []
    for t, of_task in enumerate(shift):
        for layout, moved in zip(layouts, of_task, strict=True):
            first, last = layout.task_ptr[t : t + 2]
            indptr = layout.messages.indptr
            edges = slice(indptr[first], indptr[last])
            heard.append(layout.heard[first:last])
            weight.append(layout.weight[edges])
            degree.append(np.diff(indptr[first : last + 1]))
            column.append(layout.messages.indices[edges] + moved)
    kind = layouts[0].messages.indices.dtype
    indices = np.concatenate(column).astype(kind)
    messages = Adjacency(pointers(np.concatenate(degree)), indices, None, int(ptr[-1]))
    rows = tuple(ptr.tolist())
    return TaskGraphs(torch.cat(heard), messages, torch.cat(weight), rows, len(layouts))


def _asked_of_all(questions: Sequence[Question], shift: Ids, n_rows: int) -> Question:
    """One task's questions, a model's after another's; ``shift`` is what rows of each move by."""
    label = torch.cat([q.label for q in questions])
    model_ptr = tuple(pointers(np.array([len(q.label) for q in questions])).tolist())
    if questions[0].pool is None:
        rows = [q.rows + int(moved) for q, moved in zip(questions, shift, strict=True)]
        return Question(torch.cat(rows, dim=-1), label, None, model_ptr)
    pools = [q.pool for q in questions if q.pool is not None]
    column = [pool.indices + moved for pool, moved in zip(pools, shift, strict=True)]
    degree = np.concatenate([pool.out_degrees for pool in pools])
    indices = np.concatenate(column).astype(pools[0].indices.dtype)
    pool = Adjacency(pointers(degree), indices, None, n_rows)
    return Question(torch.cat([q.rows for q in questions]), label, pool, model_ptr)
