"""How well a linear model on frozen embeddings of nodes does each of three tasks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.nn.multi_task import TASKS
from dglmeta.tasks.episodes.holdout import LinkHoldout
from dglmeta.tasks.episodes.support_vectors import fit_support_vectors
from dglmeta.tasks.graphs.layout import layout_rows
from dglmeta.tasks.graphs.rows import GraphRows
from dglmeta.tasks.graphs.spans import check_numbers
from dglmeta.tasks.metrics import area_under_curve

__all__ = ["PROBES", "probe"]

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Embedded = npt.NDArray[np.floating[Any]]

PROBES = ("svm", "ridge")
"""Linear models: support vectors, to report; least squares, quick enough to choose an epoch by."""


def probe(
    task: str,
    z: Embedded,
    rows: GraphRows,
    fit: Ids,
    judge: Ids,
    holdout: LinkHoldout | None = None,
    *,
    kind: str = "svm",
    published: bool = False,
) -> float:
    """Fit a linear model to the embeddings of some graphs and judge it on those of others.

    Parameters
    ----------
    task : {"gc", "nc", "lp"}
        Classes of graphs by the mean of their nodes: accuracy. Classes of all their nodes:
        accuracy. Links by [|z_u - z_v|, z_u * z_v], the same from either end: area under the ROC
        curve of the model's decision function.
    z : (N, d) array
        Embeddings of all nodes; for "lp" with messages over ``holdout.messages``.
    rows : GraphRows
    fit, judge : (k,) integers
        Numbers of graphs, at least one each. The model learns from those to fit alone.
    holdout : LinkHoldout
        For "lp": the pairs asked about, of either part.
    kind : str
        Of :data:`PROBES`: squared-hinge support vectors, or ridge regression on the classes. The
        columns are standardised over what is fit.
    published : bool
        For "lp", what the paper's figures are: accuracy on [z_u, z_v]. That is a sum of what each
        end says alone and cannot tell whether two nodes belong together.

    Returns
    -------
    score : float
        In [0, 1].

    Raises
    ------
    ConfigError
        If there is no such task or kind, or pairs are missing for "lp".
    DataError
        If the data set has no such labels, fewer than two classes are fit, there is nothing to
        judge (for the area, not of both classes), a graph is none of the data set's, or z is
        not finite or not of its nodes.

    Notes
    -----
    Deterministic. See :func:`fit_support_vectors`, whose optimum is that of LinearSVC, for the
    cost; "ridge", which solves one system for all classes, takes a small part of it.

    References
    ----------
    SAME, arXiv 2201.03326.
    """
    _check(task, kind, z, rows)
    fit, judge = (check_numbers("probe", part, len(rows)) for part in (fit, judge))
    x, label = _asked(task, z, rows, fit, holdout, published)
    _check_classes(task, "fit", label, least=2)
    scaler, model = _fitted(kind, x, label)
    x, label = _asked(task, z, rows, judge, holdout, published)
    area = task == "lp" and not published
    _check_classes(task, "judge", label, least=2 if area else 1)
    x = scaler.transform(x)
    if not area:
        return float((model.predict(x) == label).mean())
    scores = model.decision_function(x)
    return area_under_curve(scores[label == 1], scores[label == 0])


def _asked(
    task: str,
    z: Embedded,
    rows: GraphRows,
    graphs: Ids,
    holdout: LinkHoldout | None,
    published: bool,
) -> tuple[Floats, Ids]:
    """Features and labels of what a task asks of some graphs."""
    if task == "lp":
        return _links(z, graphs, holdout, published)
    ptr, nodes = layout_rows(rows, graphs)
    if task == "nc":
        return z[nodes].astype(np.float64), rows.classes("nodes")[nodes]
    label = rows.classes("graphs")
    total = Adjacency(ptr, nodes, None, len(z)).to_scipy(np.ones(len(nodes))) @ z
    return total / np.diff(ptr).clip(1)[:, None], label[graphs]


def _links(
    z: Embedded, graphs: Ids, holdout: LinkHoldout | None, published: bool
) -> tuple[Floats, Ids]:
    if holdout is None:
        raise ConfigError("probe: expected a holdout for 'lp', got None. Hold out links first.")
    here = np.isin(holdout.graph, graphs)
    u, v = z[holdout.pairs[here].T].astype(np.float64)
    x = np.hstack([u, v] if published else [np.abs(u - v), u * v])
    return x, holdout.label[here]


def _fitted(kind: str, x: Floats, label: Ids) -> tuple[Any, Any]:
    """What standardises columns, and the model fit to what it gives."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    x = scaler.fit_transform(x)
    fitted = RidgeClassifier().fit if kind == "ridge" else fit_support_vectors
    return scaler, fitted(x, label)


def _check(task: str, kind: str, z: Embedded, rows: GraphRows) -> None:
    for what, got, known in (("task", task, TASKS), ("kind", kind, PROBES)):
        if got not in known:
            raise ConfigError(
                f"probe: expected a {what} of {list(known)}, got {got!r}. Choose one of these."
            )
    n_nodes = len(rows.graph_of_node)
    if z.ndim != 2 or len(z) != n_nodes:
        raise DataError(
            f"probe: expected embeddings ({n_nodes}, d), got shape {z.shape}. Embed all nodes of "
            f"the data set."
        )
    n_bad = int((~np.isfinite(z)).sum())
    if n_bad:
        raise DataError(
            f"probe: expected finite embeddings, got {n_bad} numbers that are not. Training "
            f"diverged: lower the learning rate or check the features."
        )


def _check_classes(task: str, role: str, label: Ids, *, least: int) -> None:
    n = len(np.unique(label))
    if n < least:
        raise DataError(
            f"probe: expected at least {least} classes of {task!r} among the graphs to {role}, "
            f"got {n} in {len(label)} samples. Give more graphs."
        )
