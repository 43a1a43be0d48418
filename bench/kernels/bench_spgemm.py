"""One sparse product of the medium graph: reachability and counts, columns ordered or not."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from dglmeta.bench.graphs import FROM, HAS, RATED, graph
from dglmeta.bench.measure import measure
from dglmeta.graph import Adjacency
from dglmeta.kernels.cpu.spgemm import multiply_reach, multiply_values
from dglmeta.kernels.cpu.spgemm_masked import multiply_masked


@cache
def factors(case: str) -> tuple[Adjacency, Adjacency]:
    rated, has, home = (graph("medium").adjacency(e) for e in (RATED, HAS, FROM))
    return {
        "users to attributes": (rated, has),
        "attributes to attributes": (has.T, has),
        "items to countries": (rated.T, home),
    }[case]


CASES = ["users to attributes", "attributes to attributes", "items to countries"]


def structure(adj: Adjacency) -> tuple[np.ndarray, np.ndarray]:
    return np.array(adj.indptr), np.array(adj.indices)


def ours(case: str, values: str, *, sort: bool) -> Any:
    left, right = factors(case)
    a, b = structure(left), structure(right)
    if values == "reach":
        return lambda: multiply_reach(*a, *b, right.n_dst, sort=sort)
    return lambda: multiply_values(*a, None, *b, None, right.n_dst, sort=sort)


def scipys(case: str, values: str, *, sort: bool) -> Any:
    a, b = (adj.to_scipy().astype(bool if values == "reach" else np.int64) for adj in factors(case))

    def product() -> Any:
        c = a @ b
        if sort:
            c.sort_indices()
        return c

    return product


@pytest.mark.parametrize("engine", ["dglmeta", "scipy"])
@pytest.mark.parametrize("order", ["any order", "in order"])
@pytest.mark.parametrize("values", ["reach", "count"])
@pytest.mark.parametrize("case", CASES)
def bench_product(benchmark, case: str, values: str, order: str, engine: str) -> None:
    benchmark.group = f"{case}, {values}, columns in {order}"
    make = ours if engine == "dglmeta" else scipys
    measure(benchmark, make(case, values, sort=order == "in order"))


@pytest.mark.parametrize("engine", ["dglmeta", "dglmeta, whole product", "scipy"])
def bench_masked(benchmark, engine: str) -> None:
    """The counts of given pairs of users and attributes."""
    rated, has = factors("users to attributes")
    rng = np.random.default_rng(0)
    mask = Adjacency.from_coo(
        rng.integers(0, rated.n_src, 200_000),
        rng.integers(0, has.n_dst, 200_000),
        (rated.n_src, has.n_dst),
    )
    benchmark.group = "users to attributes, count, 200,000 places"
    a, b = structure(rated), structure(has)
    if engine == "scipy":
        wanted = mask.to_scipy().astype(bool)
        left, right = (adj.to_scipy() for adj in (rated, has))
        measure(benchmark, lambda: (left @ right).multiply(wanted).tocsr())
    elif engine == "dglmeta":
        places = structure(mask)
        measure(benchmark, lambda: multiply_masked(*a, None, *b, None, *places, has.n_dst))
    else:
        measure(benchmark, ours("users to attributes", "count", sort=False))
