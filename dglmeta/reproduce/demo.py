"""Does auxiliary learning help where it should, and only there? A table in a few minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dglmeta.data import load_dataset, one_graph
from dglmeta.systems import SELAR
from dglmeta.train import config_from_dict, packaged_config

__all__ = ["DemoTable", "run_demo"]

STRATEGIES = {"vanilla": "vanilla", "with meta-paths": "multi-task", "SELAR": "selar"}
GRAPHS = {"planted": {}, "planted, path shuffled": {"shuffle_path": True}}


@dataclass(frozen=True)
class DemoTable:
    """Test AUC of every strategy on every graph.

    Parameters
    ----------
    auc : dict of graph to dict of strategy to list of float
        One value a seed.
    """

    auc: dict[str, dict[str, list[float]]]

    def __str__(self) -> str:
        header = f"{'test AUC, mean ± spread':<28}" + "".join(f"{name:>20}" for name in STRATEGIES)
        lines = [header, "-" * len(header)]
        for graph, by_strategy in self.auc.items():
            cells = (f"{np.mean(v):.4f} ± {_spread(v):.4f}" for v in by_strategy.values())
            lines.append(f"{graph:<28}" + "".join(f"{cell:>20}" for cell in cells))
        for graph in self.auc:
            lines += ["", f"{graph}:"]
            lines += [f"  {name} {self._verdict(graph, name)}" for name in list(STRATEGIES)[1:]]
        return "\n".join(lines)

    def gain(self, graph: str, strategy: str) -> float:
        """Mean AUC over that of vanilla."""
        by_strategy = self.auc[graph]
        return float(np.mean(by_strategy[strategy]) - np.mean(by_strategy["vanilla"]))

    def wins(self, graph: str, strategy: str) -> bool:
        """Whether the gain over vanilla is larger than the spread over seeds of either."""
        by_strategy = self.auc[graph]
        spread = max(_spread(by_strategy[strategy]), _spread(by_strategy["vanilla"]))
        return self.gain(graph, strategy) > spread

    def _verdict(self, graph: str, strategy: str) -> str:
        gain = self.gain(graph, strategy)
        word = "more than" if self.wins(graph, strategy) else "not more than"
        return f"{gain:+.4f} over vanilla, {word} the spread over seeds"


def run_demo(seeds: int = 3, say: Callable[[str], None] = lambda _line: None) -> DemoTable:
    """Train three strategies on a planted graph and on its negative control.

    In ``planted`` the links to predict follow a meta-path, so predicting that meta-path must help.
    In the control the path's links are shuffled, so it must not.

    Parameters
    ----------
    seeds : int
        Seeds of initialisation and draws, >= 1.
    say : callable
        Told what is running, a line at a time.
    """
    auc: dict[str, dict[str, list[float]]] = {}
    for graph, options in GRAPHS.items():
        ds = one_graph(load_dataset("planted", **options))
        auc[graph] = {name: [] for name in STRATEGIES}
        for name, strategy in STRATEGIES.items():
            settings = packaged_config("selar", "planted", strategy)
            config = config_from_dict(SELAR.Config, {**settings, "strategy": strategy})
            for seed in range(seeds):
                value = SELAR(config).fit(ds, seed=seed).metrics["test_auc"]
                auc[graph][name].append(value)
                say(f"{graph}, {name}, seed {seed}: test AUC {value:.4f}")
    return DemoTable(auc)


def _spread(values: list[float]) -> float:
    """Sample standard deviation; 0 for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
