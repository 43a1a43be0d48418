"""Heterographs made up on the spot: one tiny and fixed, one of any size with a planted path."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.data.dataset import Card, Dataset
from dglmeta.data.pairs import sort_distinct
from dglmeta.errors import ConfigError
from dglmeta.graph import EdgeType, HeteroCSR

__all__ = ["planted", "toy"]

Ids = npt.NDArray[np.int64]
Edges = tuple[npt.NDArray[Any], npt.NDArray[Any]]

RATED = ("user", "rated", "item")
FOLLOWS = ("user", "follows", "topic")
ABOUT = ("item", "about", "topic")
DECOYS = (
    (("user", "lives_in", "city"), ("item", "sold_in", "city")),
    (("user", "owns", "device"), ("item", "runs_on", "device")),
)


def toy() -> Dataset:
    """Eight users, eight items, four tags: two circles of taste and two ratings across them.

    Always the same; for docs and tests.

    Examples
    --------
    >>> ds = toy()
    >>> ds.csr
    HeteroCSR(user: 8, item: 8, tag: 4; 36 edges of 2 types)
    >>> ds.metapaths
    ('user-item-tag-item', 'user-item-user-item')
    """
    circle = [
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 1),
        (1, 3),
        (2, 1),
        (2, 2),
        (2, 3),
        (3, 0),
        (3, 3),
    ]
    ratings = np.array([*circle, (0, 4), *((u + 4, i + 4) for u, i in circle), (7, 3)])
    tags = np.array([(0, 0), (1, 0), (2, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (6, 2), (7, 3),
                     (0, 1), (5, 3)])  # fmt: skip
    edges = {RATED: (ratings[:, 0], ratings[:, 1]), ("item", "has", "tag"): tuple(tags.T)}
    hg = HeteroCSR.from_edges(edges, {"user": 8, "item": 8, "tag": 4})
    card = Card(title="A toy: users rate items that have tags", licence="none needed")
    return Dataset("toy", hg, RATED, ("user-item-tag-item", "user-item-user-item"), card=card)


def planted(
    n_users: int = 1500,
    n_items: int | None = None,
    *,
    n_topics: int = 20,
    ratings_per_user: int = 6,
    noise: float = 0.2,
    shuffle_path: bool = False,
    seed: int = 0,
) -> Dataset:
    """A heterograph whose target links depend on a known meta-path, beside two that are decoys.

    Every user follows a topic and every item is about one, some topics more often than others. A
    user rates items about the topic followed, but with probability ``noise`` any item. So the
    meta-path user-topic-item joins exactly the pairs the ratings are a thin sample of: a model
    that also predicts the path has many more examples of the same rule than the few ratings give.
    Users and items are also tied, at random, to cities and devices; the two meta-paths through
    them say nothing.

    With ``shuffle_path`` the users of all follows, and the items of all topics, change places at
    random after the ratings are drawn. Degrees and ratings stay, but the path says nothing either:
    the negative control, in which predicting paths must not help.

    Parameters
    ----------
    n_users : int
    n_items : int, optional
        Two thirds of ``n_users`` when absent.
    n_topics : int
        Also the number of cities and of devices; at most ``n_users`` and ``n_items``.
    ratings_per_user : int
        Ratings drawn for each user; repeats count once, so most have a few less.
    noise : float
        Probability in [0, 1] that a rating ignores the topic.
    shuffle_path : bool
        Make the negative control.
    seed : int
        Same seed, same graph; the control has the same ratings and decoys.

    Returns
    -------
    ds : Dataset
        Target ``("user", "rated", "item")``; meta-paths: the planted one first, then the decoys.

    Raises
    ------
    ConfigError
        If a size is not positive, there are more topics than users or items, or ``noise`` is no
        probability.

    Notes
    -----
    Topics are unequal because from a symmetric start, where no topic stands out, gradient descent
    lingers. Edges: about ``n_users * (ratings_per_user + 5) + 5 * n_items``. Cost
    O(edges log edges), peak about 50 bytes a rating.

    Examples
    --------
    >>> ds = planted(n_users=300, seed=1)
    >>> ds.csr.n_nodes
    {'user': 300, 'item': 200, 'topic': 20, 'city': 20, 'device': 20}
    >>> ds.metapaths
    ('user-topic-item', 'user-city-item', 'user-device-item')
    """
    if n_items is None:
        n_items = max(2 * n_users // 3, n_topics)
    _check(n_users, n_items, n_topics, ratings_per_user, noise)
    rng = np.random.default_rng(seed)
    topic_of_user = _draw_topics(n_users, n_topics, rng)
    topic_of_item = _draw_topics(n_items, n_topics, rng)
    edges: dict[EdgeType, Edges] = {
        RATED: _rate(topic_of_user, topic_of_item, n_topics, ratings_per_user, noise, rng)
    }
    for user_decoy, item_decoy in DECOYS:
        edges[user_decoy] = _two_each(n_users, n_topics, rng)
        edges[item_decoy] = _two_each(n_items, n_topics, rng)
    if shuffle_path:
        topic_of_user = rng.permutation(topic_of_user)
        topic_of_item = rng.permutation(topic_of_item)
    edges[FOLLOWS] = np.arange(n_users), topic_of_user
    edges[ABOUT] = np.arange(n_items), topic_of_item
    n_nodes = {"user": n_users, "item": n_items, "topic": n_topics}
    hg = HeteroCSR.from_edges(edges, {**n_nodes, "city": n_topics, "device": n_topics})
    card = Card(
        title="Planted: ratings follow the path user-topic-item, and two paths are decoys",
        licence="none needed",
        note="The negative control: the path's links are shuffled." if shuffle_path else "",
    )
    metapaths = ("user-topic-item", "user-city-item", "user-device-item")
    return Dataset("planted", hg, RATED, metapaths, card=card)


def _draw_topics(n: int, n_topics: int, rng: np.random.Generator) -> Ids:
    """A topic each, topic k in proportion to 1 / sqrt(k + 1); every topic at least once."""
    share = np.arange(1, n_topics + 1) ** -0.5
    topics = rng.choice(n_topics, n, p=share / share.sum())
    topics[:n_topics] = np.arange(n_topics)
    return rng.permutation(topics)


def _rate(
    topic_of_user: Ids,
    topic_of_item: Ids,
    n_topics: int,
    per_user: int,
    noise: float,
    rng: np.random.Generator,
) -> Edges:
    """Distinct (user, item) pairs: an item about the user's topic, or with ``noise`` any."""
    n_users, n_items = len(topic_of_user), len(topic_of_item)
    by_topic = np.argsort(topic_of_item, kind="stable")
    n_about = np.bincount(topic_of_item, minlength=n_topics)
    first = np.cumsum(n_about) - n_about  # where each topic begins in by_topic
    topic = np.repeat(topic_of_user, per_user)
    item = by_topic[first[topic] + rng.integers(n_about[topic])]
    stray = np.flatnonzero(rng.random(len(item)) < noise)
    item[stray] = rng.integers(n_items, size=len(stray))
    keys = sort_distinct(np.repeat(np.arange(n_users), per_user) * n_items + item)
    return keys // n_items, keys % n_items


def _two_each(n: int, n_targets: int, rng: np.random.Generator) -> Edges:
    """Each of n nodes tied to one or two targets drawn uniformly."""
    keys = sort_distinct(
        np.repeat(np.arange(n), 2) * n_targets + rng.integers(n_targets, size=2 * n)
    )
    return keys // n_targets, keys % n_targets


def _check(n_users: int, n_items: int, n_topics: int, per_user: int, noise: float) -> None:
    if min(n_topics, per_user) < 1 or min(n_users, n_items) < n_topics:
        raise ConfigError(
            f"planted: expected ratings_per_user >= 1 and n_users, n_items >= n_topics >= 1, got "
            f"{per_user}, {n_users}, {n_items} and {n_topics}. Change them."
        )
    if not 0 <= noise <= 1:
        raise ConfigError(f"planted: expected noise in [0, 1], got {noise}. It is a probability.")
