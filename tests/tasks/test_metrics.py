"""Link metrics agree with their definitions and are computed from logits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dglmeta.errors import DataError
from dglmeta.tasks import link_metrics


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
