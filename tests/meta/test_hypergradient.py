"""The hypergradient by one JVP, against double backward and against central differences."""

import pytest
import torch
from torch import nn

from dglmeta.errors import ConfigError
from dglmeta.meta import Fold, hypergradient, parameters_of, weight_hypergradient

torch.set_default_dtype(torch.float32)


def problem(seed=0, n=12, n_folds=3):
    """A two-layer model with a weighing net and a mixing coefficient, in float64."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    x, y = normal(n, 4), (normal(n) > 0).double()
    w = {"first": normal(4, 5), "second": normal(5)}
    theta = {"in": normal(2, 7), "out": normal(7), "mix": normal(())}

    def logits(w, rows):
        h = torch.tanh(x[rows] @ w["first"])
        return torch.stack([h @ w["second"], (h * h) @ w["second"]])  # learner and hint logits

    def outputs(w):
        return logits(w, torch.arange(n))

    def bce(s, rows=slice(None)):
        return nn.functional.binary_cross_entropy_with_logits(s, y[rows], reduction="none")

    def coefficients(at, theta):
        xi = torch.stack([bce(at[0]), y], dim=1)
        v = torch.sigmoid(torch.tanh(xi @ theta["in"]) @ theta["out"])
        return torch.stack([v / v.mean(), torch.sigmoid(theta["mix"] * bce(at[1]))])

    def losses(o, c):
        v, mix = c
        return v * bce(mix * o[0] + (1 - mix) * o[1])

    def fold(rows):
        return Fold(
            rows,
            lambda w: bce(logits(w, rows)[0], rows).mean() + 0.1 * (w["second"] ** 2).sum(),
        )

    folds = [fold(torch.arange(c, n, n_folds)) for c in range(n_folds)]
    return outputs, coefficients, losses, folds, w, theta


def assert_equal_to_1e_9(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("by_entry", [False, True])
@pytest.mark.parametrize("n_folds", [1, 3])
def test_jvp_equals_double_backward(n_folds, by_entry):
    *functions, folds, w, theta = problem(n_folds=3)
    arguments = (*functions, folds[:n_folds], w, theta)
    lr = {name: p.abs() + 0.1 for name, p in w.items()} if by_entry else 0.3
    fast = hypergradient(*arguments, lr=lr)
    slow = hypergradient(*arguments, lr=lr, mode="double_backward")
    torch.testing.assert_close(fast.meta_loss, slow.meta_loss, rtol=1e-12, atol=0)
    for name in theta:
        assert_equal_to_1e_9(fast.gradients[name], slow.gradients[name])


def test_a_fold_may_hold_nothing_out():
    *functions, folds, w, theta = problem()
    none = torch.zeros(0, dtype=torch.int64)
    folds = [folds[0]._replace(held_out=none), folds[1]]
    fast = hypergradient(*functions, folds, w, theta, lr=0.3)
    slow = hypergradient(*functions, folds, w, theta, lr=0.3, mode="double_backward")
    for name in theta:
        assert_equal_to_1e_9(fast.gradients[name], slow.gradients[name])


def test_jvp_equals_central_differences():
    outputs, coefficients, losses, folds, w, theta = problem()
    gradients = hypergradient(outputs, coefficients, losses, folds, w, theta, lr=0.3).gradients
    at = outputs(w)

    def look_ahead_loss(p, c, held_out):
        kept = torch.ones(at.shape[-1], dtype=at.dtype).index_fill(0, held_out, 0)
        return (kept * losses(outputs(p), c)).sum() / kept.sum()

    def mean_meta_loss(theta):
        total = 0.0
        for fold in folds:
            c = coefficients(at, theta)
            step = torch.func.grad(look_ahead_loss)(w, c, fold.held_out)
            total += fold.meta_loss({k: w[k] - 0.3 * step[k] for k in w})
        return total / len(folds)

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
    cotangent = torch.ones_like(result.at.value)
    expected = torch.func.grad(lambda w: outputs(w).sum())(w)
    got = result.at.pullback(cotangent)
    for name in w:
        torch.testing.assert_close(got[name], expected[name])


def test_weight_hypergradient_agrees_in_both_modes_for_a_module():
    outputs, _, _, folds, w, _ = problem()

    class Weigh(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double()

        def forward(self, losses):
            return torch.sigmoid(self.net(losses[:, None])).squeeze(-1)

    arguments = (lambda w: outputs(w)[0] ** 2, Weigh(), folds[0].meta_loss, w)
    fast = weight_hypergradient(*arguments, lr=0.1)
    slow = weight_hypergradient(*arguments, lr=0.1, mode="double_backward")
    assert set(fast.gradients) == set(parameters_of(arguments[1]))
    for name in fast.gradients:
        torch.testing.assert_close(
            fast.gradients[name], slow.gradients[name], rtol=1e-9, atol=1e-14
        )


def test_neither_w_nor_theta_is_written():
    *functions, w, theta = problem()
    before = {k: v.clone() for k, v in {**w, **theta}.items()}
    hypergradient(*functions, w, theta, lr=0.3)
    for name, value in {**w, **theta}.items():
        assert torch.equal(value, before[name])


def test_unknown_mode_is_refused():
    with pytest.raises(ConfigError, match=r"jvp.*got 'fast'"):
        hypergradient(*problem(), lr=0.3, mode="fast")


def test_no_fold_at_all_is_refused():
    *functions, _, w, theta = problem()
    with pytest.raises(ConfigError, match="at least one fold"):
        hypergradient(*functions, [], w, theta, lr=0.3)
