"""How AutoLINC finds a loss: rounds of candidates until the budget is spent, then the finals."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dglmeta.errors import ConfigError, DataError
from dglmeta.meta import Evolution, RandomSearch, TreeSearch
from dglmeta.meta.search import Searcher
from dglmeta.systems.autolinc_config import Config
from dglmeta.systems.autolinc_finals import rank_in_full
from dglmeta.systems.autolinc_judge import Judge, Tokens
from dglmeta.systems.autolinc_proxy import Proxy
from dglmeta.systems.autolinc_setup import Problem
from dglmeta.tasks.expression_grammar import LossGrammar
from dglmeta.train import Journal, RunFolder, run_search

__all__ = ["Found", "found_in", "search_loss"]

JOURNAL = "search.jsonl"

UNMASKED_ROLLOUTS = 100
"""Of which about one in two hundred is a complete loss."""

BORROWED = "found:"
"""What a loss begins with that an earlier run found; its folder follows."""

LONGER = ("time_budget", "candidates", "finalists", "epochs", "patience")
"""Settings that may change when a search is resumed."""


@dataclass(frozen=True)
class Found:
    """A loss, and how it was found."""

    loss: str
    """Infix."""
    record: Mapping[str, Any]
    """For result.json."""

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Found | None:
        """What a finished run found; None if it did not search."""
        found = record.get("found")
        return None if found is None else cls(found["loss"], found)


def found_in(loss: str) -> Found | None:
    """What the run in the folder after "found:" found; None of other losses.

    Raises
    ------
    ConfigError
        If that run did not search.
    DataError
        If there is no finished run.
    """
    if not loss.startswith(BORROWED):
        return None
    folder = loss.removeprefix(BORROWED)
    found = Found.of_record(RunFolder(folder, write=False).read_result())
    if found is None:
        raise ConfigError(
            f"autolinc: expected a run in {folder} that searched for its loss, got one that was "
            f"given it. Give what `dglmeta train autolinc --loss search --out` wrote."
        )
    return Found(found.loss, {**found.record, "from": folder})


def search_loss(
    config: Config,
    problem: Problem,
    data: str,
    *,
    seed: int,
    split_seed: int,
    out: str | Path | None = None,
    resume: bool = False,
) -> Found:
    """Search until the budget is spent, then train the best in full.

    Parameters
    ----------
    config : Config
    problem : Problem
    data : str
        Its name, for the journal.
    seed, split_seed : int
    out : path, optional
        Folder of the journal, from which an interrupted search goes on with ``resume``.
    resume : bool

    Raises
    ------
    ConfigError
        If the search in the folder was begun with other settings.
    DataError
        If no candidate could be trained.
    """
    header = {"data": data, "seed": seed, "split_seed": split_seed, **_bound(config)}
    journal = _journal(out, header, resume) if out is not None else None
    judge = Judge(config, Proxy(config, problem, seed))
    rounds = run_search(
        _searcher(config),
        judge.evaluate,
        batch=config.round,
        rng=np.random.default_rng(seed),
        journal=journal,
        stop=judge.spent,
        name=" ".join,
    )
    form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    with tqdm(total=config.seconds, desc="search", bar_format=form, disable=None) as bar:
        for done in rounds:
            judge.learn(done)
            bar.n = min(judge.seconds, config.seconds)
            bar.set_postfix_str(judge.headline)
    if not judge.finalists():
        raise DataError(
            f"{data}: expected a candidate that can be trained, got none among "
            f"{judge.counts['asked']}. Search longer, or with fewer checks."
        )
    ranking = rank_in_full(config, problem, judge.finalists(), seed)
    counts, rises, seconds = dict(judge.counts), judge.rises, judge.seconds
    record = {**ranking[0], "seconds": seconds, "counts": counts, "rises": rises}
    return Found(ranking[0]["loss"], {**record, "finalists": ranking})


def _bound(config: Config) -> dict[str, Any]:
    """The settings that a search depends on."""
    settings = dataclasses.asdict(config)
    return {name: value for name, value in settings.items() if name not in LONGER}


def _journal(out: str | Path, header: Mapping[str, Any], resume: bool) -> Journal:
    path = RunFolder(out).path / JOURNAL
    if not resume:
        path.unlink(missing_ok=True)
    return Journal(path, header)


def _searcher(config: Config) -> Searcher[Tokens]:
    grammar = LossGrammar(config.length, masked=config.masked)
    if config.searcher == "random":
        return RandomSearch(grammar)
    if config.searcher == "evolution":
        return Evolution(grammar)
    rollouts = 1 if config.masked else UNMASKED_ROLLOUTS
    return TreeSearch(grammar, c=config.exploration, rollouts=rollouts)
