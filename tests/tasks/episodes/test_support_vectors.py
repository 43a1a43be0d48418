"""Support vectors: the optimum, which scikit-learn's solver agrees with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.svm import LinearSVC

from dglmeta.tasks.episodes.support_vectors import fit_support_vectors


def samples(n: int, d: int, k: int, *, noise: float = 1.0, seed: int = 0):
    """Points whose columns are correlated, and classes by a noisy linear rule; each occurs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(d)
    scores = x @ rng.normal(size=(d, k)) + noise * rng.normal(size=(n, k))
    label = scores.argmax(1)
    label[:k] = np.arange(k)
    return x, 3 * label + 1


def objective(w: np.ndarray, x: np.ndarray, sign: np.ndarray, c: float) -> float:
    slack = 1 - sign * (x @ w[:-1] + w[-1])
    return w @ w / 2 + c * np.square(np.maximum(slack, 0)).sum()


@pytest.mark.parametrize("c", [0.01, 1.0, 30.0])
@pytest.mark.parametrize(
    ("n", "d", "k", "noise"),
    [(300, 5, 2, 1.0), (300, 5, 4, 0.1), (15, 30, 3, 1.0), (200, 8, 2, 0.0)],
    ids=["two classes", "four classes", "more columns than points", "separable"],
)
def test_weights_are_those_of_another_solver(n, d, k, noise, c):
    x, label = samples(n, d, k, noise=noise)
    found = fit_support_vectors(x, label, c=c)
    model = LinearSVC(C=c, tol=1e-10, dual=False, max_iter=100_000).fit(x, label)
    np.testing.assert_allclose(found.weight, model.coef_, atol=1e-4)
    np.testing.assert_allclose(found.bias, model.intercept_, atol=1e-4)
    more = np.random.default_rng(1).normal(size=(50, d))
    scores = model.decision_function(more)
    np.testing.assert_allclose(found.decision_function(more), scores, atol=1e-3)
    sure = np.abs(scores if k == 2 else np.diff(np.sort(scores)[:, -2:])[:, 0]) > 1e-3
    np.testing.assert_array_equal(found.predict(more)[sure], model.predict(more)[sure])


def test_no_other_weights_do_better():
    x, label = samples(80, 4, 2)
    sign = np.where(label == 4, 1.0, -1.0)
    found = fit_support_vectors(x, label, c=2.0)
    w = np.append(found.weight, found.bias)
    least = objective(w, x, sign, 2.0)
    best = minimize(objective, np.zeros(5), args=(x, sign, 2.0), method="BFGS", tol=1e-9)
    assert least <= best.fun * (1 + 1e-9)
    rng = np.random.default_rng(2)
    assert all(objective(w + 0.01 * rng.normal(size=5), x, sign, 2.0) > least for _ in range(50))


def test_points_far_out_do_not_lead_astray():
    """Full Newton steps alone would go round in circles for one in a hundred of these.

    The objective is strongly convex: it is within |gradient|^2 / 2 of its least.
    """
    for seed in range(300):
        rng = np.random.default_rng(seed)
        n, d = int(rng.integers(3, 30)), int(rng.integers(1, 6))
        x = rng.standard_cauchy(size=(n, d)) * 10 ** rng.normal(size=(n, 1))
        label = np.append(rng.integers(0, 2, n - 2), [0, 1])
        sign, c = 2.0 * label - 1, 10 ** rng.uniform(-3, 4)
        found = fit_support_vectors(x, label, c=c)
        w = np.append(found.weight, found.bias)
        slack = np.maximum(1 - sign * (x @ w[:-1] + w[-1]), 0)
        gradient = w - 2 * c * np.column_stack([x, np.ones(n)]).T @ (sign * slack)
        assert gradient @ gradient / 2 <= 1e-6 * objective(w, x, sign, c)


def test_equal_and_constant_columns_share_the_weight():
    x, label = samples(100, 3, 2)
    found = fit_support_vectors(np.column_stack([x, x[:, 0], np.zeros(100)]), label)
    np.testing.assert_allclose(found.weight[0, 0], found.weight[0, 3])
    assert found.weight[0, 4] == 0


def test_of_two_classes_a_score_of_zero_is_the_first():
    found = fit_support_vectors(np.array([[-1.0], [1.0]]), np.array([3, 8]))
    assert found.bias == pytest.approx(0)
    np.testing.assert_array_equal(found.predict(np.array([[-0.5], [0.5]])), [3, 8])
    np.testing.assert_array_equal(
        found.predict(np.array([[-found.bias[0] / found.weight[0, 0]]])), [3]
    )
