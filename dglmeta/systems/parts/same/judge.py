"""How well the embeddings and heads of SAME serve each task."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.graph import Adjacency
from dglmeta.meta import parameters_of
from dglmeta.nn.multi_task import Question, TaskGraphs, answer, encode_tasks
from dglmeta.systems.parts.same.config import Config
from dglmeta.systems.parts.same.setup import State
from dglmeta.tasks import area_under_curve
from dglmeta.tasks.episodes import probe
from dglmeta.tasks.graphs import layout_rows

__all__ = ["embed_graphs", "head_metrics", "metric_of", "probe_metrics"]

Ids = npt.NDArray[np.int64]


def metric_of(task: str, config: Config) -> str:
    """What a task is measured by: accuracy, or the area under the ROC curve of links.

    The published program reports the accuracy of its probe of links.
    """
    accuracy = task != "lp" or (config.protocol == "paper" and config.measured_by == "probe")
    return f"{task}_accuracy" if accuracy else f"{task}_auc"


def embed_graphs(state: State, graphs: TaskGraphs) -> npt.NDArray[np.float32]:
    """(N, d) embeddings of the nodes of all graphs."""
    with torch.no_grad():
        z = encode_tasks(parameters_of(state.judged), graphs, state.form)
    return z.numpy(force=True)


def probe_metrics(state: State, config: Config, split: str) -> dict[str, float]:
    """By task, of a linear model on frozen embeddings, fitted to the training graphs.

    A ridge classifier on validation graphs, where an epoch is chosen; on test graphs a linear
    support vector machine, as published.
    """
    z = {
        task: embed_graphs(state, state.without_links if task == "lp" else state.whole)
        for task in config.measured
    }
    kind = "svm" if split == "test" else "ridge"
    fit, judged = state.split.train, getattr(state.split, split)
    return {
        metric_of(task, config): probe(
            task, z[task], state.rows, fit, judged, state.holdout,
            kind=kind, published=state.published,
        )
        for task in config.measured
    }  # fmt: skip


def head_metrics(state: State, config: Config, split: str) -> dict[str, float]:
    """By task, of the trained heads."""
    numbers = getattr(state.split, split)
    found = {}
    for task in config.measured:
        graphs = state.without_links if task == "lp" else state.whole
        question = _question(task, state, numbers).to(state.device)
        with torch.no_grad():
            params = parameters_of(state.judged)
            z = encode_tasks(params, graphs, state.form)
            logits = answer(
                task, params, z, graphs, 0, question,
                additive=state.judged.additive, pooling=state.pooling,
            )  # fmt: skip
        found[metric_of(task, config)] = _score(task, logits.cpu(), question.label.cpu())
    return found


def _score(task: str, logits: Tensor, label: Tensor) -> float:
    if task == "lp":
        right = label > 0.5
        return area_under_curve(logits[right].double().numpy(), logits[~right].double().numpy())
    return float((logits.argmax(dim=1) == label).double().mean())


def _question(task: str, state: State, numbers: Ids) -> Question:
    """All that can be asked of some graphs, where all graphs lie side by side."""
    rows = state.rows
    ptr, nodes = layout_rows(rows, numbers)
    if task == "gc":
        label = torch.from_numpy(rows.classes("graphs")[numbers])
        pool = Adjacency(ptr, nodes.astype(np.int32), None, int(rows.node_ptr[-1]))
        return Question(torch.from_numpy(numbers), label, pool)
    if task == "nc":
        return Question(torch.from_numpy(nodes), torch.from_numpy(rows.classes("nodes")[nodes]))
    held = state.holdout
    asked = np.isin(held.graph, numbers)
    label = torch.from_numpy(held.label[asked].astype(np.float32))
    return Question(torch.from_numpy(np.ascontiguousarray(held.pairs[asked].T)), label)
