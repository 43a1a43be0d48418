"""The toy of many graphs: small, always the same, and told apart by its edges alone."""

from __future__ import annotations

import numpy as np

from dglmeta.data import LINK, NODE, few_shot_split, load_dataset, toy_graphs


def test_it_is_always_the_same_and_found_by_name():
    one, again = toy_graphs(), load_dataset("toy-graphs")
    assert [g.content_hash for g in one.graphs] == [g.content_hash for g in again.graphs]
    assert one.name == again.name == "toy-graphs"


def test_graphs_are_small_and_features_are_the_class_alone():
    ds = toy_graphs()
    assert len(ds) == 12
    for graph in ds.graphs:
        data = graph.node_data[NODE]
        assert 20 <= graph.n_nodes[NODE] <= 60
        assert (data["feat"] == np.eye(3)[data["label"]]).all()
        n_each = np.bincount(data["label"])
        assert n_each.max() - n_each.min() <= 1


def test_like_nodes_link_in_half_of_the_graphs_and_unlike_ones_in_the_rest():
    ds = toy_graphs()
    n_edges = {0: [], 1: []}
    for kind, graph in zip(ds.labels.tolist(), ds.graphs, strict=True):
        u, v = graph.adjacency(LINK).coo()
        label = graph.node_data[NODE]["label"]
        alike = (label[u] == label[v]).mean()
        assert alike > 0.7 if kind == 0 else alike < 0.2
        n = graph.n_nodes[NODE]
        n_edges[kind].append(len(u) / (n * (n - 1)))
    assert [len(shares) for shares in n_edges.values()] == [6, 6]
    # The number of edges does not tell the kinds apart.
    assert max(map(min, n_edges.values())) < min(map(max, n_edges.values()))


def test_every_graph_can_be_split():
    for graph in toy_graphs().graphs:
        split = few_shot_split(graph, 0.1)
        assert len(split.train) >= 4
        assert len(split.test_negatives) == len(split.test)
