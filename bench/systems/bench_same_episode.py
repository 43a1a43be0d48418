"""One training step of SAME, and its dense arithmetic measured alone.

Run ``python -m dglmeta.bench.systems.bench_same_episode``, with the data folder in DGLMETA_DATA for
ENZYMES. Every operation on dense tensors that a step makes, forward, backward and Adam, is written
down and made again by itself, on the same tensors: what is left is messages over edges, drawing
episodes, and all bookkeeping of autograd and Python. Beside it stand the matrix products alone.
A step is timed on the episodes of one pass with its share of drawing them; all sides in turn, in
one process. Ratios are medians of those of single rounds. With ``--splits N`` instead, N runs of
other seeds and splits: a step of each in turn against one step of all at once.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import dglmeta as dm
from dglmeta.systems.parts.same.setup import State
from dglmeta.systems.parts.same.together import step_together
from dglmeta.systems.same import SAME

N_REPLAYED = 3
"""Episodes whose operations are replayed; their tensors are kept."""

PRODUCTS = {
    torch.ops.aten.mm.default,
    torch.ops.aten.addmm.default,
    torch.ops.aten.bmm.default,
    torch.ops.aten.baddbmm.default,
}

Call = tuple[Any, tuple[Any, ...], dict[str, Any]]


class Recorder(TorchDispatchMode):
    """Remembers every operation made under it that computes something."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run it, and note what it was given."""
        out = func(*args, **(kwargs or {}))
        if not func.is_view and "empty" not in func.name():
            self.calls.append((func, args, kwargs or {}))
        return out


def replay(calls: list[Call]) -> float:
    """Seconds that they take by themselves."""
    with torch.no_grad():
        begun = time.perf_counter()
        for func, args, kwargs in calls:
            func(*args, **kwargs)
        return time.perf_counter() - begun


def time_steps(system: SAME, state: State, rng: np.random.Generator) -> tuple[float, float]:
    """Seconds a step of drawing a pass, and of its steps."""
    begun = time.perf_counter()
    episodes = state.episodes.draw(state.split.train, rng)
    drawn = time.perf_counter()
    for episode in episodes:
        system.step(state, episode)
    return (drawn - begun) / len(episodes), (time.perf_counter() - drawn) / len(episodes)


def measure(data: str, variant: str, d: int, rounds: int) -> dict[str, Any]:
    """Medians over rounds, in milliseconds a step."""
    system = SAME(SAME.Config(variant=variant, d=d))
    state = system.init(dm.load_dataset(data), 0, 0)
    rng = np.random.default_rng(0)
    time_steps(system, state, rng)
    with Recorder() as recorder:
        for episode in state.episodes.draw(state.split.train, rng)[:N_REPLAYED]:
            system.step(state, episode)
    products = [call for call in recorder.calls if call[0] in PRODUCTS]
    rows = []
    for _ in range(rounds):
        alone = (replay(calls) / N_REPLAYED for calls in (recorder.calls, products))
        rows.append((*time_steps(system, state, rng), *alone))
    table = np.array(rows)
    whole = table[:, :2].sum(axis=1)
    draw, step, dense, of_products = 1e3 * np.median(table, axis=0)
    return {
        "variant": variant,
        "d": d,
        "draw_ms": draw,
        "step_ms": step,
        "dense_ms": dense,
        "products_ms": of_products,
        "ratio": float(np.median(whole / table[:, 2])),
        "ratio_products": float(np.median(whole / table[:, 3])),
    }


def measure_together(data: str, variant: str, d: int, rounds: int, n: int) -> dict[str, Any]:
    """Medians over rounds, in milliseconds for a step of all runs; drawing is not counted."""
    system = SAME(SAME.Config(variant=variant, d=d))
    ds = dm.load_dataset(data)
    states = [system.init(ds, k, k) for k in range(n)]
    rngs = [np.random.default_rng(k) for k in range(n)]
    draws = [s.episodes.draw(s.split.train, rng) for s, rng in zip(states, rngs, strict=True)]
    rows = []
    for episodes in list(zip(*draws, strict=False))[: rounds + 2]:
        begun = time.perf_counter()
        for state, episode in zip(states, episodes, strict=True):
            system.step(state, episode)
        done = time.perf_counter()
        step_together(system, states, episodes)
        rows.append((done - begun, time.perf_counter() - done))
    table = np.array(rows[min(2, len(rows) - 1) :])
    apart, together = 1e3 * np.median(table, axis=0)
    ratio = float(np.median(table[:, 0] / table[:, 1]))
    return {"variant": variant, "d": d, "apart_ms": apart, "together_ms": together, "ratio": ratio}


def main() -> None:
    """Print a line for each variant and width."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="enzymes")
    parser.add_argument("--variants", nargs="*", default=["isame", "esame", "classical"])
    parser.add_argument("--widths", nargs="*", type=int, default=[256])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--splits", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for d in arguments.widths:
        for variant in arguments.variants:
            asked = arguments.data, variant, d, arguments.rounds
            together = arguments.splits > 1
            found = measure_together(*asked, arguments.splits) if together else measure(*asked)
            if arguments.json:
                print(json.dumps(found))
                continue
            if together:
                print(
                    f"{variant:<10} d {d}: {arguments.splits} runs in turn {found['apart_ms']:.1f} "
                    f"ms, at once {found['together_ms']:.1f} ms, {found['ratio']:.2f}x"
                )
                continue
            print(
                f"{variant:<10} d {d}: {found['step_ms']:.1f} ms a step + {found['draw_ms']:.1f} "
                f"drawing; its dense arithmetic alone {found['dense_ms']:.1f} ms, "
                f"{found['ratio']:.2f}x; its products alone {found['products_ms']:.1f} ms, "
                f"{found['ratio_products']:.2f}x"
            )


if __name__ == "__main__":
    main()
