"""Errors of features, and divergence, against formulas written out row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from dglmeta.errors import ConfigError, DataError
from dglmeta.tasks.reconstruction import (
    FORMS,
    enhanced_scaled_cosine,
    enhanced_scaled_cosine_error,
    gaussian_kl,
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


def test_the_divergence_is_that_of_torch():
    mu, log_sigma = torch.randn(2, 50, 6, dtype=torch.float64, generator=seeded())
    one = Normal(mu, log_sigma.exp())
    wanted = kl_divergence(one, Normal(torch.zeros_like(mu), torch.ones_like(mu))).mean(0)
    torch.testing.assert_close(gaussian_kl(mu, log_sigma), wanted)
    assert (gaussian_kl(0 * mu, 0 * mu) == 0).all()
