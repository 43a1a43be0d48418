"""Checks tell from values alone which losses are the same and which classify rightly."""

from __future__ import annotations

import numpy as np
import pytest

from dglmeta.errors import DataError
from dglmeta.tasks.expression import (
    NAMED_LOSSES,
    Expression,
    LossGrammar,
    canonical,
    named_loss,
    parse_expression,
)
from dglmeta.tasks.expression.checks import (
    gradient_signature,
    is_legal,
    minimiser_gap,
    minimisers,
    separates,
    which_separate,
)

LETTERS = "ABCDEFGHIJKLMNO"
GRID = np.linspace(-30, 30, 12_001)

TOLD = {
    **dict.fromkeys("ABDG", (0.05, 0, 0.5, 0)),
    "C": (-0.45, -0.5, 0, -0.5),
    "F": (-0.905, -1, -0.368, -1),
    "H": (0.05, -0.13, 0.58, -0.04),
    "I": (0.019, 0, 0.19, 0),
    **dict.fromkeys("JN", (7.6, -22.6, 25.6, -4.6)),
    "K": (0, -11.1, 0, -6.3),
    "L": (1, 0, 1, 0),
    "M": (0, -1, 0.07, -0.93),
    "O": (3.8, -11.7, 12.8, -2.7),
}
"""Targets that the specification lists, with its digits; E has none there."""


def slow_values(loss, u, y, n, sign0=1.0, eps=1e-12, dtype=np.float32):
    """A loss on a grid, under conventions that may be others than ours."""
    one, eps = dtype(1), dtype(eps)

    def sign(x):
        return np.where(x > 0, one, np.where(x < 0, -one, dtype(sign0)))

    functions = {
        "add": np.add, "mul": np.multiply, "neg": np.negative, "abs": np.abs, "exp": np.exp,
        "tanh": np.tanh, "square": np.square,
        "inv": lambda x: one / (x + eps),
        "log": lambda x: sign(x) * np.log(abs(x) + eps),
        "sqrt": lambda x: sign(x) * np.sqrt(abs(x) + eps),
    }  # fmt: skip
    leaves = {"u": u.astype(dtype), "y": np.full_like(u, y, dtype), "n": np.full_like(u, n, dtype)}
    stack = []
    for token in reversed(loss.tokens):
        if token in leaves:
            stack.append(leaves[token])
        else:
            n_args = 2 if token in ("add", "mul") else 1
            stack.append(functions[token](*(stack.pop() for _ in range(n_args))))
    return stack.pop()


def slow_targets(loss, counts, **conventions):
    with np.errstate(all="ignore"):
        values = [slow_values(loss, GRID, y, n, **conventions) for n in counts for y in (1, 0)]
    return [GRID[np.where(np.isfinite(v), v, np.inf).argmin()] for v in values]


def slow_failures(counts=(20, 2), **conventions):
    targets = {name: slow_targets(named_loss(name), counts, **conventions) for name in LETTERS}
    return "".join(
        name for name, (a, b, c, d) in targets.items() if not min(a, c) > max(b, d) + 1e-3
    )


def test_all_published_losses_classify_rightly():
    assert which_separate([named_loss(name) for name in LETTERS], (20, 2)).all()
    assert all(separates(named_loss(name), (20, 20, 20, 20, 2, 2, 2)) for name in LETTERS)


@pytest.mark.parametrize("name", LETTERS)
def test_targets_are_those_of_a_fine_grid(name):
    got = minimiser_gap(named_loss(name), (20, 2))
    np.testing.assert_allclose(got, slow_targets(named_loss(name), (20, 2)), atol=6e-3)


@pytest.mark.parametrize("name", TOLD)
def test_targets_are_those_that_are_told(name):
    for got, told in zip(minimiser_gap(named_loss(name), (20, 2)), TOLD[name], strict=True):
        digits = len(f"{told}".partition(".")[2])
        assert abs(got - told) <= 0.5 * 10.0**-digits + 2e-3


