"""Metrics, all computed from logits so that a saturated sigmoid never makes ties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError, DataError
from dglmeta.tasks.class_scores import balanced_metrics, check_finite, class_metrics

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = [
    "KS",
    "area_under_curve",
    "balanced_metrics",
    "class_metrics",
    "link_metrics",
    "rank_users",
    "ranking_metrics",
]

Scores: TypeAlias = npt.NDArray[np.floating]
Ids: TypeAlias = npt.NDArray[np.int64]
ItemLists: TypeAlias = "tuple[npt.ArrayLike, npt.ArrayLike] | csr_array"
"""Items of each user: (indptr, indices), or a matrix whose stored entries are meant."""

KS = (2, 10, 50, 100)
"""Lengths of the lists that recommendations are judged by."""

BLOCK = 1 << 22
"""Scores ranked at a time, so that what is held beside them stays small."""


def area_under_curve(positives: Scores, negatives: Scores) -> float:
    """Area under the ROC curve: how often a positive scores above a negative; ties count half.

    Parameters
    ----------
    positives, negatives : (n,) and (m,) arrays
        Scores, at least one each.

    Notes
    -----
    O((n + m) log(n + m)); several times faster than :func:`link_metrics`, for many small sets.

    Examples
    --------
    >>> area_under_curve(np.array([2.0, 1.0]), np.array([1.0, 0.0]))
    0.875
    """
    from scipy.stats import rankdata

    n, m = len(positives), len(negatives)
    ranks = rankdata(np.concatenate([positives, negatives]))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def link_metrics(logits: Scores, label: npt.NDArray[np.floating]) -> dict[str, float]:
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

    check_finite("link_metrics", "logits", logits)
    if len(np.unique(label)) < 2:
        raise DataError("link_metrics: expected positives and negatives, got one class only.")
    return {
        "auc": float(roc_auc_score(label, logits)),
        "ap": float(average_precision_score(label, logits)),
        "f1": float(f1_score(label, logits > 0)),
    }


def ranking_metrics(
    scores: Scores,
    relevant: ItemLists,
    excluded: ItemLists,
    ks: Sequence[int] = KS,
) -> dict[str, float]:
    """How many of a user's held-out items stand at the head of the ranking of all items.

    Parameters
    ----------
    scores : (n_users, n_items) array
        Items are ranked by falling score, equal ones by rising id.
    relevant : (indptr, indices) or csr_array
        Held-out positives of each user; users without any are left out. Repeats count once.
    excluded : (indptr, indices) or csr_array
        Items of each user that are no candidates and leave the ranking, whatever their score.
    ks : sequence of int
        Lengths of lists; lists are shorter where there are fewer candidates.

    Returns
    -------
    metrics : dict
        For each K, means over users in [0, 1]: ``recall_at_K``, the share of the relevant items
        among the first K; ``ndcg_at_K``, the sum of 1 / log2(1 + rank) over those hits, over what
        it is when the first min(K, number of relevant items) are all hits.

    Raises
    ------
    ConfigError
        If there is no K, or one below 1.
    DataError
        If a score is not finite, the lists do not fit the scores, an item is both relevant and
        excluded, or no user has a relevant item.

    Notes
    -----
    Cost O(n_users * n_items): only the first max(ks) items are sorted.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.8, 0.7, 0.6]])
    >>> metrics = ranking_metrics(scores, ([0, 2], [1, 3]), ([0, 1], [0]), ks=(1, 2))
    >>> {name: round(value, 3) for name, value in metrics.items()}
    {'recall_at_1': 0.5, 'ndcg_at_1': 1.0, 'recall_at_2': 0.5, 'ndcg_at_2': 0.613}
    """
    each = rank_users(scores, relevant, excluded, ks)
    if not len(next(iter(each.values()))):
        raise DataError(
            f"ranking_metrics: expected a relevant item of at least one user, got none of "
            f"{len(scores)} users. Choose users with held-out positives."
        )
    return {name: float(values.mean()) for name, values in each.items()}


def rank_users(
    scores: Scores, relevant: ItemLists, excluded: ItemLists, ks: Sequence[int] = KS
) -> dict[str, npt.NDArray[np.float64]]:
    """:func:`ranking_metrics` of every user by itself, those without relevant items left out."""
    if not ks or min(ks) < 1:
        raise ConfigError(
            f"ranking_metrics: expected lengths of lists of at least 1, got {tuple(ks)}. "
            f"Give one or more."
        )
    if scores.ndim != 2:
        raise DataError(
            f"ranking_metrics: expected scores (n_users, n_items), got shape {scores.shape}. "
            f"Give a row for every user."
        )
    n_items = scores.shape[1]
    wanted = _keys("relevant", relevant, scores.shape)
    barred = _keys("excluded", excluded, scores.shape)
    both = wanted[_among(wanted, barred)]
    if len(both):
        user, item = divmod(int(both[0]), n_items)
        raise DataError(
            f"ranking_metrics: expected relevant items among the candidates, got item {item} of "
            f"user {user} in both lists. Take it out of one."
        )
    n_relevant = np.bincount(wanted // max(n_items, 1), minlength=len(scores))
    kept = np.flatnonzero(n_relevant)
    hit = np.zeros((len(kept), max(ks)), bool)
    step = max(BLOCK // max(n_items, 1), 1)
    for first in range(0, len(kept), step):
        users = kept[first : first + step]
        block = scores[users].astype(np.float64)
        check_finite("ranking_metrics", "scores", block)
        _exclude(block, users, barred, n_items)
        head = _head(block, min(max(ks), n_items))
        hit[first : first + step, : head.shape[1]] = _among(users[:, None] * n_items + head, wanted)
    return _judged(hit, n_relevant[kept], ks)


def _judged(
    hit: npt.NDArray[np.bool_], n_relevant: Ids, ks: Sequence[int]
) -> dict[str, npt.NDArray[np.float64]]:
    """Metrics of each user from its hits by rank, (n_users, max K)."""
    gain = 1 / np.log2(np.arange(2, hit.shape[1] + 2))
    best = np.cumsum(gain)
    values = {}
    for k in ks:
        values[f"recall_at_{k}"] = hit[:, :k].sum(1) / n_relevant
        values[f"ndcg_at_{k}"] = hit[:, :k] @ gain[:k] / best[np.minimum(k, n_relevant) - 1]
    return values


def _exclude(scores: Scores, users: Ids, barred: Ids, n_items: int) -> None:
    """Put the items that are no candidates of some users, in rising order, last."""
    near = np.searchsorted(barred, [users[0] * n_items, (users[-1] + 1) * n_items])
    keys = barred[slice(*near)]
    keys = keys[_among(keys // n_items, users)]
    scores[np.searchsorted(users, keys // n_items), keys % n_items] = -np.inf


def _head(scores: Scores, k: int) -> Ids:
    """(n_users, k) items of the highest scores, in falling order, equal ones by rising id."""
    last = np.partition(scores, -k, axis=1)[:, -k, None]  # the k-th highest
    above, level = scores > last, scores == last
    room = k - above.sum(1, keepdims=True)
    chosen = above | (level & (level.cumsum(1) <= room))  # exactly k in every row
    items = np.nonzero(chosen)[1].reshape(len(scores), k)
    order = np.argsort(-np.take_along_axis(scores, items, 1), axis=1, kind="stable")
    return np.take_along_axis(items, order, 1)


def _keys(name: str, lists: ItemLists, shape: tuple[int, ...]) -> Ids:
    """Distinct ``user * n_items + item`` of all lists, in rising order."""
    n_users, n_items = shape
    given = lists if isinstance(lists, tuple) else (lists.indptr, lists.indices)
    indptr, indices = (np.asarray(part, np.int64) for part in given)
    whole = len(indptr) == n_users + 1 and indptr[0] == 0 and indptr[-1] == len(indices)
    if not whole or (np.diff(indptr) < 0).any():
        raise DataError(
            f"ranking_metrics: expected {name} as lists of items of {n_users} users, got an indptr "
            f"of {len(indptr)} numbers over {len(indices)} items. Give n_users + 1, from 0 up."
        )
    if len(indices) and (indices.min() < 0 or indices.max() >= n_items):
        raise DataError(
            f"ranking_metrics: expected {name} items in [0, {n_items}), got {indices.min()} to "
            f"{indices.max()}. Score all items."
        )
    keys: Ids = np.unique(np.repeat(np.arange(n_users), np.diff(indptr)) * n_items + indices)
    return keys


def _among(keys: Ids, ordered: Ids) -> npt.NDArray[np.bool_]:
    """Which keys are in a rising array."""
    if not len(ordered):
        return np.zeros(keys.shape, bool)
    place = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    found: npt.NDArray[np.bool_] = ordered[place] == keys
    return found
