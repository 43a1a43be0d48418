"""An epoch of HGCVAE on HeCo's DBLP, a step and the objective, and how memory grows by a run.

Run ``python -m dglmeta.bench.systems.bench_hgcvae_epoch`` with the data folder in DGLMETA_DATA. The
meta-paths join 11 thousand, 5.0 and 7.0 million pairs of authors; each way of attending to them is
measured in a process of its own. Growth is over what is resident once the graph is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import numpy as np
import torch

import dglmeta as dm
from dglmeta.bench.measure import peak_growth
from dglmeta.kernels.cpu.pool import set_num_threads
from dglmeta.nn.path_attention import ATTENTIONS
from dglmeta.systems import HGCVAE

WARM_UP = 2


def measure(attention: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Median seconds of an epoch and of its step, seconds before the first, and growth."""
    set_num_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    ds = dm.load_dataset(arguments.data)
    system = HGCVAE(HGCVAE.Config(attention=attention, guard=arguments.guard))
    epochs, steps, began = [], [], []

    def train() -> None:
        begun = time.perf_counter()
        state = system.init(ds, seed=0, split_seed=0)
        began.append(time.perf_counter() - begun)
        for k in range(WARM_UP + arguments.epochs):
            begun = time.perf_counter()
            for _ in system.epoch(state, np.random.default_rng(k)):
                steps.append(time.perf_counter() - begun)
            system.evaluate(state, "valid")
            epochs.append(time.perf_counter() - begun)

    _, growth = peak_growth(train)
    return {
        "epoch": float(np.median(epochs[WARM_UP:])),
        "step": float(np.median(steps[WARM_UP:])),
        "begin": began[0],
        "growth_mib": growth or np.nan,
    }


def main() -> None:
    """Measure each way and print a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attention", choices=ATTENTIONS, help="this one, here")
    parser.add_argument("--data", default="heco-dblp")
    parser.add_argument("--guard", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.attention:
        print(json.dumps(measure(arguments.attention, arguments)))
        return
    given = [f"--{k}={v}" for k, v in vars(arguments).items() if k != "attention"]
    module = [sys.executable, "-m", "dglmeta.bench.systems.bench_hgcvae_epoch"]
    for attention in ("pairs", "instances"):
        command = [*module, "--attention", attention, *given]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout)
        print(
            f"{attention}: an epoch {found['epoch']:.2f} s, its step {found['step']:.2f} s, "
            f"{found['begin']:.1f} s before the first, grows by {found['growth_mib']:.0f} MiB"
        )


if __name__ == "__main__":
    main()
