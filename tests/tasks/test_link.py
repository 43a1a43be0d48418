"""The link task hands out the rows of its split, each as often as it should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.data import LinkSplit, Rows
from dglmeta.errors import DataError
from dglmeta.tasks import LinkTask, PairedLinkTask, TargetEdges

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


@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.booleans()), min_size=1),
    same=st.booleans(),
    seed=st.integers(0, 9),
)
def test_pairs_lie_beside_a_negative_of_the_same_source(pairs, same, seed):
    src, dst, label = map(np.array, zip(*pairs, strict=True))
    rows = Rows(src, dst, label.astype(np.float32))
    task = PairedLinkTask(("user", "knows", "user") if same else RATED, rows, 9)
    joined = {(u, v) for u, v, is_one in pairs if is_one}
    index = np.flatnonzero(label)
    batch = task.sample(index, np.random.default_rng(seed))
    n = len(index)
    assert len(task) == 2 * n
    assert batch.label.tolist() == [1] * n + [0] * n
    assert batch.dst[:n].tolist() == dst[index].tolist()
    assert batch.src[:n].tolist() == batch.src[n:].tolist() == src[index].tolist()
    drawn = set(zip(batch.src[n:].tolist(), batch.dst[n:].tolist(), strict=True))
    assert not drawn & joined
    assert not same or all(u != v for u, v in drawn)


def test_negatives_are_uniform_over_what_a_source_lacks():
    rows = Rows(np.array([1, 1, 2]), np.array([0, 3, 5]), np.ones(3, np.float32))
    task = PairedLinkTask(RATED, rows, 6)
    drawn = task.negatives(np.full(8000, 1), np.random.default_rng(0))
    counts = np.bincount(drawn, minlength=6)
    assert counts[[0, 3]].tolist() == [0, 0]
    assert counts[[1, 2, 4, 5]] == pytest.approx(2000, abs=200)
    assert set(task.negatives(np.full(200, 2), np.random.default_rng(0))) == {0, 1, 2, 3, 4}


@given(batch=st.integers(1, 12), seed=st.integers(0, 9))
def test_an_epoch_of_pairs_asks_about_every_positive_once(batch, seed):
    task = PairedLinkTask(RATED, rows(20), 200)
    batches = list(task.epoch(batch, np.random.default_rng(seed)))
    asked = np.concatenate(batches)
    half = max(batch // 2, 1)
    assert all(len(index) == half for index in batches)
    assert len(batches) == 10 // half
    assert len(set(asked)) == len(asked)
    assert set(asked) <= set(task.positives)


def test_pairs_drawn_anew_each_time():
    task, rng = PairedLinkTask(RATED, rows(20), 10_000), np.random.default_rng(0)
    first, again = task.draw(7, rng), task.draw(7, rng)
    assert len(first.src) == 7
    assert first.dst[4:].tolist() != again.dst[4:].tolist()


def test_a_source_joined_to_every_target_is_refused():
    full = Rows(np.array([4, 4, 1]), np.array([0, 1, 0]), np.ones(3, np.float32))
    with pytest.raises(DataError, match="got user 4 joined to all. Keep the stored negatives"):
        PairedLinkTask(RATED, full, 2)
