"""Adaptation and the gradient through it."""

import pytest
import torch

from dglmeta.errors import ConfigError
from dglmeta.meta import adapt, outer_gradient

START = {
    "body": torch.tensor([0.3, -0.7], dtype=torch.float64),
    "head": torch.tensor([1.1, 0.4], dtype=torch.float64),
}


def support(p):
    return torch.sin(p["body"]).dot(p["head"]) + (p["body"] * p["head"]).sum() ** 2


def query(p):
    return torch.cos(p["body"] * p["head"]).sum() + p["head"].pow(3).sum()


def finite_differences(f, start, eps=1e-6):
    out = {k: torch.zeros_like(v) for k, v in start.items()}
    for k, v in start.items():
        for i in range(len(v)):
            bump = torch.zeros_like(v)
            bump[i] = eps
            out[k][i] = (f({**start, k: v + bump}) - f({**start, k: v - bump})) / (2 * eps)
    return out


@pytest.mark.parametrize("mask", [None, ("head",)])
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_second_order_gradient_equals_central_differences(steps, mask):
    def after(start):
        return query(adapt(support, start, steps=steps, lr=0.05, mask=mask))

    got = outer_gradient(support, query, START, steps=steps, lr=0.05, mask=mask)
    expected = finite_differences(after, START)
    for name in START:
        torch.testing.assert_close(got.gradients[name], expected[name], rtol=1e-7, atol=1e-9)
    assert got.loss.item() == pytest.approx(after(START).item())


def test_first_order_gradient_is_the_outer_gradient_at_the_adapted_parameters():
    adapted = adapt(support, START, steps=3, lr=0.05)
    got = outer_gradient(support, query, START, steps=3, lr=0.05, order=1)
    expected = torch.func.grad(query)(adapted)
    for name in START:
        torch.testing.assert_close(got.gradients[name], expected[name])


def test_masked_parameters_stay_where_they_are():
    adapted = adapt(support, START, steps=2, lr=0.05, mask=("head",))
    assert torch.equal(adapted["body"], START["body"])
    assert not torch.equal(adapted["head"], START["head"])


def test_adapting_many_tasks_at_once_equals_a_loop():
    shift = torch.linspace(-1, 1, 5, dtype=torch.float64)

    def adapted_body(s):
        return adapt(lambda p: support(p) + s * p["body"].sum(), START, steps=2, lr=0.05)["body"]

    batched = torch.func.vmap(adapted_body)(shift)
    torch.testing.assert_close(batched, torch.stack([adapted_body(s) for s in shift]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"order": 3}, "order 1 or 2, got 3"),
        ({"steps": -1}, "steps >= 0, got -1"),
        ({"mask": ("tail",)}, r"\['tail'\]"),
    ],
)
def test_wrong_settings_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        adapt(support, START, **wrong)
