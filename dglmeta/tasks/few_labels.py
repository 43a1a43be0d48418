"""How well linear models tell classes of nodes from frozen embeddings, with few labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.data import LabelledNodes, NodeSplit
from dglmeta.errors import ConfigError, DataError

__all__ = ["METRICS", "classification_scores", "probe_few_labels"]

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

METRICS = ("micro_f1", "macro_f1", "auc")


def probe_few_labels(
    z: npt.NDArray[np.floating[Any]] | Tensor,
    split: NodeSplit,
    *,
    repeats: int = 50,
    seed: int,
    steps: int = 200,
    lr: float = 0.01,
    weight_decay: float = 0.0,
) -> dict[str, Floats]:
    """Test scores of logistic regressions, each by the step that is best on validation nodes.

    Parameters
    ----------
    z : (n, d) array or tensor, floating
        Embeddings, taken as they are, in float32 on the CPU.
    split : NodeSplit
        All classes occur among its nodes to validate and to test.
    repeats : int
        Models, at least 1; they differ in where they begin.
    seed : int
        Of the first weights; those of a model do not depend on how many there are.
    steps : int
        Of Adam over all nodes to train, at least 1. All metrics are judged after each.
    lr, weight_decay : float
        Adam's.

    Returns
    -------
    scores : dict of str to (repeats,) float64
        ``micro_f1``, ``macro_f1`` and ``auc`` as :func:`classification_scores`, on test nodes, each
        at the first step where it is best on validation nodes.

    Raises
    ------
    ConfigError
        If repeats or steps are below 1.
    DataError
        If z is not finite, has no rows of labelled nodes, or nodes to validate or to test lack a
        class.

    Notes
    -----
    All models are one tensor (repeats * classes, d + 1), the bias, 0 at first, in the last column.
    O(steps * repeats * classes * (d + log n) * n) for n nodes to validate. Deterministic.

    References
    ----------
    The protocol of HeCo, arXiv 2105.09111, section 5.2, which HGCVAE, arXiv 2310.11102, takes over:
    choosing a step for each metric by itself, as there, is kind to all of them.

    Examples
    --------
    >>> y = np.array([0, 1, 0, 1, 0, 1])
    >>> parts = (LabelledNodes(ids, y[ids]) for ids in np.arange(6).reshape(3, 2))
    >>> z = np.eye(2)[y]
    >>> probe_few_labels(z, NodeSplit("paper", 2, *parts), repeats=2, seed=0, lr=0.1)["auc"]
    array([1., 1.])
    """
    rows = _checked(z, split, repeats, steps)
    n_classes = split.n_classes
    x, label = rows["train"]
    wanted = torch.nn.functional.one_hot(label, n_classes).T.float()  # (C, n)
    weight = _first_weights(repeats, n_classes, x.shape[1] - 1, seed)
    optimizer = torch.optim.Adam([weight], lr=lr, weight_decay=weight_decay)
    best = {name: np.full(repeats, -1.0) for name in METRICS}
    kept = {name: weight.clone() for name in METRICS}
    for _ in range(steps):
        surplus = _logits(weight, x, n_classes).softmax(1) - wanted  # (R, C, n)
        weight.grad = surplus.flatten(0, 1) @ x / len(x)
        optimizer.step()
        for name, scores in _judged(weight, rows["valid"], n_classes).items():
            better = scores > best[name]
            best[name][better] = scores[better]
            _keep(kept[name], weight, better)
    return {name: _judged(kept[name], rows["test"], n_classes)[name] for name in METRICS}


def classification_scores(logits: npt.NDArray[np.floating[Any]], label: Ids) -> dict[str, float]:
    """F1 and the area under the ROC curve of the classes, from logits.

    Parameters
    ----------
    logits : (n, classes) array
        Finite. Of probabilities give the logs.
    label : (n,) integers
        Classes, from 0, each at least once.

    Returns
    -------
    scores : dict
        ``micro_f1``, the share that is right; ``macro_f1``, the mean over classes that occur or are
        predicted; ``auc``, the mean over classes of the area under the curve of each class against
        the others by its probability, ties half. Each in [0, 1].

    Raises
    ------
    DataError
        If logits are not finite, shapes do not fit, a label is none of the classes, or a class does
        not occur.

    Notes
    -----
    Nodes are ranked by log-odds, log p - log(1 - p), that order as probabilities do but make no
    ties where those round to 1.

    Examples
    --------
    >>> classification_scores(np.array([[2.0, 1], [0, 1], [3, 0]]), np.array([0, 1, 0]))
    {'micro_f1': 1.0, 'macro_f1': 1.0, 'auc': 1.0}
    """
    label = np.asarray(label)
    if logits.ndim != 2 or label.shape != logits.shape[:1] or not np.isfinite(logits).all():
        raise DataError(
            f"classification_scores: expected finite logits (n, classes) and labels (n,), got "
            f"{logits.shape} and {label.shape}. Give a row of logits for every label."
        )
    _check_classes("classification_scores", "labels", label, logits.shape[1])
    table = torch.from_numpy(np.ascontiguousarray(logits.T, np.float32))[None]
    return {name: float(values[0]) for name, values in batched_scores(table, label).items()}


def batched_scores(logits: Tensor, label: Ids) -> dict[str, Floats]:
    """:func:`classification_scores` of many models, (R,) each, from logits (R, classes, n)."""
    micro, macro = _f1(logits.numpy().argmax(axis=1), label, logits.shape[1])
    is_class = label == np.arange(logits.shape[1])[:, None]  # (C, n)
    areas = _areas(_log_odds(logits).numpy(), is_class).mean(axis=1)
    return dict(zip(METRICS, (micro, macro, areas), strict=True))


def _f1(said: Ids, label: Ids, n_classes: int) -> tuple[Floats, Floats]:
    """Micro and macro F1, (R,) each, of predictions (R, n)."""
    n_models = len(said)
    cell = np.arange(n_models)[:, None] * n_classes**2 + label * n_classes + said
    met = np.bincount(cell.ravel(), minlength=n_models * n_classes**2)
    met = met.reshape(n_models, n_classes, n_classes)  # (R, label, said)
    right = np.diagonal(met, axis1=1, axis2=2)
    total = met.sum(axis=1) + met.sum(axis=2)
    f1 = 2 * right / total.clip(1)
    return right.sum(axis=1) / len(label), f1.sum(axis=1) / (total > 0).sum(axis=1)


def _log_odds(logits: Tensor) -> Tensor:
    """Of each class against the others together; no differences of sums, which would cancel."""
    below_top = logits - logits.amax(dim=1, keepdim=True)
    e = below_top.exp()
    none = torch.zeros_like(e[:, :1])
    before = torch.cat([none, e[:, :-1].cumsum(1)], dim=1)
    behind = torch.cat([e[:, 1:].flip(1).cumsum(1).flip(1), none], dim=1)
    return below_top - (before + behind).log()


def _areas(scores: npt.NDArray[np.float32], positive: npt.NDArray[np.bool_]) -> Floats:
    """(R, C) areas under ROC curves of scores (R, C, n) for nodes of a class (C, n) and others.

    A score becomes the upper bits of an integer of the same order and its class the lowest, so that
    one sort of integers, which processors do many at a time, ranks all; of equal scores positives
    then come last. Rows where that tells are sorted once more with positives first: the mean of
    both counts ties half.
    """
    bits = (scores + 0.0).view(np.int32)  # + 0.0: no negative zero
    ordered = bits ^ ((bits >> 31) & np.int32(2**31 - 1))
    keys = ordered.astype(np.int64) * 2 + positive
    keys.sort(axis=-1)
    won = _pairs_won(keys & 1)
    tied = ((keys[..., 1:] ^ keys[..., :-1]) == 1).any(axis=-1)
    if tied.any():
        turned = np.sort(keys[tied] ^ 1, axis=-1)
        won[tied] = (won[tied] + _pairs_won(1 - (turned & 1))) / 2
    n_positive = positive.sum(axis=-1)
    areas: Floats = won / (n_positive * (positive.shape[-1] - n_positive))
    return areas


def _pairs_won(positive: Ids) -> Floats:
    """For each row, how many negatives stand before each positive, summed."""
    n_positive = positive.sum(axis=-1)
    places = positive @ np.arange(positive.shape[-1])
    won: Floats = (places - n_positive * (n_positive - 1) // 2).astype(np.float64)
    return won


def _judged(weight: Tensor, rows: tuple[Tensor, Tensor], n_classes: int) -> dict[str, Floats]:
    x, label = rows
    return batched_scores(_logits(weight, x, n_classes), label.numpy())


def _logits(weight: Tensor, x: Tensor, n_classes: int) -> Tensor:
    """(R, C, n) of all models."""
    return (weight @ x.T).reshape(-1, n_classes, len(x))


def _keep(kept: Tensor, weight: Tensor, better: npt.NDArray[np.bool_]) -> None:
    """Copy the weights of some models."""
    which = torch.from_numpy(better)
    shape = (len(better), -1)
    kept.view(shape)[which] = weight.view(shape)[which]


def _first_weights(repeats: int, n_classes: int, d: int, seed: int) -> Tensor:
    """(repeats * C, d + 1): uniform by Glorot's rule, zero in the last column."""
    drawn = np.random.default_rng(seed).random((repeats * n_classes, d), np.float32)
    bound = math.sqrt(6 / (d + n_classes))
    weight = torch.zeros(repeats * n_classes, d + 1)
    weight[:, :d] = torch.from_numpy(drawn).mul_(2 * bound).sub_(bound)
    return weight