def test_no_other_conventions_serve_all_published_losses():
    """They tell that there is a guard, how large it is, and that numbers are float32."""
    assert slow_failures() == ""
    assert slow_failures(sign0=0.0) == "HJKNO"
    assert slow_failures(eps=1e-8) == "H"
    assert "H" in slow_failures(eps=1e-6)
    assert slow_failures(dtype=np.float64) == "JNO"
    assert "H" in slow_failures(counts=(20 / 22, 2 / 22))


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("(u + y*n)^2", False),  # the wrong way
        ("y*n + u^2", False),  # the same for all
        ("(y - n)^2", False),  # nothing to be learnt
        ("(y*n - u)^2", True),
        ("-(y*u)*n", True),  # without bound, but upwards; y = 0 stays where it starts
        ("(u - y + n)^2", False),  # large classes lie below all small ones
        ("exp(exp(exp(exp(u*n + n))))", False),
    ],
)
def test_what_separates(text, passes):
    assert separates(parse_expression(text), (20, 2)) == passes


def test_targets_of_many_losses_are_those_of_each():
    losses = [named_loss(name) for name in LETTERS] * 100
    found = minimisers(losses, (20, 2))
    assert found.shape == (1500, 4)
    for name, row in zip(LETTERS, found[1485:], strict=True):
        np.testing.assert_array_equal(row, minimiser_gap(named_loss(name), (20, 2)))
    assert minimisers([], (20, 2)).shape == (0, 4)


@pytest.mark.parametrize("counts", [(), (20, 0), (20, float("nan"))])
def test_counts_must_be_positive(counts):
    with pytest.raises(DataError, match="positive counts"):
        minimiser_gap(named_loss("A"), counts)


def signature(*texts):
    return gradient_signature([parse_expression(text) for text in texts])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(y - n*u)^2", "(n*u - y)^2"),
        ("u^2*n - y", "2*u^2*n"),  # what has no logits does not matter
        ("u*y", "u*y + y*n"),
        ("u^2", "u*|u|*u/|u|*4"),
        ("exp(u)*exp(y)", "exp(u + y)*8"),
    ],
)
def test_losses_that_train_alike_have_one_key(one, other):
    a, b = signature(one, other)
    assert a is not None
    assert a == b


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("u", "-u"),
        ("u^2*y", "u^2"),
        ("n*u", "n*u^2"),
        ("tanh(u)", "u"),
        ("(y - n*u)^2", "(y - n*u)^2 + u/10000"),
        ("u + y*n", "u*n + y"),
    ],
)
def test_losses_that_train_otherwise_have_other_keys(one, other):
    a, b = signature(one, other)
    assert None not in (a, b)
    assert a != b


def test_losses_that_cannot_train_have_no_key():
    texts = ("y*n", "2", "exp(exp(u*n))", "u + exp(n*n)", "exp(u*n*u)*0", "sqrt(u - u)*n")
    *none, fine = signature(*texts[:-1], "u")
    assert none == [None] * 5
    assert isinstance(fine, bytes)
    assert gradient_signature([]) == []


def test_published_losses_have_keys_of_their_own():
    keys = dict(zip(LETTERS, gradient_signature([*map(named_loss, LETTERS)]), strict=True))
    assert None not in keys.values()
    assert keys["J"] == keys["N"]
    assert len({*keys.values()}) == 14


def test_keys_do_not_depend_on_who_else_is_asked_about():
    names = [*NAMED_LOSSES] * 30  # more than are evaluated at once
    keys = gradient_signature([*map(named_loss, names)])
    for name, key in zip(names[-20:], keys[-20:], strict=True):
        assert gradient_signature([named_loss(name)]) == [key]


def test_forms_that_are_the_same_mostly_have_the_same_key():
    rng, grammar = np.random.default_rng(0), LossGrammar()
    losses = [Expression(grammar.rollout((), rng)) for _ in range(1000)]
    pairs = zip(
        gradient_signature(losses), gradient_signature([*map(canonical, losses)]), strict=True
    )
    known = [(a, b) for a, b in pairs if a is not None]
    assert len(known) > 500
    assert np.mean([a == b for a, b in known]) > 0.9


def test_legal_losses_have_all_three():
    assert is_legal(named_loss("A"))
    assert not is_legal(parse_expression("u - y"))
