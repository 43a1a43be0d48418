"""Black-box search by asking and telling: what a space and a searcher are, and the plainest one.

A space is a tree of states: from the root, actions lead to children, until a state is finished and
can be given a reward. A searcher proposes finished states and is told their rewards, many at once
if the caller can evaluate many together. Nothing here knows what the states stand for.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from dglmeta.errors import ConfigError, DataError

__all__ = ["PATIENCE", "Leaders", "RandomSearch", "Searcher", "Space", "check_rewards", "roll_out"]

PATIENCE = 10_000
"""Attempts in a row that reach no finished state, after which ``ask`` returns what it has."""

State = TypeVar("State", bound=Hashable)


class Space(Protocol[State]):
    """A tree of states. A state is never changed; equal states mean the same."""

    @property
    def root(self) -> State:
        """Where every search begins."""
        ...

    def actions(self, state: State, /) -> Sequence[Hashable]:
        """What may be done in an unfinished state; none where it is a dead end."""
        ...

    def child(self, state: State, action: Any, /) -> State:
        """The state that one of the ``actions`` leads to."""
        ...

    def finished(self, state: State, /) -> bool:
        """Whether the state can be given a reward; it then has no children."""
        ...

    def rollout(self, state: State, rng: np.random.Generator, /) -> State | None:
        """A random finished state below this one; None where the attempt ran into a dead end."""
        ...

    def mutate(self, state: State, rng: np.random.Generator, /) -> State:
        """A finished state near a finished one."""
        ...


class Searcher(Protocol[State]):
    """Proposes finished states to evaluate, and learns from their rewards.

    What it asks is a function of the space, its settings, the random numbers drawn from ``rng``
    and the rewards told so far, and of nothing else.
    """

    def ask(self, n: int, rng: np.random.Generator, /) -> list[State]:
        """At most ``n`` finished states to evaluate; none where nothing is left to ask.

        A state may come again. It may be asked before earlier ones were told.
        """
        ...

    def tell(self, rewards: Sequence[float], /) -> None:
        """The rewards, in [0, 1], of all states asked and not told yet, in the order asked."""
        ...


class RandomSearch(Generic[State]):
    """Rollouts from the root: the search that learns nothing, to compare others with.

    Parameters
    ----------
    space : Space

    Notes
    -----
    It does not notice that a small space is exhausted; states come again. ``ask`` costs a rollout a
    state, and gives fewer than ``n`` only after ``PATIENCE`` rollouts in a row reached none.
    """

    def __init__(self, space: Space[State]) -> None:
        self.space = space
        self._n_asked = 0

    def ask(self, n: int, rng: np.random.Generator) -> list[State]:
        """``n`` rollouts from the root."""
        states = roll_out(self.space, n, rng)
        self._n_asked += len(states)
        return states

    def tell(self, rewards: Sequence[float]) -> None:
        """Nothing is learnt.

        Raises
        ------
        DataError
            If there are not as many rewards as states asked, or one is not in [0, 1].
        """
        check_rewards("RandomSearch.tell", rewards, self._n_asked)
        self._n_asked = 0


class Leaders:
    """The ``k`` best of what is offered, each key once, the best first; ties by first come.

    Parameters
    ----------
    k : int
        How many to keep, >= 1.

    Raises
    ------
    ConfigError
        If ``k`` is less than 1.

    Notes
    -----
    A key that comes again counts with the greatest of its rewards. Cost O(k) an
    offer that may change something, else O(1).

    Examples
    --------
    >>> leaders = Leaders(2)
    >>> [leaders.offer(*x) for x in [("a", 0.5), ("b", 0.7), ("c", 0.5), ("b", 0.7), ("d", 0.6)]]
    [True, True, False, False, True]
    >>> leaders.best()
    [('b', 0.7), ('d', 0.6)]
    >>> leaders.bar
    0.6
    """

    def __init__(self, k: int) -> None:
        if k < 1:
            raise ConfigError(f"Leaders: expected k >= 1, got {k}. Keep at least one.")
        self.k = k
        self._entries: list[tuple[Any, float]] = []

    def offer(self, key: Hashable, reward: float) -> bool:
        """Keep it if it is among the best; returns whether anything changed."""
        if not reward > self.bar:
            return False
        known = next((e for e in self._entries if e[0] == key), None)
        if known is None:
            del self._entries[self.k - 1 :]
        elif reward > known[1]:
            self._entries.remove(known)
        else:
            return False
        insort(self._entries, (key, reward), key=lambda entry: -entry[1])
        return True

    def best(self, n: int | None = None) -> list[tuple[Any, float]]:
        """The ``n`` best (key, reward); all that are kept where ``n`` is None."""
        return self._entries[:n]

    @property
    def bar(self) -> float:
        """The reward a new key must exceed: the ``k``-th best; -inf while there are fewer."""
        return self._entries[-1][1] if len(self._entries) == self.k else float("-inf")


def roll_out(space: Space[State], n: int, rng: np.random.Generator) -> list[State]:
    """``n`` finished states by rollouts from the root, fewer where ``PATIENCE`` runs out."""
    states: list[State] = []
    failed = 0
    while len(states) < n and failed < PATIENCE:
        state = space.rollout(space.root, rng)
        if state is None:
            failed += 1
        else:
            failed = 0
            states.append(state)
    return states


def check_rewards(where: str, rewards: Iterable[float], n_asked: int) -> None:
    """Refuse rewards that cannot be those of the states asked.

    Raises
    ------
    DataError
        If their number differs, or one is not in [0, 1].
    """
    told = list(rewards)
    if len(told) != n_asked:
        raise DataError(
            f"{where}: expected {n_asked} rewards, one for each state asked, got {len(told)}. "
            f"Tell the rewards of all that was asked, in that order."
        )
    wrong = next((r for r in told if not 0 <= r <= 1), None)
    if wrong is not None:
        raise DataError(
            f"{where}: expected rewards in [0, 1], got {wrong}. "
            f"Scale them, and give 0 to what could not be evaluated."
        )
