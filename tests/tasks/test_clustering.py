"""Clusters agree with planted classes and not with noise; pictures keep near what is near."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from dglmeta.errors import ConfigError, DataError, DglmetaError
from dglmeta.tasks.clustering import cluster_scores, tsne

LABELS = np.arange(120) % 3


def planted(noise: float) -> np.ndarray:
    return np.eye(3, 5)[LABELS] + noise * np.random.default_rng(0).normal(size=(120, 5))


def test_planted_classes_are_found_whatever_their_numbers():
    found = cluster_scores(planted(0.05), 7 - 2 * LABELS, runs=3, seed=0)
    np.testing.assert_allclose(found["nmi"], np.ones(3))
    np.testing.assert_allclose(found["ari"], np.ones(3))


def test_noise_agrees_with_nothing():
    noise = np.random.default_rng(1).normal(size=(120, 5))
    found = cluster_scores(noise, LABELS, seed=0)
    assert found["nmi"].shape == (10,)
    assert (found["nmi"] < 0.15).all()
    assert abs(found["ari"].mean()) < 0.1


def test_runs_differ_and_a_seed_repeats_them():
    z = planted(0.8)
    one = cluster_scores(z, LABELS, seed=1)
    assert len(np.unique(one["ari"])) > 1
    again = cluster_scores(z, LABELS, seed=1)
    np.testing.assert_array_equal(one["ari"], again["ari"])
    np.testing.assert_array_equal(one["nmi"], again["nmi"])


@pytest.mark.parametrize("d", [1, 5])
def test_pictures_keep_classes_apart_and_a_seed_repeats_them(d):
    z = planted(0.02) if d == 5 else LABELS[:, None] + planted(0.02)[:, 3:4]
    points = tsne(z, seed=0)
    assert points.shape == (120, 2)
    np.testing.assert_array_equal(points, tsne(z, seed=0))
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (LABELS[apart.argmin(1)] == LABELS).all()


def test_few_rows_have_a_picture():
    assert tsne(np.eye(3), seed=0).shape == (3, 2)


@pytest.mark.parametrize(
    ("z", "labels", "runs", "error", "words"),
    [
        (planted(1), LABELS, 0, ConfigError, "runs >= 1"),
        (planted(1), LABELS[1:], 1, DataError, r"labels \(120,\)"),
        (planted(1)[0], LABELS, 1, DataError, r"embeddings \(n, d\)"),
        (planted(np.nan), LABELS, 1, DataError, "600 numbers not finite"),
    ],
)
def test_what_does_not_fit_is_refused(z, labels, runs, error, words):
    with pytest.raises(error, match=words):
        cluster_scores(z, labels, runs=runs, seed=0)


def test_two_rows_have_no_picture():
    with pytest.raises(DataError, match="n >= 3"):
        tsne(np.eye(2), seed=0)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(DglmetaError, match="pip install scikit-learn"):
        tsne(np.eye(9), seed=0)
