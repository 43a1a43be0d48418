"""Meta-path products by the planner's choice, against other libraries: reachability and counts.

``-k "reach and medium"`` takes part of the cases; the whole takes minutes, some gigabytes, and for
the real graphs the data folder in DGLMETA_DATA.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from dglmeta.bench.measure import measure
from dglmeta.bench.paths.cases import CASES, graph_of
from dglmeta.bench.paths.rivals import COUNT, REACH, entries, product_by
from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.paths import estimate_product, metapath_product
from dglmeta.paths.chain import Sparse, chain_of
from dglmeta.paths.plan import Order, plan_order
from dglmeta.paths.product import multiply_chain
from dglmeta.paths.sizes import measure_sizes

TOO_MUCH = {
    "abook UIU": {"dgl"},
    "large UIA": {"dgl", "pyg", "torch float32"},
    "large IAI": {"mkl float32", "graphblas any_pair", "torch float32", "dgl", "pyg"},
    "medium UIUC": {"dgl", "pyg"},  # from left to right through 25 GB
}
"""Engines that would take more than a minute or ten gigabytes."""

ORDERED = ["small UIAIU", "medium UIUC", "medium UIAIU rows", "medium AIUIA rows"]
"""Cases with more than one order of multiplication."""


@cache
def prepared(case: str) -> tuple[HeteroCSR, MetaPath, np.ndarray | None]:
    name, text, n_rows = CASES[case]
    hg = graph_of(name)
    path = MetaPath.parse(text, hg.schema)
    n = hg.n_nodes[path.source]
    rows = np.random.default_rng(0).choice(n, n_rows, replace=False) if n_rows else None
    return hg, path, rows


def compare(benchmark: Any, case: str, mode: str, engine: str) -> None:
    """Time one engine, after its number of pairs was found to be ours."""
    if engine in TOO_MUCH.get(case, ()):
        pytest.skip("takes more than a minute or ten gigabytes")
    hg, path, rows = prepared(case)
    benchmark.group = f"{case} {mode}"
    metapath_product(hg, path, mode, rows=[0])  # compiled
    if engine == "dglmeta":
        product = lambda: metapath_product(hg, path, mode, rows=rows)  # noqa: E731
    else:
        order = plan_order(chain_of(hg, path, mode, rows), mode)
        product = product_by(engine, hg, path, rows, order)
    slow = case.startswith(("large", "abook", "medium IAI"))
    rounds = 9 if not slow else 1 if engine in ("dgl", "pyg") else 3
    # Whoever touches memory first that a virtual machine was not given yet would wait for it.
    np.ones(3 * known_pairs(case), np.int64)
    result = measure(benchmark, product, rounds=rounds)
    benchmark.extra_info["pairs"] = entries(result)
    if engine != "dglmeta":
        assert entries(result) == known_pairs(case)


@cache
def known_pairs(case: str) -> int:
    hg, path, rows = prepared(case)
    return metapath_product(hg, path, rows=rows).nnz


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("engine", ["dglmeta", *REACH])
def bench_reach(benchmark, case: str, engine: str) -> None:
    compare(benchmark, case, "reach", engine)


@pytest.mark.parametrize("case", [c for c in CASES if c not in ("large IAI", "acm PSP")])
@pytest.mark.parametrize("engine", ["dglmeta", *COUNT])
def bench_count(benchmark, case: str, engine: str) -> None:
    compare(benchmark, case, "count", engine)


def bracketings(i: int, j: int) -> list[Order]:
    if i == j:
        return [i]
    halves = ((bracketings(i, k), bracketings(k + 1, j)) for k in range(i, j))
    return [(left, right) for lefts, rights in halves for left in lefts for right in rights]


ORDERS = {
    (case, str(order)): order
    for case in ORDERED
    for order in bracketings(0, CASES[case].path.count("-") - 1)
}


@pytest.mark.parametrize(("case", "engine"), [*((c, "dglmeta") for c in ORDERED), *ORDERS])
def bench_order(benchmark, case: str, engine: str) -> None:
    """Planning and multiplying, against multiplying in each order without having to plan."""
    hg, path, rows = prepared(case)
    benchmark.group = f"{case} orders"
    chain = chain_of(hg, path, "reach", rows)
    order = ORDERS.get((case, engine))
    if (
        order is not None
        and flops_of(chain, order) > 30 * estimate_product(hg, path, rows=rows).flops
    ):
        pytest.skip("thirty times the multiplications of the order chosen")

    def product() -> Any:
        return multiply_chain(chain, order or plan_order(chain, "reach"), "reach", sort=False)

    benchmark.pedantic(product, rounds=5, warmup_rounds=1)


def flops_of(chain: list[Sparse], order: Order) -> float:
    """Multiplications of an order, by the planner's estimate."""
    flops = measure_sizes(chain, "reach").flops

    def visit(node: Order) -> tuple[int, int, float]:
        if isinstance(node, int):
            return node, node, 0.0
        (i, k, left), (_, j, right) = visit(node[0]), visit(node[1])
        return i, j, left + right + flops[i, k, j].total

    return visit(order)[2]
