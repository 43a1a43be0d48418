"""Losses of expressions and their gradients, in torch and by the kernel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import grad, jvp, vmap

from dglmeta.errors import ConfigError, DataError
from dglmeta.kernels.cpu.expression import evaluate_expressions
from dglmeta.tasks.expression import (
    NAMED_LOSSES,
    Expression,
    LossGrammar,
    compile_expressions,
    expression_loss,
    expression_values,
    named_loss,
    parse_expression,
)

COUNTS = torch.tensor([20, 20, 2])


def data(n=5, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, 3, generator=generator, dtype=dtype)
    return logits, torch.randint(3, (n,), generator=generator)


def values(text, u, y=1.0, n=1.0, dtype=torch.float32):
    """An expression at one place, and its slope."""
    at = torch.tensor(float(u), dtype=dtype, requires_grad=True)
    y, n = (torch.tensor(float(x), dtype=dtype) for x in (y, n))
    value = expression_values(parse_expression(text), at, y, n)
    (slope,) = torch.autograd.grad(value, at)
    return value.item(), slope.item()


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ((), "1 more argument"),
        (("add", "u"), "1 more argument,"),
        (("mul", "add"), "3 more arguments"),
        (("u", "y"), "no token after token 1, got 'y'"),
        (("add", "u", "w"), "got 'w' as token 3"),
        (("neg", "-2"), "got '-2' as token 2"),
        (("1e99",), "got '1e99'"),
        (("neg",) * 300 + ("u",), "at most 256 tokens"),
    ],
)
def test_tokens_that_are_no_expression_are_refused(tokens, message):
    with pytest.raises(ConfigError, match=message):
        Expression(tokens)


def test_expressions_are_keys():
    one, two = Expression(("neg", "u")), Expression(("neg", "u"))
    assert len({one, two}) == 1
    assert one.length == 2
    assert str(one) == "-u"


def test_the_loss_is_the_mean_over_classes():
    logits, label = data()
    got = expression_loss(named_loss("B"), logits, label, COUNTS)
    for i in range(5):
        terms = [((label[i] == k).float() - COUNTS[k] * logits[i, k]) ** 2 for k in range(3)]
        assert got[i].item() == pytest.approx(sum(terms).item() / 3, rel=1e-5)


def test_a_loss_without_logits_or_labels_still_has_a_value_a_sample():
    logits, label = data()
    for text, value in (("n*2", 28.0), ("2", 2.0), ("y", 1 / 3)):
        got = expression_loss(parse_expression(text), logits, label, COUNTS)
        torch.testing.assert_close(got, torch.full((5,), value))


def test_shapes_that_do_not_fit_are_refused():
    logits, label = data()
    for wrong in ((logits[0], label, COUNTS), (logits, label[:4], COUNTS), (logits, label, label)):
        with pytest.raises(DataError, match="expected logits"):
            expression_loss(named_loss("B"), *wrong)


def test_guards_are_those_that_were_recovered():
    log_eps = np.log(1e-12)
    assert values("log(u)", 0) == (pytest.approx(log_eps), pytest.approx(1e12))
    assert values("log(-u)", 0)[0] == pytest.approx(log_eps)
    assert values("log(-log(u))", 1)[0] == pytest.approx(log_eps)  # 1 + 1e-12 is 1
    assert values("log(-log(u))", 1, dtype=torch.float64)[0] == pytest.approx(26.9, abs=0.1)
    assert values("sqrt(u)", 0) == (pytest.approx(1e-6), pytest.approx(5e5))
    assert values("sqrt(u)", -4) == (-2, 0.25)
    assert values("1/u", 0)[0] == pytest.approx(1e12)
    assert values("|u|", 0) == (0, 0)


def test_a_part_without_logits_is_a_constant_whatever_its_slope():
    assert values("u + exp(n)", 2, n=1000) == (np.inf, 1)
    assert values("u*|y|*sqrt(y)^2", 2, y=0)[1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "name", ["A", "C", "E", "G", "H", "L", "table12-gat-cora", "zero-b-sage-cora"]
)
def test_gradients_of_first_and_second_order_are_slopes(name):
    logits, label = data(3, torch.float64)

    def loss(u):
        return expression_loss(named_loss(name), u, label, COUNTS)

    assert torch.autograd.gradcheck(loss, logits.requires_grad_(), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(loss, logits)


def test_it_composes_with_function_transforms():
    logits, label = data(4)
    loss = named_loss("A")

    def total(u, label):
        return expression_loss(loss, u, label, COUNTS).sum()

    whole = grad(total)(logits, label)
    by_row = vmap(lambda u, k: grad(total)(u[None], k[None])[0])(logits, label)
    torch.testing.assert_close(by_row, whole)
    _, along = jvp(lambda u: total(u, label), (logits,), (torch.ones_like(logits),))
    torch.testing.assert_close(along, whole.sum())


def test_the_kernel_has_the_values_and_gradients_of_torch():
    rng = np.random.default_rng(0)
    grammar = LossGrammar()
    losses = [Expression(grammar.rollout(grammar.root, rng)) for _ in range(150)]
    losses += [named_loss(name) for name in NAMED_LOSSES]
    u = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    y, n = torch.eye(3).repeat(2, 1), COUNTS.float()
    found = evaluate_expressions(
        *compile_expressions(losses), u[None].numpy(), y.numpy(), n.numpy()
    )
    n_close = 0
    for loss, value, slope in zip(losses, *found, strict=True):
        at = u.clone().requires_grad_()
        expected = expression_values(loss, at, y, n)
        if expected.requires_grad:
            (gradient,) = torch.autograd.grad(expected.sum(), at)
        else:
            gradient = torch.zeros_like(u)
        pairs = ((value, expected.detach().numpy()), (slope, gradient.numpy()))
        n_close += all(
            np.allclose(a, b, rtol=1e-3, atol=1e-5) or not np.isfinite(b).all() for a, b in pairs
        )
    assert n_close > 0.98 * len(losses)  # the rest lie behind differences of like numbers


def test_programs_are_filled_up_and_numbers_stand_where_they_were():
    programs, constants = compile_expressions([*map(parse_expression, ("u", "2 - 0.5*u"))])
    assert programs[0].tolist() == [2, 0, 0, 0, 0, 0]
    assert constants[0].tolist() == [0] * 6
    assert sorted(constants[1].tolist()) == [0, 0, 0, 0, 0.5, 2]
    empty, _ = compile_expressions([])
    assert empty.shape == (0, 0)
