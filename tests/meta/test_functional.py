"""Parameter dicts, and the steps and derivatives taken on them."""

import pytest
import torch
from torch import nn

from dglmeta.errors import ConfigError
from dglmeta.meta import Linearization, adam_step_sizes, descend, sgd_step

W = {
    "a": torch.tensor([[0.5, -1.0], [2.0, 0.1]], dtype=torch.float64),
    "b": torch.tensor([1.5, -0.3], dtype=torch.float64),
    "unused": torch.ones(3, dtype=torch.float64),
}


def f(w):
    return torch.tanh(w["a"] @ w["b"]) * w["b"]


def assert_same(got, expected):
    for name in W:
        torch.testing.assert_close(got[name], expected[name])


def test_the_pullback_is_the_transposed_jacobian():
    cotangent = torch.tensor([0.7, -2.0], dtype=torch.float64)
    at = Linearization(f, W)
    torch.testing.assert_close(at.value, f(W))
    expected = torch.func.vjp(f, W)[1](cotangent)[0]
    for _ in range(2):  # the forward pass serves any number of cotangents
        assert_same(at.pullback(cotangent), expected)


def test_the_pushforward_is_the_jacobian():
    cotangent = torch.tensor([0.7, -2.0], dtype=torch.float64)
    at = Linearization(f, W)
    for _ in range(2):
        direction = {name: torch.randn_like(p) for name, p in W.items()}
        pulled, pushforward = at.pullback_and_pushforward(cotangent)
        assert_same(pulled, torch.func.vjp(f, W)[1](cotangent)[0])
        expected = torch.func.jvp(f, (W,), (direction,))[1]
        torch.testing.assert_close(pushforward(direction), expected)


def test_the_pushforward_of_a_linear_function_is_the_function():
    at = Linearization(lambda w: 3 * w["b"], W)
    _, pushforward = at.pullback_and_pushforward(torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(pushforward(W), 3 * W["b"])


def test_a_mask_that_names_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"got \['c'\]"):
        sgd_step(W, W, 0.1, mask=("c",))


def test_adam_step_sizes_are_those_of_the_next_step_without_momentum():
    torch.manual_seed(0)
    module = nn.Linear(3, 2, bias=False)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05, betas=(0.0, 0.9))
    assert adam_step_sizes(optimizer, module) is None
    gradient = {"weight": torch.randn(2, 3)}
    for _ in range(3):
        before = module.weight.detach().clone()
        descend(optimizer, module, gradient)
    moved = before - module.weight.detach()
    sizes = adam_step_sizes(optimizer, module)["weight"]
    torch.testing.assert_close(sizes * gradient["weight"], moved, rtol=1e-5, atol=1e-7)