def _checked(
    z: npt.NDArray[np.floating[Any]] | Tensor, split: NodeSplit, repeats: int, steps: int
) -> Mapping[str, tuple[Tensor, Tensor]]:
    """Rows with a column of ones, and labels, of each part."""
    if repeats < 1 or steps < 1:
        raise ConfigError(
            f"probe_few_labels: expected repeats and steps of at least 1, got {repeats} and "
            f"{steps}. Leave them out for 50 and 200."
        )
    found = {}
    for name in ("train", "valid", "test"):
        part: LabelledNodes = getattr(split, name)
        if z.ndim != 2 or part.node.max() >= len(z):
            raise DataError(
                f"probe_few_labels: expected embeddings (n, d) of all labelled nodes, got "
                f"{tuple(z.shape)} and node {part.node.max()} in {name}. Embed all nodes."
            )
        if name != "train":
            _check_classes("probe_few_labels", name, part.label, split.n_classes)
        x = torch.as_tensor(z[part.node]).detach().to("cpu", torch.float32)
        if not x.isfinite().all():
            raise DataError(
                f"probe_few_labels: expected finite embeddings, got others in {name}. Training "
                f"diverged: lower the learning rate or check the features."
            )
        ones = torch.ones(len(x), 1)
        found[name] = torch.cat([x, ones], dim=1), torch.from_numpy(part.label)
    return found


def _check_classes(where: str, what: str, label: Ids, n_classes: int) -> None:
    if label.min(initial=0) < 0 or label.max(initial=0) >= n_classes:
        raise DataError(
            f"{where}: expected classes in [0, {n_classes}), got {label.min()} to {label.max()} "
            f"in {what}. Number the classes from 0."
        )
    missing = np.flatnonzero(np.bincount(label, minlength=n_classes) == 0)
    if len(missing):
        raise DataError(
            f"{where}: expected every class in {what}, got none of class {missing[0]}, whose area "
            f"under the curve is then undefined. Split again, or leave the class out."
        )
