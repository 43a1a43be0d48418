"""Parameter dicts, and the steps and derivatives taken on them."""

import pytest
import torch
from torch import nn

from dglmeta.errors import ConfigError
from dglmeta.meta import adam_step_sizes, descend, sgd_step, value_and_pullback
from dglmeta.meta.functional import pushforward

W = {
    "a": torch.tensor([[0.5, -1.0], [2.0, 0.1]], dtype=torch.float64),
    "b": torch.tensor([1.5, -0.3], dtype=torch.float64),
    "unused": torch.ones(3, dtype=torch.float64),
}


def f(w):
    return torch.tanh(w["a"] @ w["b"]) * w["b"]


def test_the_pullback_is_the_transposed_jacobian():
    cotangent = torch.tensor([0.7, -2.0], dtype=torch.float64)
    value, pullback = value_and_pullback(f, W)
    expected = torch.func.vjp(f, W)[1](cotangent)[0]
    torch.testing.assert_close(value, f(W))
    for _ in range(2):  # the forward pass serves any number of cotangents
        for name, got in pullback(cotangent).items():
            torch.testing.assert_close(got, expected[name])


def test_the_pushforward_is_the_jacobian():
    direction = {name: torch.randn_like(p) for name, p in W.items()}
    expected = torch.func.jvp(f, (W,), (direction,))[1]
    torch.testing.assert_close(pushforward(f, W, direction), expected)


def test_the_pushforward_of_a_constant_is_zero():
    direction = {name: torch.ones_like(p) for name, p in W.items()}
    got = pushforward(lambda _w: torch.ones(4), W, direction)
    assert torch.equal(got, torch.zeros(4))


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
