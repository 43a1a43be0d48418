"""The loop of a black-box search: ask, evaluate, tell; and the same again after a kill."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dglmeta.errors import DataError
from dglmeta.meta.search import Searcher, State
from dglmeta.train.journal import Journal

__all__ = ["run_search"]

Outcome = dict[str, Any]


def run_search(
    searcher: Searcher[State],
    evaluate: Callable[[list[State]], list[Outcome]],
    *,
    batch: int | Callable[[], int],
    rng: np.random.Generator,
    journal: Journal | None = None,
    stop: Callable[[], bool],
    name: Callable[[State], str] = repr,
) -> Iterator[list[tuple[State, Outcome]]]:
    """The rounds of a search: each asks up to ``batch`` states, evaluates them, tells the rewards.

    The rounds of the journal come first. They are asked and told again, but not evaluated, since a
    search is a function of its random numbers and the rewards told. So a search that was killed
    gives the same rounds as one that was not, if equal rounds evaluate to equal outcomes.

    Parameters
    ----------
    searcher : Searcher
        As made; nothing was asked of it yet.
    evaluate : callable
        States -> as many dicts, in that order, of what JSON can say, with at least ``reward`` in
        [0, 1]. It must not draw from ``rng``. What it remembers of earlier rounds it should take
        from the rounds this yields, since it is not called for those of the journal.
    batch : int, or callable
        Most states in a round. A callable is asked before each, those of the journal too, and
        should know nothing but the rounds this yielded.
    rng : Generator
        Seeded as at the first start; the search's own.
    journal : Journal, optional
        Gets a line a round, once it is evaluated and before it is told.
    stop : callable
        Asked before each new round; not before those of the journal.
    name : callable
        A text that tells states apart, and is the same in every process. The journal keeps a hash
        of a round's names.

    Yields
    ------
    round : list of (state, outcome)
        After it was told; the outcomes as the journal, if there is one, gives them back, new or
        not. The last round is the one before ``stop`` says so or nothing is left to ask.

    Raises
    ------
    DataError
        If the journal is of another search, or ``evaluate`` gives another number of outcomes than
        states, or a reward that is none.

    Examples
    --------
    >>> from dglmeta.meta import RandomSearch
    >>> class Digits:
    ...     root = 0
    ...     rollout = staticmethod(lambda state, rng: int(rng.integers(1, 10)))
    >>> evaluate = lambda states: [{"reward": state / 9} for state in states]
    >>> rounds = run_search(RandomSearch(Digits()), evaluate, batch=2,
    ...                     rng=np.random.default_rng(0), stop=lambda: False)
    >>> [state for state, _ in next(rounds)], [state for state, _ in next(rounds)]
    ([8, 6], [5, 3])
    """
    size = batch if callable(batch) else lambda: batch
    for number, entry in enumerate(() if journal is None else journal.entries):
        states = searcher.ask(size(), rng)
        _check_replayed(number, entry, _digest(states, name))
        yield _told(searcher, states, entry["outcomes"])
    while not stop():
        states = searcher.ask(size(), rng)
        if not states:
            return
        outcomes = evaluate(states)
        _check_outcomes(states, outcomes)
        if journal is not None:
            entry = {"asked": _digest(states, name), "outcomes": outcomes}
            outcomes = journal.append(entry)["outcomes"]
        yield _told(searcher, states, outcomes)


def _told(
    searcher: Searcher[State], states: list[State], outcomes: list[Outcome]
) -> list[tuple[State, Outcome]]:
    searcher.tell([outcome["reward"] for outcome in outcomes])
    return list(zip(states, outcomes, strict=True))


def _digest(states: list[State], name: Callable[[State], str]) -> str:
    """A hash of the states' names, in order."""
    names = "\n".join(name(state) for state in states)
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def _check_replayed(number: int, entry: Outcome, asked: str) -> None:
    if entry.get("asked") != asked:
        raise DataError(
            f"run_search: expected to ask in round {number} what the journal has an answer to "
            f"({entry.get('asked')}), got {asked}. Resume with the same code, libraries, seed and "
            f"settings, and with names that are the same in every process; or start anew."
        )


def _check_outcomes(states: list[State], outcomes: list[Outcome]) -> None:
    """Refuse before it is written what could not be told, lest every replay fail on it."""
    if len(outcomes) != len(states):
        raise DataError(
            f"run_search: expected {len(states)} outcomes, one a state, got {len(outcomes)}. "
            f"Return one for each state, in order."
        )
    for state, outcome in zip(states, outcomes, strict=True):
        reward = outcome.get("reward")
        if not isinstance(reward, int | float) or not 0 <= reward <= 1:
            raise DataError(
                f"run_search: expected a reward in [0, 1] for {state!r}, got {reward!r}. "
                f"Give 0 to what could not be evaluated."
            )
