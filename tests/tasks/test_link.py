"""The link task hands out the rows of its split, each as often as it should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.data import LinkSplit, Rows
from dglmeta.errors import DataError
from dglmeta.tasks import LinkTask, TargetEdges

RATED = ("user", "rated", "item")


def rows(n):
    return Rows(np.arange(n), 100 + np.arange(n), (np.arange(n) % 2).astype(np.float32))


def test_it_knows_its_types_and_length():
    task = LinkTask(RATED, rows(5))
    assert (task.source_type, task.name, task.target_type, len(task)) == (*RATED, 5)


def test_take_keeps_pairs_and_labels_together():
    pairs = LinkTask(RATED, rows(9)).take(np.array([7, 2]))
    assert pairs.src.tolist() == [7, 2]
    assert pairs.dst.tolist() == [107, 102]
    assert pairs.label.tolist() == [1, 0]


def test_draw_gives_distinct_rows_uniformly():
    task, rng = LinkTask(RATED, rows(10)), np.random.default_rng(0)
    drawn = [task.draw(5, rng).src for _ in range(400)]
    assert all(len(set(ids)) == 5 for ids in drawn)
    assert np.bincount(np.concatenate(drawn), minlength=10) == pytest.approx(200, abs=50)


@given(n=st.integers(2, 40), batch=st.integers(1, 40), seed=st.integers(0, 9))
def test_an_epoch_is_batches_of_equal_size_without_repeats(n, batch, seed):
    batch = min(batch, n)
    batches = list(LinkTask(RATED, rows(n)).epoch(batch, np.random.default_rng(seed)))
    drawn = np.concatenate(batches)
    assert len(batches) == n // batch
    assert all(len(rows) == batch for rows in batches)
    assert len(set(drawn.tolist())) == len(drawn)


def test_the_training_task_has_the_training_rows(training):
    task = LinkTask.of_training(training.split)
    assert task.target == training.split.target
    assert task.rows is training.split.train


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_training_rows_of_one_kind_are_refused(label):
    one_kind = Rows(np.arange(3), np.arange(3), np.full(3, label, np.float32))
    none = np.zeros(0, np.int64)
    split = LinkSplit(RATED, one_kind, rows(4), rows(4), none, none)
    with pytest.raises(DataError, match=f"got {int(3 * label)} positives among 3 rows"):
        LinkTask.of_training(split)


def test_target_edges_are_those_of_the_positive_rows_both_ways(training):
    everything = training.graph.homogeneous(both_ways=True)
    edges, task = TargetEdges(training.split, everything), LinkTask.of_training(training.split)
    src, dst = everything.adjacency.coo()
    item = everything.offsets["item"]
    for rows in (np.array([3, 0, 8]), np.arange(len(task)), np.zeros(0, np.int64)):
        pairs, ids = task.take(rows), edges.asked(rows)
        asked = pairs.label > 0
        one_way = set(zip(pairs.src[asked], pairs.dst[asked] + item, strict=True))
        expected = one_way | {(v, u) for u, v in one_way}
        assert set(zip(src[ids], dst[ids], strict=True)) == expected
        assert len(ids) == 2 * asked.sum()
