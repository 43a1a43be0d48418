"""Tree search against the same algorithm written as recursion over paths."""

import math
import time
from collections import Counter, defaultdict

import numpy as np
import pytest

from dglmeta.errors import ConfigError
from dglmeta.meta import RandomSearch, TreeSearch
from dglmeta.meta.search import PATIENCE


class Oracle:
    """The sequential algorithm: W and Q by state, what is closed found anew at each step."""

    def __init__(self, space, c, rollouts, close):
        self.space, self.c, self.rollouts, self.close = space, c, rollouts, close
        self.visits, self.best = Counter(), defaultdict(float)

    def children(self, state):
        done = self.space.finished(state)
        return [] if done else [self.space.child(state, a) for a in self.space.actions(state)]

    def closed(self, state):
        """Visited, and so is every finished state below."""
        below = all(self.closed(child) for child in self.children(state))
        return self.close and self.visits[state] > 0 and below

    def visit(self, state, reward, rng):
        """One visit at or below the state; returns what was evaluated and the greatest reward."""
        children = self.children(state)
        new = [child for child in children if not self.visits[child]]
        if not children or (state != self.space.root and not self.visits[state]):
            found = self.evaluate(state, rng)
            value = max([reward(s) for s in found], default=0.0)
        else:
            into = new[rng.integers(len(new))] if new else self.select(state, children)
            found, value = self.visit(into, reward, rng)
        self.visits[state] += 1
        self.best[state] = max(self.best[state], value)
        return found, value

    def select(self, state, children):
        """The child of the greatest UCT, the one expanded first among equals."""
        by_age = sorted(children, key=self.age.__getitem__)
        open_ones = [child for child in by_age if not self.closed(child)]
        log = math.log(self.visits[state])
        return max(open_ones, key=lambda s: self.best[s] + self.c * math.sqrt(log / self.visits[s]))

    def evaluate(self, state, rng):
        self.age[state] = self.age.get(state, len(self.age))
        if self.space.finished(state):
            return [state]
        reached = [self.space.rollout(state, rng) for _ in range(self.rollouts)]
        return list(dict.fromkeys(s for s in reached if s is not None))

    def run(self, n_visits, reward, rng):
        """All that is evaluated, in order."""
        self.age, evaluated = {}, []
        for _ in range(n_visits):
            if self.closed(self.space.root):
                break
            evaluated += self.visit(self.space.root, reward, rng)[0]
        return evaluated


def run(search, reward, rng, *, batch=1, limit=10**9):
    """All that is asked, in order."""
    asked = []
    while len(asked) < limit and (states := search.ask(batch, rng)):
        search.tell([reward(state) for state in states])
        asked += states
    return asked


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("c", "rollouts", "close"),
    [(1 / math.sqrt(2), 1, True), (0.1, 4, True), (2.0, 3, False), (0.3, 1, False)],
)
def test_asking_one_by_one_is_the_sequential_algorithm(words, seed, strict, c, rollouts, close):
    space = words(4, strict=strict)
    expected = Oracle(space, c, rollouts, close).run(150, space.reward, np.random.default_rng(seed))
    search = TreeSearch(space, c=c, rollouts=rollouts, close=close)
    asked = run(search, space.reward, np.random.default_rng(seed), limit=len(expected))
    assert len(expected) > 20
    assert asked == expected


@pytest.mark.parametrize("batch", [1, 7, 64])
@pytest.mark.parametrize("strict", [False, True])
def test_a_small_space_is_enumerated_and_then_nothing_is_asked(words, batch, strict):
    space = words(4, strict=strict)
    search, rng = TreeSearch(space), np.random.default_rng(0)
    asked = run(search, space.reward, rng, batch=batch)
    n_words = sum(3**k for k in range(4 if strict else 5))
    assert len(set(asked)) == n_words
    assert search.ask(5, rng) == []


