"""The meta-path task draws joined and unjoined pairs, half and half."""

import numpy as np
import pytest

import dglmeta as dm
from dglmeta.errors import DataError, LabelStoreError, SchemaError
from dglmeta.labels import LabelStore, generate
from dglmeta.tasks import MetaPathTask, stored

RATED = ("user", "rated", "item")


@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_half_the_pairs_are_positive_and_every_label_is_true(training, n):
    task = MetaPathTask.from_graph(training.graph, "user-topic-item")
    pairs = task.draw(n, np.random.default_rng(0))
    assert pairs.label.sum() == n // 2
    joined = dm.metapath_connected(
        training.graph, dm.MetaPath.parse(task.name, training.graph.schema), pairs.src, pairs.dst
    )
    assert joined.tolist() == (pairs.label > 0).tolist()


def test_training_edges_are_neither_positive_nor_negative_beside_their_own_task(training):
    task = MetaPathTask.from_graph(training.graph, "user-topic-item", target=RATED)
    pairs = task.draw(4000, np.random.default_rng(0))
    rated = training.graph.adjacency(RATED).to_scipy().toarray() > 0
    assert not rated[pairs.src, pairs.dst].any()
    alone = MetaPathTask.from_graph(training.graph, "user-topic-item")
    pairs = alone.draw(4000, np.random.default_rng(0))
    assert rated[pairs.src, pairs.dst].any()


def test_a_path_between_other_types_leaves_nothing_out(training):
    with_target = MetaPathTask.from_graph(training.graph, "item-topic-item", target=RATED)
    without = MetaPathTask.from_graph(training.graph, "item-topic-item")
    assert with_target.labels.n_positives == without.labels.n_positives
    assert (with_target.source_type, with_target.target_type) == ("item", "item")


def test_a_parsed_path_and_its_text_are_the_same_task(training):
    path = dm.MetaPath.parse("user-topic-item", training.graph.schema)
    task = MetaPathTask.from_graph(training.graph, path)
    assert task.name == str(path) == "user-[follows]-topic-[~about]-item"


def test_an_unknown_path_is_refused(training):
    with pytest.raises(SchemaError, match="unknown node type 'shop'"):
        MetaPathTask.from_graph(training.graph, "user-shop-item")


USERS = "user-topic-user"


@pytest.fixture(scope="module")
def store(training, tmp_path_factory):
    """Every joined pair of two paths, and four negatives for each, in several parts."""
    return generate(
        training.graph,
        ["user-topic-item", USERS],
        tmp_path_factory.mktemp("labels") / "store",
        negative_ratio=4,
        part_rows=500,
    )


@pytest.mark.parametrize("n", [0, 1, 2, 7, 64])
@pytest.mark.parametrize("path", ["user-topic-item", USERS])
def test_half_the_pairs_of_a_store_are_positive_and_every_label_is_true(training, store, path, n):
    task = MetaPathTask.from_store(store, path, training.graph)
    pairs = task.draw(n, np.random.default_rng(0))
    assert pairs.label.sum() == n // 2
    assert pairs.src.shape == pairs.dst.shape == pairs.label.shape == (n,)
    joined = dm.metapath_connected(training.graph, path, pairs.src, pairs.dst)
    assert joined.tolist() == (pairs.label > 0).tolist()


def test_a_task_of_a_store_is_named_as_that_of_the_graph(training, store):
    task = MetaPathTask.from_store(store.folder, "user-topic-item", training.graph)
    alone = MetaPathTask.from_graph(training.graph, "user-topic-item")
    assert task.name == alone.name
    assert (task.source_type, task.target_type) == (alone.source_type, alone.target_type)


@pytest.mark.parametrize(("path", "target"), [("user-topic-item", RATED), (USERS, None)])
def test_positives_of_a_store_are_uniform_over_those_of_the_graph(training, store, path, target):
    task = MetaPathTask.from_store(store, path, training.graph, target=target)
    labels = MetaPathTask.from_graph(training.graph, path, target=target).labels
    pairs = task.draw(2 * 50 * labels.n_positives, np.random.default_rng(0))
    positive = pairs.label > 0
    width = 100
    keys, counts = np.unique(pairs.src[positive] * width + pairs.dst[positive], return_counts=True)
    expected = np.sort(labels.src.astype(np.int64) * width + labels.dst)
    assert np.array_equal(keys, expected)
    freedom = len(keys) - 1
    assert ((counts - 50) ** 2 / 50).sum() < freedom + 5 * np.sqrt(2 * freedom)


