"""The meta-path task draws joined and unjoined pairs, half and half."""

import numpy as np
import pytest

import dglmeta as dm
from dglmeta.errors import SchemaError
from dglmeta.tasks import MetaPathTask

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
