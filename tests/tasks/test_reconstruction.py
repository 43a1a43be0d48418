"""Errors of features, edges and divergence, against formulas written out row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.utils._python_dispatch import TorchDispatchMode

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.tasks.reconstruction import (
    FORMS,
    enhanced_scaled_cosine,
    enhanced_scaled_cosine_error,
    gaussian_kl,
    sampled_edge_bce,
    scaled_cosine,
    scaled_cosine_error,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pair_of_rows(n: int = 7, d: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = torch.randn(2, n, d, dtype=torch.float64, generator=seeded())
    return x, y


def by_hand(kind: str, cosine: float, gamma: float) -> float:
    if kind == "plain":
        return (1 - cosine) ** gamma
    if kind == "log":
        return (1 - cosine) ** gamma * math.log(2 - cosine)
    p = (1 + cosine) / 2
    return -((1 - p) ** gamma) * math.log(p + 1e-8)


def error(kind: str, x_hat: torch.Tensor, x: torch.Tensor, gamma: float) -> torch.Tensor:
    if kind == "plain":
        return scaled_cosine_error(x_hat, x, gamma)
    return enhanced_scaled_cosine_error(x_hat, x, gamma, form=kind)


KINDS = ("plain", *FORMS)


@pytest.mark.parametrize("gamma", [1, 2, 3.5])
@pytest.mark.parametrize("kind", KINDS)
def test_errors_of_rows_are_those_by_hand(kind, gamma):
    x_hat, x = pair_of_rows()
    cosines = [float(a @ b / a.norm() / b.norm()) for a, b in zip(x_hat, x, strict=True)]
    wanted = [by_hand(kind, c, gamma) for c in cosines]
    np.testing.assert_allclose(error(kind, x_hat, x, gamma), wanted, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_differences(kind):
    x_hat, x = pair_of_rows()
    x_hat.requires_grad_()
    assert torch.autograd.gradcheck(lambda y: error(kind, y, x, 2.0), x_hat)


@pytest.mark.parametrize("gamma", [1.0, 2.0])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_zeros_has_no_error_and_no_gradient(kind, gamma):
    x_hat, x = (rows.float() for rows in pair_of_rows())
    x_hat[0], x[1], x_hat[2], x[2] = 0, 0, 0, 0
    x_hat.requires_grad_()
    found = error(kind, x_hat, x, gamma)
    assert (found[:3] == 0).all()
    assert (found[3:] > 0).all()
    found.sum().backward()
    assert (x_hat.grad[:3] == 0).all()
    assert x_hat.grad.isfinite().all()


@pytest.mark.parametrize("gamma", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("kind", KINDS)
def test_equal_and_opposite_rows_have_a_finite_error_and_gradient(kind, gamma):
    x = pair_of_rows(100)[1].float()
    x_hat = torch.cat([3 * x[:50], -x[50:]]).requires_grad_()
    found = error(kind, x_hat, x, gamma)
    assert (found[:50].abs() < 1e-5).all()
    assert (found >= 0).all()
    found.sum().backward()
    assert x_hat.grad.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_nearer_the_less(kind):
    cosine = torch.linspace(-1, 1, 101)
    found = (
        scaled_cosine(cosine, 2.0)
        if kind == "plain"
        else enhanced_scaled_cosine(cosine, 2.0, form=kind)
    )
    assert (found.diff() < 0).all()


@pytest.mark.parametrize("form", FORMS)
def test_the_enhanced_error_weighs_easy_rows_down_more(form):
    easy, hard = torch.tensor([0.9, 0.0])
    plain = scaled_cosine(easy, 2.0) / scaled_cosine(hard, 2.0)
    enhanced = [enhanced_scaled_cosine(c, 2.0, form) for c in (easy, hard)]
    assert enhanced[0] / enhanced[1] < plain / 2


@pytest.mark.parametrize("make", [scaled_cosine, enhanced_scaled_cosine])
def test_gamma_below_one_is_refused(make):
    with pytest.raises(ConfigError, match="gamma >= 1, got 0.5"):
        make(torch.zeros(1), 0.5)


def test_an_unknown_form_and_rows_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="a form of"):
        enhanced_scaled_cosine(torch.zeros(1), 1, form="square")
    with pytest.raises(DataError, match="two tensors"):
        scaled_cosine_error(torch.zeros(2, 3), torch.zeros(3, 3), 1)


def ring(n: int, reach: int) -> tuple[Adjacency, np.ndarray]:
    """Each node joined with those up to some steps ahead; the last also with itself."""
    joined = np.zeros((n, n), bool)
    for step in range(1, reach + 1):
        joined[np.arange(n), (np.arange(n) + step) % n] = True
    joined[n - 1, n - 1] = True
    return Adjacency.from_coo(*np.nonzero(joined), (n, n)), joined


def test_the_mean_is_over_edges_and_over_pairs_that_are_none():
    """Most pairs are edges here, so that unverified negatives would tell in the mean."""
    n = 12
    adj, joined = ring(n, reach=7)
    z = torch.randn(n, 3, dtype=torch.float64, generator=seeded(1))
    loss = np.logaddexp(0, np.where(joined, -1, 1) * (z @ z.T).numpy())
    apart = ~joined & ~np.eye(n, dtype=bool)
    wanted = (loss[joined].mean() + loss[apart].mean()) / 2
    found = sampled_edge_bce(z, adj, 100_000, seeded())
    assert float(found) == pytest.approx(wanted, abs=0.01)
    blind = (loss[joined].mean() + np.logaddexp(0, (z @ z.T).numpy()).mean()) / 2
    assert abs(blind - wanted) > 0.05


def test_without_pairs_that_are_none_half_the_mean_over_edges_remains():
    adj = Adjacency.from_coo(*np.nonzero(np.ones((4, 4))), (4, 4))
    z = torch.zeros(4, 2)
    found = sampled_edge_bce(z, adj, 50, seeded())
    assert float(found) == pytest.approx(math.log(2) / 2)


def test_rows_without_edges_are_met():
    """Node 1 of 3 has none, nor the last: bisection ends before and after empty rows."""
    adj = Adjacency.from_coo([0, 2], [2, 0], (4, 4))
    z = torch.eye(4) * 3
    found = sampled_edge_bce(z, adj, 400, seeded())
    assert float(found) == pytest.approx(math.log(2))  # all logits are 0: no node with itself


def test_drawn_pairs_carry_a_gradient_and_a_seed_repeats_them():
    adj, _ = ring(30, reach=3)
    z = torch.randn(30, 4, generator=seeded(), requires_grad=True)
    one = sampled_edge_bce(z, adj, 64, seeded(5))
    assert one == sampled_edge_bce(z, adj, 64, seeded(5))
    assert one != sampled_edge_bce(z, adj, 64, seeded(6))
    one.backward()
    assert z.grad.abs().sum() > 0


class Largest(TorchDispatchMode):
    """The most elements that a tensor made inside has."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.elements = max(self.elements, out.numel())
        return out


