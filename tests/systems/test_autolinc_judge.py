"""What AutoLINC makes of candidates: which it trains, what it gives them, what it remembers."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from dglmeta.errors import ConfigError
from dglmeta.systems.parts.autolinc.config import CHECKS, Config
from dglmeta.systems.parts.autolinc.judge import LEADERS, Judge
from dglmeta.systems.parts.autolinc.proxy import QUARTERS, Trained
from dglmeta.tasks.expression import Expression, parse_expression

COUNTS = np.array([20, 20, 2, 2], np.float32)


class FakeProxy:
    """Remembers what it was to train; rewards are those told for formulas, others 0.5."""

    counts = COUNTS

    def __init__(self, **given):
        self.given, self.asked, self.tenth = given, [], []

    def train(self, candidates, tenth=(), bar=0.0):
        assert candidates
        self.bar = bar
        self.asked.append([c.infix for c in candidates])
        self.tenth.append(list(tenth))
        found = [self.given.get(c.infix, 0.5) for c in candidates]
        return [x if isinstance(x, Trained) else Trained([x / 2, x, x, x]) for x in found]


def tokens(text):
    return parse_expression(text).tokens


def judge_of(given=(), **settings):
    proxy = FakeProxy(**dict(given))
    return Judge(Config(**settings), proxy), proxy


def judged(judge, *texts):
    """A round, learnt from; reasons and rewards."""
    states = [tokens(text) for text in texts]
    outcomes = judge.evaluate(states)
    judge.learn(list(zip(states, outcomes, strict=True)))
    return [(o["why"], o["reward"]) for o in outcomes]


def distinct(k):
    """One of many losses that train differently."""
    return f"(y - n*u)^2 + {k}*(y - u/n)^2"


# Reasons


@pytest.mark.parametrize(
    ("text", "why", "check"),
    [
        ("(y - u)^2", "incomplete", None),
        ("(n - u)^2", "incomplete", None),
        ("n*y", "incomplete", None),
        ("exp(exp(u*n)) + y", "finite", "finite"),
        ("y*n + (u + -u)", "finite", "finite"),
        ("(u + y*n)^2", "separation", "separation"),
        ("u + y*n", "separation", "separation"),
    ],
)
def test_a_candidate_is_refused_for_its_reason_and_trained_without_the_check(text, why, check):
    judge, proxy = judge_of()
    assert judged(judge, text) == [(why, 0.0)]
    assert proxy.asked == []
    assert judge.counts == {"asked": 1, why: 1}
    assert judge.finalists() == judge.rises == []
    others = tuple(name for name in CHECKS if name not in (check, "separation"))
    judge, proxy = judge_of(checks=others)
    expected = ("finished", 0.5) if check else (why, 0.0)
    assert judged(judge, text) == [expected]
    assert len(proxy.asked) == (check is not None)


def test_what_trains_is_rewarded_by_its_training():
    given = {
        "(y - n*u)^2": 0.7,
        "|y - n*u|": Trained([0.4, 0.3], "performance"),
        "tanh(y - n*u)^2": Trained([0.6, 0.2], "monotonicity"),
        "(y - n*u)^4": Trained([0.6], "finite"),
    }
    judge, proxy = judge_of(given)
    assert judged(judge, *given) == [
        ("finished", 0.7), ("performance", 0.4), ("monotonicity", 0.0), ("finite", 0.0),
    ]  # fmt: skip
    assert proxy.asked == [[*given]]
    reasons = dict.fromkeys(("finished", "performance", "monotonicity", "finite"), 1)
    assert judge.counts == {"asked": 4, "trained": 4, **reasons}
    assert [loss.infix for loss in judge.finalists()] == ["(y - n*u)^2"]  # trained to its end


def test_outcomes_are_what_json_can_say():
    judge, _ = judge_of()
    outcomes = judge.evaluate([tokens("(y - n*u)^2"), tokens("u + y*n")])
    assert json.loads(json.dumps(outcomes)) == outcomes
    assert set(outcomes[0]) == {"reward", "why", "curve", "at"}
    assert len(outcomes[0]["curve"]) == QUARTERS
    assert set(outcomes[1]) == {"reward", "why", "at"}


def test_a_round_of_which_nothing_is_trained_is_judged_too():
    judge, proxy = judge_of()
    assert judged(judge, "u + y*n", "u + n") == [("separation", 0.0), ("incomplete", 0.0)]
    assert judged(judge) == []
    assert proxy.asked == []


@pytest.mark.parametrize("wrong", [("add", "u"), ("u", "y"), ("swirl", "u"), ()])
def test_a_malformed_candidate_cannot_come(wrong):
    judge, _ = judge_of()
    with pytest.raises(ConfigError, match="Expression"):
        judge.evaluate([wrong])


# Equal ones

SAME = [
    ("(y - n*u)^2", "(n*u - y)^2"),  # the same formula
    ("(y - n*u)^2", "2*(y - n*u)^2"),  # a multiple
    ("(y - n*u)^2", "(y - n*u)^2 + y*n"),  # the same gradient
    ("(y - n*u)^2", "(y - n*u)^2"),  # itself
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_candidates_are_trained_once_in_a_round_and_afterwards(one, other):
    judge, proxy = judge_of({one: 0.7})
    assert judged(judge, one, "|y - n*u|", other) == [
        ("finished", 0.7), ("finished", 0.5), ("equality", 0.0),
    ]  # fmt: skip
    assert judged(judge, other, one) == [("equality", 0.0), ("equality", 0.0)]
    assert proxy.asked == [[one, "|y - n*u|"]]
    assert judge.counts == {"asked": 5, "trained": 2, "finished": 2, "equality": 3}
    assert len(judge.finalists()) == 2


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_candidates_are_trained_each_where_that_is_not_checked(one, other):
    others = tuple(name for name in CHECKS if name != "equality")
    judge, proxy = judge_of(checks=others)
    expected = [("finished", 0.5)] * 2
    assert judged(judge, one, other) == judged(judge, one, other) == expected
    infix = [parse_expression(text).infix for text in (one, other)]
    assert proxy.asked == [infix, infix]
    assert judge.counts["trained"] == 4


def test_a_third_is_equal_though_it_shares_but_one_key_with_each():
    judge, proxy = judge_of()
    texts = ("(y - n*u)^2", "2*(y - n*u)^2", "(n*u - y)^2*2")
    assert [why for why, _ in judged(judge, *texts)] == ["finished", "equality", "equality"]
    assert proxy.asked == [[texts[0]]]


def test_a_candidate_equal_to_one_that_was_given_up_is_not_trained_again():
    judge, proxy = judge_of({"(y - n*u)^2": Trained([0.6, 0.2], "monotonicity")})
    judged(judge, "(y - n*u)^2")
    assert judged(judge, "(n*u - y)^2") == [("equality", 0.0)]
    assert len(proxy.asked) == 1


def test_other_gradients_are_other_candidates():
    judge, proxy = judge_of()
    assert judged(judge, *map(distinct, (2, 3, 4))) == [("finished", 0.5)] * 3
    assert len(proxy.asked[0]) == 3


# The best


def test_finalists_are_the_best_in_order():
    rewards = {parse_expression(distinct(k)).infix: 0.3 + k % 7 / 20 for k in range(2, 16)}
    judge, _ = judge_of(rewards, finalists=3)
    judged(judge, *rewards)
    worth = {reward: text for text, reward in reversed(rewards.items())}  # the first of equals
    best = [worth[reward] for reward in sorted(worth, reverse=True)[:3]]
    assert [loss.infix for loss in judge.finalists()] == best
    assert all(isinstance(loss, Expression) for loss in judge.finalists())


def test_of_candidates_that_trained_alike_the_first_is_a_finalist():
    texts = [parse_expression(distinct(k)).infix for k in (2, 3, 4)]
    alike = dict.fromkeys(texts[:2], Trained([0.2, 0.7])) | {texts[2]: Trained([0.3, 0.7])}
    judge, _ = judge_of(alike)
    judged(judge, *texts)
    assert [loss.infix for loss in judge.finalists()] == [texts[0], texts[2]]
    others = tuple(name for name in CHECKS if name != "equality")
    unchecked, _ = judge_of(alike, checks=others)
    judged(unchecked, *texts)
    assert len(unchecked.finalists()) == 3


def test_what_has_no_reward_is_no_finalist():
    judge, _ = judge_of({"(y - n*u)^2": Trained([0.5], "finite")})
    judged(judge, "(y - n*u)^2")
    assert judge.counts["trained"] == 1
    assert judge.finalists() == judge.rises == []


def test_the_tenth_best_is_what_others_are_measured_against():
    curves = {parse_expression(distinct(k)).infix: 0.3 + k / 100 for k in range(2, 2 + LEADERS)}
    judge, proxy = judge_of(curves)
    first, *others = curves
    judged(judge, *others)
    judged(judge, first)
    judged(judge, "|y - n*u|")
    tenth = curves[first]
    assert proxy.tenth == [[], [], [tenth / 2, tenth, tenth, tenth]]


def test_rises_are_told_with_their_time_and_their_number():
    given = {parse_expression(distinct(k)).infix: r for k, r in ((2, 0.4), (3, 0.3), (4, 0.6))}
    judge, _ = judge_of(given)
    assert judge.headline == "0 trained"
    judged(judge, *given)
    a, _, c = given
    told = [(r["trained"], r["reward"], r["loss"]) for r in judge.rises]
    assert told == [(1, 0.4, a), (3, 0.6, c)]
    assert 0 <= judge.rises[0]["seconds"] <= judge.seconds
    assert judge.headline == f"3 trained, best 0.6000: {c}"


# Memory and budget


def test_outcomes_of_a_journal_are_remembered_as_new_ones():
    rewards = {parse_expression(distinct(k)).infix: 0.3 + k / 100 for k in range(2, 14)}
    new, proxy = judge_of(rewards)
    states = [tokens(text) for text in rewards]
    done = list(zip(states, new.evaluate(states), strict=True))
    new.learn(done)
    replayed, other = judge_of(rewards)
    replayed.learn([(state, json.loads(json.dumps(outcome))) for state, outcome in done])
    next_round = ["2*((y - n*u)^2 + 5*(y - u/n)^2)", "|y - n*u|", "u + y*n", *rewards]
    before = copy.deepcopy(new.counts), copy.deepcopy(new.rises)
    assert (replayed.counts, replayed.rises) == before
    assert judged(replayed, *next_round) == judged(new, *next_round)
    assert other.tenth[-1] == proxy.tenth[-1] != []
    assert replayed.finalists() == new.finalists()


def test_evaluating_is_not_remembered_before_it_is_learnt():
    judge, proxy = judge_of()
    for _ in range(2):
        judge.evaluate([tokens("(y - n*u)^2")])
    assert len(proxy.asked) == 2
    assert judge.counts == {}


def test_a_budget_of_candidates_counts_those_that_trained():
    judge, _ = judge_of(candidates=2)
    judged(judge, distinct(2), "u + y*n", "2*((y - n*u)^2 + 2*(y - u/n)^2)")
    assert not judge.spent()
    judged(judge, distinct(3))
    assert judge.spent()


def test_the_budget_of_time_counts_what_earlier_processes_took():
    judge, _ = judge_of(time_budget="10m")
    assert judge.seconds < 10
    outcome = {"reward": 0.0, "why": "separation"}
    judge.learn([(tokens("u + y*n"), outcome | {"at": 599.0})])
    assert 599 <= judge.seconds < 610
    assert not judge.spent()
    judge.learn([(tokens("u + y*n"), outcome | {"at": 600.5})])
    assert judge.seconds >= 600.5
    assert judge.spent()
    assert 600.5 <= judge.evaluate([tokens("u + n")])[0]["at"] < 620


def test_whether_the_time_is_spent_is_told_by_the_journal_alone():
    judge, _ = judge_of(time_budget="10m")
    judge._begun -= 1000
    assert not judge.spent()
    judged(judge, distinct(2))
    assert judge.spent()
