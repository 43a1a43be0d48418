"""Metrics, all computed from logits so that a saturated sigmoid never makes ties."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError

__all__ = ["link_metrics"]


def link_metrics(
    logits: npt.NDArray[np.floating], label: npt.NDArray[np.floating]
) -> dict[str, float]:
    """Area under the ROC curve, average precision, and F1 at probability 0.5.

    Parameters
    ----------
    logits, label : (n,) arrays
        Scores over all real numbers, and 0 or 1.

    Returns
    -------
    metrics : dict
        ``auc`` (ties count half), ``ap`` and ``f1``, each in [0, 1].

    Raises
    ------
    DataError
        If a logit is not finite or there is only one class.

    Examples
    --------
    >>> link_metrics(np.array([-1.0, 2.0, 0.5]), np.array([0, 1, 1]))
    {'auc': 1.0, 'ap': 1.0, 'f1': 1.0}
    """
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    if not np.isfinite(logits).all():
        raise DataError(
            f"link_metrics: expected finite logits, got {int((~np.isfinite(logits)).sum())} that "
            f"are not. Training diverged: lower the learning rate or check the features."
        )
    if len(np.unique(label)) < 2:
        raise DataError("link_metrics: expected positives and negatives, got one class only.")
    return {
        "auc": float(roc_auc_score(label, logits)),
        "ap": float(average_precision_score(label, logits)),
        "f1": float(f1_score(label, logits > 0)),
    }
