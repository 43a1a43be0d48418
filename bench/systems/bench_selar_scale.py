"""An epoch of SELAR on a graph of ten million edges, and the same settings on Last-FM.

Run ``python -m dglmeta.bench.systems.bench_selar_scale`` with the data folder in DGLMETA_DATA, on
an idle machine: two threads that wait for each other suffer many times over from a third. The large
graph is ``planted``, its batches are sampled; Last-FM is trained on the whole and sampled. Five
meta-path tasks each come from a label store of the training graph, 100,000 positives and as many
negatives a path, made once in the user's cache. Each side runs in processes of its own, in turn.

An epoch is the median step times the steps in it, or with ``--steps 0`` all of it, as timed. A
sample is one of any task. Growth is over what is resident once the graph is.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pooch
import torch

import dglmeta as dm
from dglmeta.bench.measure import peak_growth
from dglmeta.data import Dataset
from dglmeta.errors import LabelStoreError
from dglmeta.kernels.cpu.pool import set_num_threads
from dglmeta.labels import LabelStore
from dglmeta.systems.selar import SELAR, Config

N_USERS = 700_000  # 9.9 million edges
PATHS = ("user-topic-item", "user-city-item", "user-device-item", "user-item-user",
         "item-user-item")  # fmt: skip
N_POSITIVES = 100_000
WARM_UP = 5
"""Steps before those that count."""

SIDES = ("planted", "lastfm", "lastfm-sampled")


def data(side: str, n_users: int) -> Dataset:
    """The graph of a side."""
    return dm.data.planted(n_users) if side == "planted" else dm.load_dataset("lastfm")


def store(ds: Dataset, paths: tuple[str, ...]) -> Path:
    """Labels of the training graph, from the user's cache or made now."""
    training = ds.splits(0).training_graph(ds.csr)
    folder = Path(pooch.os_cache("dglmeta")) / f"bench-selar-{training.content_hash[:16]}"
    try:
        LabelStore(folder, training)
    except LabelStoreError:
        shutil.rmtree(folder, ignore_errors=True)
        dm.labels.generate(training, list(paths), folder, positives=N_POSITIVES)
    return folder


def measure(side: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Median step, what an epoch takes, and how far memory grew from the first step to the last."""
    set_num_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    ds = data(side, arguments.n_users)
    paths = PATHS if side == "planted" else tuple(map(str, ds.metapaths))
    fanouts = () if side == "lastfm" else tuple(arguments.fanouts)
    system = SELAR(
        Config(
            metapaths=paths,
            labels=arguments.labels,
            batch=arguments.batch,
            folds=arguments.folds,
            fanouts=fanouts,
            averaging=arguments.averaging,
        )
    )
    seconds: list[float] = []

    def train() -> int:
        state = system.init(ds, seed=0, split_seed=0)
        rng = np.random.default_rng(0)
        n_steps = len(state.tasks.primary) // arguments.batch
        left = WARM_UP + arguments.steps if arguments.steps else n_steps
        while left > 0:
            begun = time.perf_counter()
            for _ in islice(system.epoch(state, rng), left):
                seconds.append(time.perf_counter() - begun)
                begun = time.perf_counter()
            left = left - n_steps
        return n_steps

    n_steps, growth = peak_growth(train)
    step = float(np.median(seconds[WARM_UP:]))
    n_samples = arguments.batch * (len(paths) + 1)
    return {
        "step_ms": 1e3 * step,
        "us_a_sample": 1e6 * step / n_samples,
        "samples_a_second": n_samples / step,
        "epoch_seconds": n_steps * step if arguments.steps else sum(seconds),
        "growth_mib": growth or np.nan,
        "graph_mib": ds.csr.nbytes / 2**20,
    }


def in_a_process(*given: str) -> str:
    """What this program prints with these arguments, in a process of its own."""
    command = [sys.executable, "-m", "dglmeta.bench.systems.bench_selar_scale", *given]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", choices=SIDES, help="measure this one here")
    parser.add_argument("--labels", help="label store of that side; made when absent")
    parser.add_argument("--n-users", type=int, default=N_USERS)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--fanouts", type=int, nargs="+", default=[10, 10])
    parser.add_argument("--averaging", type=float, default=0.99)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100, help="0 for one whole epoch")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def main() -> None:
    """Measure all sides in turn; print each, and how much longer a sample takes than Last-FM's."""
    arguments = read_arguments()
    if arguments.side and arguments.labels:
        print(json.dumps(measure(arguments.side, arguments)))
        return
    if arguments.side:
        ds = data(arguments.side, arguments.n_users)
        paths = PATHS if arguments.side == "planted" else tuple(map(str, ds.metapaths))
        print(store(ds, paths))
        return
    given = sys.argv[1:]
    labels = {side: in_a_process(*given, "--side", side).strip() for side in SIDES}
    rows: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(arguments.rounds):
        for side, folder in labels.items():
            out = in_a_process(*given, "--side", side, "--labels", folder)
            rows[side].append(json.loads(out))
    medians = {
        side: {name: float(np.median([row[name] for row in every])) for name in every[0]}
        for side, every in rows.items()
    }
    for side, row in medians.items():
        print(
            f"{side:<15}{row['step_ms']:8.1f} ms a step, {row['us_a_sample']:6.1f} us a sample, "
            f"{row['samples_a_second']:7,.0f} samples a second, {row['epoch_seconds']:8,.1f} s an "
            f"epoch, growth {row['growth_mib']:6,.0f} MiB, graph {row['graph_mib']:4,.0f} MiB"
        )
    for side in SIDES[1:]:
        ratio = medians["planted"]["us_a_sample"] / medians[side]["us_a_sample"]
        print(f"planted / {side}: {ratio:.2f}x time a sample")


if __name__ == "__main__":
    main()
