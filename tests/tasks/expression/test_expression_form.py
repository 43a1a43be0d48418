"""One form stands for all that are the same by the laws it names, and means the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.tasks.expression import (
    Expression,
    LossGrammar,
    canonical,
    expression_values,
    parse_expression,
)
from dglmeta.tasks.expression.text import Node, as_tokens, as_tree

TREES = LossGrammar(max_length=14, terminals_needed=())
SEEDS = st.integers(0, 10**9)


def tree(seed):
    return Expression(TREES.rollout(TREES.root, np.random.default_rng(seed)))


def stirred(node, rng):
    """The same by commuting, associating, and signs put in twice."""
    args = [stirred(arg, rng) for arg in node.args]
    if node.op in ("add", "mul"):
        a, b = args if rng.random() < 0.5 else args[::-1]
        if b.op == node.op and rng.random() < 0.5:
            a, b = Node(node.op, (a, b.args[0])), b.args[1]
        args = [a, b]
    if node.op in ("square", "abs") and rng.random() < 0.3:
        args = [Node("neg", (args[0],))]
    out = Node(node.op, tuple(args))
    return Node("neg", (Node("neg", (out,)),)) if rng.random() < 0.1 else out


@given(seed=SEEDS)
def test_the_form_of_what_is_the_same_is_the_same(seed):
    expression = tree(seed)
    other = Expression(as_tokens(stirred(as_tree(expression.tokens), np.random.default_rng(seed))))
    assert canonical(other) == canonical(expression)


@given(seed=SEEDS)
def test_the_form_is_its_own_form(seed):
    form = canonical(tree(seed))
    assert canonical(form) == form


@given(seed=SEEDS)
def test_the_form_has_the_same_values(seed):
    expression = tree(seed)
    rng = np.random.default_rng(seed)
    leaves = [torch.from_numpy(rng.normal(size=8)), torch.eye(8)[0].double(), torch.arange(1, 9)]
    leaves[2] = leaves[2].double()
    value, other = (expression_values(e, *leaves) for e in (expression, canonical(expression)))
    fine = torch.isfinite(value) & torch.isfinite(other) & (abs(value) < 1e3)
    close = torch.isclose(value[fine], other[fine], rtol=1e-4, atol=1e-6)
    assert close.all() or expression.tokens.count("exp") + expression.tokens.count("inv") > 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("u + y", "y + u"),
        ("(u + y) + n", "u + (n + y)"),
        ("u*(y*n)", "n*u*y"),
        ("-(-u)", "u"),
        ("(-u)^2", "u^2"),
        ("|-u|", "|u|"),
        ("||u||", "|u|"),
        ("|u|^2", "u^2"),
        ("|u^2|", "u^2"),
        ("|n|*u", "n*u"),
        ("|exp(u)|", "exp(u)"),
        ("(u - y)^2", "(y - u)^2"),
        ("-(u - y)", "y - u"),
        ("(-u)*y", "-(u*y)"),
        ("(-u)*(-y)", "u*y"),
        ("tanh(-u)", "-tanh(u)"),
        ("u*u", "u^2"),
        ("u*u*u*u", "u^4"),
        ("(n*u)^2", "n^2*u^2"),
        ("(u*y)^2*u", "u^3*y^2"),
        ("|u*y|^2*n", "n*y^2*u^2"),
        ("u - (y - n)", "u + n - y"),
    ],
)
def test_laws_that_it_knows(one, other):
    assert canonical(parse_expression(one)) == canonical(parse_expression(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("u - y", "y - u"),
        ("u", "-u"),
        ("1/(-u)", "-(1/u)"),  # the guard stands between them
        ("log(-u)", "-log(u)"),
        ("sqrt(-u)", "-sqrt(u)"),
        ("u*|u|", "u^2"),
        ("u^3", "u^2"),
        ("exp(-u)", "exp(u)"),
        ("|u|^3", "u^3"),
    ],
)
def test_what_differs_has_different_forms(one, other):
    assert canonical(parse_expression(one)) != canonical(parse_expression(other))


@pytest.mark.parametrize("text", ["u^8^8", "(u*y)^8^5^5"])
def test_high_powers_stay_short(text):
    form = canonical(parse_expression(text))
    assert form.length < 60
