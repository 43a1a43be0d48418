"""A joint batch asks only what its messages cannot tell."""

import numpy as np
import pytest
import torch

from dglmeta.nn.model import ClassKind
from dglmeta.tasks import (
    DegreeTask,
    DistanceTask,
    JointTasks,
    LinkTask,
    MetaPathTask,
    NodeTask,
    Surroundings,
    TargetEdges,
)

RATED = ("user", "rated", "item")
PATHS = ("user-topic-item", "item-topic-item")
N_NODES = {"user": 60, "item": 40}


def joint(training, auxiliary, *, primary=None, **around):
    everything = training.graph.homogeneous(both_ways=True)
    surroundings = Surroundings(everything, **around)
    if primary is not None:
        return JointTasks(primary, auxiliary, surroundings)
    target = TargetEdges(training.split, everything)
    return JointTasks(LinkTask.of_training(training.split), auxiliary, surroundings, target=target)


@pytest.fixture(scope="module")
def paths(training):
    return [MetaPathTask.from_graph(training.graph, p, target=RATED) for p in PATHS]


@pytest.fixture(scope="module")
def pairs(training, paths):
    return joint(training, paths)


@pytest.fixture(scope="module")
def mixed(training, paths):
    """Pairs and classes, the latter first."""
    graph = training.graph
    classes = [DegreeTask.from_graph(graph), DistanceTask.from_graph(graph, n_pool=100)]
    return joint(training, [*classes, *paths])


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_a_batchs_own_positive_edges_weigh_nothing_and_all_others_one(pairs, rng):
    ends = list(zip(*(side.tolist() for side in pairs.graph.adjacency.coo()), strict=True))
    for batch in pairs.epoch(32, rng):
        label, src, dst = (t[0] for t in (batch.samples.label, *batch.samples[:2]))
        asked = label > 0
        src, dst = src[asked].tolist(), dst[asked].tolist()
        own = {*zip(src, dst, strict=True), *zip(dst, src, strict=True)}
        expected = [float(edge not in own) for edge in ends]
        assert batch.view.edge_weight.tolist() == expected
        assert expected.count(0.0) == 2 * int(asked.sum()) > 0


def test_a_batch_leaves_the_weights_of_the_next_alone(pairs, rng):
    first, second = (pairs.draw(np.arange(k, k + 8), rng) for k in (0, 8))
    assert not torch.equal(first.view.edge_weight, second.view.edge_weight)
    assert (pairs.whole.edge_weight == 1).all()


def test_an_epoch_asks_distinct_training_rows_and_leaves_a_rest(pairs, training, rng):
    asked = [
        (u, v, y)
        for batch in pairs.epoch(32, rng)
        for u, v, y in zip(*(t[0].tolist() for t in batch.samples[:3]), strict=True)
    ]
    rows = training.split.train
    item = pairs.graph.offsets["item"]
    known = set(
        zip(rows.src.tolist(), (rows.dst + item).tolist(), rows.label.tolist(), strict=True)
    )
    assert len(asked) == len(set(asked)) == len(rows.label) // 32 * 32
    assert set(asked) <= known


def test_every_row_of_a_batch_belongs_to_its_task(pairs, rng):
    batch = pairs.draw(np.arange(10), rng)
    src, dst, label = batch.samples[:3]
    assert src.shape == dst.shape == label.shape == (3, 10)
    for row, (source, target) in enumerate([("user", "item"), ("user", "item"), ("item", "item")]):
        for ids, name in ((src[row], source), (dst[row], target)):
            local = ids - pairs.graph.offsets[name]
            assert 0 <= local.min() <= local.max() < N_NODES[name]


def test_rows_are_pairs_then_classes_each_in_the_order_of_tasks(mixed, rng):
    assert mixed.names == ["rated", "degree", "distance", *(t.name for t in mixed.auxiliary[2:])]
    assert mixed.rows == [0, 3, 4, 1, 2]
    assert mixed.n_pair_tasks == 3
    assert mixed.class_kinds == [ClassKind(3, of_pairs=False), ClassKind(4, of_pairs=True)]
    assert [task.name for task in mixed.auxiliary_pairs] == mixed.names[3:]
    batch = mixed.draw(np.arange(10), rng)
    assert batch.samples.class_src.shape == batch.samples.class_label.shape == (2, 10)
    assert torch.equal(batch.samples.class_src[0], batch.samples.class_dst[0])
    assert mixed.of_task(batch).tolist() == np.repeat([0, 3, 4, 1, 2], 10).tolist()
    assert batch.label.tolist() == [*batch.samples.label.flatten().tolist(), *[1.0] * 20]


