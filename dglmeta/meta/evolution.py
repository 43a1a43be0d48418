"""Evolution in which every candidate dies of age, however good it is.

Source: Real, Aggarwal, Huang and Le, arXiv 1802.01548, Algorithm 1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic

import numpy as np

from dglmeta.errors import ConfigError
from dglmeta.meta.search import Space, State, check_rewards, roll_out

__all__ = ["Evolution"]


class Evolution(Generic[State]):
    """Regularised evolution: mutate the best of a random sample; the oldest member leaves.

    The first ``population`` states are rollouts from the root. Each later one is a mutation of the
    best of ``sample`` members, drawn with replacement, and takes the place of the oldest.

    Parameters
    ----------
    space : Space
    population : int
        Members kept, >= 1; 100 in the paper.
    sample : int
        Members a parent is the best of, >= 1; 25 in the paper. 1 is no selection at all.

    Raises
    ------
    ConfigError
        If ``population`` or ``sample`` is less than 1.

    Notes
    -----
    States of one ``ask`` have their parents among the members told before it; with n = 1 this is
    the paper's algorithm. While no member was told at all, rollouts take the place of mutations.
    An ask costs ``sample`` look-ups and a mutation a state.

    References
    ----------
    arXiv 1802.01548, Algorithm 1.
    """

    def __init__(self, space: Space[State], *, population: int = 100, sample: int = 25) -> None:
        for name, value in (("population", population), ("sample", sample)):
            if value < 1:
                raise ConfigError(f"Evolution: expected {name} >= 1, got {value}. 25 is usual.")
        self.space, self.population, self.sample = space, population, sample
        self._members: deque[tuple[State, float]] = deque(maxlen=population)
        self._asked: list[State] = []
        self._n_born = 0

    def ask(self, n: int, rng: np.random.Generator) -> list[State]:
        """``n`` states; fewer only where ``PATIENCE`` rollouts in a row reached none."""
        n_random = min(n, max(self.population - self._n_born, 0)) if self._members else n
        states = roll_out(self.space, n_random, rng)
        if self._members:
            states += [self._offspring(rng) for _ in range(n - n_random)]
        self._n_born += len(states)
        self._asked += states
        return states

    def tell(self, rewards: Sequence[float]) -> None:
        """Let what was asked join the population.

        Raises
        ------
        DataError
            If there are not as many rewards as states asked, or one is not in [0, 1].
        """
        check_rewards("Evolution.tell", rewards, len(self._asked))
        self._members.extend(zip(self._asked, rewards, strict=True))
        self._asked = []

    def _offspring(self, rng: np.random.Generator) -> State:
        drawn = rng.integers(len(self._members), size=self.sample)
        parent, _ = max((self._members[i] for i in drawn), key=lambda member: member[1])
        return self.space.mutate(parent, rng)
