"""An epoch of sampled batches under a training load, the next batch sampled meanwhile or not.

The load stands for a training step: "device" waits, as a host does for an accelerator; "one core"
computes on the thread that iterates, and leaves the interpreter to others meanwhile. Rivals are
DGL's loader in the calling thread, and the load alone, the least that an epoch can take.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from dglmeta.bench.graphs import graph
from dglmeta.bench.measure import measure
from dglmeta.graph import Adjacency
from dglmeta.paths.loader import NeighborLoader

N_BATCHES, BATCH, FANOUTS = 20, 1024, [16, 16]
LOAD_S = 0.006
"""Of a batch, about; "load alone" shows what it came to."""
ENGINES = ("dglmeta", "dglmeta, no prefetch", "dgl", "load alone")


@cache
def homogeneous() -> Adjacency:
    return graph("medium").homogeneous(both_ways=True).adjacency


def wait() -> None:
    time.sleep(LOAD_S)


@cache
def letters() -> bytes:
    """As many as are hashed in the time of the load."""
    probe = bytes(10_000_000)
    hashlib.sha256(probe)  # its pages are touched for the first time here
    begun = time.perf_counter()
    hashlib.sha256(probe)
    return bytes(int(len(probe) * LOAD_S / (time.perf_counter() - begun)))


def compute() -> None:
    hashlib.sha256(letters())


def batches(engine: str) -> Callable[[], Iterator[Any]]:
    seeds = np.random.default_rng(0).choice(homogeneous().n_src, N_BATCHES * BATCH, replace=False)
    if engine == "load alone":
        return lambda: iter(range(N_BATCHES))
    if engine == "dgl":
        return _dgl_batches(seeds)
    prefetch = 0 if "no prefetch" in engine else 1
    loader = NeighborLoader(homogeneous(), seeds, FANOUTS, BATCH, prefetch=prefetch)
    return lambda: loader.epoch(0)


def _dgl_batches(seeds: np.ndarray) -> Callable[[], Iterator[Any]]:
    pytest.importorskip("dgl")
    import torch

    from dglmeta import load_dgl

    dgl = load_dgl()
    ends = (torch.from_numpy(ids.astype(np.int64)) for ids in homogeneous().coo())
    whole = dgl.graph(tuple(ends), num_nodes=homogeneous().n_src)
    whole.create_formats_()
    sampler = dgl.dataloading.NeighborSampler(FANOUTS[::-1])
    loader = dgl.dataloading.DataLoader(
        whole, torch.from_numpy(seeds), sampler, batch_size=BATCH, shuffle=True
    )
    return lambda: iter(loader)


@pytest.mark.filterwarnings("ignore:Dataloader CPU affinity")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("load", [wait, compute], ids=["device", "one core"])
def bench_epoch(benchmark, load: Callable[[], None], engine: str) -> None:
    where = "on a device" if load is wait else "on one core"
    benchmark.group = f"loader: {N_BATCHES} batches under load {where}"
    epoch = batches(engine)
    load()

    def train() -> int:
        n = 0
        for _ in epoch():
            load()
            n += 1
        return n

    assert measure(benchmark, train, rounds=5) == N_BATCHES
