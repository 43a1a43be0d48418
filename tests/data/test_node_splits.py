"""Labelled nodes stay in one part each, whatever the deal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dglmeta.data import Dataset, LabelledNodes, NodeSplit
from dglmeta.errors import ConfigError, DataError, SchemaError
from dglmeta.graph import HeteroCSR


def labelled(*rows):
    node, label = np.array(rows).T
    return LabelledNodes(node, label)


def a_split():
    return NodeSplit(
        "paper",
        3,
        labelled((0, 0), (4, 1), (2, 2), (6, 0)),
        labelled((1, 1), (5, 2)),
        labelled((3, 2)),
    )


def a_graph(n_papers=8):
    return HeteroCSR.from_edges(
        {("paper", "by", "author"): ([0], [0])}, {"paper": n_papers, "author": 1}
    )


def rows(split):
    parts = (split.train, split.valid, split.test)
    return [list(zip(p.node.tolist(), p.label.tolist(), strict=True)) for p in parts]


def test_the_training_graph_is_the_graph():
    hg = a_graph()
    assert a_split().training_graph(hg) is hg


def test_seed_0_is_the_published_split():
    ds = Dataset("papers", a_graph(), node_split=a_split())
    assert ds.splits() is ds.splits(0) is ds.node_split
    assert len(ds.node_split) == ds.counts["labelled"] == 7


@pytest.mark.parametrize("seed", range(1, 6))
def test_other_seeds_deal_the_same_labels_into_parts_of_the_same_sizes(seed):
    ds = Dataset("papers", a_graph(), node_split=a_split())
    published, dealt, again = rows(ds.splits()), rows(ds.splits(seed)), rows(ds.splits(seed))
    assert dealt == again
    assert [len(part) for part in dealt] == [4, 2, 1]
    assert sorted(sum(dealt, [])) == sorted(sum(published, []))


def test_every_node_is_dealt_to_every_part_in_proportion():
    in_test = [int(a_split().dealt(seed).test.node[0]) for seed in range(700)]
    assert np.bincount(in_test) == pytest.approx(100, abs=40)


def test_a_target_link_comes_before_labelled_nodes():
    edges = {("a", "to", "b"): (np.arange(20), np.arange(20))}
    hg = HeteroCSR.from_edges(edges, {"a": 20, "b": 20})
    split = replace(a_split(), node_type="a")
    ds = Dataset("both", hg, ("a", "to", "b"), node_split=split)
    assert ds.splits().target == ds.target
    assert {"positives", "labelled"} <= set(ds.counts)


def test_fractions_of_labelled_nodes_are_refused():
    ds = Dataset("papers", a_graph(), node_split=a_split())
    with pytest.raises(ConfigError, match="papers: expected no fractions"):
        ds.splits(1, fractions=(0.8, 0.1, 0.1))


@pytest.mark.parametrize(
    ("part", "bad", "says"),
    [
        ("valid", [(1, 3)], "expected classes from 0 to 2 in valid, got 3"),
        ("train", [(1, -1)], "expected classes from 0 to 2 in train, got -1"),
        ("test", [(-2, 0)], "expected nodes >= 0 in test, got -2"),
        ("test", [(3, 0), (3, 0)], "got node 3 again in test"),
        ("test", [(7, 0), (4, 1)], "got node 4 again in test"),
        ("valid", [(6, 0)], "got node 6 again in valid"),
        ("train", [(0.5, 0)], "expected train as integer nodes and labels"),
    ],
)
def test_impossible_labels_are_refused(part, bad, says):
    with pytest.raises(DataError, match=says):
        replace(a_split(), **{part: labelled(*bad)})


def test_an_empty_part_or_one_of_two_lengths_is_refused():
    none = np.zeros(0, np.int64)
    with pytest.raises(DataError, match=r"expected valid as .* n > 0"):
        replace(a_split(), valid=LabelledNodes(none, none))
    with pytest.raises(DataError, match=r"int64 \(2,\) and int64 \(1,\)"):
        replace(a_split(), valid=LabelledNodes(np.arange(2), np.zeros(1, np.int64)))


def test_one_class_is_no_classification():
    with pytest.raises(DataError, match="expected at least 2 classes, got 1"):
        replace(a_split(), n_classes=1)


def test_a_graph_without_the_labelled_nodes_is_refused():
    with pytest.raises(DataError, match="expected nodes of type 'paper' below 6, got 6"):
        Dataset("papers", a_graph(6), node_split=a_split())
    with pytest.raises(SchemaError, match="expected a graph with node type 'film'"):
        replace(a_split(), node_type="film").training_graph(a_graph())


def test_labels_without_a_split_are_dealt_by_fractions():
    nodes = LabelledNodes(10 + np.arange(20), np.arange(20) % 4)
    split = NodeSplit.at_random("paper", nodes, seed=1)
    assert [len(part) for part in rows(split)] == [12, 4, 4]
    assert sorted(sum(rows(split), [])) == sorted(zip(*(x.tolist() for x in nodes), strict=True))
    assert split.n_classes == 4
    assert rows(split) == rows(NodeSplit.at_random("paper", nodes, seed=1))
    with pytest.raises(ConfigError, match="expected three positive fractions"):
        NodeSplit.at_random("paper", nodes, fractions=(0.5, 0.5, 0.5))
