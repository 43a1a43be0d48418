"""A GTN on ACM, forward and backward: as a chain of messages, and by products of adjacencies.

Run ``python -m dglmeta.bench.systems.bench_gtn`` with the data folder in DGLMETA_DATA. Two layers
and two channels on random features of width 64, in float32, with a random gradient of the output,
so that no loss adds to what is measured. Each form runs in processes of its own, in turn; both use
the same kernels, and the product form never computes more of a gradient than the entries it needs.
Memory is measured twice: how far the process grows over all its steps, and in
another process that gives freed memory back at once, by how much is in use at the same time. Then a
batch on Last-FM: the chain for the 1536 ends of 768 training pairs, messages both ways.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

import dglmeta as dm
from dglmeta.bench.measure import peak_growth
from dglmeta.nn import GTN

FORMS = ("chain", "product")
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072"}
"""Tells glibc to return every large block as soon as it is freed: slower, but nothing idle."""


def encoder(schema: dm.Schema, d: int, form: str = "chain") -> GTN:
    """Two layers, two channels; every relation also against its direction, as a type of its own."""
    torch.manual_seed(0)
    return GTN(schema, d, d, both_ways=True, form=form)


def acm_step(form: str) -> Callable[[], Tensor]:
    """A function that runs forward and backward on ACM, and gives the output."""
    hg = dm.load_dataset("acm").csr
    model, hom = encoder(hg.schema, 64, form), hg.homogeneous(both_ways=True)
    generator = torch.Generator().manual_seed(0)
    x, slope = (torch.randn(hom.adjacency.n_src, 64, generator=generator) for _ in range(2))

    def step() -> Tensor:
        model.zero_grad()
        out = model(hom, x)
        out.backward(slope)
        return out.detach()

    return step


def lastfm_step(n_pairs: int, d: int = 16) -> Callable[[], Tensor]:
    """The same for the ends of training pairs of Last-FM, whose messages are looked for first."""
    ds = dm.load_dataset("lastfm")
    split = ds.splits(0)
    hg = split.training_graph(ds.csr)
    model, hom = encoder(hg.schema, d), hg.homogeneous(both_ways=True)
    src, dst = (hom.offsets[split.target[k]] + split.train[k // 2] for k in (0, 2))
    x = torch.randn(hom.adjacency.n_src, d).requires_grad_()
    rng = np.random.default_rng(0)

    def step() -> Tensor:
        model.zero_grad()
        pairs = rng.choice(len(src), n_pairs, replace=False)
        nodes = np.unique(np.append(src[pairs], dst[pairs]))
        out = model(model.layers(model.messages(hom), torch.from_numpy(nodes)), x)
        out.square().mean().backward()
        return out.detach()

    return step


def warm_up(form: str) -> None:
    """Load the kernels, on a graph of no size, and what torch loads for products of this size."""
    hg = dm.load_dataset("toy").csr
    model = encoder(hg.schema, 64, form)
    model(hg, torch.ones(sum(hg.n_nodes.values()), 64)).sum().backward()
    x, w = torch.ones(9000, 128), torch.ones(128, 64, requires_grad=True)
    (x @ w).backward(torch.ones(9000, 64))


def median_ms(step: Callable[[], Tensor], steps: int) -> float:
    """Median time of a step; garbage is collected between them, so that it does not add up."""
    seconds = []
    for _ in range(steps):
        begun = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begun)
        gc.collect()
    return 1e3 * float(np.median(seconds))


def measure(form: str, steps: int) -> dict[str, float]:
    """Median time of a step of one form, and how far memory grew while they ran."""
    warm_up(form)
    step = acm_step(form)
    gc.collect()  # what reading the data left behind, lest its room be used again unseen
    median, grown = peak_growth(lambda: median_ms(step, steps))
    return {"median_ms": median, "growth_mib": grown or float("nan")}


def in_a_process(form: str, steps: int, environment: dict[str, str]) -> dict[str, float]:
    """What :func:`measure` gives in a process of its own."""
    command = [sys.executable, "-m", "dglmeta.bench.systems.bench_gtn"]
    command += ["--form", form, "--steps", str(steps)]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def main() -> None:
    """Measure both forms in turn, and print each and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--form", choices=FORMS)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.form:
        print(json.dumps(measure(arguments.form, arguments.steps)))
        return
    results: dict[str, list[tuple[float, float, float]]] = {form: [] for form in FORMS}
    for _ in range(arguments.rounds):
        for form, rows in results.items():
            steps = arguments.steps or (60 if form == "chain" else 5)
            run, in_use = (in_a_process(form, steps, e) for e in ({}, GIVE_BACK))
            rows.append((run["median_ms"], run["growth_mib"], in_use["growth_mib"]))
    medians = {form: np.median(rows, axis=0) for form, rows in results.items()}
    for form, (ms, growth, in_use) in medians.items():
        print(f"{form:<8} {ms:8.1f} ms a step, growth {growth:6.1f} MiB, in use {in_use:6.1f} MiB")
    ratios = medians["product"] / medians["chain"]
    print("product / chain: {:.1f}x time, {:.1f}x growth, {:.1f}x in use".format(*ratios))
    chain, product = (acm_step(form)() for form in FORMS)
    print(f"largest difference of outputs: {float((chain - product).abs().max()):.1e}")
    print(f"Last-FM, ends of 768 pairs, width 16: {median_ms(lastfm_step(768), 60):.1f} ms")


if __name__ == "__main__":
    main()
