"""Balanced accuracy and F1 are their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dglmeta.errors import DataError
from dglmeta.tasks.metrics import balanced_metrics, class_metrics


@st.composite
def _classified(draw):
    """Integer logits, so with ties, and labels; not every class need occur."""
    n, n_classes = draw(st.integers(1, 20)), draw(st.integers(2, 5))
    logits = draw(hnp.arrays(np.int64, (n, n_classes), elements=st.integers(-3, 3)))
    label = draw(hnp.arrays(np.int64, n, elements=st.integers(0, n_classes - 1)))
    return logits.astype(np.float64), label


@given(_classified())
def test_f1_of_classes_equals_its_definition(classified):
    logits, label = classified
    said = [row.index(max(row)) for row in logits.tolist()]
    pairs = list(zip(said, label.tolist(), strict=True))
    f1 = [
        2 * pairs.count((c, c)) / (said.count(c) + label.tolist().count(c))
        for c in {*said, *label.tolist()}
    ]
    metrics = class_metrics(logits, label)
    assert metrics["micro_f1"] == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
    assert metrics["macro_f1"] == pytest.approx(sum(f1) / len(f1))


def test_f1_of_classes_by_hand():
    logits = np.eye(3)[[0, 0, 1, 1]]  # class 2 is missed
    metrics = class_metrics(logits, np.array([0, 0, 1, 2]))
    assert metrics == pytest.approx({"micro_f1": 3 / 4, "macro_f1": (1 + 2 / 3 + 0) / 3})


@given(_classified())
def test_balanced_accuracy_is_the_mean_recall_of_the_classes_there_are(classified):
    logits, label = classified
    said = logits.argmax(1)
    recalls = [np.mean(said[label == c] == c) for c in set(label.tolist())]
    metrics = balanced_metrics(logits, label)
    assert metrics["bacc"] == pytest.approx(np.mean(recalls))
    assert metrics["macro_f1"] == pytest.approx(class_metrics(logits, label)["macro_f1"])


def test_by_hand():
    logits = np.eye(3)[[0, 0, 0, 1, 2]]
    metrics = balanced_metrics(logits, np.array([0, 0, 1, 1, 1]))
    f1 = (2 * 2 / 5 + 2 * 1 / 4 + 0) / 3
    assert metrics == pytest.approx({"bacc": (1 + 1 / 3) / 2, "macro_f1": f1})


@pytest.mark.parametrize("metrics", [class_metrics, balanced_metrics])
@pytest.mark.parametrize(
    ("logits", "label", "message"),
    [
        ([[0.0, np.nan], [np.inf, 0.0]], [0, 1], "finite logits, got 2"),
        ([[0.0, 1.0]], [2], r"labels in \[0, 2\), got 2 to 2"),
        ([[0.0, 1.0]], [-1], "got -1"),
        ([[0.0, 1.0]], [0, 1], r"got \(1, 2\) and \(2,\)"),
        ([0.0, 1.0], [0, 1], r"got \(2,\)"),
        (np.zeros((0, 2)), np.zeros(0, int), "at least one sample"),
    ],
)
def test_logits_and_labels_that_do_not_fit_are_refused(metrics, logits, label, message):
    with pytest.raises(DataError, match=message) as error:
        metrics(np.array(logits), np.array(label))
    assert str(error.value).startswith(f"{metrics.__name__}: ")
