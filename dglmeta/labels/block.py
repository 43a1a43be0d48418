"""One block of labels: drawn, and written as one Parquet file, whole or not at all.

What a worker runs. It needs the folder of the graph and of the store and a few numbers, imports no
torch, and writes the same bytes wherever it runs with the same version of Arrow.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.graph.adjacency import id_dtype
from dglmeta.kernels.rng import derive_seed
from dglmeta.kernels.twins import to_host
from dglmeta.labels.plan import Block, Request
from dglmeta.labels.steps import open_steps, written_at
from dglmeta.paths.chain import chain_of
from dglmeta.paths.connected import count_instances
from dglmeta.paths.pairs import sample_metapath_pairs, sample_unconnected_pairs
from dglmeta.paths.stream import product_blocks

__all__ = [
    "Labels",
    "Part",
    "Task",
    "all_pairs",
    "draw_labels",
    "encode",
    "make_part",
    "part_file",
    "with_negatives",
    "write_whole",
]

Array = npt.NDArray[Any]
Pairs = tuple[Array, Array, Array]

ROW_GROUP = 1 << 14
"""Rows that a reader takes at once; in random order, so that each is a fair sample of its part."""

POSITIVES, NEGATIVES, ORDER = range(3)
"""Labels of the seeds of a block's three draws."""


class Labels(NamedTuple):
    """Labelled pairs of one meta-path."""

    src: Array
    """(n,) int32, or int64 when ids do not fit: nodes of the path's source type."""
    dst: Array
    """(n,) int32 or int64: nodes of its target type."""
    count: Array  # type: ignore[assignment] # hides tuple.count, of no use here
    """(n,) int64: instances of the path that join the pair, 0 for a negative."""
    label: Array
    """(n,) int8: 1 where the path joins the pair, 0 where it does not."""


class Task(NamedTuple):
    """All a worker is told: two folders, what is asked for, and which block of it to make."""

    store: str
    steps: str
    request: Request
    block: Block
    device: str = "cpu"


class Part(NamedTuple):
    """What was made of a block."""

    metapath: int
    number: int
    positives: int
    negatives: int
    bytes: int
    sha256: str

    def file(self, folder: Path) -> Path:
        """Where it lies in a store."""
        return part_file(folder, self.metapath, self.number)


def part_file(folder: str | Path, metapath: int, number: int) -> Path:
    """Where a part of a store lies."""
    return Path(folder) / f"metapath={metapath}" / f"part-{number:05d}.parquet"


def make_part(task: Task) -> Part:
    """Draw the labels of a block and write its part, replacing one that is there.

    Raises
    ------
    DataError
        If there are no positives to draw from, or a count does not fit into int64.
    BudgetError
        If positives or negatives are too rare to be found by trying.
    OSError
        If the part cannot be written; what was there before is left.
    """
    hg = open_steps(task.steps)
    if task.device != "cpu":
        hg = _on_device(task.steps, written_at(task.steps), task.device)
    path = task.request.metapaths[task.block.metapath]
    labels = draw_labels(hg, path, task.request, task.block)
    data = encode(labels)
    write_whole(part_file(task.store, task.block.metapath, task.block.number), data)
    positives = int(np.count_nonzero(labels.label))
    digest = hashlib.sha256(data).hexdigest()
    n = len(labels.label)
    where = task.block.metapath, task.block.number
    return Part(*where, positives, n - positives, len(data), digest)


@lru_cache(maxsize=1)
def _on_device(steps: str, written: int, device: str) -> HeteroCSR:
    """The graph, copied to a device once for all blocks."""
    return open_steps(steps).to(device)


def draw_labels(hg: HeteroCSR, path: MetaPath, request: Request, block: Block) -> Labels:
    """Positives and negatives of a block, in random order; in host arrays, wherever it is drawn."""
    seed = request.seed_of(block)
    if block.sources is None:
        n = block.positives or 0
        src, dst = sample_metapath_pairs(hg, path, n, seed=derive_seed(seed, POSITIVES))
        count = count_instances(hg, path, src, dst)
        positives = to_host(src), to_host(dst), to_host(count)
    else:
        positives = all_pairs(hg, path, np.arange(*block.sources))
    n_negatives = block.negatives
    if n_negatives is None:
        n_negatives = round(len(positives[0]) * request.negative_ratio)
    return with_negatives(hg, path, positives, n_negatives, seed)


def with_negatives(
    hg: HeteroCSR, path: MetaPath, positives: Pairs, n_negatives: int, seed: int
) -> Labels:
    """Positives (source, target, instances) and as many negatives as asked for, mixed."""
    src, dst, count = positives
    others = sample_unconnected_pairs(hg, path, n_negatives, seed=derive_seed(seed, NEGATIVES))
    others = to_host(others[0]), to_host(others[1])
    label = np.repeat(np.array([1, 0], np.int8), [len(src), n_negatives])
    order = np.random.default_rng(derive_seed(seed, ORDER)).permutation(len(label))
    return Labels(
        _joined(src, others[0], id_dtype(hg.n_nodes[path.source]))[order],
        _joined(dst, others[1], id_dtype(hg.n_nodes[path.target]))[order],
        _joined(count, np.zeros(n_negatives, np.int64), np.int64)[order],
        label[order],
    )


def all_pairs(hg: HeteroCSR, path: MetaPath, sources: Array) -> Pairs:
    """Every pair a path joins to these sources, by source and target, and its instances."""
    none = np.zeros(0, np.int64)
    found: list[Pairs] = [(none, none, none)]
    for first, rows in product_blocks(chain_of(hg, path, "count", sources), "count"):
        n_each = np.diff(to_host(rows.indptr))
        src = np.repeat(sources[first : first + rows.n_rows], n_each)
        found.append((src, to_host(rows.indices), to_host(cast(Array, rows.values))))
    src, dst, count = (np.concatenate(column) for column in zip(*found, strict=True))
    return src, dst, count


def encode(labels: Labels) -> bytes:
    """The labels as Parquet; equal labels give equal bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table({name: pa.array(column) for name, column in labels._asdict().items()}),
        sink,
        row_group_size=ROW_GROUP,
        version="2.6",
        compression="zstd",
        compression_level=1,
        use_dictionary=["count", "label"],
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data


def write_whole(place: Path, data: bytes) -> None:
    """Write a file so that it is there whole, also after a crash, or as it was before.

    Raises
    ------
    OSError
        If there is no room or no permission; what was there before is left.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    building = place.with_name(f".{place.name}.{uuid4().hex[:12]}.tmp")
    try:
        with building.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        building.replace(place)
    finally:
        building.unlink(missing_ok=True)


def _joined(first: Array, second: Array, dtype: type[np.signedinteger[Any]]) -> Array:
    return np.concatenate([first.astype(dtype, copy=False), second.astype(dtype, copy=False)])
