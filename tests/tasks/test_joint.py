"""A joint batch asks only what its messages cannot tell."""

import numpy as np
import pytest
import torch

from dglmeta.tasks import JointPairs, MetaPathTask

RATED = ("user", "rated", "item")
PATHS = ("user-topic-item", "item-topic-item")


@pytest.fixture(scope="module")
def pairs(training):
    tasks = [MetaPathTask.from_graph(training.graph, p, target=RATED) for p in PATHS]
    return JointPairs(training.graph, training.split, tasks)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_a_batchs_own_positive_edges_weigh_nothing_and_all_others_one(pairs, rng):
    ends = list(zip(*(side.tolist() for side in pairs.adjacency.coo()), strict=True))
    for batch in pairs.epoch(32, rng):
        asked = batch.label[0] > 0
        src, dst = batch.src[0, asked].tolist(), batch.dst[0, asked].tolist()
        own = {*zip(src, dst, strict=True), *zip(dst, src, strict=True)}
        expected = [float(edge not in own) for edge in ends]
        assert batch.edge_weight.tolist() == expected
        assert expected.count(0.0) == 2 * int(asked.sum()) > 0


def test_an_epoch_asks_distinct_training_rows_and_leaves_a_rest(pairs, training, rng):
    asked = [
        (u, v, y)
        for batch in pairs.epoch(32, rng)
        for u, v, y in zip(
            batch.src[0].tolist(), batch.dst[0].tolist(), batch.label[0].tolist(), strict=True
        )
    ]
    rows = training.split.train
    item = pairs.offsets["item"]
    known = set(
        zip(rows.src.tolist(), (rows.dst + item).tolist(), rows.label.tolist(), strict=True)
    )
    assert len(asked) == len(set(asked)) == len(rows.label) // 32 * 32
    assert set(asked) <= known


def test_every_row_of_a_batch_belongs_to_its_task(pairs, rng):
    batch = pairs.draw(np.arange(10), rng)
    n_nodes = {"user": 60, "item": 40}
    assert batch.src.shape == batch.dst.shape == batch.label.shape == (3, 10)
    for row, (source, target) in enumerate([("user", "item"), ("user", "item"), ("item", "item")]):
        for ids, name in ((batch.src[row], source), (batch.dst[row], target)):
            local = ids - pairs.offsets[name]
            assert 0 <= local.min() <= local.max() < n_nodes[name]


def test_the_same_generator_draws_the_same_batch(pairs):
    one, again = (next(pairs.epoch(16, np.random.default_rng(0))) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))


def test_locate_and_by_type_agree_on_where_nodes_lie(pairs, training):
    rows = training.split.valid
    src, dst = pairs.locate(type(pairs.primary)(training.split.target, rows))
    by_type = pairs.by_type(np.arange(pairs.n_nodes, dtype=np.float32))
    assert {t: len(ids) for t, ids in by_type.items()} == training.graph.n_nodes
    assert by_type["user"][rows.src].tolist() == src[0].tolist()
    assert by_type["item"][rows.dst].tolist() == dst[0].tolist()


def test_a_batch_larger_than_the_training_rows_takes_all_of_them(pairs, rng):
    (batch,) = pairs.epoch(100_000, rng)
    assert batch.label.shape[1] == len(pairs.primary)
