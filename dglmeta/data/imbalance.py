"""Training nodes of which half of the classes have few: step imbalance."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dglmeta.data.dataset import Dataset
from dglmeta.data.node_splits import LabelledNodes, NodeSplit
from dglmeta.errors import ConfigError, DataError

__all__ = ["random_rank", "step_imbalance"]

Ids = npt.NDArray[np.int64]


def step_imbalance(
    ds: Dataset,
    *,
    rho: float,
    seed: int,
    label_ratio: float | None = None,
    valid_per_class: int = 30,
) -> NodeSplit:
    r"""A split whose last :math:`\lfloor K/2 \rfloor` of K classes have a rho-th of the others.

    Without ``label_ratio``, from the training nodes of ``ds.node_split``: each of those minority
    classes keeps at random ``max(1, int(n / rho))`` of its own, or all if it has fewer, where n is
    the number in the largest class; the other classes keep all, and valid and test are as they are.

    With ``label_ratio``, from all labelled nodes: m of each minority class and rho m of each other
    are drawn for training, where rounding ``label_ratio * n_nodes / (rho * (K - K // 2) + K // 2)``
    gives m, but at least 1. Then ``valid_per_class`` nodes of each class validate, and the rest
    test.

    Parameters
    ----------
    ds : Dataset
        With labelled nodes. Known labels of nodes in no part count for ``label_ratio`` only.
    rho : float
        At least 1, where no class has fewer.
    seed : int
        Same seed, same split.
    label_ratio : float, optional
        Share of all nodes to train with, in (0, 1).
    valid_per_class : int
        With ``label_ratio`` only.

    Returns
    -------
    split : NodeSplit

    Raises
    ------
    ConfigError
        If rho is below 1 or infinite, ``label_ratio`` is not in (0, 1), or ``valid_per_class`` is
        below 1.
    DataError
        If there are no labelled nodes, a class has no training node, or with ``label_ratio`` too
        few nodes to leave one to test.

    Notes
    -----
    AutoLINC says the first for the sets of Planetoid, as TAM's code decides it, and a label ratio
    of 0.01 for those of Amazon; m is a choice made here, for neither paper nor code states it.

    References
    ----------
    AutoLINC, ICML 2024; Song et al., TAM: topology-aware margin loss for class-imbalanced node
    classification, ICML 2022.

    Examples
    --------
    >>> from dglmeta.data import load_dataset
    >>> ds = load_dataset("toy-citations")
    >>> np.bincount(step_imbalance(ds, rho=10, seed=0).train.label)
    array([20, 20,  2,  2])
    >>> np.bincount(step_imbalance(ds, rho=5, seed=0, label_ratio=0.1).train.label)
    array([10, 10,  2,  2])
    """
    _check(rho, label_ratio, valid_per_class)
    split = ds.node_split
    if split is None:
        raise DataError(
            f"step_imbalance: expected a data set with labelled nodes, got {ds.name!r} without. "
            f"Give its node_split."
        )
    rng = np.random.default_rng(seed)
    if label_ratio is None:
        return _thinned(split, rho, rng)
    k, few = split.n_classes, split.n_classes // 2
    n_labels = label_ratio * ds.csr.n_nodes[split.node_type]
    m = max(1, round(n_labels / (rho * (k - few) + few)))
    n_train = np.where(_is_minority(k), m, round(rho * m))
    return _drawn(split, _labelled(ds, split), n_train, valid_per_class, rng)


def random_rank(label: Ids, n_classes: int, rng: np.random.Generator) -> Ids:
    """Place of each node, from 0, in a random order of the nodes of its class.

    Parameters
    ----------
    label : (n,) int64
        In [0, n_classes).

    Examples
    --------
    >>> rank = random_rank(np.array([0, 1, 0, 0]), 2, np.random.default_rng(0))
    >>> sorted(rank[[0, 2, 3]].tolist()), int(rank[1])
    ([0, 1, 2], 0)
    """
    order = rng.permutation(len(label))
    order = order[np.argsort(label[order], kind="stable")]
    sizes = np.bincount(label, minlength=n_classes)
    rank = np.empty(len(label), np.int64)
    rank[order] = np.arange(len(label)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank


def _check(rho: float, label_ratio: float | None, valid_per_class: int) -> None:
    is_share = label_ratio is None or 0 < label_ratio < 1
    for name, wanted, value, fits in (
        ("rho", "a number from 1", rho, 1 <= rho < math.inf),
        ("label_ratio", "a share between 0 and 1", label_ratio, is_share),
        ("valid_per_class", "a number from 1", valid_per_class, valid_per_class >= 1),
    ):
        if not fits:
            raise ConfigError(f"step_imbalance: expected {name} as {wanted}, got {value}. Set it.")


def _is_minority(n_classes: int) -> npt.NDArray[np.bool_]:
    """(n_classes,): the last half, rounded down."""
    return np.arange(n_classes) >= n_classes - n_classes // 2


def _thinned(split: NodeSplit, rho: float, rng: np.random.Generator) -> NodeSplit:
    """The same split, with fewer training nodes of the minority classes."""
    node, label = split.train
    sizes = np.bincount(label, minlength=split.n_classes)
    if sizes.min() == 0:
        raise DataError(
            f"step_imbalance: expected training nodes of every class, got none of class "
            f"{sizes.argmin()}. Give a split that has some."
        )
    n_kept = np.where(_is_minority(split.n_classes), max(1, int(sizes.max() / rho)), sizes)
    kept = random_rank(label, split.n_classes, rng) < n_kept[label]
    train = LabelledNodes(node[kept], label[kept])
    return NodeSplit(split.node_type, split.n_classes, train, split.valid, split.test)


def _labelled(ds: Dataset, split: NodeSplit) -> LabelledNodes:
    """All nodes whose class is known, by rising id."""
    if ds.labels is not None:
        node = np.flatnonzero(ds.labels >= 0)
        return LabelledNodes(node, ds.labels[node])
    parts = zip(split.train, split.valid, split.test, strict=True)
    node, label = (np.concatenate(columns) for columns in parts)
    order = np.argsort(node)
    return LabelledNodes(node[order], label[order])


def _drawn(
    split: NodeSplit, rows: LabelledNodes, n_train: Ids, n_valid: int, rng: np.random.Generator
) -> NodeSplit:
    """Of each class so many to train with and to validate with; the rest to test."""
    label = rows.label
    sizes = np.bincount(label, minlength=split.n_classes)
    short = sizes < n_train + n_valid + 1
    if short.any():
        c = int(short.argmax())
        raise DataError(
            f"step_imbalance: expected at least {n_train[c] + n_valid + 1} nodes of class {c}, for "
            f"{n_train[c]} in train, {n_valid} in valid and 1 in test, got {sizes[c]}. Lower "
            f"label_ratio, rho or valid_per_class."
        )
    rank = random_rank(label, split.n_classes, rng)
    part = (rank >= n_train[label]).astype(np.int64) + (rank >= n_train[label] + n_valid)
    parts = (LabelledNodes(rows.node[part == p], label[part == p]) for p in range(3))
    return NodeSplit(split.node_type, split.n_classes, *parts)
