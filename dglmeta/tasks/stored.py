"""Labelled pairs of a meta-path drawn from a store on disk, of which no more is read than drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError
from dglmeta.graph import Adjacency, MetaPath
from dglmeta.kernels.cpu.negative import contains
from dglmeta.labels import Labels, LabelStore

__all__ = ["StoredPairs"]

Ids = npt.NDArray[np.int64]

MOST_ROUNDS = 100
"""Rows looked at, for each one expected to do, before a kind of pair is taken to be missing."""

MOST_AT_ONCE = 1 << 18
"""Rows looked at in one go."""


@dataclass(frozen=True, eq=False)
class StoredPairs:
    """Draws from the positives and negatives of a label store.

    Left out are excluded pairs and, where both nodes are of one type, a node's pair with itself.

    Parameters
    ----------
    metapath : MetaPath
    rows : Labels
        All labels of the meta-path, in arrays mapped from disk.
    n_positives : int
        How many of the rows are positives.
    exclude : Adjacency or None
        Pairs that are neither positive nor negative, on the host.
    """

    metapath: MetaPath
    rows: Labels
    n_positives: int
    exclude: Adjacency | None = None

    @classmethod
    def open(
        cls,
        store: LabelStore,
        metapath: MetaPath,
        *,
        exclude: Adjacency | None = None,
        cache: str | Path | None = None,
    ) -> StoredPairs:
        """Map the labels of one meta-path of a store.

        Parameters
        ----------
        store : LabelStore
        metapath : MetaPath
        exclude : Adjacency, optional
            Shape (n_source, n_target).
        cache : path, optional
            As for :meth:`dglmeta.labels.LabelStore.mapped`.

        Raises
        ------
        LabelStoreError
            If a part is missing or damaged, or the cache cannot be written.
        DataError
            If the store lacks the meta-path, or has only positives or only negatives of it.
        """
        rows = store.mapped(metapath, cache=cache)
        n_positives = store.n_positives[store.metapaths.index(metapath)]
        if not 0 < n_positives < len(rows.label):
            raise DataError(
                f"StoredPairs: expected positives and negatives of '{metapath}', got "
                f"{n_positives:,} positives among {len(rows.label):,} rows of {store.folder}. "
                f"Generate them with a negative_ratio above 0."
            )
        return cls(metapath, rows, n_positives, exclude)

    @property
    def n_negatives(self) -> int:
        """How many of the rows are negatives."""
        return len(self.rows.label) - self.n_positives

    def sample_positives(self, n: int, rng: np.random.Generator) -> tuple[Ids, Ids]:
        """``n`` positives as (src, dst), drawn uniformly with replacement from their rows.

        Raises
        ------
        DataError
            If none, or hardly any, is left beside those left out.
        """
        return self._sample(1, self.n_positives, n, rng)

    def sample_negatives(self, n: int, rng: np.random.Generator) -> tuple[Ids, Ids]:
        """``n`` negatives as (src, dst), drawn uniformly with replacement from their rows.

        Raises
        ------
        DataError
            If none, or hardly any, is left beside those left out.
        """
        return self._sample(0, self.n_negatives, n, rng)

    def _sample(self, label: int, n_such: int, n: int, rng: np.random.Generator) -> tuple[Ids, Ids]:
        """Rows at random, of which those of one label are kept."""
        kept = np.zeros((2, 0), np.int64)
        n_rows = len(self.rows.label)
        # Some more than on average do, as a second look costs as much again.
        at_once = min(int(1.2 * n * n_rows / n_such) + 16, MOST_AT_ONCE)
        looked, most = 0, MOST_ROUNDS * (n * n_rows // n_such + at_once)
        while kept.shape[1] < n:
            if looked > most:
                raise self._too_few(label)
            at = rng.integers(0, n_rows, at_once)
            at = at[self.rows.label[at] == label]
            pairs = np.stack([self.rows.src[at], self.rows.dst[at]]).astype(np.int64)
            kept = np.concatenate([kept, pairs[:, self._is_in(*pairs)]], axis=1)
            looked += at_once
        src, dst = np.ascontiguousarray(kept[:, :n])
        return src, dst

    def _is_in(self, src: Ids, dst: Ids) -> npt.NDArray[np.bool_]:
        """Whether each pair is not among those left out."""
        is_in = np.ones(len(src), bool)
        if self.metapath.source == self.metapath.target:
            is_in = src != dst
        if self.exclude is not None:
            is_in &= ~contains(self.exclude.indptr, self.exclude.indices, src, dst)
        return is_in

    def _too_few(self, label: int) -> DataError:
        kind = "positives" if label else "negatives"
        return DataError(
            f"StoredPairs: expected {kind} of '{self.metapath}' that are no target edges or a "
            f"node's pair with itself, got hardly any. Choose another meta-path, or generate more."
        )
