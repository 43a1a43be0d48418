"""Metrics agree with their definitions and are computed from logits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_array

from dglmeta.errors import ConfigError, DataError
from dglmeta.tasks import metrics as metrics_module
from dglmeta.tasks.metrics import link_metrics, rank_users, ranking_metrics


@st.composite
def _scored(draw):
    """Integer scores, so with ties, and labels of both kinds."""
    n = draw(st.integers(2, 30))
    logits = draw(hnp.arrays(np.int64, n, elements=st.integers(-6, 6))).astype(np.float64)
    label = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 1)))
    label[:2] = 0, 1
    return logits, label


def auc_by_pairs(logits, label):
    """Share of (positive, negative) pairs in the right order; a tie counts half."""
    gap = logits[label == 1][:, None] - logits[label == 0]
    return ((gap > 0) + 0.5 * (gap == 0)).mean()


def f1_by_counts(logits, label):
    said = logits > 0
    return 2 * (said & (label == 1)).sum() / max(said.sum() + (label == 1).sum(), 1)


@given(_scored())
def test_auc_and_f1_equal_their_definitions(scored):
    metrics = link_metrics(*scored)
    assert metrics["auc"] == pytest.approx(auc_by_pairs(*scored))
    assert metrics["f1"] == pytest.approx(f1_by_counts(*scored))


@given(_scored())
def test_auc_and_ap_are_invariant_under_increasing_maps(scored):
    logits, label = scored
    before = link_metrics(logits, label)
    for increasing in (lambda s: 3 * s - 50, np.exp, np.cbrt):
        after = link_metrics(increasing(logits), label)
        assert after["auc"] == before["auc"]
        assert after["ap"] == before["ap"]


def test_ties_count_half():
    assert link_metrics(np.zeros(4), np.array([0, 1, 0, 1]))["auc"] == 0.5
    assert link_metrics(np.array([0.0, 0, 1]), np.array([0, 1, 1]))["auc"] == 0.75


def test_logits_that_a_sigmoid_would_saturate_still_rank():
    logits = np.array([800.0, 900.0, 1000.0])
    assert link_metrics(logits, np.array([0, 1, 1]))["auc"] == 1.0


def test_average_precision_by_hand():
    metrics = link_metrics(np.array([4.0, 3, 2, 1]), np.array([1, 0, 1, 0]))
    assert metrics["ap"] == pytest.approx((1 / 1 + 2 / 3) / 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused(bad):
    with pytest.raises(DataError, match="got 1 that are not"):
        link_metrics(np.array([0.0, bad]), np.array([0, 1]))


def test_one_class_is_refused():
    with pytest.raises(DataError, match="one class only"):
        link_metrics(np.array([0.0, 1.0]), np.array([1, 1]))


def lists_of(rows):
    """Lists of items as (indptr, indices)."""
    return np.cumsum([0, *map(len, rows)]), np.array([i for row in rows for i in row], np.int64)


def slow_ranking(scores, relevant, excluded, ks):
    """Item by item."""
    values = {f"{name}_at_{k}": [] for k in ks for name in ("recall", "ndcg")}
    for row, wanted, barred in zip(scores.tolist(), relevant, excluded, strict=True):
        wanted = set(wanted)
        if not wanted:
            continue
        ranking = sorted(set(range(len(row))) - set(barred), key=lambda i: (-row[i], i))
        for k in ks:
            ranks = [r for r, item in enumerate(ranking[:k], 1) if item in wanted]
            ideal = range(1, min(k, len(wanted)) + 1)
            values[f"recall_at_{k}"].append(len(ranks) / len(wanted))
            gain, best = (sum(1 / np.log2(1 + r) for r in each) for each in (ranks, ideal))
            values[f"ndcg_at_{k}"].append(gain / best)
    return {name: np.mean(each) for name, each in values.items()}


@st.composite
def _ranked(draw):
    """Scores with ties, and for each item of each user whether it is relevant or excluded."""
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    scores = draw(hnp.arrays(np.int64, shape, elements=st.integers(-3, 3))).astype(np.float32)
    role = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 3)))
    role[0, 0] = 1
    relevant, excluded = ([np.flatnonzero(row == r).tolist() for row in role] for r in (1, 2))
    ks = draw(st.lists(st.integers(1, 15), min_size=1, max_size=3, unique=True))
    return scores, relevant, excluded, ks


@given(_ranked())
def test_ranking_metrics_equal_a_loop_over_items(ranked):
    scores, relevant, excluded, ks = ranked
    got = ranking_metrics(scores, lists_of(relevant), lists_of(excluded), ks)
    assert got == pytest.approx(slow_ranking(scores, relevant, excluded, ks))


def test_many_users_are_ranked_block_by_block(monkeypatch):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 40, (50, 30)).astype(np.float32)
    role = rng.integers(0, 5, scores.shape) * (rng.random((50, 1)) < 0.7)
    relevant, excluded = ([np.flatnonzero(row == r).tolist() for row in role] for r in (1, 2))
    monkeypatch.setattr(metrics_module, "BLOCK", 7 * 30)
    got = ranking_metrics(scores, lists_of(relevant), lists_of(excluded), (2, 10))
    assert got == pytest.approx(slow_ranking(scores, relevant, excluded, (2, 10)))


def test_ranking_metrics_by_hand():
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5]])
    # User 0 ranks 1, 2, 3, 4 and has 2 and 4; user 1 ranks 4, 3, 2, 1, 0 and has 4.
    got = ranking_metrics(scores, lists_of([[2, 4], [4]]), lists_of([[0], []]), (1, 2, 4))
    two = 1 + 1 / np.log2(3)
    expected = {
        "recall_at_1": (0 + 1) / 2,
        "recall_at_2": (1 / 2 + 1) / 2,
        "recall_at_4": 1,
        "ndcg_at_1": (0 + 1) / 2,
        "ndcg_at_2": (1 / np.log2(3) / two + 1) / 2,
        "ndcg_at_4": ((1 / np.log2(3) + 1 / np.log2(5)) / two + 1) / 2,
    }
    assert got == pytest.approx(expected)


def test_equal_scores_are_ranked_by_item():
    none = lists_of([[]])
    for item in range(4):
        got = ranking_metrics(np.zeros((1, 4)), lists_of([[item]]), none, (1, 2, 3))
        assert [got[f"recall_at_{k}"] for k in (1, 2, 3)] == [item < k for k in (1, 2, 3)]


def test_users_without_relevant_items_are_left_out():
    scores = np.array([[1.0, 0], [0, 1], [1, 0]])
    lists = lists_of([[], [1], []]), lists_of([[0], [], []])
    assert ranking_metrics(scores, *lists, (1,)) == {"recall_at_1": 1, "ndcg_at_1": 1}
    assert len(rank_users(scores, *lists, (1,))["recall_at_1"]) == 1


def test_sparse_matrices_are_lists_too_and_repeats_count_once():
    scores = np.array([[3.0, 2, 1, 0]])
    relevant = csr_array(np.array([[0, 1, 0, 1]]))
    excluded = csr_array(np.array([[1, 0, 0, 0]]))
    expected = ranking_metrics(scores, lists_of([[1, 3]]), lists_of([[0]]), (1, 3))
    assert expected["recall_at_1"] == 0.5
    assert ranking_metrics(scores, relevant, excluded, (1, 3)) == expected
    again = ranking_metrics(scores, lists_of([[3, 1, 1]]), lists_of([[0, 0]]), (1, 3))
    assert again == expected


def test_scores_are_left_as_they_were():
    scores = np.array([[3.0, 2, 1]])
    ranking_metrics(scores, lists_of([[1]]), lists_of([[0]]), (1,))
    assert scores.tolist() == [[3, 2, 1]]


ONE = np.array([[1.0, 0.0]])


@pytest.mark.parametrize(
    ("scores", "relevant", "excluded", "message"),
    [
        (ONE * np.nan, [[0]], [[]], "finite scores, got 2"),
        (np.array([[np.inf, 0.0]]), [[0]], [[]], "finite scores, got 1"),
        (ONE, [[]], [[]], "at least one user, got none of 1"),
        (ONE, [[0], [1]], [[]], "relevant as lists of items of 1 users"),
        (ONE, [[0]], [[], []], "excluded as lists"),
        (ONE, [[2]], [[]], r"relevant items in \[0, 2\), got 2 to 2"),
        (ONE, [[0]], [[-1]], "excluded items"),
        (ONE, [[0, 1]], [[1]], "got item 1 of user 0 in both"),
        (ONE[0], [[0]], [[]], r"got shape \(2,\)"),
    ],
)
def test_rankings_that_make_no_sense_are_refused(scores, relevant, excluded, message):
    with pytest.raises(DataError, match=message):
        ranking_metrics(scores, lists_of(relevant), lists_of(excluded))


@pytest.mark.parametrize("ks", [(), (0, 2)])
def test_lists_of_no_length_are_refused(ks):
    with pytest.raises(ConfigError, match="at least 1"):
        ranking_metrics(ONE, lists_of([[0]]), lists_of([[]]), ks)