def test_negatives_of_a_store_are_uniform_over_its_rows(training, store):
    task = MetaPathTask.from_store(store, USERS, training.graph)
    rows = store.read(USERS)
    is_right = (rows.label == 0) & (rows.src != rows.dst)
    keys, in_store = np.unique(
        rows.src[is_right].astype(np.int64) * 100 + rows.dst[is_right], return_counts=True
    )
    n = 20 * int(is_right.sum())
    src, dst = task.labels.sample_negatives(n, np.random.default_rng(0))
    drawn, counts = np.unique(src * 100 + dst, return_counts=True)
    assert np.array_equal(drawn, keys)
    freedom = len(keys) - 1
    assert ((counts - 20 * in_store) ** 2 / (20 * in_store)).sum() < freedom + 5 * np.sqrt(
        2 * freedom
    )


def test_target_edges_and_pairs_of_a_node_with_itself_are_not_drawn_from_a_store(training, store):
    task = MetaPathTask.from_store(store, "user-topic-item", training.graph, target=RATED)
    pairs = task.draw(4000, np.random.default_rng(0))
    rated = training.graph.adjacency(RATED).to_scipy().toarray() > 0
    assert not rated[pairs.src, pairs.dst].any()
    without = MetaPathTask.from_store(store, USERS, training.graph, target=RATED)
    pairs = without.draw(4000, np.random.default_rng(0))
    assert (pairs.src != pairs.dst).all()


def test_a_draw_from_a_store_depends_on_its_generator_alone(training, store):
    one, other = (MetaPathTask.from_store(store, USERS, training.graph) for _ in range(2))
    one.draw(100, np.random.default_rng(9))
    for a, b in zip(*(t.draw(50, np.random.default_rng(1)) for t in (one, other)), strict=True):
        assert np.array_equal(a, b)


def test_rows_of_a_store_are_mapped_and_few_are_looked_at_in_one_go(training, store, monkeypatch):
    task = MetaPathTask.from_store(store, USERS, training.graph)
    assert all(isinstance(column, np.memmap) for column in task.labels.rows)
    monkeypatch.setattr(stored, "MOST_AT_ONCE", 8)
    pairs = task.draw(101, np.random.default_rng(0))
    assert pairs.label.sum() == 50


def test_a_store_of_another_graph_is_refused(training, store):
    other = training.graph.without_edges(RATED, [0])
    for given in (store, store.folder, LabelStore(store.folder)):
        with pytest.raises(LabelStoreError, match="expected labels of the graph in hand"):
            MetaPathTask.from_store(given, "user-topic-item", other)


def test_a_path_that_a_store_lacks_is_refused(training, store):
    with pytest.raises(DataError, match="expected one of .*'item-"):
        MetaPathTask.from_store(store, "item-topic-item", training.graph)


def test_a_store_without_negatives_is_refused(training, tmp_path):
    positives = generate(training.graph, USERS, tmp_path / "store", negative_ratio=0)
    with pytest.raises(DataError, match="expected positives and negatives .* negative_ratio"):
        MetaPathTask.from_store(positives, USERS, training.graph)


def test_a_store_whose_positives_are_all_left_out_is_refused(tmp_path):
    ties = ("user", "has", "card")
    hg = dm.HeteroCSR.from_edges({ties: (np.arange(9), np.arange(9))}, {"user": 9, "card": 9})
    alone = generate(hg, "user-card-user", tmp_path / "store")
    task = MetaPathTask.from_store(alone, "user-card-user", hg)
    with pytest.raises(DataError, match="expected positives .* got hardly any"):
        task.draw(10, np.random.default_rng(0))


def test_labels_are_written_where_the_cache_is(training, store, tmp_path):
    MetaPathTask.from_store(store, USERS, training.graph, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 1
