"""Sizes of many graphs are those of each graph, and the card is told."""

from __future__ import annotations

import json

import numpy as np

from dglmeta.data import Card, GraphDataset, GraphSplit, undirected
from dglmeta.report.info_graphs import describe_graphs


def a_dataset(**more):
    star = undirected(5, [0, 0, 0], [1, 2, 3])
    path = undirected(3, [0, 1], [1, 2])
    edge = undirected(2, [0], [1])
    return GraphDataset("three", (star, path, edge), ("a", "b", "c"), **more)


def test_sizes_are_of_undirected_edges_and_over_the_graphs():
    facts = describe_graphs(a_dataset()).facts
    assert (facts["n_graphs"], facts["n_nodes"], facts["n_edges"]) == (3, 10, 6)
    assert facts["sizes"] == {
        "nodes": {"least": 2, "median": 3.0, "most": 5},
        "edges": {"least": 1, "median": 2.0, "most": 3},
        "mean degree": {"least": 1.0, "median": 1.2, "most": 4 / 3},
        "max degree": {"least": 1, "median": 2.0, "most": 3},
        "isolated nodes": {"least": 0, "median": 0.0, "most": 1},
    }
    assert facts["published_split"] is None


def test_the_text_tells_counts_sizes_split_and_what_the_card_says():
    split = GraphSplit(*(np.array([k]) for k in range(3)))
    card = Card(title="Three graphs", licence="none needed")
    report = describe_graphs(a_dataset(published=split, card=card, labels=np.array([0, 1, 1])))
    text = str(report)
    assert "three: 3 graphs, 10 nodes, 6 edges" in text
    assert "features: none; classes of graphs: 2" in text
    assert "published split: 1 train, 1 valid, 1 test" in text
    assert f"{2:>12}{3:>12}{5:>12}  nodes" in text
    assert "title: Three graphs\nlicence: none needed" in text
    assert "source" not in text  # of which the card knows nothing
    assert json.loads(json.dumps(report.facts)) == report.facts
