"""The hypergradient of SELAR on Last-FM: by one JVP against double backward.

Run ``python -m dglmeta.bench.meta.bench_hypergradient`` with the data folder in DGLMETA_DATA. Both
modes get the same closures of the same step (a GCN, five auxiliary tasks, three folds; hints by
``--strategy selar+hint``): in float64 their relative difference is printed, in float32 the time and
memory of each, in processes of their own that take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from typing import Any
from unittest import mock

import numpy as np
import torch

import dglmeta as dm
from dglmeta.meta import hypergradient
from dglmeta.systems import selar

MODES = ("jvp", "double_backward")


def arguments_of_a_step(
    batch: int, strategy: str, dtype: torch.dtype
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What one step of SELAR hands to ``hypergradient``."""
    system = selar.SELAR(selar.Config(strategy=strategy, batch=batch, folds=3))
    state = system.init(dm.load_dataset("lastfm"), seed=0, split_seed=0)
    state.model.to(dtype)
    state.weighing.to(dtype)
    rng = np.random.default_rng(0)
    drawn = next(state.tasks.epoch(batch, rng))
    samples = drawn.samples._replace(label=drawn.samples.label.to(dtype))
    view = drawn.view._replace(edge_weight=drawn.view.edge_weight.to(dtype))
    drawn = drawn._replace(samples=samples, view=view)

    class Recorded(Exception):  # noqa: N818 - not an error, only a way out of the step
        pass

    recording = mock.patch.object(selar, "hypergradient", side_effect=Recorded)
    with recording as called, contextlib.suppress(Recorded):
        system.step(state, drawn, rng)
    return called.call_args.args, called.call_args.kwargs


def relative_error(batch: int, strategy: str) -> float:
    """Largest difference of the two modes over the largest entry, in float64."""
    args, options = arguments_of_a_step(batch, strategy, torch.float64)
    fast, slow = (hypergradient(*args, **options, mode=mode).gradients for mode in MODES)
    difference = max(float((fast[k] - slow[k]).abs().max()) for k in slow)
    return difference / max(float(g.abs().max()) for g in slow.values())


def measure(mode: str, batch: int, strategy: str, repeats: int) -> dict[str, float]:
    """Median time of one hypergradient, and how far memory grows by computing them."""
    args, options = arguments_of_a_step(batch, strategy, torch.float32)
    before = _reset_peak()
    hypergradient(*args, **options, mode=mode)
    grown = _peak() - before
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        hypergradient(*args, **options, mode=mode)
        seconds.append(time.perf_counter() - begun)
    return {"median_ms": 1e3 * float(np.median(seconds)), "peak_mib": grown}


def _reset_peak() -> float:
    """Set the kernel's peak to what is resident now (Linux), and return that in MiB."""
    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123 - a kernel file
        file.write("5")
    return _status("VmRSS")


def _peak() -> float:
    return _status("VmHWM")


def _status(field: str) -> float:
    with open("/proc/self/status") as file:  # noqa: PTH123 - a kernel file
        lines = dict(line.split(":", 1) for line in file)
    return int(lines[field].split()[0]) / 1024


def main() -> None:
    """Print the error, then both modes' time and memory and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=MODES)
    parser.add_argument("--strategy", choices=("selar", "selar+hint"), default="selar")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.mode:
        step = (arguments.batch, arguments.strategy)
        print(json.dumps(measure(arguments.mode, *step, arguments.repeats)))
        return
    error = relative_error(arguments.batch, arguments.strategy)
    print(f"relative error in float64: {error:.1e}")
    rows: dict[str, list[dict[str, float]]] = {mode: [] for mode in MODES}
    for _ in range(arguments.rounds):
        for mode, results in rows.items():
            command = [sys.executable, "-m", "dglmeta.bench.meta.bench_hypergradient"]
            command += [*sys.argv[1:], "--mode", mode]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            results.append(json.loads(done.stdout))
    median = {
        mode: {k: float(np.median([r[k] for r in results])) for k in results[0]}
        for mode, results in rows.items()
    }
    for mode, m in median.items():
        print(f"{mode:<16} {m['median_ms']:8.1f} ms, peak growth {m['peak_mib']:6.1f} MiB")
    time_ratio = median["jvp"]["median_ms"] / median["double_backward"]["median_ms"]
    memory_ratio = median["jvp"]["peak_mib"] / max(median["double_backward"]["peak_mib"], 1e-9)
    print(f"jvp / double backward: time {time_ratio:.2f}, memory {memory_ratio:.2f}")


if __name__ == "__main__":
    main()
