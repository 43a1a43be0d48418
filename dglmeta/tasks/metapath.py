"""Meta-path prediction: whether at least one instance of a meta-path joins a pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dglmeta.graph import EdgeType, HeteroCSR, MetaPath
from dglmeta.labels import PairLabels, label_pairs
from dglmeta.tasks.base import PairBatch

__all__ = ["MetaPathTask"]


@dataclass(frozen=True)
class MetaPathTask:
    """Half of a batch are joined pairs, half are not; both uniform over their kind.

    Parameters
    ----------
    labels : PairLabels
        From :func:`dglmeta.labels.label_pairs`.

    References
    ----------
    SELAR, arXiv 2007.08294, section 3.2.
    """

    labels: PairLabels

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
        path = MetaPath.parse(metapath, hg.schema) if isinstance(metapath, str) else metapath
        if target is not None and (path.source, path.target) == (target[0], target[2]):
            return cls(label_pairs(hg, path, exclude=hg.adjacency(target)))
        return cls(label_pairs(hg, path))

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
