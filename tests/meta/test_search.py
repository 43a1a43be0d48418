"""Random search, the check of rewards, and the list of the best."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.errors import ConfigError, DataError
from dglmeta.meta import Evolution, Leaders, RandomSearch, TreeSearch
from dglmeta.meta.search import PATIENCE

SEARCHERS = [RandomSearch, TreeSearch, Evolution]


def test_random_search_is_rollouts_from_the_root(words):
    asked = RandomSearch(words()).ask(50, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    assert asked == [words().rollout("", rng) for _ in range(50)]


def test_random_search_passes_over_dead_ends(words):
    asked = RandomSearch(words(2, strict=True)).ask(200, np.random.default_rng(0))
    assert len(asked) == 200
    assert set(asked) == {".", "a.", "b.", "c."}


class Barren:
    """A space whose rollouts reach nothing, and which never ends."""

    root = 0
    n_rollouts = 0

    def actions(self, state):
        return ["on"]

    def child(self, state, action):
        return state + 1

    def finished(self, state):
        return False

    def rollout(self, state, rng):
        self.n_rollouts += 1

    def mutate(self, state, rng):
        raise AssertionError("nothing to mutate")


@pytest.mark.parametrize("searcher", [RandomSearch, Evolution])
def test_asking_a_space_without_finished_states_ends(searcher):
    space = Barren()
    assert searcher(space).ask(5, np.random.default_rng(0)) == []
    assert space.n_rollouts == PATIENCE


@pytest.mark.parametrize("searcher", SEARCHERS)
@pytest.mark.parametrize("rewards", [[0.5], [0.5] * 3, [0.5, 1.01], [-0.1, 0], [0, float("nan")]])
def test_rewards_that_cannot_be_are_refused_and_good_ones_may_follow(words, searcher, rewards):
    search = searcher(words())
    assert len(search.ask(2, np.random.default_rng(0))) == 2
    with pytest.raises(DataError, match=rf"{searcher.__name__}\.tell: expected"):
        search.tell(rewards)
    search.tell([0, 1])
    with pytest.raises(DataError, match="expected 0 rewards"):
        search.tell([0.5])


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_states_may_be_asked_before_the_earlier_ones_were_told(words, searcher):
    search, rng = searcher(words()), np.random.default_rng(0)
    assert len(search.ask(3, rng) + search.ask(4, rng)) == 7
    search.tell([0.5] * 7)


@given(st.integers(1, 6), st.lists(st.tuples(st.integers(0, 7), st.sampled_from([0, 0.25, 0.5]))))
def test_leaders_are_the_head_of_a_stable_sort(k, offers):
    leaders, greatest = Leaders(k), {}
    for key, reward in offers:
        before = leaders.best()
        assert leaders.offer(key, reward) == (leaders.best() != before)
        if key not in greatest or reward > greatest[key]:
            greatest.pop(key, None)
            greatest[key] = reward
    expected = sorted(greatest.items(), key=lambda entry: -entry[1])[:k]
    assert leaders.best() == expected
    assert leaders.best(2) == expected[:2]
    assert leaders.bar == (expected[-1][1] if len(expected) == k else float("-inf"))


def test_leaders_keep_no_nan_and_at_least_one():
    assert not Leaders(2).offer("a", float("nan"))
    with pytest.raises(ConfigError, match="k >= 1, got 0"):
        Leaders(0)
