"""The primary task: what it learns from, and how a model is judged on it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from dglmeta.data import Dataset, LinkSplit, NodeSplit
from dglmeta.errors import DataError
from dglmeta.graph import Homogeneous
from dglmeta.nn import JointModel, Messages
from dglmeta.tasks.joint import JointTasks
from dglmeta.tasks.link import LinkTask, PairedLinkTask, TargetEdges
from dglmeta.tasks.metrics import class_metrics, link_metrics
from dglmeta.tasks.node import NodeTask
from dglmeta.tasks.recommend import evaluated_users

__all__ = [
    "LinkPrediction",
    "NodeClassification",
    "Primary",
    "Recommendation",
    "primary_task",
    "split_of",
]


class Primary(Protocol):
    """A task that a model is trained for."""

    monitor: str
    """Metric that is best when highest, and chooses the epoch on validation."""

    @property
    def training(self) -> LinkTask | NodeTask:
        """What a batch is drawn from."""

    def target_edges(self, everything: Homogeneous) -> TargetEdges | None:
        """Edges that give training samples away."""

    def judge(
        self, model: JointModel, messages: Messages, tasks: JointTasks, part: str
    ) -> dict[str, float]:
        """Metrics on a part of the split, messages running over all training edges."""


class LinkPrediction:
    """Whether the target edge joins a pair: AUC, AP, F1.

    Parameters
    ----------
    split : LinkSplit
    n_targets : int, optional
        Number of nodes of the target's type, to learn from positives each beside a negative drawn
        anew; from the split's rows when None.
    """

    monitor = "auc"

    def __init__(self, split: LinkSplit, n_targets: int | None = None) -> None:
        self.split = split
        self.training = LinkTask.of_training(split)
        if n_targets is not None:
            self.training = PairedLinkTask(split.target, split.train, n_targets)

    def target_edges(self, everything: Homogeneous) -> TargetEdges | None:
        """The training positives, both ways."""
        return TargetEdges(self.split, everything)

    def asked(self, part: str) -> LinkTask:
        """The rows of a part."""
        return LinkTask(self.split.target, getattr(self.split, part))

    def judge(
        self, model: JointModel, messages: Messages, tasks: JointTasks, part: str
    ) -> dict[str, float]:
        """AUC, AP and F1 of the part's rows."""
        rows = self.asked(part)
        (s,) = model(model.locate(messages, tasks.of_rows(rows)))
        return link_metrics(s.cpu().numpy(), rows.rows.label)


class Recommendation(LinkPrediction):
    """The same, judged by the rank of each user's held-out items among all not seen in training.

    Parameters
    ----------
    split, n_targets
        As in :class:`LinkPrediction`.
    n_users : int, optional
        Users drawn for evaluation, all when None.
    """

    monitor = "recall_at_50"

    def __init__(
        self, split: LinkSplit, n_targets: int | None = None, *, n_users: int | None = None
    ) -> None:
        super().__init__(split, n_targets)
        self.users = {
            part: evaluated_users(split, part, n_users=n_users, seed=0)
            for part in ("valid", "test")
        }

    def judge(
        self, model: JointModel, messages: Messages, tasks: JointTasks, part: str
    ) -> dict[str, float]:
        """Recall and NDCG at 2, 10, 50 and 100, beside AUC, AP and F1."""
        users, offsets = self.users[part], tasks.graph.offsets
        (z,) = model.heads.project(model.everywhere(messages)[None])
        source, _, target = self.split.target
        left = z[offsets[source] + torch.from_numpy(users.users).to(z.device)]
        right = z[offsets[target] :][: tasks.n_nodes(target)]
        scores = (left @ right.T).cpu().numpy()  # (n_users, n_items)
        return {**super().judge(model, messages, tasks, part), **users.metrics(scores)}


class NodeClassification:
    """The class of a node: micro and macro F1."""

    monitor = "macro_f1"

    def __init__(self, split: NodeSplit) -> None:
        self.split = split
        self.training = NodeTask.of_training(split)

    def target_edges(self, everything: Homogeneous) -> TargetEdges | None:
        """None: no edge tells a class."""
        del everything
        return None  # noqa: RET501 - the value is the answer

    def judge(
        self, model: JointModel, messages: Messages, tasks: JointTasks, part: str
    ) -> dict[str, float]:
        """Micro and macro F1 of the part's nodes."""
        rows = NodeTask.of_part(self.split, part)
        logits = model.class_logits(model.locate(messages, tasks.of_rows(rows)))
        label = rows.take(np.arange(len(rows))).label
        return class_metrics(logits.cpu().numpy(), label)


def split_of(kind: str, ds: Dataset, seed: int) -> LinkSplit | NodeSplit:
    """The split that a primary task is about: of labelled nodes for "node", where there are any."""
    if kind == "node" and ds.node_split is not None:
        return ds.node_split if seed == 0 else ds.node_split.dealt(seed)
    return ds.splits(seed)


def primary_task(
    kind: str, ds: Dataset, split: LinkSplit | NodeSplit, *, negatives: str = "stored"
) -> Primary:
    """The primary task of a data set.

    Parameters
    ----------
    kind : {"auto", "link", "node", "recommendation"}
        "auto" is link prediction where there is a target link, else node classification.
    negatives : {"stored", "drawn"}
        Of links, to learn from: those of the split, or one drawn anew beside each positive.

    Raises
    ------
    DataError
        If the data set has not what the task needs.
    """
    if kind == "auto":
        kind = "link" if isinstance(split, LinkSplit) else "node"
    if (kind == "node") != isinstance(split, NodeSplit):
        wanted = "labelled nodes" if kind == "node" else "a target link"
        raise DataError(
            f"{ds.name}: expected a data set with {wanted} for task {kind!r}, got one without. "
            f"Choose another task, or data."
        )
    if isinstance(split, NodeSplit):
        return NodeClassification(split)
    n_targets = ds.csr.n_nodes[split.target[2]] if negatives == "drawn" else None
    form = Recommendation if kind == "recommendation" else LinkPrediction
    return form(split, n_targets)
