"""Splits of labelled nodes into train, valid and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.data.fractions import FRACTIONS, check_fractions, part_ends
from dglmeta.errors import DataError, SchemaError
from dglmeta.graph import HeteroCSR

__all__ = ["LabelledNodes", "NodeSplit"]

PARTS = ("train", "valid", "test")


class LabelledNodes(NamedTuple):
    """Nodes of one type and their classes."""

    node: npt.NDArray[np.int64]
    """(n,) int64 ids within the node type."""
    label: npt.NDArray[np.int64]
    """(n,) int64 classes, from 0."""


@dataclass(frozen=True, eq=False)
class NodeSplit:
    """Labelled nodes of one type in three parts that share no node.

    Parameters
    ----------
    node_type : str
    n_classes : int
        At least 2.
    train, valid, test : LabelledNodes
        None empty.

    Raises
    ------
    DataError
        If a part is empty or no pair of integer arrays of one length, an id is negative, a class
        is not below ``n_classes``, or a node is labelled twice.
    """

    node_type: str
    n_classes: int
    train: LabelledNodes
    valid: LabelledNodes
    test: LabelledNodes

    def __post_init__(self) -> None:
        if self.n_classes < 2:
            raise DataError(
                f"NodeSplit: expected at least 2 classes, got {self.n_classes}. Count them again."
            )
        for name in PARTS:
            node, label = (np.asarray(values) for values in getattr(self, name))
            _check_part(name, node, label, self.n_classes)
            rows = LabelledNodes(node.astype(np.int64), label.astype(np.int64))
            object.__setattr__(self, name, rows)
        nodes, first = np.unique(self._all().node, return_index=True)
        if len(nodes) < len(self):
            again = np.setdiff1d(np.arange(len(self)), first)[0]
            raise DataError(
                f"NodeSplit: expected every node in one part and once, got node "
                f"{self._all().node[again]} again in {PARTS[np.digitize(again, self._ends())]}. "
                f"Leave one of its labels."
            )

    @classmethod
    def at_random(
        cls,
        node_type: str,
        nodes: LabelledNodes,
        *,
        seed: int = 0,
        fractions: tuple[float, float, float] = FRACTIONS,
    ) -> NodeSplit:
        """Deal labelled nodes at random into train, valid and test.

        Parameters
        ----------
        node_type : str
        nodes : LabelledNodes
            Its greatest class tells how many there are.
        seed : int
        fractions : (float, float, float)
            Shares of train, valid and test, positive and of sum 1; valid and test are rounded
            down.

        Raises
        ------
        ConfigError
            If the fractions are not three positive numbers of sum 1.
        DataError
            If a part would be empty, or as for a split made by hand.
        """
        check_fractions(f"NodeSplit({node_type!r})", fractions)
        order = np.random.default_rng(seed).permutation(len(nodes.node))
        n_classes = int(np.max(nodes.label, initial=0)) + 1
        parts = np.split(order, part_ends(len(order), fractions))
        return cls(
            node_type, n_classes, *(LabelledNodes(*(x[rows] for x in nodes)) for rows in parts)
        )

    def __len__(self) -> int:
        """Number of labelled nodes."""
        return sum(len(getattr(self, name).node) for name in PARTS)

    def check(self, hg: HeteroCSR) -> None:
        """Refuse a graph that does not have the labelled nodes.

        Raises
        ------
        SchemaError
            If it has no such node type.
        DataError
            If it has too few nodes of it.
        """
        if self.node_type not in hg.n_nodes:
            raise SchemaError(
                f"NodeSplit: expected a graph with node type {self.node_type!r}, got one with "
                f"{list(hg.n_nodes)}. Give the graph whose nodes are labelled."
            )
        last, n = int(self._all().node.max()), hg.n_nodes[self.node_type]
        if last >= n:
            raise DataError(
                f"NodeSplit: expected nodes of type {self.node_type!r} below {n}, got {last}. "
                f"Count ids within the type."
            )

    def training_graph(self, hg: HeteroCSR) -> HeteroCSR:
        """``hg`` itself: labels are no part of a graph, so nothing of it is held out.

        Parameters
        ----------
        hg : HeteroCSR
            The graph whose nodes are labelled; otherwise refused as by :meth:`check`.
        """
        self.check(hg)
        return hg

    def dealt(self, seed: int) -> NodeSplit:
        """The same labelled nodes, dealt at random into parts of the same sizes.

        Examples
        --------
        >>> one, two, three = (LabelledNodes(np.array([k]), np.array([0])) for k in range(3))
        >>> split = NodeSplit("paper", 2, one, two, three).dealt(seed=1)
        >>> sorted(int(rows.node[0]) for rows in (split.train, split.valid, split.test))
        [0, 1, 2]
        """
        every = self._all()
        order = np.random.default_rng(seed).permutation(len(self))
        parts = (
            LabelledNodes(every.node[rows], every.label[rows])
            for rows in np.split(order, self._ends())
        )
        return NodeSplit(self.node_type, self.n_classes, *parts)

    def _all(self) -> LabelledNodes:
        """All labelled nodes, part after part."""
        parts = [getattr(self, name) for name in PARTS]
        return LabelledNodes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _ends(self) -> npt.NDArray[np.int64]:
        """Where train and valid end among all labelled nodes."""
        return np.cumsum([len(self.train.node), len(self.valid.node)])


def _check_part(name: str, node: npt.NDArray[Any], label: npt.NDArray[Any], n_classes: int) -> None:
    integers = all(np.issubdtype(values.dtype, np.integer) for values in (node, label))
    if node.ndim != 1 or node.shape != label.shape or not integers or len(node) == 0:
        raise DataError(
            f"NodeSplit: expected {name} as integer nodes and labels, both (n,) with n > 0, got "
            f"{node.dtype} {node.shape} and {label.dtype} {label.shape}. Give a class a node."
        )
    for what, values, wrong in (
        ("nodes >= 0", node, node < 0),
        (f"classes from 0 to {n_classes - 1}", label, (label < 0) | (label >= n_classes)),
    ):
        if wrong.any():
            raise DataError(
                f"NodeSplit: expected {what} in {name}, got {values[wrong][0]}. Correct it."
            )
