"""The table of graphs: features as asked for, and layouts as the graphs themselves say."""

from __future__ import annotations

import dataclasses

import networkx as nx
import numpy as np
import pytest
import torch

from dglmeta.data import GraphDataset, toy_graphs, undirected
from dglmeta.data.graph_dataset import LINK
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.tasks.graphs import (
    GraphRows,
    degree_profile,
    graph_rows,
    layout_edges,
    layout_rows,
    task_graphs,
)

NUMBERS = np.array([2, 0, 2, 1, 3])
"""One graph twice, one without edges, one of a single node."""


def small_graphs(*, attributes: bool = True) -> GraphDataset:
    rng = np.random.default_rng(0)
    graphs = []
    for graph in (nx.path_graph(4), nx.empty_graph(1), nx.wheel_graph(6), nx.empty_graph(3)):
        n = len(graph)
        data = {"feat": rng.random((n, 2), np.float32), "label": rng.integers(0, 2, n)}
        if attributes:
            data["attributes"] = rng.normal(3, 2, (n, 3)).astype(np.float32)
        ends = np.array(graph.edges).reshape(-1, 2).T
        graphs.append(undirected(n, *ends, data))
    return GraphDataset("small", tuple(graphs), ("a", "b", "c", "d"), np.array([0, 1, 0, 1]))


def table(**options) -> GraphRows:
    options = {"features": ["feat"], "scaling": "none", "train": np.array([0, 2]), **options}
    return graph_rows(small_graphs(), **options)


def dense(adj, weight=None) -> np.ndarray:
    matrix = np.zeros(adj.shape)
    matrix[adj.coo()] = 1 if weight is None else weight
    return matrix


def normalised(a: np.ndarray) -> np.ndarray:
    a = a + np.eye(len(a))
    root = np.diag(a.sum(1) ** -0.5)
    return root @ a @ root


def test_nodes_edges_and_classes_are_those_of_the_graphs_in_turn():
    ds, rows = small_graphs(), table()
    assert len(rows) == 4
    for b, graph in enumerate(ds.graphs):
        first, last = rows.node_ptr[b : b + 2]
        np.testing.assert_array_equal(rows.x[first:last], graph.node_data["node"]["feat"])
        np.testing.assert_array_equal(rows.node_label[first:last], graph.node_data["node"]["label"])
        here = rows.edges[rows.edge_ptr[b] : rows.edge_ptr[b + 1]] - first
        expected = np.argwhere(np.triu(dense(graph.adjacency(LINK))))
        np.testing.assert_array_equal(here, expected)
        assert (rows.n_nodes[b], rows.n_edges[b]) == (last - first, len(expected))
        assert (rows.graph_of_node[first:last] == b).all()
    np.testing.assert_array_equal(rows.graph_of_edge, np.repeat([0, 1, 2, 3], rows.n_edges))
    np.testing.assert_array_equal(rows.graph_label, ds.labels)
    assert rows.x.dtype == np.float32


def test_links_are_the_edges_both_ways():
    rows = table()
    a = dense(rows.links)
    np.testing.assert_array_equal(a, a.T)
    np.testing.assert_array_equal(np.argwhere(np.triu(a)), rows.edges)
    assert rows.links.n_edges == 2 * len(rows.edges)


def test_features_stand_side_by_side_as_named():
    rows = table(features=["degrees", "attributes", "feat"])
    ds = small_graphs()
    for b, graph in enumerate(ds.graphs):
        data = graph.node_data["node"]
        blocks = [degree_profile(graph.adjacency(LINK)), data["attributes"], data["feat"]]
        x = rows.x[rows.node_ptr[b] : rows.node_ptr[b + 1]]
        np.testing.assert_allclose(x, np.column_stack(blocks), rtol=1e-6)


@pytest.mark.parametrize("scaling", ["none", "standard"])
def test_degrees_are_those_of_the_edges_that_are_heard(scaling):
    rows = table(features=["feat", "degrees"], scaling=scaling)
    edges, _ = layout_edges(rows, NUMBERS)
    _, node = layout_rows(rows, NUMBERS)
    few = edges[::2]
    n = len(node)
    whole, part = (Adjacency.from_coo(*np.hstack([e.T, e.T[::-1]]), (n, n)) for e in (edges, few))
    x = rows.x[node].copy()
    first = x.shape[1] - 5
    if scaling == "standard":
        raw = table(features=["feat", "degrees"])
        seen = raw.x[np.isin(raw.graph_of_node, [0, 2]), first:].astype(float)
        x[:, first:] = (degree_profile(part) - seen.mean(0)) / seen.std(0)
    else:
        np.testing.assert_allclose(x[:, first:], degree_profile(whole), rtol=1e-6)
        x[:, first:] = degree_profile(part)
    found = task_graphs(rows, NUMBERS, few).heard
    np.testing.assert_allclose(found, normalised(dense(part)) @ x, rtol=1e-4, atol=1e-5)


