"""A SELAR step, draws included, on the device and on the host: on Last-FM, and on a large graph.

On the device the step is a CUDA graph; the row "launched one by one" is the same without. Last-FM
is looked for as ``load_dataset`` does, and left out where it is not. On the large graph the device
hears all of it at every step, the host as it would there: a few sampled neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

import dglmeta as dm
from dglmeta.bench.gpu.bench import Bench
from dglmeta.bench.systems.bench_selar_scale import N_USERS, PATHS, store
from dglmeta.data import Dataset
from dglmeta.data.synthetic.heterographs import planted
from dglmeta.errors import DataError
from dglmeta.systems.selar import SELAR, Config, State
from dglmeta.train.replay import WARM_UP

FOLDS = 3
BATCH = 128
LARGE_BATCH, FANOUTS = 4096, (5, 5)
"""On the large graph: the device hears the whole graph, the host a sample for each batch."""


def run(bench: Bench) -> None:
    try:
        lastfm = dm.load_dataset("lastfm")
    except DataError as error:
        bench.rows.append({"group": bench.group, "case": "Last-FM", "who": "", "error": str(error)})
    else:
        steps(bench, "Last-FM", lastfm, Config(batch=BATCH, folds=FOLDS), most=50)
    ds = planted(1000 if bench.quick else N_USERS)
    n_edges = sum(ds.csr.n_edges.values())
    config = Config(
        metapaths=PATHS, labels=str(store(ds, PATHS)), batch=LARGE_BATCH, folds=FOLDS,
    )  # fmt: skip
    steps(bench, f"planted, {n_edges / 1e6:.1f} million edges", ds, config, most=12, large=True)


def steps(
    bench: Bench, name: str, ds: Dataset, config: Config, most: int, large: bool = False
) -> None:
    """Time the step on the device, replayed and not, and on the host."""
    case = f"{name}, batch {config.batch}, {config.folds} folds"
    for device in (bench.device, "cpu"):
        sampled = large and device == "cpu"
        system = SELAR(replace(config, fanouts=FANOUTS if sampled else ()))
        system.device = device
        state = system.init(ds, seed=0, split_seed=0)
        replay = state.replay
        if replay is not None:
            state.replay = None
            step = stepper(system, state, n_before=WARM_UP)
            bench.time(case, "dglmeta, launched one by one", step, most=most, wall=True)
            state.replay = replay
            step = stepper(system, state, n_before=WARM_UP + 1)
            bench.time(case, "dglmeta", step, most=most, wall=True)
        else:
            step = stepper(system, state, n_before=1)
            who = "Numba and torch on the host" + ", sampled" * sampled
            bench.time(case, who, step, most=min(most, 10), wall=True)


def stepper(system: SELAR, state: State, n_before: int) -> Callable[[], None]:
    """``step()`` draws a batch and learns from it; a few times already before it is given out."""
    rng = np.random.default_rng(0)
    n_rows, batch = len(state.tasks.primary), system.config.batch

    def step() -> None:
        rows = rng.integers(0, n_rows, batch)
        system.step(state, state.tasks.draw(rows, rng), rng)

    for _ in range(n_before):
        step()
    return step
