"""One training step of SAME, and its dense products measured alone.

Run ``python -m dglmeta.bench.systems.bench_same_episode``, with the data folder in DGLMETA_DATA for
ENZYMES. Every matrix product that a step makes is written down, and all of them are made again by
themselves, with tensors of the same shapes and layouts; a step cannot take less. The step is timed
on the episodes of one pass, with Adam and its share of drawing them; both sides in turn, in one
process. Ratios are medians of those of single rounds.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import dglmeta as dm
from dglmeta.systems.same import SAME
from dglmeta.systems.same_setup import State
from dglmeta.tasks.episodes import Episode

PRODUCTS = {
    torch.ops.aten.mm.default: 0,
    torch.ops.aten.addmm.default: 1,
    torch.ops.aten.bmm.default: 0,
    torch.ops.aten.baddbmm.default: 1,
}
"""Kinds of dense products, and where their first factor stands."""


class Recorder(TorchDispatchMode):
    """Remembers the factors of all dense products made under it."""

    def __init__(self) -> None:
        super().__init__()
        self.factors: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run it, and note what it multiplies."""
        if func in PRODUCTS:
            first = PRODUCTS[func]
            pair = args[first], args[first + 1]
            self.factors.append(tuple(_alike(x) for x in pair))  # type: ignore[arg-type]
        return func(*args, **(kwargs or {}))


def _alike(x: Tensor) -> Tensor:
    """Random numbers in a tensor of the same shape and order of axes."""
    out = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype)
    return out.normal_()


def products_of(system: SAME, state: State, episodes: list[Episode]) -> list[tuple[Tensor, Tensor]]:
    """The factors of every dense product of a pass."""
    with Recorder() as recorder:
        for episode in episodes:
            system.step(state, episode)
    return recorder.factors


def time_products(factors: list[tuple[Tensor, Tensor]]) -> float:
    """Seconds that they take by themselves."""
    with torch.no_grad():
        begun = time.perf_counter()
        for a, b in factors:
            torch.matmul(a, b)
        return time.perf_counter() - begun


def time_steps(system: SAME, state: State, rng: np.random.Generator) -> tuple[float, float, int]:
    """Seconds of drawing a pass and of its steps, and how many these are."""
    begun = time.perf_counter()
    episodes = state.episodes.draw(state.split.train, rng)
    drawn = time.perf_counter()
    for episode in episodes:
        system.step(state, episode)
    return drawn - begun, time.perf_counter() - drawn, len(episodes)


def measure(data: str, variant: str, d: int, rounds: int) -> dict[str, Any]:
    """Medians over rounds, in milliseconds a step."""
    system = SAME(SAME.Config(variant=variant, d=d))
    state = system.init(dm.load_dataset(data), 0, 0)
    rng = np.random.default_rng(0)
    factors = products_of(system, state, state.episodes.draw(state.split.train, rng))
    time_steps(system, state, rng)
    rows = []
    for _ in range(rounds):
        drawing, stepping, n = time_steps(system, state, rng)
        rows.append((drawing / n, stepping / n, time_products(factors) / n))
    table = np.array(rows)
    ratio = table[:, :2].sum(axis=1) / table[:, 2]
    draw, step, dense = 1e3 * np.median(table, axis=0)
    return {
        "variant": variant,
        "d": d,
        "draw_ms": draw,
        "step_ms": step,
        "dense_ms": dense,
        "ratio": float(np.median(ratio)),
        "products": len(factors) / n,
    }


def main() -> None:
    """Print a line for each variant and width."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="enzymes")
    parser.add_argument("--variants", nargs="*", default=["isame", "esame", "classical"])
    parser.add_argument("--widths", nargs="*", type=int, default=[256])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for d in arguments.widths:
        for variant in arguments.variants:
            found = measure(arguments.data, variant, d, arguments.rounds)
            if arguments.json:
                print(json.dumps(found))
                continue
            print(
                f"{variant:<10} d {d}: {found['step_ms']:.1f} ms a step + {found['draw_ms']:.1f} "
                f"drawing; its {found['products']:.0f} products alone {found['dense_ms']:.1f} ms; "
                f"{found['ratio']:.2f}x"
            )


if __name__ == "__main__":
    main()