def test_a_subtree_is_closed_by_a_visit_that_is_not_told_yet(words):
    search, rng = TreeSearch(words(0)), np.random.default_rng(0)
    assert search.ask(5, rng) == ["."]
    assert search.ask(5, rng) == []
    search.tell([1.0])


def test_without_closing_finished_states_are_asked_again(words):
    search, rng = TreeSearch(words(1), close=False), np.random.default_rng(0)
    asked = run(search, lambda state: 0.5, rng, batch=4, limit=100)
    assert len(asked) == 100
    assert Counter(asked).keys() == {".", "a.", "b.", "c."}


class Arms:
    """Each of the letters a to d leads to a thousand finished states."""

    root = ()

    def actions(self, state):
        return "abcd" if not state else range(1000)

    def child(self, state, action):
        return (*state, action)

    def finished(self, state):
        return len(state) == 2

    def rollout(self, state, rng):
        return (*state, int(rng.integers(1000)))


def test_the_visits_of_one_ask_spread_over_equal_arms():
    search, rng = TreeSearch(Arms()), np.random.default_rng(0)
    search.ask(4, rng)
    search.tell([0.5] * 4)
    asked = search.ask(40, rng)
    assert Counter(arm for arm, _ in asked) == dict.fromkeys("abcd", 10)


def test_visits_count_when_asked_and_rewards_when_told():
    search, rng = TreeSearch(Arms(), c=0.0), np.random.default_rng(0)
    first = search.ask(4, rng)
    search.tell([float(arm == "c") for arm, _ in first])
    assert {arm for arm, _ in search.ask(20, rng)} == {"c"}
    search.tell([0.0] * 20)
    assert {arm for arm, _ in search.ask(20, rng)} == {"c"}  # the greatest reward, not the mean


def test_the_rollouts_of_a_visit_may_span_asks_and_are_told_one_by_one():
    whole, parts = (TreeSearch(Arms(), rollouts=5) for _ in range(2))
    reward = {"a": 0.1, "b": 0.9, "c": 0.4, "d": 0.2}
    by_five = run(whole, lambda s: reward[s[0]], np.random.default_rng(1), batch=5, limit=60)
    by_one = run(parts, lambda s: reward[s[0]], np.random.default_rng(1), batch=1, limit=60)
    assert by_one[:20] == by_five[:20]
    assert Counter(s[0] for s in by_one[20:]).most_common(1)[0][0] == "b"


def test_it_finds_the_best_sooner_than_random_search(words):
    space = words()

    def first_found(search, seed):
        asked = run(search, space.reward, np.random.default_rng(seed), batch=8, limit=1500)
        return asked.index(space.best + ".") if space.best + "." in asked else 1500

    tree = np.mean([first_found(TreeSearch(space, c=0.1), seed) for seed in range(20)])
    random = np.mean([first_found(RandomSearch(space), seed) for seed in range(20)])
    assert tree < random / 2


def test_asking_where_every_visit_fails_ends(words):
    space = words(3, strict=True)
    space.root = "abc"
    assert TreeSearch(space).ask(1, np.random.default_rng(0)) == []
    visits = TreeSearch(space, close=False)
    assert visits.ask(1, np.random.default_rng(0)) == []
    assert visits._root.visits == PATIENCE


def test_an_ask_takes_well_under_a_millisecond(words):
    search, rng = TreeSearch(words(10)), np.random.default_rng(0)
    begun = time.process_time()
    for _ in range(5000):
        search.tell([0.5] * len(search.ask(1, rng)))
    assert time.process_time() - begun < 2.5


@pytest.mark.parametrize("setting", [{"c": -1}, {"c": math.inf}, {"c": math.nan}, {"rollouts": 0}])
def test_settings_that_cannot_be_are_refused(words, setting):
    with pytest.raises(ConfigError, match=f"expected .*{next(iter(setting))}"):
        TreeSearch(words(), **setting)
