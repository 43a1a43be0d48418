"""The hypergradient by one JVP, against double backward and against central differences."""

import pytest
import torch
from torch import nn

from dglmeta.errors import ConfigError
from dglmeta.meta import hypergradient, parameters_of, weight_hypergradient

torch.set_default_dtype(torch.float32)


def problem(seed=0, n=12, n_folds=3):
    """A two-layer model with a weighing net and a mixing coefficient, in float64."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    x, y = normal(n, 4), (normal(n) > 0).double()
    w = {"first": normal(4, 5), "second": normal(5)}
    theta = {"in": normal(2, 7), "out": normal(7), "mix": normal(())}
    fold = torch.stack([(torch.arange(n) % n_folds == c).double() for c in range(n_folds)])

    def outputs(w):
        h = torch.tanh(x @ w["first"])
        return torch.stack([h @ w["second"], (h * h) @ w["second"]])  # learner and hint logits

    def losses(s):
        return nn.functional.binary_cross_entropy_with_logits(s, y, reduction="none")

    def coefficients(at, theta):
        xi = torch.stack([losses(at[0]), y], dim=1)
        v = torch.sigmoid(torch.tanh(xi @ theta["in"]) @ theta["out"])
        return torch.stack([v, torch.sigmoid(theta["mix"] * losses(at[1]))])

    def inner_loss(o, c, held_out):
        (v, mix), kept = c, 1 - held_out
        mixed = losses(mix * o[0] + (1 - mix) * o[1])
        return (kept * v * mixed).sum() / (kept * v).sum()

    def meta_loss(w, held_out):
        return (losses(outputs(w)[0]) * held_out).sum() / held_out.sum()

    return outputs, coefficients, inner_loss, meta_loss, w, theta, fold


def assert_equal_to_1e_9(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("by_entry", [False, True])
@pytest.mark.parametrize("n_folds", [1, 3])
def test_jvp_equals_double_backward(n_folds, by_entry):
    *functions, w, theta, fold = problem(n_folds=max(n_folds, 2))
    fold = fold[:n_folds]
    lr = {name: p.abs() + 0.1 for name, p in w.items()} if by_entry else 0.3
    fast = hypergradient(*functions, w, theta, fold, lr=lr)
    slow = hypergradient(*functions, w, theta, fold, lr=lr, mode="double_backward")
    torch.testing.assert_close(fast.meta_loss, slow.meta_loss, rtol=1e-12, atol=0)
    for name in theta:
        torch.testing.assert_close(
            fast.gradients[name], slow.gradients[name], rtol=1e-9, atol=1e-14
        )


def test_jvp_equals_central_differences():
    outputs, coefficients, inner_loss, meta_loss, w, theta, fold = problem()
    functions = (outputs, coefficients, inner_loss, meta_loss)
    gradients = hypergradient(*functions, w, theta, fold, lr=0.3).gradients
    at = outputs(w)

    def look_ahead_loss(p, c, held_out):
        return inner_loss(outputs(p), c, held_out)

    def mean_meta_loss(theta):
        total = 0.0
        for held_out in fold:
            step = torch.func.grad(look_ahead_loss)(w, coefficients(at, theta), held_out)
            total += meta_loss({k: w[k] - 0.3 * step[k] for k in w}, held_out)
        return total / len(fold)

    eps = 1e-5
    for name, value in theta.items():
        for i in range(value.numel()):
            bump = torch.zeros(value.numel(), dtype=torch.float64)
            bump[i] = eps
            up, down = (
                mean_meta_loss({**theta, name: value + sign * bump.view(value.shape)})
                for sign in (1, -1)
            )
            expected = (up - down) / (2 * eps)
            assert gradients[name].flatten()[i] == pytest.approx(
                expected.item(), abs=1e-8, rel=1e-6
            )


def test_pullback_is_the_gradient_at_w():
    outputs, *rest = problem()
    w = rest[3]
    result = hypergradient(outputs, *rest, lr=0.3)
    cotangent = torch.ones_like(result.outputs)
    expected = torch.func.grad(lambda w: outputs(w).sum())(w)
    got = result.pullback(cotangent)
    for name in w:
        torch.testing.assert_close(got[name], expected[name])


def test_weight_hypergradient_agrees_in_both_modes_for_a_module():
    outputs, _, _, meta_loss, w, _, fold = problem()

    class Weigh(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double()

        def forward(self, losses):
            return torch.sigmoid(self.net(losses[:, None])).squeeze(-1)

    arguments = (lambda w: outputs(w)[0] ** 2, Weigh(), lambda w: meta_loss(w, fold[0]), w)
    fast = weight_hypergradient(*arguments, lr=0.1)
    slow = weight_hypergradient(*arguments, lr=0.1, mode="double_backward")
    assert set(fast.gradients) == set(parameters_of(arguments[1]))
    for name in fast.gradients:
        torch.testing.assert_close(
            fast.gradients[name], slow.gradients[name], rtol=1e-9, atol=1e-14
        )


def test_neither_w_nor_theta_is_written():
    *functions, w, theta, fold = problem()
    before = {k: v.clone() for k, v in {**w, **theta}.items()}
    hypergradient(*functions, w, theta, fold, lr=0.3)
    for name, value in {**w, **theta}.items():
        assert torch.equal(value, before[name])


def test_unknown_mode_is_refused():
    *functions, w, theta, fold = problem()
    with pytest.raises(ConfigError, match=r"jvp.*got 'fast'"):
        hypergradient(*functions, w, theta, fold, lr=0.3, mode="fast")
