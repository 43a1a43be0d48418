"""Meta-path prediction: whether at least one instance of a meta-path joins a pair."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dglmeta.graph import Adjacency, EdgeType, HeteroCSR, MetaPath
from dglmeta.labels import LabelStore, PairLabels, label_pairs
from dglmeta.tasks.base import PairBatch
from dglmeta.tasks.stored import StoredPairs

__all__ = ["MetaPathTask"]


@dataclass(frozen=True)
class MetaPathTask:
    """Half of a batch are joined pairs, half are not; both uniform over their kind.

    Parameters
    ----------
    labels : PairLabels or StoredPairs
        From :func:`dglmeta.labels.label_pairs`, or in a label store.

    References
    ----------
    SELAR, arXiv 2007.08294, section 3.2.
    """

    labels: PairLabels | StoredPairs

    @classmethod
    def from_graph(
        cls, hg: HeteroCSR, metapath: MetaPath | str, *, target: EdgeType | None = None
    ) -> MetaPathTask:
        """Label the pairs of a meta-path in a training graph.

        Parameters
        ----------
        hg : HeteroCSR
            Holds training edges only: labels are computed from all it has.
        metapath : MetaPath or str
        target : (str, str, str), optional
            The primary task's edge type. Where the meta-path joins the same two node types, a
            pair that is already an edge is neither a positive nor a negative.
        """
        path = _read(metapath, hg)
        return cls(label_pairs(hg, path, exclude=_edges_left_out(hg, path, target)))

    @classmethod
    def from_store(
        cls,
        store: LabelStore | str | Path,
        metapath: MetaPath | str,
        hg: HeteroCSR,
        *,
        target: EdgeType | None = None,
        cache: str | Path | None = None,
    ) -> MetaPathTask:
        """Take the pairs of a meta-path from a label store of a training graph.

        Labels are mapped from disk, and only the rows that are drawn are read; a draw depends on
        nothing but its generator, so that a run that is resumed draws the same.

        Parameters
        ----------
        store : LabelStore or path
            As :func:`dglmeta.labels.generate` made it, with positives and negatives.
        metapath : MetaPath or str
        hg : HeteroCSR
            The training graph.
        target : (str, str, str), optional
            As for ``from_graph``.
        cache : path, optional
            Folder for the labels uncompressed, 13 to 21 bytes each; inside the store when absent.

        Raises
        ------
        LabelStoreError
            If the store is of another graph, unfinished, or damaged.
        SchemaError
            If the graph lacks a type the path names.
        DataError
            If the store lacks the meta-path, or has only positives or only negatives of it.
        """
        folder = store.folder if isinstance(store, LabelStore) else store
        path = _read(metapath, hg)
        exclude = _edges_left_out(hg.host, path, target)
        return cls(StoredPairs.open(LabelStore(folder, hg), path, exclude=exclude, cache=cache))

    @property
    def name(self) -> str:
        """The meta-path's text form."""
        return str(self.labels.metapath)

    @property
    def source_type(self) -> str:
        """Node type the meta-path starts from."""
        return self.labels.metapath.source

    @property
    def target_type(self) -> str:
        """Node type the meta-path ends at."""
        return self.labels.metapath.target

    def draw(self, n: int, rng: np.random.Generator) -> PairBatch:
        """``n`` pairs: n // 2 positives, then the negatives."""
        n_positive = n // 2
        positive = self.labels.sample_positives(n_positive, rng)
        negative = self.labels.sample_negatives(n - n_positive, rng)
        label = np.zeros(n, np.float32)
        label[:n_positive] = 1
        src, dst = (np.concatenate(ends) for ends in zip(positive, negative, strict=True))
        return PairBatch(src, dst, label)


def _read(metapath: MetaPath | str, hg: HeteroCSR) -> MetaPath:
    return MetaPath.parse(metapath, hg.schema) if isinstance(metapath, str) else metapath


def _edges_left_out(hg: HeteroCSR, path: MetaPath, target: EdgeType | None) -> Adjacency | None:
    """The edges of the primary task, where the path joins the same node types."""
    if target is None or (path.source, path.target) != (target[0], target[2]):
        return None
    return hg.adjacency(target)
