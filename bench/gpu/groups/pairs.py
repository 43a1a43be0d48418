"""Labels and membership without the product, on the device and by the kernels of the host.

Every call has another seed. Draws are functions of the seed, so both must give the same pairs.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

import dglmeta as dm
from dglmeta.bench.gpu.bench import Bench
from dglmeta.bench.gpu.data import on_host, put
from dglmeta.bench.gpu.groups.products import growth, require
from dglmeta.graph import HeteroCSR
from dglmeta.paths import sample_unconnected_pairs

PATH = "user-item-user"
CASES = (("medium", "item-attribute-item"), ("large", PATH))
N_LABELS, PER_SOURCE = 100_000, 5
N_PAIRS = 1_000_000
ROUNDS = 20


def run(bench: Bench) -> None:
    for size, text in CASES:
        hg = bench.graph(size)
        there = hg.to(bench.device)
        labels(bench, f"{size} {text}", hg, there, text)
        membership(bench, f"{size} {text}", hg, there, text)


def draw(hg: HeteroCSR, text: str, n: int, seed: int) -> tuple[Any, ...]:
    """So many pairs that the path joins, and as many, of the same sources, that it does not."""
    src, dst = dm.sample_metapath_pairs(hg, text, n, seed, PER_SOURCE)
    sources = src[::PER_SOURCE]
    unjoined = sample_unconnected_pairs(hg, text, None, seed, PER_SOURCE, sources=sources)
    return src, dst, *unjoined


def labels(bench: Bench, name: str, hg: HeteroCSR, there: HeteroCSR, text: str) -> None:
    n = 200 if bench.quick else N_LABELS
    expected = draw(hg, text, n, 0)

    def check(drawn: Any) -> None:
        for mine, wanted in zip(drawn, expected, strict=True):
            require("pairs drawn on both", np.array_equal(on_host(mine), wanted))

    case = f"{name}, {n:,} pairs and {n:,} verified negatives, {PER_SOURCE} a source"
    most = min(ROUNDS, bench.most)
    _, mib = growth(bench, lambda: draw(there, text, n, 0))
    for who, graph in (("dglmeta", there), ("Numba, all cores", hg)):
        seeds = count()
        once = lambda g, seeds=seeds: draw(g, text, n, next(seeds))  # noqa: E731
        bench.time(case, who, once, [(graph,)], check=check, most=most, wall=True)
        if graph is there:
            bench.rows[-1]["grown_mib"] = mib


def membership(bench: Bench, name: str, hg: HeteroCSR, there: HeteroCSR, text: str) -> None:
    n = 1000 if bench.quick else N_PAIRS
    n_nodes = hg.n_nodes[text.split("-")[0]]
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, n_nodes, (2, n))
    expected = dm.metapath_connected(hg, text, src, dst)

    def check(found: Any) -> None:
        require("membership on both", np.array_equal(on_host(found), expected))

    case = f"{name}, membership of {n:,} pairs"
    given = put(bench, src), put(bench, dst)
    for who, inputs in (
        ("dglmeta", (there, text, *given)),
        ("Numba, all cores", (hg, text, src, dst)),
    ):
        bench.time(case, who, dm.metapath_connected, [inputs], check=check, most=10, wall=True)