def test_standard_scaling_reads_training_graphs_only():
    raw, scaled = table(features=["attributes"]), table(features=["attributes"], scaling="standard")
    seen = np.isin(raw.graph_of_node, [0, 2])
    x = raw.x.astype(float)
    expected = (x - x[seen].mean(0)) / x[seen].std(0)
    np.testing.assert_allclose(scaled.x, expected, rtol=1e-5, atol=1e-6)
    other = table(features=["attributes"], scaling="standard", train=np.array([0, 3]))
    assert abs(other.x - scaled.x).max() > 0.1


def test_a_column_that_is_constant_in_training_becomes_zero():
    data = [{"feat": np.array([[0.1, k], [0.1, 2.5], [0.1, k]], np.float32)} for k in (0, 1, 5)]
    graphs = tuple(undirected(3, [0], [1], d) for d in data)
    ds = GraphDataset("flat", graphs, ("a", "b", "c"))
    rows = graph_rows(ds, ["feat"], scaling="standard", train=np.array([0, 1]))
    np.testing.assert_array_equal(rows.x[:, 0], 0)
    assert (rows.x[:, 1] != 0).all()


def test_row_scaling_divides_by_sums_of_one_or_more():
    raw, scaled = table(), table(scaling="rows")
    sums = raw.x.sum(1, keepdims=True)
    assert sums.min() < 1 < sums.max()
    np.testing.assert_allclose(scaled.x, raw.x / np.maximum(sums, 1), rtol=1e-6)


def test_layouts_place_graphs_one_after_another():
    rows = table()
    ptr, node = layout_rows(rows, NUMBERS)
    edges, position = layout_edges(rows, NUMBERS)
    for i, b in enumerate(NUMBERS):
        own = np.arange(rows.node_ptr[b], rows.node_ptr[b + 1])
        np.testing.assert_array_equal(node[ptr[i] : ptr[i + 1]], own)
        here = edges[position == i]
        np.testing.assert_array_equal(
            node[here], rows.edges[rows.edge_ptr[b] : rows.edge_ptr[b + 1]]
        )
        assert ((ptr[i] <= here) & (here < ptr[i + 1])).all()
    assert edges.tolist() == sorted(edges.tolist())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_messages_are_the_normalised_adjacency_of_the_given_edges(dtype):
    rows = table()
    edges, _ = layout_edges(rows, NUMBERS)
    heard_edges = edges[::2]
    graphs = task_graphs(rows, NUMBERS, heard_edges, dtype=dtype)
    ptr, node = layout_rows(rows, NUMBERS)
    a = np.zeros((ptr[-1], ptr[-1]))
    a[tuple(heard_edges.T)] = 1
    expected = normalised(a + a.T)
    np.testing.assert_allclose(dense(graphs.messages, graphs.weight), expected, rtol=1e-6)
    np.testing.assert_allclose(graphs.heard, expected @ rows.x[node], rtol=1e-5, atol=1e-7)
    assert (graphs.heard.dtype, graphs.weight.dtype) == (dtype, dtype)
    assert graphs.task_ptr == (0, len(node))
    assert graphs.messages.edge_ids is None
    assert task_graphs(rows, NUMBERS, edges, [0, 7, 20]).task_ptr == (0, 7, 20)


def test_toy_graphs_without_names_of_features_are_refused():
    with pytest.raises(ConfigError, match=r"expected features of .*degrees, got none\. Name"):
        graph_rows(toy_graphs(), [], scaling="none", train=np.array([0]))


def test_an_unknown_feature_is_refused():
    with pytest.raises(ConfigError, match=r"where rows are scaled, got degrees\. Name attributes"):
        table(features=["degrees"], scaling="rows")
    with pytest.raises(ConfigError, match=r"attributes, feat, degrees, got colour\. Name some"):
        table(features=["feat", "colour"])


def test_a_feature_the_data_set_lacks_is_refused_by_naming_what_there_is():
    with pytest.raises(DataError, match=r"^small: expected .*'attributes', got .*feat, degrees\."):
        graph_rows(
            small_graphs(attributes=False), ["attributes"], scaling="none", train=np.array([0])
        )


def test_an_unknown_scaling_is_refused():
    with pytest.raises(ConfigError, match=r"scaling of standard, rows, none, got 'log'\."):
        table(scaling="log")


@pytest.mark.parametrize("train", [[0, 4], [-1], [], [0.5]])
def test_training_graphs_outside_the_data_set_are_refused(train):
    with pytest.raises(DataError, match=r"graph_rows: expected numbers of graphs, 0 to 3, got"):
        table(scaling="standard", train=np.array(train))


def test_classes_that_are_not_there_are_refused():
    rows = table()
    np.testing.assert_array_equal(rows.classes("graphs"), [0, 1, 0, 1])
    np.testing.assert_array_equal(rows.classes("nodes"), rows.node_label)
    for of, field in (("graphs", "graph_label"), ("nodes", "node_label")):
        with pytest.raises(
            DataError, match=rf"expected classes of the {of}, got .* Leave the task"
        ):
            dataclasses.replace(rows, **{field: None}).classes(of)
