"""Label stores from one process: 100,000 positives and as many negatives of one meta-path.

The rivals multiply the whole product, draw from it, and write the same kind of file; where the
product does not fit into memory there is no rival. ``extra_info`` holds the graph's edges and the
labels: from medium to large the time an edge should stay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dglmeta import MetaPath, metapath_connected
from dglmeta.bench.graphs import graph
from dglmeta.bench.measure import measure
from dglmeta.labels import Labels, LabelStore, generate
from dglmeta.labels.block import encode, write_whole
from dglmeta.paths.connected import count_instances

N_POSITIVES = 100_000
RIVALS_FIT = (("medium", "item-attribute-item"),)
CASES = [
    ("medium", "item-attribute-item"),
    ("medium", "user-item-user"),
    ("large", "user-item-user"),
    ("medium", "user-item-attribute-item-user"),
    ("large", "user-item-attribute-item-user"),
]
RUNS = [
    (*case, engine)
    for case in CASES
    for engine in ("dglmeta", "scipy", "mkl")
    if engine == "dglmeta" or case in RIVALS_FIT
]

Product = Callable[[Any, Any], Any]


def matrices(size: str, path: str) -> list[Any]:
    """The steps of a path as SciPy matrices of ones."""
    hg = graph(size)
    steps = MetaPath.parse(path, hg.schema).steps
    return [hg.step_adjacency(*step).to_scipy().astype(np.float32) for step in steps]


def materialise(steps: list[Any], product: Product, file: Path) -> Labels:
    """Multiply all of the path, draw pairs from the result, and write them."""
    counts = reduce(product, steps)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, counts.nnz, N_POSITIVES)
    src = np.searchsorted(counts.indptr, drawn, side="right") - 1
    dst, instances = counts.indices[drawn], counts.data[drawn]
    free = [np.zeros((2, 0), np.int64)]
    while sum(pairs.shape[1] for pairs in free) < N_POSITIVES:
        pairs = np.stack([rng.integers(0, n, N_POSITIVES) for n in counts.shape])
        free.append(pairs[:, np.asarray(counts[pairs[0], pairs[1]]).ravel() == 0])
    others = np.concatenate(free, axis=1)[:, :N_POSITIVES]
    labels = Labels(
        np.append(src, others[0]).astype(np.int32),
        np.append(dst, others[1]).astype(np.int32),
        np.append(instances, np.zeros(N_POSITIVES)).astype(np.int64),
        np.repeat(np.array([1, 0], np.int8), N_POSITIVES),
    )
    write_whole(file, encode(labels))
    return labels


def product_of(engine: str) -> Product:
    """How a rival multiplies; values in float32, which the rivals are quickest with."""
    if engine == "scipy":
        return lambda a, b: a @ b
    mkl = pytest.importorskip("sparse_dot_mkl")
    return lambda a, b: mkl.dot_product_mkl(a, b)


def check(size: str, path: str, labels: Labels) -> None:
    """Labels are what they claim to be."""
    hg = graph(size)
    metapath = MetaPath.parse(path, hg.schema)
    positive = labels.label == 1
    assert positive.sum() == N_POSITIVES == len(positive) - N_POSITIVES
    src, dst = labels.src.astype(np.int64), labels.dst.astype(np.int64)
    assert (metapath_connected(hg, metapath, src, dst) == positive).all()
    few = np.arange(0, len(src), 97)
    assert (count_instances(hg, metapath, src[few], dst[few]) == labels.count[few]).all()


@pytest.mark.parametrize(("size", "path", "engine"), RUNS)
def bench_labels(benchmark: Any, tmp_path: Path, size: str, path: str, engine: str) -> None:
    benchmark.group = f"{size} {path}"
    hg, number = graph(size), count()
    benchmark.extra_info["edges"] = sum(hg.n_edges.values())
    benchmark.extra_info["labels"] = 2 * N_POSITIVES
    if engine == "dglmeta":
        folder = tmp_path / "labels"

        def run() -> Any:
            return generate(hg, path, f"{folder}-{next(number)}", positives=N_POSITIVES)

        def labels_of() -> Labels:
            return LabelStore(f"{folder}-0").read(0)
    else:
        steps, product = matrices(size, path), product_of(engine)

        def run() -> Any:
            return materialise(steps, product, tmp_path / f"{next(number)}.parquet").label

        def labels_of() -> Labels:
            return materialise(steps, product, tmp_path / "check.parquet")

    measure(benchmark, run, rounds=3)
    check(size, path, labels_of())
