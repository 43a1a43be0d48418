"""NetworkX graphs, there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from dglmeta.errors import DataError
from dglmeta.graph import HeteroCSR

nx = pytest.importorskip("networkx")


@settings(max_examples=80)
@given(st.data())
def test_to_networkx_and_back_adds_only_names(heterographs, assert_same, data):
    hg = data.draw(heterographs())
    again = HeteroCSR.from_networkx(hg.to_networkx())
    # A type without nodes or edges has nothing to hang features on.
    assert_same(again, hg, ignore=("id",), empty_features=False)
    assert again.schema == hg.schema


def test_a_typed_graph_keeps_names_relations_and_attributes():
    graph = nx.MultiDiGraph()
    graph.add_node("ann", node_type="user", age=30)
    graph.add_node("film", node_type="item")
    graph.add_node("bob", node_type="user", age=40)
    graph.add_edge("bob", "film", relation="rated", stars=5)
    graph.add_edge("ann", "film", relation="rated", stars=4)
    graph.add_edge("ann", "film", relation="rated", stars=3)
    graph.add_edge("film", "ann", relation="about", p=0.5)
    hg = HeteroCSR.from_networkx(graph)
    rated = ("user", "rated", "item")
    assert hg.n_nodes == {"user": 2, "item": 1}
    assert hg.node_data["user"]["id"].tolist() == ["ann", "bob"]
    assert hg.node_data["user"]["age"].tolist() == [30, 40]
    assert hg.adjacency(rated).coo()[0].tolist() == [0, 0, 1]
    assert hg.edge_data[rated]["stars"].tolist() == [4, 3, 5]
    assert hg.edge_data["item", "about", "user"]["p"].tolist() == [0.5]
    back = hg.to_networkx()
    assert dict(back.nodes(data=True)) == dict(graph.nodes(data=True))
    assert back.number_of_edges("ann", "film") == 2


def test_a_plain_graph_has_one_type_and_every_undirected_edge_twice():
    hg = HeteroCSR.from_networkx(nx.Graph([(5, 7), (7, 9), (9, 9)]))
    assert hg.schema.edge_types == (("node", "edge", "node"),)
    assert hg.node_data["node"]["id"].tolist() == [5, 7, 9]
    assert hg.adjacency("edge").to_scipy().toarray().tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 1]]


def test_parallel_undirected_edges_stay():
    hg = HeteroCSR.from_networkx(nx.MultiGraph([("a", "b"), ("a", "b")]))
    assert hg.adjacency("edge").to_scipy().toarray().tolist() == [[0, 2], [2, 0]]


def test_the_attributes_that_name_types_can_be_chosen():
    graph = nx.DiGraph()
    graph.add_node(0, label="user", node_type=3)
    graph.add_edge(0, 0, kind="knows")
    hg = HeteroCSR.from_networkx(graph, node_type="label", relation="kind")
    assert hg.schema.edge_types == (("user", "knows", "user"),)
    assert hg.node_data["user"]["node_type"].tolist() == [3]
    back = hg.to_networkx(node_type="t", relation="r")
    assert list(back.nodes(data="t")) == [(0, "user")]
    assert list(back.edges(data="r")) == [(0, 0, "knows")]


def test_an_edge_id_that_numbers_nothing_is_an_ordinary_attribute():
    graph = nx.DiGraph()
    graph.add_edge("a", "b", edge_id=77)
    hg = HeteroCSR.from_networkx(graph)
    assert hg.edge_data["node", "edge", "node"]["edge_id"].tolist() == [77]


def test_edges_come_in_the_order_of_their_edge_id():
    graph = nx.DiGraph()
    for e, (u, v) in zip((2, 0, 1), [("a", "b"), ("b", "a"), ("b", "b")], strict=True):
        graph.add_edge(u, v, edge_id=e)
    hg = HeteroCSR.from_networkx(graph)
    assert_array_equal(np.stack(hg.adjacency("edge").coo()), [[1, 1, 0], [0, 1, 1]])
    assert hg.edge_data["node", "edge", "node"] == {}


def test_two_types_that_share_an_id_get_names_with_their_type_in_front():
    hg = HeteroCSR.from_edges(
        {("user", "r", "item"): ([0], [1])},
        {"user": 2, "item": 2},
        {"user": {"id": np.array([1, 2])}, "item": {"id": np.array([2, 3])}},
    )
    assert list(hg.to_networkx()) == ["user:1", "user:2", "item:2", "item:3"]
    alone = HeteroCSR.from_edges({("user", "r", "user"): ([], [])}, {"user": 2})
    assert list(alone.to_networkx()) == ["user:0", "user:1"]


def test_ids_that_tell_no_nodes_apart_are_refused():
    hg = HeteroCSR.from_edges({}, {"user": 2}, {"user": {"id": np.array([1, 1])}})
    with pytest.raises(DataError, match="to tell the nodes of a type apart"):
        hg.to_networkx()


def _with(**attributes: list) -> object:
    graph = nx.DiGraph()
    for name, values in attributes.items():
        for i, value in enumerate(values):
            graph.add_node(i, **({} if value is None else {name: value}))
    return graph


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            nx.grid_2d_graph(2, 2),
            r"names of 'node' nodes to be all integers or all text, got \(0, 0\)",
        ),
        (nx.DiGraph([(1, "a")]), "expected the name of every 'node' node to be .* got int, str"),
        (
            _with(age=[1, None, 3]),
            "expected the attribute 'age' on every 'node' node, got none on 1",
        ),
        (_with(age=[1, "x"]), "attribute 'age' of every 'node' node to be numbers.* got int, str"),
        (_with(bag=[{1}, {2}]), "got set. Convert or delete it"),
        (_with(x=[[1], [1, 2]]), "arrays of one shape"),
        (
            nx.DiGraph([("a", "b", {"w": 1}), ("b", "a")]),
            r"the attribute 'w' on every edge \('node', 'edge', 'node'\), got none on 1",
        ),
    ],
)
def test_what_forms_no_array_is_refused_by_name(graph, message):
    with pytest.raises(DataError, match=message):
        HeteroCSR.from_networkx(graph)
