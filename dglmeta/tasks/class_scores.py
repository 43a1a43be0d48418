"""How well the class with the highest logit fits the label; offered by :mod:`metrics`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError

__all__ = ["balanced_metrics", "check_finite", "class_metrics"]


def class_metrics(
    logits: npt.NDArray[np.floating], label: npt.NDArray[np.integer]
) -> dict[str, float]:
    """F1 of the class with the highest logit, pooled over samples and averaged over classes.

    Parameters
    ----------
    logits : (n, classes) array
        The first of equal ones counts as the highest.
    label : (n,) integers
        Classes, from 0.

    Returns
    -------
    metrics : dict
        ``micro_f1``, which is the share of samples that are right, and ``macro_f1``, the mean over
        the classes that occur among the labels or the predictions; each in [0, 1].

    Raises
    ------
    DataError
        If a logit is not finite, shapes do not fit, there are no samples, or a label is none of
        the classes.

    Examples
    --------
    >>> class_metrics(np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]]), np.array([0, 1, 0]))
    {'micro_f1': 1.0, 'macro_f1': 1.0}
    """
    from sklearn.metrics import f1_score

    _check("class_metrics", logits, label)
    said = logits.argmax(1)
    return {
        "micro_f1": float(f1_score(label, said, average="micro")),
        "macro_f1": float(f1_score(label, said, average="macro")),
    }


def balanced_metrics(
    logits: npt.NDArray[np.floating], label: npt.NDArray[np.integer]
) -> dict[str, float]:
    """How well the class with the highest logit fits, every class counting the same.

    Parameters
    ----------
    logits : (n, classes) array
        The first of equal ones counts as the highest.
    label : (n,) integers
        Classes, from 0.

    Returns
    -------
    metrics : dict
        ``bacc``, the balanced accuracy: the mean recall of the classes that occur among the labels;
        and ``macro_f1``, the mean F1 of those that occur among the labels or the predictions; each
        in [0, 1].

    Raises
    ------
    DataError
        As for :func:`class_metrics`.

    Notes
    -----
    Cost O(n * classes), by counting; fit for every epoch.

    Examples
    --------
    >>> balanced_metrics(np.eye(2)[[0, 0, 0, 1]], np.array([0, 0, 1, 1]))["bacc"]
    0.75
    """
    _check("balanced_metrics", logits, label)
    n_classes, said = logits.shape[1], logits.argmax(1)
    n_label, n_said, n_right = (
        np.bincount(classes, minlength=n_classes) for classes in (label, said, said[said == label])
    )
    occurs, meant = n_label > 0, n_label + n_said > 0
    return {
        "bacc": float((n_right[occurs] / n_label[occurs]).mean()),
        "macro_f1": float((2 * n_right[meant] / (n_label + n_said)[meant]).mean()),
    }


def check_finite(where: str, what: str, values: npt.NDArray[np.floating]) -> None:
    """Refuse values of which some are no numbers or infinite.

    Raises
    ------
    DataError
        Saying how many.
    """
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise DataError(
            f"{where}: expected finite {what}, got {bad} that are not. Training diverged: lower "
            f"the learning rate or check the features."
        )


def _check(where: str, logits: npt.NDArray[np.floating], label: npt.NDArray[np.integer]) -> None:
    if logits.ndim != 2 or label.shape != logits.shape[:1] or not logits.size:
        raise DataError(
            f"{where}: expected logits (n, classes) and label (n,) of at least one sample, "
            f"got {logits.shape} and {label.shape}. Give a row of logits for every label."
        )
    check_finite(where, "logits", logits)
    if label.min() < 0 or label.max() >= logits.shape[1]:
        raise DataError(
            f"{where}: expected labels in [0, {logits.shape[1]}), got {label.min()} to "
            f"{label.max()}. Number the classes from 0."
        )
