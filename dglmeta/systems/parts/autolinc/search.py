"""How AutoLINC finds a loss: rounds of candidates until the budget is spent, then the finals."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dglmeta.data import Dataset, GraphDataset
from dglmeta.errors import DataError
from dglmeta.meta import Evolution, RandomSearch, TreeSearch
from dglmeta.meta.search import Searcher
from dglmeta.systems.parts.autolinc.config import Config
from dglmeta.systems.parts.autolinc.finals import rank_in_full
from dglmeta.systems.parts.autolinc.found import Found
from dglmeta.systems.parts.autolinc.judge import Judge, Tokens
from dglmeta.systems.parts.autolinc.proxy import Draws
from dglmeta.systems.parts.autolinc.setup import pose_draws
from dglmeta.tasks.expression import LossGrammar
from dglmeta.train import Journal, RunFolder, run_search

__all__ = ["search_loss"]

JOURNAL = "search.jsonl"

UNMASKED_ROLLOUTS = 100
"""Of which about one in two hundred is a complete loss."""

LONGER = ("time_budget", "candidates", "finalists", "epochs", "patience")
"""Settings that may change when a search is resumed; once training has begun, the last two."""


def search_loss(
    config: Config,
    ds: Dataset | GraphDataset,
    *,
    seed: int,
    split_seed: int,
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
) -> Found:
    """Search until the budget is spent, then train the best in full.

    Parameters
    ----------
    config : Config
    ds : Dataset
    seed, split_seed : int
    out : path, optional
        Folder of the journal, from which an interrupted search goes on with ``resume``.
    resume : bool
    device : str
        Where candidates train, "cpu" or "cuda".

    Raises
    ------
    ConfigError
        If the search in the folder was begun with other settings.
    DataError
        If no candidate could be trained; as :func:`dglmeta.systems.parts.autolinc.setup.pose`.
    """
    n = config.draws
    own, *others = pose_draws(config, ds, split_seed, 2 * n - 1)
    problems, fresh = [own, *others[: n - 1]], [own, *others[n - 1 :]]
    header = {"data": ds.name, "seed": seed, "split_seed": split_seed, **_bound(config)}
    header |= {"device": device} if device != "cpu" else {}
    journal = _journal(out, header, resume) if out is not None else None
    judge = Judge(config, Draws(config, problems, seed, device))
    rounds = run_search(
        _searcher(config),
        judge.evaluate,
        batch=lambda: judge.n_next,
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
            f"{ds.name}: expected a candidate that can be trained, got none among "
            f"{judge.counts['asked']}. Search longer, with a greater length, or fewer checks."
        )
    ranking = rank_in_full(config, fresh, judge.finalists(), seed, device)
    counts, rises, seconds = dict(judge.counts), judge.rises, judge.seconds
    record = {**ranking[0], "seconds": seconds, "counts": counts, "rises": rises}
    return Found(ranking[0]["loss"], {**record, "finalists": ranking})


def _bound(config: Config) -> dict[str, Any]:
    """The settings that a search depends on."""
    settings = dataclasses.asdict(config)
    return {name: value for name, value in settings.items() if name not in LONGER}


def _journal(out: str | Path, header: Mapping[str, Any], resume: bool) -> Journal:
    """The journal of a search, that of an earlier one, and its training, cleared away."""
    run = RunFolder(out)
    path = run.path / JOURNAL
    training = (run.checkpoint, run.metrics, run.path / "config.toml", run.path / "result.json")
    for earlier in () if resume else (path, *training):
        earlier.unlink(missing_ok=True)
    return Journal(path, header)


def _searcher(config: Config) -> Searcher[Tokens]:
    grammar = LossGrammar(config.length, masked=config.masked)
    if config.searcher == "random":
        return RandomSearch(grammar)
    if config.searcher == "evolution":
        return Evolution(grammar)
    rollouts = 1 if config.masked else UNMASKED_ROLLOUTS
    return TreeSearch(grammar, c=config.exploration, rollouts=rollouts)
