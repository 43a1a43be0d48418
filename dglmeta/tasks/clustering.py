"""How far clusters of embeddings agree with classes, and embeddings as points of a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError, DataError, DglmetaError

__all__ = ["cluster_scores", "tsne"]

Floats = npt.NDArray[np.float64]
Embedded = npt.NDArray[np.floating[Any]]

STARTS = 10
"""First centres tried in a run of k-means, whose best result counts."""

PERPLEXITY = 30.0
"""About how many neighbours a point of t-SNE heeds."""


def cluster_scores(
    z: Embedded, labels: npt.NDArray[np.integer[Any]], *, runs: int = 10, seed: int
) -> dict[str, Floats]:
    """Agreement of classes with as many clusters of embeddings, by k-means.

    Parameters
    ----------
    z : (n, d) array
        Finite.
    labels : (n,) integers
        A class for each row.
    runs : int
        At least 1; they differ in their first centres.
    seed : int

    Returns
    -------
    scores : dict of str to (runs,) float64
        ``nmi``, normalised mutual information, over the mean of both entropies, in [0, 1]; ``ari``,
        the adjusted Rand index, 0 by chance, at most 1.

    Raises
    ------
    ConfigError
        If runs is below 1.
    DataError
        If shapes do not fit, or z is not finite.
    DglmetaError
        If scikit-learn is missing.

    Notes
    -----
    Each run is the best by inertia of 10 starts, a default chosen here. The same for the same seed.

    Examples
    --------
    >>> z, labels = np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([0, 0, 1, 1])
    >>> cluster_scores(z, labels, runs=2, seed=0)
    {'nmi': array([1., 1.]), 'ari': array([1., 1.])}
    """
    cluster, metrics = _library("cluster_scores", "cluster"), _library("cluster_scores", "metrics")
    _check("cluster_scores", z)
    if runs < 1:
        raise ConfigError(f"cluster_scores: expected runs >= 1, got {runs}. Leave it out for 10.")
    if labels.shape != (len(z),):
        raise DataError(
            f"cluster_scores: expected labels ({len(z)},), got {labels.shape}. Give a class for "
            f"each row."
        )
    n_classes, found = len(np.unique(labels)), np.empty((2, runs))
    for run, state in enumerate(np.random.SeedSequence(seed).generate_state(runs)):
        said = cluster.KMeans(n_classes, n_init=STARTS, random_state=int(state)).fit_predict(z)
        found[0, run] = metrics.normalized_mutual_info_score(labels, said)
        found[1, run] = metrics.adjusted_rand_score(labels, said)
    return {"nmi": found[0], "ari": found[1]}


def tsne(z: Embedded, seed: int) -> Floats:
    """(n, 2) points of a picture in which like rows lie near, by t-SNE; the axes mean nothing.

    Parameters
    ----------
    z : (n, d) array
        Finite, of at least 3 rows.
    seed : int

    Raises
    ------
    DataError
        If z is not finite or has less rows.
    DglmetaError
        If scikit-learn is missing.

    Notes
    -----
    scikit-learn's: from principal components where d >= 2; perplexity 30, or a third of the other
    rows where they are fewer than 90. O(n log n) a step.

    References
    ----------
    van der Maaten and Hinton, JMLR 9 (2008) 2579-2605.

    Examples
    --------
    >>> tsne(np.eye(10), seed=0).shape
    (10, 2)
    """
    manifold = _library("tsne", "manifold")
    _check("tsne", z, least=3)
    first = "pca" if z.shape[1] >= 2 else "random"
    perplexity = min(PERPLEXITY, (len(z) - 1) / 3)
    method = manifold.TSNE(2, perplexity=perplexity, init=first, random_state=seed % 2**32)
    return np.asarray(method.fit_transform(z), np.float64)


def _check(where: str, z: Embedded, least: int = 1) -> None:
    if z.ndim != 2 or len(z) < least or not np.isfinite(z).all():
        raise DataError(
            f"{where}: expected finite embeddings (n, d) with n >= {least}, got shape {z.shape}, "
            f"{int((~np.isfinite(z)).sum())} numbers not finite. Give the means of trained nodes."
        )


def _library(where: str, part: str) -> Any:
    """A part of scikit-learn, loaded when asked for."""
    from importlib import import_module

    try:
        return import_module(f"sklearn.{part}")
    except ImportError as error:
        raise DglmetaError(
            f"{where}: expected scikit-learn, got none. Type: pip install scikit-learn"
        ) from error
