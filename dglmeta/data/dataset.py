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

    Raises
    ------
    SchemaError, DataError
        If the graph does not have the labelled nodes.
    """

    name: str
    csr: HeteroCSR
    target: EdgeType | None = None
    metapaths: tuple[str, ...] = ()
    candidates: npt.NDArray[np.int64] | None = None
    card: Card = field(default_factory=Card)
    node_split: NodeSplit | None = None

    def __post_init__(self) -> None:
        if self.node_split is not None:
            self.node_split.check(self.csr)

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
