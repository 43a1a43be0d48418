"""One SELAR step on Last-FM: by one JVP with shared forwards, and by double backward.

Run ``python -m dglmeta.bench.systems.bench_selar_step`` with the data folder in DGLMETA_DATA, for
hints with ``--strategy selar+hint``. Both forms do the same work in the same process: draw a batch,
three folds, update V (and V_H), update the model. The double-backward form is Algorithm 1 as it is
usually written, one look-ahead graph a fold; it uses the same kernels, so the difference is the
algorithm.
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
from torch import Tensor

import dglmeta as dm
from dglmeta.meta import Params, descend, parameters_of, sgd_step
from dglmeta.nn import Located
from dglmeta.systems.selar import SELAR, Config, State, apart, split_folds
from dglmeta.tasks import JointBatch, binary_losses


def double_backward_step(
    system: SELAR, state: State, batch: JointBatch, rng: np.random.Generator
) -> None:
    """Algorithm 1 with autograd through the look-ahead; the result equals ``SELAR.step``."""
    config, primary = system.config, state.tasks.rows.index(0)
    held_out = split_folds(batch.n_samples, config.folds, apart(rng))
    keep = state.dropout(batch.view, config.dropout, rng)
    messages = state.messages(batch.view)
    every = state.locate(messages, batch.view, batch.samples, keep, hints=system.strategy.hints)
    w = {name: p.detach().requires_grad_() for name, p in state.weights(batch.view).items()}
    theta = parameters_of(state.weighing)
    meta = 0.0
    for places in held_out:
        losses = weighted_losses(system, state, batch, every, w)  # (T + 1, B)
        kept = torch.ones_like(losses)
        kept[primary, places] = 0
        step = gradients((kept * losses).sum() / kept.sum(), w, create_graph=True)
        ahead = sgd_step(w, step, config.lr)
        asked = batch.primary(places)
        (o,) = run(state, ahead, state.locate(messages, batch.view, asked, keep))
        meta = meta + (binary_losses(o, asked.label[0]) if len(asked.label) else o).mean()
    descend(state.weighing_optimizer, state.weighing, gradients(meta / len(held_out), theta))
    losses = weighted_losses(system, state, batch, every, w, config.attenuation)
    state.move(gradients(losses.mean(), w), batch.view)
    if state.averaged is not None:
        state.averaged.update_parameters(state.model)


def weighted_losses(
    system: SELAR, state: State, batch: JointBatch, every: Located, w: Params, gamma: float = 1.0
) -> Tensor:
    """(T + 1, B) losses of all samples, mixed with hints and weighted, with gradients in all."""
    tasks, weighing = state.tasks, state.weighing
    rows = torch.tensor(tasks.rows)
    n_pairs = batch.samples.label.shape[0]
    o = run(state, w, every).unflatten(1, (len(rows), -1))  # (1 or 2, T + 1, B)
    label = torch.cat([batch.samples.label, torch.ones_like(o[0, n_pairs:])])
    which = rows[:, None].expand_as(label)
    if system.strategy.hints:
        learner, hint = (losses_of(row, label, n_pairs).flatten() for row in o)
        xi = weighing.mixer.describe(learner, hint, label.flatten(), which.flatten())
        c = weighing.mixer(xi).view_as(label) ** gamma
        mixed = c * o[0] + (1 - c) * o[1]
        hinted = (rows > 0) & (torch.arange(len(rows)) < n_pairs)
        losses = losses_of(torch.where(hinted[:, None], mixed, o[0]), label, n_pairs)
    else:
        losses = losses_of(o[0], label, n_pairs)
    v = weighing.weighter(weighing.weighter.describe(losses, label, which))  # losses are constants
    by_task = system.config.normaliser == "task"
    mean = v.mean(1, keepdim=True) if by_task else v[tasks.rows.index(0)].mean()
    return v / (mean + 1e-8) * losses


def losses_of(o: Tensor, label: Tensor, n_pairs: int) -> Tensor:
    """Losses of one row of outputs: those of pairs are logits, those with a class losses."""
    return torch.cat([binary_losses(o[:n_pairs], label[:n_pairs]), o[n_pairs:]])


def run(state: State, params: Params, located: Located) -> Tensor:
    """The model's outputs at some parameters."""
    out: Tensor = torch.func.functional_call(state.model, params, (located,))
    return out


def gradients(output: Tensor, params: Params, *, create_graph: bool = False) -> Params:
    """The gradient by name, zeros where a parameter has no part in it."""
    found = torch.autograd.grad(
        output, list(params.values()), create_graph=create_graph, materialize_grads=True
    )
    return dict(zip(params, found, strict=True))


STEPS = {"jvp": SELAR.step, "double_backward": double_backward_step}


def measure(form: str, config: Config, steps: int) -> dict[str, float]:
    """Median step time of one form, and how far memory grew while it ran."""
    system = SELAR(config)
    state = system.init(dm.load_dataset("lastfm"), seed=0, split_seed=0)
    rng = np.random.default_rng(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    while len(seconds) < steps:
        drawing = time.perf_counter()
        for drawn in state.tasks.epoch(config.batch, rng):
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
    parser.add_argument("--strategy", choices=("selar", "selar+hint"), default="selar")
    parser.add_argument("--teach-through-hints", action="store_true")
    parser.add_argument("--encoder", default="gcn")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.form:
        config = Config(
            encoder=arguments.encoder,
            strategy=arguments.strategy,
            teach_through_hints=arguments.teach_through_hints,
            batch=arguments.batch,
            folds=3,
        )
        print(json.dumps(measure(arguments.form, config, arguments.steps)))
        return
    results: dict[str, list[dict[str, float]]] = {form: [] for form in STEPS}
    for _ in range(arguments.rounds):
        for form, rows in results.items():
            command = [sys.executable, "-m", "dglmeta.bench.systems.bench_selar_step"]
            command += [*sys.argv[1:], "--form", form]
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