def test_nothing_of_all_pairs_is_held():
    adj, _ = ring(500, reach=2)
    z = torch.randn(500, 4, requires_grad=True)
    with Largest() as largest:
        sampled_edge_bce(z, adj, 100, seeded()).backward()
    assert largest.elements <= 500 * 4


@pytest.mark.parametrize(
    ("shape", "n_edges", "error", "words"),
    [((3, 3), 0, ConfigError, "n_edges >= 1"), ((3, 4), 1, DataError, "edges between the N")],
)
def test_edges_that_do_not_fit_are_refused(shape, n_edges, error, words):
    adj = Adjacency.from_coo([0], [1], shape)
    with pytest.raises(error, match=words):
        sampled_edge_bce(torch.zeros(3, 2), adj, n_edges, seeded())
    with pytest.raises(DataError, match="0 edges"):
        sampled_edge_bce(torch.zeros(3, 2), Adjacency.from_coo([], [], (3, 3)), 1, seeded())


def test_the_divergence_is_that_of_torch():
    mu, log_sigma = torch.randn(2, 50, 6, dtype=torch.float64, generator=seeded())
    one = Normal(mu, log_sigma.exp())
    wanted = kl_divergence(one, Normal(torch.zeros_like(mu), torch.ones_like(mu))).mean(0)
    torch.testing.assert_close(gaussian_kl(mu, log_sigma), wanted)
    assert (gaussian_kl(0 * mu, 0 * mu) == 0).all()
