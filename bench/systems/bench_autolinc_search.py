"""Candidate losses that AutoLINC's search gets through, and what each of its parts is worth.

Run ``python -m dglmeta.bench.systems.bench_autolinc_search`` with the data folder in DGLMETA_DATA.
The search of ``dglmeta train autolinc`` without its finals, for the same time: as it is; without
one check; without masks, by a hundred roll-outs; and with other numbers of candidates a round, of
which that of the settings is measured twice, to show how noisy the machine is. All in turn, in one
process, each from the beginning; with ``--repeats`` again with other seeds, and medians of those.

Columns, a second of search: candidates *asked* for and settled, those that entered *training*, and
those trained to their *end* that differ in gradient or formula. Then milliseconds of training that
a trained one costs, and those that an asked one costs without training: finding and checking it.
What a check speeds up by is candidates asked a second with it over those without it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

import dglmeta as dm
from dglmeta.kernels.cpu.pool import set_num_threads
from dglmeta.systems.parts.autolinc.config import CHECKS, ENCODERS, Config
from dglmeta.systems.parts.autolinc.judge import Judge, Tokens
from dglmeta.systems.parts.autolinc.proxy import Draws, Trained
from dglmeta.systems.parts.autolinc.search import _searcher
from dglmeta.systems.parts.autolinc.setup import Problem, pose_draws
from dglmeta.tasks.expression import Expression, canonical
from dglmeta.tasks.expression.checks import gradient_signature
from dglmeta.train import run_search

DRAWS = Config.draws
WHOLE = "all checks"
ROUNDS = (1, 16, 64)
COLUMNS = ("asked", "trained", "ended", "training_ms", "finding_ms")

Found = dict[str, Any]


class TimedDraws(Draws):
    """Knows how long it trained."""

    seconds = 0.0

    def train(
        self, candidates: Sequence[Expression], tenth: Sequence[float] = (), bar: float = -np.inf
    ) -> list[Trained]:
        """As it does, with a clock."""
        begun = time.perf_counter()
        trained = super().train(candidates, tenth, bar)
        self.seconds += time.perf_counter() - begun
        return trained


def variants(config: Config) -> Iterator[tuple[str, Config]]:
    """Names of rows, and the settings of their searches."""
    yield WHOLE, config
    for check in CHECKS:
        others = tuple(name for name in CHECKS if name != check)
        yield f"without {check}", dataclasses.replace(config, checks=others)
    yield "without masks", dataclasses.replace(config, masked=False)
    for n in ROUNDS:
        yield f"rounds of {n}", dataclasses.replace(config, round=n)


def measure(config: Config, problems: Sequence[Problem], seed: int) -> Found:
    """What a search gets through until its budget is spent, and its counters."""
    proxy = TimedDraws(config, problems, seed)
    judge = Judge(config, proxy)
    rng = np.random.default_rng(seed)
    ended: list[Tokens] = []
    for done in run_search(
        _searcher(config), judge.evaluate, batch=lambda: judge.n_next, rng=rng, stop=judge.spent
    ):
        judge.learn(done)
        ended += [tokens for tokens, outcome in done if outcome["why"] == "finished"]
    seconds, counts = judge.seconds, judge.counts
    return {
        "seconds": seconds,
        "asked": counts["asked"] / seconds,
        "trained": counts["trained"] / seconds,
        "ended": count_different(ended) / seconds,
        "training_ms": 1e3 * proxy.seconds / max(counts["trained"], 1),
        "finding_ms": 1e3 * (seconds - proxy.seconds) / counts["asked"],
        "counts": dict(counts),
    }


def count_different(losses: Sequence[Tokens]) -> int:
    """How many differ in gradient; those without a finite one, in formula."""
    expressions = [Expression(tokens) for tokens in losses]
    keys = zip(expressions, gradient_signature(expressions), strict=True)
    return len({gradient or canonical(e).tokens for e, gradient in keys})


def print_row(name: str, repeats: Sequence[Found]) -> None:
    """Medians of a variant."""
    row = [np.median([found[column] for found in repeats]) for column in COLUMNS]
    cells = "".join(f"{value:>13.2f}" for value in row)
    print(f"{name:<22}{cells}", flush=True)


def print_speed_ups(table: dict[str, list[Found]]) -> None:
    """Of checks, each in its repeat: the median."""
    whole = table[WHOLE]
    for check in CHECKS:
        pairs = zip(whole, table[f"without {check}"], strict=True)
        ratio = np.median([found["asked"] / without["asked"] for found, without in pairs])
        print(f"{check}: {ratio:.2f}x")


def main() -> None:
    """Print what the search gets through, its counters, and a row for each variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="cora")
    parser.add_argument("--encoder", choices=ENCODERS, default="gcn")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each search")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--draws", type=int, default=DRAWS, help="of training nodes")
    parser.add_argument("--whole", action="store_true", help="the search with all checks only")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    set_num_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    config = Config(
        encoder=arguments.encoder, time_budget=f"{arguments.seconds}s", draws=arguments.draws
    )
    problems = pose_draws(config, dm.load_dataset(arguments.data), 0, config.draws)
    measure(dataclasses.replace(config, candidates=1), problems, 0)  # kernels are compiled
    searches = [(n, v) for n, v in variants(config) if n == WHOLE or not arguments.whole]
    table: dict[str, list[Found]] = {name: [] for name, _ in searches}
    for seed in range(arguments.repeats):
        for name, variant in searches:
            table[name].append(measure(variant, problems, seed))
            if arguments.json:
                print(json.dumps({"variant": name, "seed": seed, **table[name][-1]}), flush=True)
    if arguments.json:
        return
    whole = table[WHOLE][0]
    print(f"{whole['trained']:.1f} losses entered training a second, of {whole['asked']:.1f} asked")
    print(f"in {whole['seconds']:.1f} s:", *(f"{k} {n}" for k, n in whole["counts"].items()))
    print(f"{'':<22}" + "".join(f"{column:>13}" for column in COLUMNS))
    for name, repeats in table.items():
        print_row(name, repeats)
    if not arguments.whole:
        print("Candidates a second with a check over without it:")
        print_speed_ups(table)


if __name__ == "__main__":
    main()
