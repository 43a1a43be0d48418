"""Attention along paper-subject-paper on ACM: within blocks, and over the list of pairs.

Run ``python -m dglmeta.bench.ops.bench_block_attention`` with the data folder in DGLMETA_DATA. Each
paper has one subject, so both forms give the same: :func:`dglmeta.ops.block_attention` from the
4,019 memberships, :func:`dglmeta.ops.attention` from the 4.3 million pairs. Random scores and
features of four heads of width 16, in float32, value and all gradients, on one thread. The forms
take turns in one process, and the quickest call of each counts. Memory is measured in a process for
each: how far it grows from the edges of the graph to the gradients, with what the form makes of the
edges, and by the value and gradients alone once that is there.
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
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import dglmeta as dm
from dglmeta import ops
from dglmeta.bench.measure import peak_growth
from dglmeta.graph import Adjacency
from dglmeta.kernels.cpu.pool import set_num_threads
from dglmeta.paths import metapath_product

PAPER_SUBJECT = ("paper", "in", "subject")
FORMS = ("blocks", "pairs")
WANTED_TIME, WANTED_MEMORY = 50, 20

Op = Callable[[Tensor, Tensor, Tensor], Tensor]


def edges() -> tuple[np.ndarray, np.ndarray]:
    """Papers of ACM, as HeCo gives it, and the subject of each."""
    folder = Path(os.environ["DGLMETA_DATA"])
    paper, subject = np.loadtxt(folder / "heco" / "acm" / "ps.txt.gz", dtype=np.int64).T
    return paper, subject


def prepared(form: str, paper: np.ndarray, subject: np.ndarray) -> Op:
    """The op of one form, bound to what it needs of the graph."""
    n_nodes = {"paper": int(paper.max()) + 1, "subject": int(subject.max()) + 1}
    if form == "blocks":
        members = Adjacency.from_coo(paper, subject, (n_nodes["paper"], n_nodes["subject"]))
        return lambda r, c, x: ops.block_attention(members, members, r, c, x)
    hg = dm.HeteroCSR.from_edges({PAPER_SUBJECT: (paper, subject)}, n_nodes)
    joined = metapath_product(hg, "paper-subject-paper", sort=True)
    pairs = Adjacency(joined.indptr.astype(np.int64), joined.indices, None, n_nodes["paper"])
    return lambda r, c, x: ops.attention(pairs, r, c, x)


def inputs(n: int, heads: int, width: int) -> tuple[list[Tensor], Tensor]:
    """Scores of both ends and features, and a gradient of the result."""
    generator = torch.Generator().manual_seed(0)
    shapes = (n, heads), (n, heads), (n, heads, width), (n, heads, width)
    *tensors, slope = (torch.randn(shape, generator=generator) for shape in shapes)
    return [t.requires_grad_() for t in tensors], slope


def both_ways(op: Op, tensors: list[Tensor], slope: Tensor) -> tuple[Tensor, ...]:
    """The value and the three gradients."""
    y = op(*tensors)
    return y.detach(), *torch.autograd.grad(y, tensors, slope)


def warm_up(form: str, heads: int, width: int) -> None:
    """Load the kernels, on a graph of no size."""
    op = prepared(form, np.arange(3), np.zeros(3, np.int64))
    both_ways(op, *inputs(3, heads, width))


def growth(form: str, heads: int, width: int) -> dict[str, float]:
    """MiB from the edges of the graph on, and those of the value and gradients alone."""
    warm_up(form, heads, width)
    ends = edges()
    given = inputs(int(ends[0].max()) + 1, heads, width)
    gc.collect()
    _, whole = peak_growth(lambda: both_ways(prepared(form, *ends), *given))
    gc.collect()
    op = prepared(form, *ends)
    both_ways(op, *given)
    _, alone = peak_growth(lambda: both_ways(op, *given))
    return {"whole": whole or float("nan"), "alone": alone or float("nan")}


def in_a_process(form: str, arguments: argparse.Namespace) -> dict[str, float]:
    """What :func:`growth` gives in a process of its own."""
    command = [sys.executable, "-m", "dglmeta.bench.ops.bench_block_attention", "--form", form]
    command += ["--heads", str(arguments.heads), "--width", str(arguments.width)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown: dict[str, float] = json.loads(done.stdout)
    return grown


def quickest_ms(rounds: int, heads: int, width: int) -> tuple[dict[str, float], list[float]]:
    """Best time of each form, in turns, and how far value and gradients differ."""
    ends = edges()
    given = inputs(int(ends[0].max()) + 1, heads, width)
    made = {form: prepared(form, *ends) for form in FORMS}
    results = {form: both_ways(op, *given) for form, op in made.items()}  # compiles too
    best = dict.fromkeys(FORMS, float("inf"))
    for _ in range(rounds):
        for form, op in made.items():
            for _ in range(10 if form == "blocks" else 1):
                begun = time.perf_counter()
                both_ways(op, *given)
                best[form] = min(best[form], 1e3 * (time.perf_counter() - begun))
    pairs = zip(results["blocks"], results["pairs"], strict=True)
    return best, [float((a - b).abs().max() / b.abs().max()) for a, b in pairs]


def main() -> None:
    """Measure both forms, and print each and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--form", choices=FORMS)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    set_num_threads(1)
    if arguments.form:
        print(json.dumps(growth(arguments.form, arguments.heads, arguments.width)))
        return
    best, differences = quickest_ms(arguments.rounds, arguments.heads, arguments.width)
    memory = {form: in_a_process(form, arguments) for form in FORMS}
    for form in FORMS:
        whole, alone = memory[form].values()
        print(
            f"{form:<8} {best[form]:7.2f} ms, growth from the edges on {whole:6.1f} MiB, "
            f"of value and gradients alone {alone:5.1f} MiB"
        )
    time_ratio, memory_ratio = (
        pairs / blocks
        for pairs, blocks in (
            (best["pairs"], best["blocks"]),
            (memory["pairs"]["whole"], memory["blocks"]["whole"]),
        )
    )
    print(
        f"pairs / blocks: {time_ratio:.1f}x time (at least {WANTED_TIME}x), "
        f"{memory_ratio:.1f}x growth (at least {WANTED_MEMORY}x)"
    )
    print(f"largest relative difference of value and gradients: {max(differences):.1e}")


if __name__ == "__main__":
    main()
