"""Regularised evolution against a plain list of members."""

import numpy as np
import pytest

from dglmeta.errors import ConfigError
from dglmeta.meta import Evolution, RandomSearch


def plainly(space, population, sample, n, rng):
    """Algorithm 1 of arXiv 1802.01548, one candidate at a time."""
    members, history = [], []
    for i in range(n):
        if i < population:
            state = space.rollout(space.root, rng)
        else:
            drawn = [members[j] for j in rng.integers(population, size=sample)]
            greatest = max(space.reward(s) for s in drawn)
            parent = next(s for s in drawn if space.reward(s) == greatest)
            state = space.mutate(parent, rng)
        history.append(state)
        members = [*members, state][-population:]
    return history


def run(search, reward, rng, *, batch, n):
    asked = []
    while len(asked) < n:
        states = search.ask(min(batch, n - len(asked)), rng)
        search.tell([reward(state) for state in states])
        asked += states
    return asked


@pytest.mark.parametrize(("population", "sample"), [(10, 3), (4, 9), (1, 1)])
def test_asking_one_by_one_is_the_published_algorithm(words, population, sample):
    space = words()
    expected = plainly(space, population, sample, 120, np.random.default_rng(5))
    search = Evolution(space, population=population, sample=sample)
    asked = run(search, space.reward, np.random.default_rng(5), batch=1, n=120)
    assert asked == expected


class Counted:
    """Rollouts give (0, i), mutations (1 + age of the parent, i)."""

    root = None

    def __init__(self):
        self.n = 0

    def rollout(self, state, rng):
        self.n += 1
        return (0, self.n)

    def mutate(self, state, rng):
        self.n += 1
        return (1 + state[0], self.n)


def test_a_batch_is_rollouts_until_the_population_is_full_and_then_mutations():
    search, rng = Evolution(Counted(), population=10, sample=2), np.random.default_rng(0)
    first = search.ask(7, rng)
    search.tell([0.5] * 7)
    second = search.ask(7, rng)
    assert [generation for generation, _ in first + second] == [0] * 10 + [1] * 4


def test_without_any_told_member_there_is_nothing_to_mutate():
    search, rng = Evolution(Counted(), population=3), np.random.default_rng(0)
    assert [generation for generation, _ in search.ask(5, rng)] == [0] * 5


def test_the_best_dies_of_age():
    search, rng = Evolution(Counted(), population=5, sample=50), np.random.default_rng(0)
    asked = run(search, lambda state: float(state == (0, 5)), rng, batch=1, n=30)
    assert [generation for generation, _ in asked[5:10]] == [1] * 5
    assert min(generation for generation, _ in asked[10:]) > 1


def test_it_finds_more_than_random_search(words):
    space = words(6)

    def mean_reward(search, seed):
        asked = run(search, space.reward, np.random.default_rng(seed), batch=8, n=400)
        return np.mean([space.reward(state) for state in asked[-100:]])

    evolved = [mean_reward(Evolution(space, population=30, sample=8), seed) for seed in range(5)]
    random = [mean_reward(RandomSearch(space), seed) for seed in range(5)]
    assert min(evolved) > max(random) + 0.3


@pytest.mark.parametrize("setting", ["population", "sample"])
def test_settings_that_cannot_be_are_refused(words, setting):
    with pytest.raises(ConfigError, match=f"{setting} >= 1, got 0"):
        Evolution(words(), **{setting: 0})
