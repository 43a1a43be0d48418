"""Linear support vectors with the squared hinge, by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["SupportVectors", "fit_support_vectors"]

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PRECISION = 1e-10
"""How near to its least the objective is brought, as a share of it."""

MOST_STEPS = 100
"""Of Newton's method; a dozen are usual."""

DESCENT = 1e-4
"""Share of the promised descent that a step must bring."""


@dataclass(frozen=True, eq=False)
class SupportVectors:
    """Linear scores of classes."""

    classes: Ids
    """(k,): ascending."""
    weight: Floats
    """(k, d), or (1, d) of two classes: of each class against the others, or of the second."""
    bias: Floats
    """(k,) or (1,)."""

    def decision_function(self, x: Floats) -> Floats:
        """(n, k) scores of the classes, or (n,) of the second of two."""
        scores: Floats = x @ self.weight.T + self.bias
        return scores[:, 0] if len(self.classes) == 2 else scores

    def predict(self, x: Floats) -> Ids:
        """(n,) class with the highest score; of two the second where its score is above 0."""
        scores = self.decision_function(x)
        best = scores.argmax(axis=1) if scores.ndim == 2 else (scores > 0).astype(np.int64)
        found: Ids = self.classes[best]
        return found


def fit_support_vectors(x: Floats, label: Ids, *, c: float = 1.0) -> SupportVectors:
    """Each class against the others: least |w|^2 / 2 + c sum_i max(0, 1 - s_i w . x_i)^2, s = ±1.

    A constant 1 stands among the columns, so that the bias is kept small with the weights.

    Parameters
    ----------
    x : (n, d) float64
    label : (n,) integers
        At least two classes.
    c : float
        Above 0.

    Notes
    -----
    The objective is quadratic while the same samples are within the margin, so Newton's method
    ends after few steps, each O(n d^2 + d^3). The optimum is that of scikit-learn's LinearSVC,
    whose solver takes far longer where columns are correlated, as those of embeddings are. Peak:
    twice the bytes of x.

    References
    ----------
    Keerthi and DeCoste, JMLR 6 (2005) 341-361, with halved steps for their exact line search.

    Examples
    --------
    >>> x = np.array([[-2.0], [-1.0], [1.0], [3.0]])
    >>> model = fit_support_vectors(x, np.array([0, 0, 5, 5]))
    >>> model.predict(x), model.decision_function(x).round(2)
    (array([0, 0, 5, 5]), array([-1.6, -0.8,  0.8,  2.4]))
    """
    classes = np.unique(label)
    columns = np.column_stack([x, np.ones(len(x))])
    wanted = classes[1:] if len(classes) == 2 else classes
    w = np.array([_minimum(columns, np.where(label == k, 1.0, -1.0), c) for k in wanted])
    return SupportVectors(classes, w[:, :-1], w[:, -1])


def _minimum(x: Floats, sign: Floats, c: float) -> Floats:
    """(d,) the weights of one class, by Newton steps that are halved until they descend."""
    from scipy.linalg import cho_factor, cho_solve

    w, slack = np.zeros(x.shape[1]), np.ones(len(x))  # slack: 1 - s_i w . x_i
    for _ in range(MOST_STEPS):
        inside = slack > 0
        near = x[inside]
        gradient = w - 2 * c * near.T @ (sign * slack)[inside]
        curvature = 2 * c * near.T @ near + np.eye(len(w))
        step: Floats = -cho_solve(cho_factor(curvature), gradient)
        slope, before = float(gradient @ step), _objective(w, slack, c)
        if -slope <= PRECISION * before:
            break
        change, t = sign * (x @ step), 1.0
        while _objective(w + t * step, slack - t * change, c) > before + DESCENT * t * slope:
            t /= 2
        w, slack = w + t * step, slack - t * change
    return w


def _objective(w: Floats, slack: Floats, c: float) -> float:
    return float(w @ w / 2 + c * np.square(slack.clip(0)).sum())
