"""A description is right for any data set, not only those with recommended meta-paths."""

from dataclasses import replace

import numpy as np

from dglmeta.data import Dataset, LabelledNodes, NodeSplit
from dglmeta.graph import HeteroCSR
from dglmeta.report.info import describe

WROTE, CITES = ("author", "wrote", "paper"), ("paper", "cites", "paper")


def a_dataset():
    edges = {WROTE: ([0, 1, 2, 2], [0, 0, 0, 1]), CITES: (np.zeros(0, int), np.zeros(0, int))}
    return Dataset("papers", HeteroCSR.from_edges(edges, {"author": 3, "paper": 2}))


def test_degrees_and_hubs_are_those_of_the_receiving_nodes():
    wrote, cites = describe(a_dataset()).facts["edge_types"]
    assert wrote == {
        "edge_type": list(WROTE),
        "edges": 4,
        "mean_degree": 2.0,
        "max_degree": 3,
        "hubs": [0, 1],
    }
    assert (cites["edges"], cites["max_degree"], cites["hubs"]) == (0, 0, [])


def test_without_recommended_paths_the_symmetric_ones_of_two_steps_are_tried():
    paths = [p["metapath"] for p in describe(a_dataset()).facts["metapaths"]]
    assert "author-[wrote]-paper-[~wrote]-author" in paths
    assert "paper-[~wrote]-author-[wrote]-paper" in paths
    assert all(p.count("-[") == 2 for p in paths)


def test_the_text_names_every_type():
    text = str(describe(a_dataset()))
    for part in ("papers: 5 nodes, 4 edges", "author -wrote-> paper; 0, 1", "meta-path"):
        assert part in text


def test_labelled_nodes_are_told_by_class_and_part():
    ds = a_dataset()
    one, two, three = (LabelledNodes(np.array([k]), np.array([k % 2])) for k in range(3))
    report = describe(replace(ds, node_split=NodeSplit("author", 2, one, two, three)))
    expected = {"node_type": "author", "classes": 2, "train": 1, "valid": 1, "test": 1}
    assert report.facts["labels"] == expected
    assert "labels: author in 2 classes; 1 train, 1 valid, 1 test" in str(report)
    assert describe(ds).facts["labels"] is None
    assert "labels:" not in str(describe(ds))
