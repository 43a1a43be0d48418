"""A SELAR step, draws included, on the device and on the host: on Last-FM, and on a large graph.

On the device the step is a CUDA graph; the row "launched one by one" is the same without. Last-FM
is looked for as ``load_dataset`` does, and left out where it is not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import dglmeta as dm
from dglmeta.bench.gpu.bench import Bench
from dglmeta.data import Dataset
from dglmeta.data.synthetic import planted
from dglmeta.errors import DataError
from dglmeta.systems.selar import SELAR, State
from dglmeta.train.replay import WARM_UP

BATCH, FOLDS = 128, 3


def run(bench: Bench) -> None:
    try:
        steps(bench, "Last-FM", dm.load_dataset("lastfm"), most=50)
    except DataError as error:
        bench.rows.append({"group": bench.group, "case": "Last-FM", "who": "", "error": str(error)})
    n_users = 1000 if bench.quick else 760_000
    ds = planted(n_users, n_topics=n_users // 14)
    n_edges = sum(ds.csr.n_edges.values())
    steps(bench, f"planted, {n_edges / 1e6:.1f} million edges", ds, most=12)


def steps(bench: Bench, name: str, ds: Dataset, most: int) -> None:
    """Time the step on the device, replayed and not, and on the host."""
    case = f"{name}, batch {BATCH}, {FOLDS} folds"
    for device in (bench.device, "cpu"):
        system = SELAR(SELAR.Config(batch=BATCH, folds=FOLDS))
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
            bench.time(case, "Numba and torch on the host", step, most=min(most, 10), wall=True)


def stepper(system: SELAR, state: State, n_before: int) -> Callable[[], None]:
    """``step()`` draws a batch and learns from it; a few times already before it is given out."""
    rng = np.random.default_rng(0)
    n_rows = len(state.tasks.primary)

    def step() -> None:
        rows = rng.integers(0, n_rows, BATCH)
        system.step(state, state.tasks.draw(rows, rng), rng)

    for _ in range(n_before):
        step()
    return step
