"""The grammar counts, draws and changes losses as it says."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import product

import numpy as np
import pytest
from scipy.stats import chisquare

from dglmeta.errors import ConfigError
from dglmeta.tasks.expression import OPERATORS, TERMINALS, Expression
from dglmeta.tasks.expression.grammar import PRODUCTIONS, LossGrammar


def complete(tokens):
    """Whether tokens are one tree, told slowly."""
    n_open = 1
    for token in tokens:
        if n_open == 0:
            return False
        n_open += OPERATORS.get(token, 0) - 1
    return n_open == 0


def all_losses(max_length, needed):
    return {
        tokens
        for length in range(1, max_length + 1)
        for tokens in product(PRODUCTIONS, repeat=length)
        if complete(tokens) and {*needed} <= {*tokens}
    }


@pytest.mark.parametrize(("max_length", "needed"), [(4, ()), (4, ("u", "y")), (5, TERMINALS)])
def test_counts_are_those_of_a_list_of_all(max_length, needed):
    grammar = LossGrammar(max_length, needed)
    losses = all_losses(max_length, needed)
    assert grammar.count(grammar.root) == len(losses)
    begun = Counter(tokens[:k] for tokens in losses for k in range(len(tokens) + 1))
    for state, n in begun.items():
        assert grammar.count(state) == n
        assert set(grammar.actions(state)) == {s[-1] for s in begun if s[:-1] == state and s != ()}


def test_counts_of_the_published_grammar():
    assert LossGrammar(terminals_needed=()).count(()) == 3_071_984_445
    assert LossGrammar().count(()) == 279_898_512


def test_unmasked_rollouts_complete_and_are_legal_as_seldom_as_is_told():
    grammar, rng = LossGrammar(masked=False), np.random.default_rng(0)
    n = 40_000
    states = [grammar.rollout(grammar.root, rng) for _ in range(n)]
    finished = [state for state in states if state is not None]
    assert all(map(complete, finished))
    for share, told in (
        (len(finished) / n, 0.736),
        (sum(map(grammar.legal, finished)) / n, 0.0059),
    ):
        assert abs(share - told) < 4 * np.sqrt(told * (1 - told) / n)


@pytest.mark.parametrize("weighted", [False, True])
def test_masked_rollouts_are_legal_from_anywhere(weighted):
    grammar, rng = LossGrammar(max_length=9, weighted=weighted), np.random.default_rng(0)
    for _ in range(300):
        state = grammar.root
        for _ in range(int(rng.integers(6))):
            if grammar.finished(state):
                break
            actions = grammar.actions(state)
            state = grammar.child(state, actions[rng.integers(len(actions))])
        loss = grammar.rollout(state, rng)
        assert loss[: len(state)] == state
        assert grammar.finished(loss)
        assert {*TERMINALS} <= {*loss}
        assert Expression(loss).length <= 9


def test_a_rollout_takes_each_action_that_it_may_equally_often():
    grammar, rng = LossGrammar(max_length=7), np.random.default_rng(0)
    firsts = Counter(grammar.rollout((), rng)[0] for _ in range(4000))
    assert set(firsts) == {*OPERATORS}
    assert chisquare([*firsts.values()]).pvalue > 1e-3


def test_weighted_rollouts_are_uniform_over_losses():
    grammar, rng = LossGrammar(max_length=6, weighted=True), np.random.default_rng(0)
    n = grammar.count(())
    drawn = Counter(grammar.rollout((), rng) for _ in range(12 * n))
    assert len(drawn) == n
    assert chisquare([*drawn.values()]).pvalue > 1e-3


def test_what_cannot_be_finished_gives_nothing():
    grammar, rng = LossGrammar(max_length=4, masked=False, terminals_needed=()), None
    rng = np.random.default_rng(0)
    dead = ("add", "add", "add", "add")
    assert grammar.actions(dead) == ()
    assert grammar.rollout(dead, rng) is None
    masked = LossGrammar()
    assert masked.actions(("u",)) == ()
    assert masked.finished(("u",))
    assert not masked.legal(("u",))
    assert masked.rollout(("neg",) * 8, rng) is None


@pytest.mark.parametrize("masked", [True, False])
def test_mutants_are_legal_and_other(masked):
    grammar, rng = LossGrammar(max_length=8, masked=masked), np.random.default_rng(0)
    legally = LossGrammar(max_length=8)
    places = Counter()
    for _ in range(300):
        state = legally.rollout((), rng)
        mutant = grammar.mutate(state, rng)
        assert grammar.legal(mutant)
        assert mutant != state
        places[next(k for k in range(8) if state[k : k + 1] != mutant[k : k + 1])] += 1
    assert len(places) > 5


def test_a_loss_without_another_is_its_own_mutant():
    grammar = LossGrammar(max_length=1, terminals_needed=("u",))
    assert grammar.mutate(("u",), np.random.default_rng(0)) == ("u",)


def test_what_is_no_derivation_is_refused():
    grammar, rng = LossGrammar(), np.random.default_rng(0)
    for state in (("w",), ("u", "y"), ("2",)):
        with pytest.raises(ConfigError, match="in pre-order"):
            grammar.actions(state)
    with pytest.raises(ConfigError, match="Finish it first"):
        grammar.mutate(("add", "u", "y"), rng)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_length": 0}, "from 1 to 30"),
        ({"max_length": 4}, "room for"),
        ({"terminals_needed": ("u", "w")}, "'w'"),
        ({"masked": False, "weighted": True}, "masked=True"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        LossGrammar(**arguments)


def test_a_grammar_may_be_sent_to_another_process():
    grammar = LossGrammar(weighted=True)
    assert pickle.loads(pickle.dumps(grammar)) == grammar
    assert hash(grammar) == hash(LossGrammar(weighted=True))
