"""Link prediction seen as recommendation: each user's held-out items among all not yet seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dglmeta.data import LinkSplit, Rows
from dglmeta.errors import ConfigError, DataError
from dglmeta.tasks.metrics import KS, ItemLists, Scores, rank_users, ranking_metrics

__all__ = ["RankingUsers", "evaluated_users"]

Ids = npt.NDArray[np.int64]

USERS_AT_ONCE = 256
"""Users whose scores are held at a time where they come from a function."""


@dataclass(frozen=True, eq=False)
class RankingUsers:
    """The users whose rankings are judged. Every item is a candidate but those excluded.

    Parameters
    ----------
    users : (n,) int64
        Ids of the target edge's source nodes, rising.
    relevant : (indptr, indices)
        Held-out positives of each of them, at least one.
    excluded : (indptr, indices)
        Their training items, positives and negatives.
    """

    users: Ids
    relevant: tuple[Ids, Ids]
    excluded: tuple[Ids, Ids]

    def __len__(self) -> int:
        return len(self.users)

    def metrics(
        self, scores: Scores | Callable[[Ids], Scores], ks: Sequence[int] = KS
    ) -> dict[str, float]:
        """Recall and NDCG at each K, means over the users; see :func:`ranking_metrics`.

        Parameters
        ----------
        scores : (n, n_items) array, or function
            Row k belongs to ``users[k]``. A function gets the ids of some users and gives their
            rows, so that not all have to be held at once.
        ks : sequence of int

        Raises
        ------
        DataError
            If a score is not finite, or items are missing.
        """
        if not callable(scores):
            return ranking_metrics(scores, self.relevant, self.excluded, ks)
        parts = []
        for first in range(0, len(self), USERS_AT_ONCE):
            some = slice(first, first + USERS_AT_ONCE)
            relevant, excluded = _part(self.relevant, some), _part(self.excluded, some)
            parts.append(rank_users(scores(self.users[some]), relevant, excluded, ks))
        return {name: float(np.concatenate([p[name] for p in parts]).mean()) for name in parts[0]}


def evaluated_users(
    split: LinkSplit, part: str, n_users: int | None = 100, seed: int = 0
) -> RankingUsers:
    """Users drawn at random among those with positives in a part of a split.

    What a user has in the training rows is no candidate, negatives included: a model has been told
    about those. Positives of the other held-out part are candidates, and not relevant.

    Parameters
    ----------
    split : LinkSplit
        Of an edge type from users to items.
    part : {"valid", "test"}
        Its positives are the relevant items.
    n_users : int or None
        How many users at most; None for all that there are.
    seed : int
        Same seed, same users.

    Raises
    ------
    ConfigError
        If there is no such part, or ``n_users`` is below 1.
    DataError
        If the part has no positives.

    References
    ----------
    KGNN-LS, arXiv 1905.04413: 100 users, K in {2, 10, 50, 100}.

    Examples
    --------
    >>> from dglmeta.data import toy
    >>> users = evaluated_users(toy().splits(0), "test", n_users=None)
    >>> users.metrics(np.zeros((len(users), 8)), ks=(8,))["recall_at_8"]
    1.0
    """
    if part not in ("valid", "test"):
        raise ConfigError(
            f"evaluated_users: expected part 'valid' or 'test', got {part!r}. Training rows are "
            f"no candidates."
        )
    if n_users is not None and n_users < 1:
        raise ConfigError(
            f"evaluated_users: expected n_users of at least 1, got {n_users}. None means all."
        )
    held_out: Rows = getattr(split, part)
    positive = held_out.label > 0
    users = np.unique(held_out.src[positive])
    if not len(users):
        raise DataError(
            f"evaluated_users: expected positives in {part}, got none among {len(positive)} rows. "
            f"Split again with a larger share."
        )
    if n_users is not None and n_users < len(users):
        users = np.sort(np.random.default_rng(seed).choice(users, n_users, replace=False))
    return RankingUsers(
        users,
        _items_of(users, held_out.src[positive], held_out.dst[positive]),
        _items_of(users, split.train.src, split.train.dst),
    )


def _items_of(users: Ids, src: Ids, dst: Ids) -> tuple[Ids, Ids]:
    """The second ends of the pairs whose first is a user, user after user: (indptr, indices)."""
    place = np.searchsorted(users, src)
    place[place == len(users)] = 0
    ours = np.flatnonzero(users[place] == src)
    place, items = place[ours], dst[ours]
    order = np.lexsort((items, place))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=len(users)))])
    return indptr, items[order]


def _part(lists: tuple[Ids, Ids], some: slice) -> ItemLists:
    """Those of some users."""
    indptr, indices = lists
    ends = indptr[some.start : some.stop + 1]
    return ends - ends[0], indices[ends[0] : ends[-1]]
