"""What a data set is, once it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.data.splits import FRACTIONS, LinkSplit, split_links
from dglmeta.errors import DataError
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
    """A heterograph with the link to predict and the meta-paths worth trying on it.

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
    """

    name: str
    csr: HeteroCSR
    target: EdgeType | None = None
    metapaths: tuple[str, ...] = ()
    candidates: npt.NDArray[np.int64] | None = None
    card: Card = field(default_factory=Card)

    @cached_property
    def graph(self) -> Any:
        """The same graph as a DGLGraph, made when first asked for; text features stay behind."""
        return self.csr.to_dgl()

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of nodes of each type, of edge types, edges, positives and given negatives."""
        return {
            **self.csr.n_nodes,
            "edge types": len(self.csr.adjacencies),
            "edges": sum(self.csr.n_edges.values()),
            "positives": self.csr.n_edges[self.target] if self.target else 0,
            "negatives": 0 if self.candidates is None else len(self.candidates),
        }

    def splits(
        self, seed: int = 0, *, fractions: tuple[float, float, float] = FRACTIONS
    ) -> LinkSplit:
        """Positives and negatives of the target link, split at random into train, valid and test.

        Parameters
        ----------
        seed : int
            Same seed, same split; also draws the negatives where the data set has none.
        fractions : (float, float, float)
            Shares of train, valid and test.

        Raises
        ------
        DataError
            If there is no target link, it has no edges, or a part would lack positives or
            negatives.
        """
        if self.target is None:
            raise DataError(
                f"{self.name}: expected a data set with a target link, got one without. "
                f"Name an edge type as target, or use split_links on it."
            )
        return split_links(
            self.csr, self.target, negatives=self.candidates, seed=seed, fractions=fractions
        )
