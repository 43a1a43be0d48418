"""Label stores on disk: checked, read whole, in batches, or mapped into memory."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dglmeta.errors import DataError, LabelStoreError
from dglmeta.graph import MetaPath, as_csr
from dglmeta.labels.block import Labels, Part
from dglmeta.labels.manifest import read_manifest, read_progress

__all__ = ["Broken", "LabelStore", "find_broken"]

GROUPS_AT_ONCE = 16
"""Row groups whose rows are mixed in a batch: a quarter of a million rows."""


class Broken(NamedTuple):
    """A part of a store that is not as it was made."""

    file: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


class LabelStore:
    """Labelled pairs of some meta-paths in a folder, as :func:`dglmeta.labels.generate` made them.

    Parameters
    ----------
    folder : path
    graph : HeteroCSR or DGLGraph, optional
        Refuse the store unless its labels are of this graph.

    Raises
    ------
    LabelStoreError
        If there is no store, it is unfinished, of another graph, or written by a newer dglmeta.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import dglmeta as dm
    >>> hg = dm.load_dataset("toy").csr
    >>> with TemporaryDirectory() as folder:
    ...     store = dm.labels.generate(hg, ["user-item-user"], f"{folder}/labels", positives=40)
    ...     labels = store.read("user-item-user")
    >>> int(labels.label.sum()), len(labels.src)
    (40, 80)
    """

    def __init__(self, folder: str | Path, graph: Any | None = None) -> None:
        self.folder = Path(folder)
        manifest = read_manifest(self.folder)
        if manifest is None:
            raise self._missing()
        self.manifest = manifest
        if graph is not None:
            self.manifest.check_graph(self.folder, as_csr(graph))

    @property
    def metapaths(self) -> tuple[MetaPath, ...]:
        """The meta-paths that are labelled, in the order of their numbers."""
        return self.manifest.request.metapaths

    @property
    def n_rows(self) -> tuple[int, ...]:
        """Number of labels of each meta-path."""
        counts = [0] * len(self.metapaths)
        for part in self.manifest.parts:
            counts[part.metapath] += part.positives + part.negatives
        return tuple(counts)

    @property
    def n_positives(self) -> tuple[int, ...]:
        """Number of positives of each meta-path."""
        counts = [0] * len(self.metapaths)
        for part in self.manifest.parts:
            counts[part.metapath] += part.positives
        return tuple(counts)

    def verify(self) -> tuple[Broken, ...]:
        """Every part that is missing or not the bytes that were written; empty if all is well.

        ``generate(..., resume=True)`` makes exactly these again. Cost: reads and hashes all parts.
        """
        return find_broken(self.folder, self.manifest.parts)

    def read(self, metapath: int | str | MetaPath) -> Labels:
        """All labels of one meta-path, 13 to 21 bytes each.

        Parameters
        ----------
        metapath : int, str or MetaPath
            Its number, itself, or its text form with relations named or not.

        Raises
        ------
        LabelStoreError
            If a part is missing or damaged.
        DataError
            If the store has no such meta-path.
        """
        tables = [self._table(part) for part in self._parts(self._number(metapath))]
        return _labels(pa.concat_tables(tables))

    def batches(
        self, metapath: int | str | MetaPath, n_rows: int, *, seed: int = 0
    ) -> Iterator[Labels]:
        """The labels of one meta-path in random order, every one once: an epoch.

        Row groups come in random order, and rows are mixed among ``GROUPS_AT_ONCE`` of them, so
        that no more than these are held.

        Parameters
        ----------
        metapath : int, str or MetaPath
        n_rows : int
            Of a batch; the last may have fewer.
        seed : int
            Another for another order: one an epoch.

        Raises
        ------
        LabelStoreError
            If a part is missing or damaged.
        DataError
            If the store has no such meta-path, or ``n_rows`` is not positive.
        """
        if n_rows < 1:
            raise DataError(f"LabelStore.batches: expected n_rows >= 1, got {n_rows}. Give 1024.")
        parts = self._parts(self._number(metapath))
        return self._epoch(parts, n_rows, np.random.default_rng(seed))

    def mapped(self, metapath: int | str | MetaPath, *, cache: str | Path | None = None) -> Labels:
        """The labels of one meta-path as arrays mapped from disk, to be indexed at random.

        Written uncompressed at the first call, 13 to 21 bytes a label; later calls, of any number
        of processes, share the pages.

        Parameters
        ----------
        metapath : int, str or MetaPath
        cache : path, optional
            Folder for the arrays; inside the store when absent.

        Raises
        ------
        LabelStoreError
            If a part is missing or damaged, or the cache cannot be written.
        DataError
            If the store has no such meta-path.
        """
        number = self._number(metapath)
        digests = json.dumps([part.sha256 for part in self._parts(number)])
        name = f"metapath={number}-{hashlib.sha256(digests.encode()).hexdigest()[:16]}"
        place = (self.folder / ".cache" if cache is None else Path(cache)) / name
        if not place.exists():
            self._write_cache(number, place)
        return Labels(*(np.load(place / f"{field}.npy", mmap_mode="r") for field in Labels._fields))

    def __repr__(self) -> str:
        rows = ", ".join(
            f"{path}: {n:,}" for path, n in zip(self.metapaths, self.n_rows, strict=True)
        )
        return f"LabelStore({str(self.folder)!r}; {rows})"

    def _missing(self) -> LabelStoreError:
        progress = read_progress(self.folder)
        if progress is None:
            return LabelStoreError(
                f"{self.folder}: expected a label store, got a folder without manifest.json, or "
                f"none. Make it with `dglmeta labels`."
            )
        manifest, parts = progress
        return LabelStoreError(
            f"{self.folder}: expected a finished label store, got one with {len(parts)} of "
            f"{len(manifest.blocks)} parts. Finish it with resume=True (--resume)."
        )

    def _number(self, metapath: int | str | MetaPath) -> int:
        """The number of a meta-path named in any way."""
        for number, path in enumerate(self.metapaths):
            relations_left_out = "-".join(path.node_types)
            if metapath in (number, path, str(path), relations_left_out):
                return number
        raise DataError(
            f"LabelStore: expected one of {[str(p) for p in self.metapaths]} or its number, got "
            f"{str(metapath)!r}. Name one of these."
        )

    def _parts(self, number: int) -> list[Part]:
        return [part for part in self.manifest.parts if part.metapath == number]

    def _open(self, part: Part) -> pq.ParquetFile:
        file = part.file(self.folder)
        try:
            return pq.ParquetFile(file)
        except (OSError, pa.ArrowInvalid) as error:
            raise _unreadable(file, error) from error

    def _table(self, part: Part, groups: list[int] | None = None) -> pa.Table:
        with self._open(part) as opened:
            try:
                return opened.read() if groups is None else opened.read_row_groups(groups)
            except (OSError, pa.ArrowInvalid) as error:
                raise _unreadable(part.file(self.folder), error) from error

    def _epoch(self, parts: list[Part], n_rows: int, rng: np.random.Generator) -> Iterator[Labels]:
        groups: list[tuple[Part, int]] = []
        for part in parts:
            with self._open(part) as opened:
                groups += [(part, group) for group in range(opened.num_row_groups)]
        order = rng.permutation(len(groups))
        left = _labels(self._table(parts[0], []))
        for begin in range(0, len(order), GROUPS_AT_ONCE):
            chosen = [groups[i] for i in order[begin : begin + GROUPS_AT_ONCE]]
            tables = [self._table(part, [group]) for part, group in chosen]
            fresh = _labels(pa.concat_tables(tables))
            mixed = rng.permutation(len(fresh.label))
            pairs = zip(left, (column[mixed] for column in fresh), strict=True)
            pool = Labels(*(np.concatenate(columns) for columns in pairs))
            n_whole = len(pool.label) - len(pool.label) % n_rows
            for first in range(0, n_whole, n_rows):
                yield Labels(*(column[first : first + n_rows] for column in pool))
            left = Labels(*(column[n_whole:] for column in pool))
        if len(left.label):
            yield left

    def _write_cache(self, number: int, place: Path) -> None:
        building = place.with_name(f".{place.name}.{uuid4().hex[:12]}")
        parts, n = self._parts(number), self.n_rows[number]
        try:
            building.mkdir(parents=True)
            empty = _labels(self._table(parts[0], []))
            columns = [
                np.lib.format.open_memmap(
                    building / f"{field}.npy", mode="w+", dtype=column.dtype, shape=(n,)
                )
                for field, column in empty._asdict().items()
            ]
            begin = 0
            for part in parts:
                labels = _labels(self._table(part))
                for column, values in zip(columns, labels, strict=True):
                    column[begin : begin + len(values)] = values
                begin += len(labels.label)
            building.rename(place)
        except OSError as error:
            if not place.exists():  # else another process was quicker
                raise LabelStoreError(
                    f"{place}: expected a place to write {n:,} labels to, got {error}. "
                    f"Make room, or name another folder with cache=."
                ) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)


def find_broken(folder: Path, parts: tuple[Part, ...] | list[Part]) -> tuple[Broken, ...]:
    """The parts that are missing or have other bytes than noted."""
    broken = []
    for part in parts:
        file = part.file(folder)
        reason = _fault(file, part)
        if reason:
            broken.append(Broken(file, reason))
    return tuple(broken)


def _fault(file: Path, part: Part) -> str:
    """What is wrong with a part; empty if nothing is."""
    try:
        n_bytes = file.stat().st_size
        if n_bytes != part.bytes:
            return f"{n_bytes} bytes instead of {part.bytes}"
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"not readable ({error.strerror})"
    return "" if digest == part.sha256 else "other bytes than were written (sha256 differs)"


def _labels(table: pa.Table) -> Labels:
    return Labels(*(table[name].to_numpy() for name in Labels._fields))


def _unreadable(file: Path, error: Exception) -> LabelStoreError:
    return LabelStoreError(
        f"{file}: expected a whole part of a label store, got {str(error).splitlines()[0]}. "
        f"LabelStore.verify names all such parts; generate them again with resume=True (--resume)."
    )
