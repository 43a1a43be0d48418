"""One SELAR step on Last-FM: by one JVP with shared forwards, and by double backward.

Run ``python -m dglmeta.bench.systems.bench_selar_step`` with the data folder in DGLMETA_DATA. Both
forms do the same work in the same process: draw a batch, three folds, update V, update the model.
The double-backward form is Algorithm 1 as it is usually written, one look-ahead graph a fold; it
uses the same kernels, so the difference is the algorithm.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import torch

import dglmeta as dm
from dglmeta.meta import descend, detach, parameters_of, sgd_step
from dglmeta.systems.selar import SELAR, Config, State, relative, split_folds
from dglmeta.tasks import JointBatch, binary_losses


def double_backward_step(
    system: SELAR, state: State, batch: JointBatch, rng: np.random.Generator
) -> None:
    """Algorithm 1 with autograd through the look-ahead; the result equals ``SELAR.step``."""
    model, weighter = state.model, state.weighter
    a_hat = model.encoder.messages(state.pairs.adjacency, batch.edge_weight)
    w = {name: p.detach().requires_grad_() for name, p in model.named_parameters()}
    theta = parameters_of(weighter)

    def run(params, src, dst):
        return torch.func.functional_call(model, params, (model.locate(a_hat, src, dst),))

    def weighted_losses():
        losses = binary_losses(run(w, batch.src, batch.dst), batch.label)
        v = weighter(weighter.describe(losses.detach(), batch.label))
        return relative(v, system.config.normaliser) * losses

    folds = split_folds(batch.label.shape[1], system.config.folds, rng)
    meta = 0.0
    for held_out in folds:
        kept = torch.ones_like(batch.label)
        kept[0, held_out] = 0
        inner = (kept * weighted_losses()).sum() / kept.sum()
        gradients = torch.autograd.grad(inner, list(w.values()), create_graph=True)
        ahead = sgd_step(w, dict(zip(w, gradients, strict=True)), system.config.lr)
        (s,) = run(ahead, batch.src[:1, held_out], batch.dst[:1, held_out])
        meta = meta + binary_losses(s, batch.label[0, held_out]).mean() / len(folds)
    gradients = torch.autograd.grad(meta, list(theta.values()))
    descend(state.weighter_optimizer, weighter, dict(zip(theta, gradients, strict=True)))
    gradients = torch.autograd.grad(weighted_losses().mean(), list(w.values()))
    descend(state.optimizer, model, detach(dict(zip(w, gradients, strict=True))))


STEPS = {"jvp": SELAR.step, "double_backward": double_backward_step}


def measure(form: str, batch: int, steps: int) -> dict[str, float]:
    """Median step time of one form, and how far memory grew while it ran."""
    system = SELAR(Config(batch=batch, folds=3))
    state = system.init(dm.load_dataset("lastfm"), seed=0, split_seed=0)
    rng = np.random.default_rng(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    while len(seconds) < steps:
        drawing = time.perf_counter()
        for drawn in state.pairs.epoch(batch, rng):
            STEPS[form](system, state, drawn, rng)
            seconds.append(time.perf_counter() - drawing)
            drawing = time.perf_counter()
            if len(seconds) == steps:
                break
    p10, median, p90 = 1e3 * np.percentile(seconds[steps // 5 :], [10, 50, 90])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"median_ms": median, "p10_ms": p10, "p90_ms": p90, "growth_mib": grown / 1024}


def main() -> None:
    """Measure both forms in turn, each in processes of its own, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--form", choices=STEPS)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.form:
        print(json.dumps(measure(arguments.form, arguments.batch, arguments.steps)))
        return
    results: dict[str, list[dict[str, float]]] = {form: [] for form in STEPS}
    for _ in range(arguments.rounds):
        for form, rows in results.items():
            command = [sys.executable, "-m", "dglmeta.bench.systems.bench_selar_step", "--form"]
            command += [form, "--batch", str(arguments.batch), "--steps", str(arguments.steps)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout))
    medians = {}
    for form, rows in results.items():
        medians[form] = float(np.median([r["median_ms"] for r in rows]))
        growth = float(np.median([r["growth_mib"] for r in rows]))
        print(f"{form:<16} {medians[form]:8.1f} ms a step, growth {growth:6.0f} MiB")
    print(f"double backward / jvp: {medians['double_backward'] / medians['jvp']:.2f}x")


if __name__ == "__main__":
    main()
