"""Formulas are read, and written so that they are read back the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.errors import ConfigError
from dglmeta.tasks.expression import (
    NAMED_LOSSES,
    Expression,
    LossGrammar,
    named_loss,
    parse_expression,
)

TREES = LossGrammar(max_length=25, terminals_needed=())


def tokens(text):
    return parse_expression(text).tokens


@given(seed=st.integers(0, 10**9))
def test_what_is_written_is_read_back_as_the_same_tokens(seed):
    rng = np.random.default_rng(seed)
    tree = TREES.rollout(TREES.root, rng)
    numbers = {"u": "2", "y": "1", "n": "0.25"}
    some = tuple(numbers.get(t, t) if rng.random() < 0.2 else t for t in tree)
    expression = Expression(some)
    assert parse_expression(expression.infix) == expression


@pytest.mark.parametrize("name", NAMED_LOSSES)
def test_published_losses_are_read_back(name):
    assert parse_expression(named_loss(name).infix) == named_loss(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("u", "u"),
        ("u - y", "add u neg y"),
        ("u - y - n", "add add u neg y neg n"),
        ("u/y/n", "mul mul u inv y inv n"),
        ("1/u", "inv u"),
        ("2/u", "mul 2 inv u"),
        ("-u^2", "neg square u"),
        ("-u*y", "mul neg u y"),
        ("u*-y", "mul u neg y"),
        ("--u", "neg neg u"),
        ("u^3", "mul square u u"),
        ("u^4", "square square u"),
        ("u^6", "square mul square u u"),
        ("u^8", "square square square u"),
        ("|u + |y||", "abs add u abs y"),
        ("||u||", "abs abs u"),
        ("|u|*|y|", "mul abs u abs y"),
        ("sqrt( exp(u) )", "sqrt exp u"),
        ("square(inv(neg(abs(u))))", "square inv neg abs u"),
        ("ŷ·N − y", "add mul u n neg y"),  # noqa: RUF001
        ("y\u0302", "u"),
        ("0.5*u", "mul 0.5 u"),
    ],
)
def test_signs_bind_as_they_do_in_print(text, expected):
    assert tokens(text) == tuple(expected.split())


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "the end at column 1"),
        ("u +", "the end at column 4"),
        ("u + * y", r"'\*' at column 5"),
        ("u y", "'y' at column 3"),
        ("(u", r"'\)', got the end at column 3"),
        ("u)", r"'\)' at column 2"),
        ("|u", r"'\|', got the end"),
        ("tanh u", r"'\(' after tanh, got 'u' at column 6"),
        ("sin(u)", "'sin' at column 1"),
        ("u^9", "power from 2 to 8, got '9' at column 3"),
        ("u^y", "got 'y' at column 3"),
        ("u^0.5", "got '0.5'"),
        ("add(u, y)", "'add' at column 1"),
        ("u % y", "'%' at column 3"),
        ("1e99*u", "'1e99' at column 1"),
        ("(" * 2000 + "u", "at most 50 brackets"),
        ("-" * 2000 + "u", "at most 50 brackets"),
        ("(u+y)^7^7^7^7", "at most 256 tokens"),
        ("+".join(["u"] * 400), "at most 256 tokens"),
    ],
)
def test_other_text_is_refused_with_the_place(text, where):
    with pytest.raises(ConfigError, match=where):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(y - n*u)^2", r"\left(y - N \, \hat{y}\right)^{2}"),
        ("tanh(u - y/n)^2", r"\tanh^{2}\left(\hat{y} - \frac{y}{N}\right)"),
        ("1/sqrt(|u|)", r"\frac{1}{\sqrt{\left|\hat{y}\right|}}"),
        ("-exp(2*u)", r"-\exp\left(2 \, \hat{y}\right)"),
        ("(u/n)^2", r"\left(\frac{\hat{y}}{N}\right)^{2}"),
    ],
)
def test_formulas_for_print(text, expected):
    assert parse_expression(text).latex == expected
