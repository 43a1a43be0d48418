"""What a data set is, once it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.data.fractions import FRACTIONS
from dglmeta.data.node_splits import NodeSplit
from dglmeta.data.splits import LinkSplit, split_links
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import EdgeType, HeteroCSR

__all__ = ["Card", "Dataset"]


@dataclass(frozen=True)
class Card:
    """Where a data set comes from and what may be done with it.

    Parameters
    ----------
    title, source, licence, citation, note : str
        For a reader; empty where nothing is known.
    """

    title: str = ""
    source: str = ""
    licence: str = ""
    citation: str = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A heterograph with what to predict and the meta-paths worth trying on it.

    That is a link, or where there is no ``target`` the class of a node.

    Parameters
    ----------
    name : str
        What :func:`load_dataset` finds it by.
    csr : HeteroCSR
        All nodes and edges, positives of the target included, in the order of the files.
    target : (str, str, str) or None
        The edge type to predict.
    metapaths : tuple of str
        Text forms of the meta-paths recommended as auxiliary tasks.
    candidates : (m, 2) int64 or None
        Negatives of the target that belong to the data set; drawn by the split when None.
    card : Card
    node_split : NodeSplit or None
        The labelled nodes, in the published split if there is one.
    labels : (n,) int64 or None
        Class of every node of the labelled type, in ``node_split`` or not; -1 where it is unknown.
        None where only the classes in the splits are known.
    label_splits : dict of int to NodeSplit
        Published splits by their number of training nodes a class; empty where there are not
        several. The readers give the greatest as ``node_split`` too.

    Raises
    ------
    SchemaError, DataError
        If the graph does not have the labelled nodes, there are ``labels`` or ``label_splits`` but
        no ``node_split``, ``labels`` are no classes of all nodes of its type, or a split differs
        from it in type or number of classes, or from ``labels`` in the class of a node.
    """

    name: str
    csr: HeteroCSR
    target: EdgeType | None = None
    metapaths: tuple[str, ...] = ()
    candidates: npt.NDArray[np.int64] | None = None
    card: Card = field(default_factory=Card)
    node_split: NodeSplit | None = None
    labels: npt.NDArray[np.int64] | None = None
    label_splits: Mapping[int, NodeSplit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first = self.node_split
        if first is None:
            if self.labels is not None or self.label_splits:
                raise DataError(
                    f"{self.name}: expected a node_split beside labels or label_splits, got none. "
                    f"Give one of the splits."
                )
            return
        splits = {"node_split": first}
        splits |= {f"label_splits[{k}]": split for k, split in self.label_splits.items()}
        for name, split in splits.items():
            split.check(self.csr)
            _check_same_classes(f"{self.name}, {name}", split, first)
        if self.labels is not None:
            labels = _checked_labels(self.name, self.labels, self.csr, first)
            for name, split in splits.items():
                _check_agrees(f"{self.name}, {name}", split, labels)
            object.__setattr__(self, "labels", labels)

    @cached_property
    def graph(self) -> Any:
        """The same graph as a DGLGraph, made when first asked for; text features stay behind."""
        return self.csr.to_dgl()

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of nodes of each type, of edge types and edges, and of what is to be predicted.

        That is positives and given negatives of a target link, classes and labelled nodes.
        """
        counts = {
            **self.csr.n_nodes,
            "edge types": len(self.csr.adjacencies),
            "edges": sum(self.csr.n_edges.values()),
        }
        if self.target is not None:
            counts["positives"] = self.csr.n_edges[self.target]
            counts["negatives"] = 0 if self.candidates is None else len(self.candidates)
        if self.node_split is not None:
            counts["classes"] = self.node_split.n_classes
            counts["labelled"] = len(self.node_split)
        return counts

    def splits(
        self, seed: int = 0, *, fractions: tuple[float, float, float] = FRACTIONS
    ) -> LinkSplit | NodeSplit:
        """Positives and negatives of the target link, or labelled nodes, in train, valid and test.

        Parameters
        ----------
        seed : int
            Same seed, same split; also draws the negatives where the data set has none. Links are
            split at random by any seed. Labelled nodes are in ``node_split`` for seed 0, and for
            others dealt at random into parts of the same sizes.
        fractions : (float, float, float)
            Shares of train, valid and test; of links only.

        Raises
        ------
        DataError
            If there is neither target link nor labelled node, the target has no edges, or a part
            would lack positives or negatives.
        ConfigError
            If the fractions are not three positive numbers of sum 1, or are given for nodes.
        """
        if self.target is not None:
            return split_links(
                self.csr, self.target, negatives=self.candidates, seed=seed, fractions=fractions
            )
        if self.node_split is None:
            raise DataError(
                f"{self.name}: expected a data set with a target link or labelled nodes, got one "
                f"without. Name an edge type as target, or use split_links on it."
            )
        if fractions != FRACTIONS:
            raise ConfigError(
                f"{self.name}: expected no fractions, as the parts of its labelled nodes have "
                f"fixed sizes, got {fractions}. Leave them out."
            )
        return self.node_split if seed == 0 else self.node_split.dealt(seed)


def _check_same_classes(where: str, split: NodeSplit, first: NodeSplit) -> None:
    (node_type, n), found = ((s.node_type, s.n_classes) for s in (first, split))
    if found != (node_type, n):
        raise DataError(
            f"{where}: expected {n} classes of {node_type!r} as in node_split, got {found[1]} of "
            f"{found[0]!r}. Give splits of the same labels."
        )


def _checked_labels(
    name: str, labels: npt.NDArray[Any], hg: HeteroCSR, split: NodeSplit
) -> npt.NDArray[np.int64]:
    """One class a node, or -1."""
    labels, n = np.asarray(labels), hg.n_nodes[split.node_type]
    if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{name}: expected labels as {n} integers, one a node of type {split.node_type!r}, got "
            f"{labels.dtype} of shape {labels.shape}. Give -1 where the class is unknown."
        )
    wrong = (labels < -1) | (labels >= split.n_classes)
    if wrong.any():
        raise DataError(
            f"{name}: expected labels from -1, which is unknown, to {split.n_classes - 1}, got "
            f"{labels[wrong][0]}. Correct it."
        )
    return labels.astype(np.int64, copy=False)


def _check_agrees(where: str, split: NodeSplit, labels: npt.NDArray[np.int64]) -> None:
    for node, label in (split.train, split.valid, split.test):
        wrong = labels[node] != label
        if wrong.any():
            raise DataError(
                f"{where}: expected node {node[wrong][0]} to be of class "
                f"{labels[node][wrong][0]}, as in labels, got {label[wrong][0]}. Correct one."
            )
