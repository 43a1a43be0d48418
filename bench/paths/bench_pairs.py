"""Labels and membership without the product, against building it and reading from it.

Labels: 100,000 joined pairs, uniform over the distinct ones of each source, and as many verified
not to be joined, for the same sources. The rivals multiply all adjacencies, then draw from the
product's rows, and try targets until the product lacks them. Where the product would hold billions
of pairs there is no rival.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial, reduce
from itertools import product
from typing import Any

import numpy as np
import pytest

from dglmeta.bench.graphs import graph
from dglmeta.bench.measure import measure
from dglmeta.graph import MetaPath
from dglmeta.paths import metapath_connected, sample_metapath_pairs, sample_unconnected_pairs
from dglmeta.paths.connected import estimate_density

N_LABELS = 100_000
N_PAIRS = 1_000_000

Labels = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

RIVALS = ("scipy", "mkl", "graphblas")
STORABLE = [("small", "user-item-user", 100), ("medium", "item-attribute-item", 5)]
UNSTORABLE = [
    ("medium", "user-item-user", 5),
    ("large", "user-item-user", 5),
    ("medium", "user-item-attribute-item-user", 20),
]
LABELS = [
    *product(STORABLE, ("dglmeta", *RIVALS)),
    *product(UNSTORABLE, ("dglmeta",)),
]
MEMBERSHIP = [
    *product([("medium", "item-attribute-item", 1)], ("dglmeta", *RIVALS)),
    (("medium", "user-item-user", 1), "dglmeta"),
    (("large", "user-item-user", 1), "dglmeta"),
    (("medium", "user-item-attribute-item-user", 20), "dglmeta"),
]


@pytest.mark.parametrize(("case", "engine"), LABELS, ids=lambda value: str(value))
def bench_pairs(benchmark: Any, case: tuple[str, str, int], engine: str) -> None:
    size, text, per_source = case
    benchmark.group = f"labels {size} {text}, {N_LABELS:,} + {N_LABELS:,}, {per_source} a source"
    _steps(size, text)
    if engine == "dglmeta":
        draw = _dglmeta(size, text, per_source)
    else:
        draw = partial(_draw_from_product, PRODUCTS[engine](size, text), per_source)
    result = measure(benchmark, draw)
    benchmark.extra_info["density"] = estimate_density(graph(size), text)._asdict()
    _check(size, text, result)


@pytest.mark.parametrize(("case", "engine"), MEMBERSHIP, ids=lambda value: str(value))
def bench_membership(benchmark: Any, case: tuple[str, str, int], engine: str) -> None:
    size, text, per_source = case
    benchmark.group = f"membership {size} {text}, {N_PAIRS:,} pairs, {per_source} a source"
    steps = _steps(size, text)
    rng = np.random.default_rng(0)
    src = rng.integers(0, steps[0].shape[0], N_PAIRS // per_source).repeat(per_source)
    dst = rng.integers(0, steps[-1].shape[1], N_PAIRS)
    if engine == "dglmeta":
        found = measure(benchmark, lambda: metapath_connected(graph(size), text, src, dst))
    else:
        build = PRODUCTS[engine](size, text)
        found = measure(benchmark, lambda: np.asarray(build()[src, dst]).ravel() != 0)
    some = rng.integers(0, N_PAIRS, 50)
    rows = reduce(lambda a, b: a @ b, [steps[0][src[some]], *steps[1:]])
    assert np.array_equal(found[some], rows.toarray()[np.arange(50), dst[some]] > 0)


def _dglmeta(size: str, text: str, per_source: int) -> Callable[[], Labels]:
    hg = graph(size)

    def draw() -> Labels:
        src, dst = sample_metapath_pairs(hg, text, N_LABELS, 0, per_source)
        sources = src[::per_source]
        return src, dst, *sample_unconnected_pairs(hg, text, None, 0, per_source, sources=sources)

    draw()  # compiles
    return draw


def _scipy(size: str, text: str) -> Callable[[], Any]:
    steps = [step.astype(bool) for step in _steps(size, text)]
    return lambda: reduce(lambda a, b: a @ b, steps)


def _mkl(size: str, text: str) -> Callable[[], Any]:
    multiply = pytest.importorskip("sparse_dot_mkl").dot_product_mkl
    steps = [step.astype(np.float32) for step in _steps(size, text)]
    return lambda: reduce(multiply, steps)


def _graphblas(size: str, text: str) -> Callable[[], Any]:
    gb = pytest.importorskip("graphblas")
    steps = [gb.io.from_scipy_sparse(step.astype(bool)) for step in _steps(size, text)]

    def build() -> Any:
        whole = reduce(lambda a, b: a.mxm(b, "any_pair").new(), steps)
        return gb.io.to_scipy_sparse(whole, "csr")

    return build


PRODUCTS = {"scipy": _scipy, "mkl": _mkl, "graphblas": _graphblas}


def _draw_from_product(build: Callable[[], Any], per_source: int) -> Labels:
    """Labels of some sources from their rows of the product."""
    product = build()
    rng = np.random.default_rng(0)
    degrees = np.diff(product.indptr)
    n_targets = product.shape[1]
    fitting = np.flatnonzero((degrees > 0) & (degrees < n_targets))
    n_sources = min(N_LABELS // per_source, len(fitting))
    src = np.sort(rng.choice(fitting, n_sources, replace=False)).repeat(per_source)
    dst = product.indices[product.indptr[src] + rng.integers(0, degrees[src])]
    unjoined = np.empty(len(src), np.int64)
    joined = np.zeros(n_targets, bool)  # to the source at hand: quicker than looking in its row
    for begin in range(0, len(src), per_source):
        row = product.indices[product.indptr[src[begin]] : product.indptr[src[begin] + 1]]
        joined[row] = True
        drawn = rng.integers(0, n_targets, per_source)
        while (again := joined[drawn]).any():
            drawn[again] = rng.integers(0, n_targets, np.count_nonzero(again))
        unjoined[begin : begin + per_source] = drawn
        joined[row] = False
    return src, dst, src, unjoined


def _check(size: str, text: str, labels: Labels) -> None:
    """As many labels as asked for, a thousand of each kind true."""
    src, dst, free_src, free_dst = labels
    assert len(src) == len(dst) == N_LABELS
    assert len(free_src) == len(free_dst) >= 0.9 * N_LABELS  # a source may be joined to all
    some = np.linspace(0, len(free_src) - 1, 1000).astype(int)
    assert metapath_connected(graph(size), text, src[some], dst[some]).all()
    assert not metapath_connected(graph(size), text, free_src[some], free_dst[some]).any()


@lru_cache
def _steps(size: str, text: str) -> list[Any]:
    """The adjacencies of the path's steps, both directions of each in memory."""
    hg = graph(size)
    path = MetaPath.parse(text, hg.schema)
    for step in path.steps:
        for adj in (hg.step_adjacency(*step), hg.step_adjacency(*step.reversed())):
            adj.indices.sum()
    return [hg.step_adjacency(*step).to_scipy() for step in path.steps]
