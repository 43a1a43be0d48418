"""Meta-path products: two factors by the kernels, whole paths, and one in a budget of memory.

The rivals multiply float32 ones, as neither has booleans or int64. Their structure is ours if they
find as many pairs; ours is compared with the kernels of the host, and counts must sum to the paths.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch

import dglmeta as dm
from dglmeta.bench.gpu.bench import Bench
from dglmeta.bench.gpu.data import float32_matrix, on_host, structure, torch_csr
from dglmeta.bench.paths.cases import CASES
from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.kernels.cpu import spgemm as host
from dglmeta.kernels.gpu import spgemm as device
from dglmeta.paths.chain import chain_of
from dglmeta.paths.stream import product_blocks

FACTORS = ("medium UIA", "medium AIA", "medium IAI", "large UIA", "large IAI")
CHAINS = ("medium UIUC", "medium UIAIU rows", "medium AIUIA rows")
IN_BUDGET, BUDGET = "attribute-item-user-item-attribute", 2 << 30
"""At once it takes 4.7 GiB, by rows 1.4."""
STREAMED = "user-item-user"
"""Of medium: 6 billion pairs."""
MOST = 10


def run(bench: Bench) -> None:
    for case in FACTORS:
        two_factors(bench, case)
    for case in CHAINS:
        chain(bench, case)
    in_budget(bench)
    streamed(bench)


def steps_of(hg: HeteroCSR, text: str) -> list[Any]:
    return [hg.step_adjacency(*step) for step in MetaPath.parse(text, hg.schema).steps]


def two_factors(bench: Bench, case: str) -> None:
    size, text, _ = CASES[case]
    left, right = steps_of(bench.graph(size), text)
    a, b = structure(bench, left)[:2], structure(bench, right)[:2]
    of_host = left.indptr, left.indices, right.indptr, right.indices
    paths = int(host.count_flops(*of_host[:3]).sum())
    indptr = host.multiply_reach(*of_host, right.n_dst, sort=False)[0]
    n_pairs = int(indptr[-1])
    read = 4 * paths + sum(x.nbytes for x in of_host[:3])
    extra = {"pairs": n_pairs, "paths": paths}

    def check(result: Any) -> None:
        require("entries of the rows", np.array_equal(on_host(result[0]), indptr))
        if len(result) == 3:
            require("sum of the counts", int(result[2].sum()) == paths)

    calls: dict[str, Callable[[], Any]] = {
        "reach": lambda: device.multiply_reach(*a, *b, right.n_dst),
        "count": lambda: device.multiply_values(*a, None, *b, None, right.n_dst),
    }
    for mode, multiply in calls.items():
        n_bytes = read + n_pairs * (4 if mode == "reach" else 12)
        options = {"n_bytes": n_bytes, "check": check, "most": MOST, **extra}
        bench.time(f"{case} {mode}", "dglmeta", multiply, **options)
        rivals(bench, f"{case} {mode}", left, right, n_pairs)


def rivals(bench: Bench, case: str, left: Any, right: Any, n_pairs: int) -> None:
    """cuSPARSE, called by CuPy and by torch."""

    def check(product: Any) -> None:
        found = product.nnz if hasattr(product, "nnz") else len(product.values())
        require("pairs", found == n_pairs)

    for who, build, multiply in (
        ("cupyx csr @ csr", float32_matrix, operator.matmul),
        ("torch.sparse.mm", torch_csr, torch.sparse.mm),
    ):
        ready = cache(lambda build=build: [build(bench, side) for side in (left, right)])
        call = lambda ready=ready, multiply=multiply: multiply(*ready())  # noqa: E731
        bench.time(case, who, call, check=check, most=MOST)


def chain(bench: Bench, case: str) -> None:
    """A longer path by the planner, on the device and on the host."""
    size, text, n_rows = CASES[case]
    hg = bench.graph(size)
    n = hg.n_nodes[MetaPath.parse(text, hg.schema).source]
    rows = np.random.default_rng(0).choice(n, min(n, n_rows), replace=False) if n_rows else None
    expected = dm.metapath_product(hg, text, rows=rows)

    def check(product: Any) -> None:
        require("pairs", product.nnz == expected.nnz)
        require("entries of the rows", np.array_equal(on_host(product.indptr), expected.indptr))

    for who, graph in (("dglmeta", hg.to(bench.device)), ("Numba, all cores", hg)):
        multiply = lambda graph: dm.metapath_product(graph, text, rows=rows)  # noqa: E731
        bench.time(
            f"{case} whole path", who, multiply, [(graph,)], check=check, most=MOST, wall=True
        )


def in_budget(bench: Bench) -> None:
    """A path whose intermediate products do not fit, by blocks of rows; and how memory grows."""
    there = bench.graph("medium").to(bench.device)
    budget = BUDGET if not bench.quick else dm.estimate_product(there, IN_BUDGET).bytes
    case = f"medium {IN_BUDGET}, planned, at once or within {budget / 2**20:,.0f} MiB"
    found: list[int] = []
    for who, most in (("dglmeta", None), ("dglmeta, within the budget", budget)):
        multiply = partial(dm.metapath_product, there, IN_BUDGET, budget_bytes=most)
        measure_growth(bench, case, who, multiply, lambda product: product.nnz, found, most=3)


def streamed(bench: Bench) -> None:
    """Consecutive rows of a product that is never held; only the pairs are counted."""
    hg = bench.graph("medium")
    there = hg.to(bench.device)
    path = MetaPath.parse(STREAMED, hg.schema)

    def count_pairs() -> int:
        blocks = product_blocks(chain_of(there, path, "reach"), "reach", sort=False)
        return sum(len(block.indices) for _, block in blocks)

    first = np.arange(100)
    some = dm.metapath_product(there, path, rows=first).nnz
    require("pairs of some rows", some == dm.metapath_product(hg, path, rows=first).nnz)
    case = f"medium {STREAMED}, streamed by rows"
    measure_growth(bench, case, "dglmeta", count_pairs, int, [], most=1)


def measure_growth(
    bench: Bench,
    case: str,
    who: str,
    call: Callable[[], Any],
    n_pairs: Callable[[Any], int],
    found: list[int],
    most: int,
) -> None:
    """Time a call that always finds as many pairs, and note how memory grows by it."""
    grown: list[float] = []

    def measured() -> None:
        result, mib = growth(bench, call)
        grown.append(mib)
        found.append(n_pairs(result))
        require("pairs", found[0] == found[-1])

    bench.time(case, who, measured, most=most, wall=True)
    bench.rows[-1] |= {"pairs": found[0], "grown_mib": max(grown)}


def growth(bench: Bench, call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and by how many MiB CuPy's pool had to grow for it."""
    if not hasattr(bench.xp, "get_default_memory_pool"):
        return call(), 0.0
    pool = bench.xp.get_default_memory_pool()
    bench.clock.wait()
    pool.free_all_blocks()
    before = pool.total_bytes()
    result = call()
    return result, (pool.total_bytes() - before) / 2**20


def require(what: str, is_so: bool) -> None:
    """Refuse a result that is not what it has to be.

    Raises
    ------
    ArithmeticError
        Naming what differs.
    """
    if not is_so:
        raise ArithmeticError(f"{what}: not what was expected")