def test_classes_are_those_of_nodes_over_all_types(mixed, rng):
    degree = mixed.auxiliary[0]
    batch = mixed.draw(np.arange(10), rng)
    assert (
        batch.samples.class_label[0].tolist() == degree.label[batch.samples.class_src[0]].tolist()
    )


def test_a_primary_task_of_nodes_is_the_first_row_of_classes(training, paths, rng):
    from dglmeta.data import LabelledNodes

    nodes = LabelledNodes(np.arange(5, 25), np.arange(20) % 2)
    degree = DegreeTask.from_graph(training.graph)
    tasks = joint(training, [paths[0], degree], primary=NodeTask("item", 2, nodes))
    assert tasks.primary_has_classes
    assert tasks.rows == [1, 0, 2]
    batch = tasks.draw(np.arange(8), rng)
    assert batch.n_samples == 8
    item = tasks.graph.offsets["item"]
    assert batch.samples.class_src[0].tolist() == list(range(item + 5, item + 13))
    assert (batch.view.edge_weight == 1).all()  # no edge tells a class
    alone = batch.primary(torch.tensor([1, 6]))
    assert len(alone.src) == len(alone.label) == 0
    assert alone.class_src.tolist() == [[item + 6, item + 11]]
    assert alone.class_label.tolist() == [[1, 0]]


def test_some_primary_samples_alone_are_pairs_without_classes(mixed, rng):
    batch = mixed.draw(np.arange(10), rng)
    alone = batch.primary(torch.tensor([2, 9]))
    for whole, part in zip(batch.samples[:3], alone[:3], strict=True):
        assert torch.equal(part, whole[:1, [2, 9]])
    assert len(alone.class_src) == len(alone.class_label) == 0


@pytest.mark.parametrize(
    "around", [{}, {"fanouts": (3, 2)}, {"hint_fanouts": (3, 2)}], ids=["whole", "sampled", "hints"]
)
def test_the_same_generator_draws_the_same_batch(training, paths, around):
    tasks = joint(training, paths, **around)
    one, again = (next(tasks.epoch(16, np.random.default_rng(0))) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.samples, again.samples, strict=True))
    assert torch.equal(one.view.edge_weight, again.view.edge_weight)
    if around:
        for name in ("nodes", "wanted", "hint_weight"):
            a, b = getattr(one.view, name), getattr(again.view, name)
            assert (a is None) == (b is None)
            assert a is None or torch.equal(a, b)


def test_samples_in_a_sampled_graph_are_those_of_the_whole_one(training, paths):
    whole = joint(training, paths)
    sampled = joint(training, paths, fanouts=(3, 2))
    one, other = (t.draw(np.arange(16), np.random.default_rng(0)) for t in (whole, sampled))
    nodes = other.view.nodes
    assert torch.equal(nodes[other.samples.src], one.samples.src)
    assert torch.equal(nodes[other.samples.dst], one.samples.dst)
    assert torch.equal(other.samples.label, one.samples.label)


def test_all_rows_and_by_type_agree_on_where_nodes_lie(pairs, training):
    rows = training.split.valid
    samples = pairs.of_rows(LinkTask(training.split.target, rows))
    n = pairs.graph.adjacency.n_src
    by_type = pairs.by_type(np.arange(n, dtype=np.float32))
    assert {t: len(ids) for t, ids in by_type.items()} == training.graph.n_nodes
    assert {t: pairs.n_nodes(t) for t in by_type} == training.graph.n_nodes
    assert by_type["user"][rows.src].tolist() == samples.src[0].tolist()
    assert by_type["item"][rows.dst].tolist() == samples.dst[0].tolist()


def test_a_batch_larger_than_the_training_rows_takes_all_of_them(pairs, rng):
    (batch,) = pairs.epoch(100_000, rng)
    assert batch.n_samples == len(pairs.primary)
