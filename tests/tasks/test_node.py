"""The node task hands out the labelled nodes of its part, each as often as it should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.data import LabelledNodes, NodeSplit
from dglmeta.errors import DataError
from dglmeta.tasks.node import NodeTask


def rows(n, first=0):
    return LabelledNodes(first + np.arange(n), np.arange(n) % 3)


def a_task(n):
    return NodeTask("paper", 3, rows(n))


def a_split(train):
    return NodeSplit("paper", 3, train, rows(4, first=100), rows(5, first=200))


def test_it_knows_its_type_classes_and_length():
    task = a_task(7)
    assert (task.name, task.source_type, task.target_type) == ("paper class", "paper", None)
    assert (task.n_classes, len(task)) == (3, 7)


def test_take_keeps_nodes_and_classes_together():
    batch = NodeTask("paper", 3, rows(9, first=50)).take(np.array([7, 2]))
    assert batch.src.tolist() == [57, 52]
    assert batch.dst is None
    assert batch.label.tolist() == [1, 2]


def test_draw_gives_distinct_nodes_uniformly():
    task, rng = a_task(10), np.random.default_rng(0)
    drawn = [task.draw(5, rng).src for _ in range(400)]
    assert all(len(set(ids)) == 5 for ids in drawn)
    assert np.bincount(np.concatenate(drawn), minlength=10) == pytest.approx(200, abs=50)


@given(n=st.integers(2, 40), batch=st.integers(1, 40), seed=st.integers(0, 9))
def test_an_epoch_is_batches_of_equal_size_without_repeats(n, batch, seed):
    batch = min(batch, n)
    batches = list(a_task(n).epoch(batch, np.random.default_rng(seed)))
    drawn = np.concatenate(batches)
    assert len(batches) == n // batch
    assert all(len(rows) == batch for rows in batches)
    assert len(set(drawn.tolist())) == len(drawn)


def test_each_part_is_a_task_of_its_own_nodes():
    split = a_split(rows(6))
    assert NodeTask.of_training(split).rows is split.train
    for part in ("train", "valid", "test"):
        task = NodeTask.of_part(split, part)
        assert task.rows is getattr(split, part)
        assert (task.source_type, task.n_classes) == ("paper", 3)


def test_training_nodes_of_one_class_are_refused():
    split = a_split(LabelledNodes(np.arange(3), np.full(3, 2)))
    with pytest.raises(DataError, match="got 3 of type 'paper', all of class 2"):
        NodeTask.of_training(split)
