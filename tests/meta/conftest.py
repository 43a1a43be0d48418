"""A space small enough to enumerate, with a known best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

END = "."


class Words:
    """Words over a, b, c of at most ``length`` letters, ended by a full stop.

    Where ``strict``, a word of full length can no longer be ended: a dead end.
    """

    root = ""
    best = "cabbac"

    def __init__(self, length: int = 6, *, strict: bool = False) -> None:
        self.length, self.strict = length, strict

    def actions(self, state: str) -> str:
        if len(state) < self.length:
            return "abc" + END
        return "" if self.strict else END

    def child(self, state: str, action: str) -> str:
        return state + action

    def finished(self, state: str) -> bool:
        return state.endswith(END)

    def rollout(self, state: str, rng: np.random.Generator) -> str | None:
        while not self.finished(state):
            actions = self.actions(state)
            if not actions:
                return None
            state += actions[rng.integers(len(actions))]
        return state

    def mutate(self, state: str, rng: np.random.Generator) -> str:
        """Another letter in one place, or a letter more or less at the end."""
        word = state[:-1]
        place = int(rng.integers(self.length + 1))
        if place > len(word):
            return word[:-1] + END
        return (word[:place] + "abc"[rng.integers(3)] + word[place + 1 :])[: self.length] + END

    def reward(self, state: str) -> float:
        """Share of the letters that are those of ``best``; 1 for ``best`` alone."""
        word = state[:-1]
        equal = sum(x == y for x, y in zip(word, self.best, strict=False))
        return max(0.0, equal - 0.5 * abs(len(word) - len(self.best))) / len(self.best)


@pytest.fixture
def words() -> Callable[..., Words]:
    """Makes the space."""
    return Words
