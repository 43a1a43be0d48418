"""The users whose recommendations are judged, and what they are judged by."""

import numpy as np
import pytest

import dglmeta as dm
from dglmeta.data import LinkSplit, Rows
from dglmeta.errors import ConfigError, DataError
from dglmeta.tasks import recommend
from dglmeta.tasks.metrics import ranking_metrics
from dglmeta.tasks.recommend import evaluated_users

RATED = ("user", "rated", "item")


def rows(*triples):
    src, dst, label = zip(*triples, strict=True)
    return Rows(np.array(src), np.array(dst), np.array(label, np.float32))


NONE = np.zeros(0, np.int64)
BY_HAND = LinkSplit(
    RATED,
    train=rows((3, 0, 1), (1, 4, 0), (1, 0, 1), (5, 2, 1), (1, 2, 1)),
    valid=rows((3, 2, 1), (1, 1, 1), (5, 0, 0)),
    test=rows((7, 1, 1), (3, 4, 1), (1, 3, 0), (3, 1, 1), (5, 1, 0)),
    train_edge_ids=NONE,
    held_out_edge_ids=NONE,
)


def lists(pair):
    """One list a user."""
    return [items.tolist() for items in np.split(pair[1], pair[0][1:-1])]


def test_users_and_their_items_by_hand():
    users = evaluated_users(BY_HAND, "test", n_users=None)
    assert users.users.tolist() == [3, 7]  # those with positives in test
    assert lists(users.relevant) == [[1, 4], [1]]
    assert lists(users.excluded) == [[0], []]
    users = evaluated_users(BY_HAND, "valid", n_users=None)
    assert users.users.tolist() == [1, 3]
    assert lists(users.relevant) == [[1], [2]]
    assert lists(users.excluded) == [[0, 2, 4], [0]]  # 4 is a training negative


def test_metrics_by_hand():
    users = evaluated_users(BY_HAND, "test", n_users=None)
    scores = np.array([[9.0, 8, 7, 6, 5], [5, 6, 7, 8, 9]])
    # User 3 is offered 1, 2, 3, 4, its validation item 2 too; user 7 is offered 4, 3, 2, 1, 0.
    metrics = users.metrics(scores, ks=(1, 4))
    assert metrics["recall_at_1"] == (1 / 2 + 0) / 2
    assert metrics["recall_at_4"] == 1


@pytest.mark.parametrize("part", ["valid", "test"])
def test_the_lists_of_a_data_set_are_those_of_its_rows(part):
    split = dm.load_dataset("toy").splits(0)
    users, held_out = evaluated_users(split, part, n_users=None), getattr(split, part)
    every = zip(users.users, lists(users.relevant), lists(users.excluded), strict=True)
    n_relevant = 0
    for user, relevant, excluded in every:
        assert relevant == sorted(held_out.dst[(held_out.src == user) & (held_out.label > 0)])
        assert excluded == sorted(split.train.dst[split.train.src == user])
        n_relevant += len(relevant)
    assert n_relevant == held_out.label.sum() > 0


def test_knowing_the_answers_ranks_them_first(training):
    users = evaluated_users(training.split, "test")
    scores = np.zeros((len(users), 40))
    for k, items in enumerate(lists(users.relevant)):
        scores[k, items] = 1
    metrics = users.metrics(scores)
    assert set(metrics) == {f"{m}_at_{k}" for m in ("recall", "ndcg") for k in (2, 10, 50, 100)}
    assert metrics["ndcg_at_2"] == metrics["ndcg_at_100"] == metrics["recall_at_50"] == 1
    assert metrics["recall_at_2"] < 1
    assert users.metrics(-scores)["ndcg_at_2"] < 0.1


def test_some_users_are_drawn_at_random_and_again_by_their_seed(training):
    every = evaluated_users(training.split, "test", n_users=None)
    assert len(every) > 10
    drawn = [evaluated_users(training.split, "test", n_users=10, seed=s) for s in range(200)]
    for users in drawn[:5]:
        place = np.searchsorted(every.users, users.users)
        assert len(set(users.users)) == len(users) == 10
        assert lists(users.relevant) == [lists(every.relevant)[k] for k in place]
        assert lists(users.excluded) == [lists(every.excluded)[k] for k in place]
    again = evaluated_users(training.split, "test", n_users=10, seed=0)
    assert np.array_equal(again.users, drawn[0].users)
    times = np.bincount(np.concatenate([users.users for users in drawn]))[every.users]
    expected = 200 * 10 / len(every)
    assert times == pytest.approx(expected, abs=5 * np.sqrt(expected))


def test_no_more_users_are_drawn_than_there_are(training):
    every = evaluated_users(training.split, "test", n_users=None)
    assert np.array_equal(evaluated_users(training.split, "test", 1000).users, every.users)


def test_scores_from_a_function_give_what_they_give_at_once(training, monkeypatch):
    users = evaluated_users(training.split, "test", n_users=None)
    scores = np.random.default_rng(0).normal(size=(60, 40))
    expected = ranking_metrics(scores[users.users], users.relevant, users.excluded)
    assert users.metrics(scores[users.users]) == expected
    monkeypatch.setattr(recommend, "USERS_AT_ONCE", 7)
    assert users.metrics(lambda ids: scores[ids]) == pytest.approx(expected)


def test_rows_of_scores_that_are_missing_are_refused(training):
    users = evaluated_users(training.split, "test")
    with pytest.raises(DataError, match="lists of items of 3 users"):
        users.metrics(np.zeros((3, 40)))


def test_training_rows_cannot_be_evaluated():
    with pytest.raises(ConfigError, match="'valid' or 'test', got 'train'"):
        evaluated_users(BY_HAND, "train")


def test_no_users_at_all_are_refused():
    with pytest.raises(ConfigError, match="got 0"):
        evaluated_users(BY_HAND, "test", n_users=0)
    nothing = LinkSplit(RATED, BY_HAND.train, BY_HAND.valid, rows((1, 1, 0)), NONE, NONE)
    with pytest.raises(DataError, match="positives in test, got none among 1"):
        evaluated_users(nothing, "test")
