"""HeteroCSR: what it checks, shares, and hashes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from dglmeta.errors import DataError, SchemaError
from dglmeta.graph import Adjacency, HeteroCSR, Schema

RATED, KNOWS = ("user", "rated", "item"), ("user", "knows", "user")


def test_an_adjacency_is_named_by_triple_or_relation(toy):
    assert toy.adjacency("rated") is toy.adjacency(RATED)
    with pytest.raises(SchemaError, match="no edge type 'sold'"):
        toy.adjacency("sold")


def test_a_step_against_the_edge_starts_from_destinations(toy):
    assert toy.step_adjacency(RATED, True).shape == (3, 2)
    assert toy.step_adjacency(RATED, False) is toy.adjacency(RATED).T


def test_counts_and_repr(toy):
    assert toy.n_edges == {RATED: 4, KNOWS: 0}
    assert toy.nbytes == sum(a.nbytes for a in toy.adjacencies.values())
    assert repr(toy) == "HeteroCSR(user: 3, item: 2, shop: 0; 4 edges of 2 types)"


def test_with_edges_replaces_one_type_and_shares_the_rest(toy):
    other = toy.with_edges("rated", [1], [1])
    assert_array_equal(np.stack(other.adjacency("rated").coo()), [[1], [1]])
    assert other.adjacency("knows") is toy.adjacency("knows")
    assert other.node_data is toy.node_data
    assert RATED not in other.edge_data
    assert toy.adjacency("rated").n_edges == 4


def test_without_edges_keeps_the_features_of_the_others(toy):
    other = toy.without_edges("rated", [1, 2])
    assert_array_equal(np.stack(other.adjacency("rated").coo()), [[2, 0], [1, 0]])
    assert_array_equal(other.edge_data[RATED]["stars"], [5, 2])
    assert other.adjacency("knows") is toy.adjacency("knows")
    assert toy.edge_data[RATED]["stars"].shape == (4,)


@given(st.data(), st.booleans())
def test_homogeneous_shifts_every_edge_by_the_offsets_of_its_types(heterographs, data, both_ways):
    hg = data.draw(heterographs())
    flat = hg.homogeneous(both_ways=both_ways)
    src, dst = flat.adjacency.coo()
    assert flat.adjacency.shape == (sum(hg.n_nodes.values()),) * 2
    assert len(src) == sum(hg.n_edges.values()) * (2 if both_ways else 1)
    assert len(flat.edge_offsets) == len(hg.adjacencies) * (2 if both_ways else 1)
    for (triple, forward), first in flat.edge_offsets.items():
        here = slice(first, first + hg.n_edges[triple])
        ends = (src[here], dst[here]) if forward else (dst[here], src[here])
        for node_type, got, wanted in zip(
            triple[::2], ends, hg.adjacency(triple).coo(), strict=True
        ):
            assert_array_equal(got, wanted + flat.offsets[node_type])


def test_homogeneous_offsets_follow_the_schema(toy):
    assert toy.homogeneous().offsets == {"user": 0, "item": 3, "shop": 5}


def test_the_hash_sees_structure_and_neither_dtype_nor_order_of_types_nor_features(toy):
    small = HeteroCSR.from_edges(
        {
            KNOWS: ([], []),
            RATED: (np.array([2, 0, 2, 0], np.uint8), np.array([1, 1, 1, 0], np.int32)),
        },
        {"shop": np.int64(0), "item": 2, "user": 3},
    )
    assert small.content_hash == toy.content_hash


def test_the_hash_changes_when_an_edge_moves_a_count_grows_or_a_type_is_renamed(toy):
    src, dst = toy.adjacency("rated").coo()
    others = [
        toy.with_edges("rated", src, [1, 1, 0, 0]),
        toy.with_edges("rated", src[::-1], dst[::-1]),  # the same edges under other ids
        toy.without_edges("rated", [0]),
        toy.with_edges("knows", [0], [0]),
        HeteroCSR.from_edges(
            {RATED: (src, dst), KNOWS: ([], [])}, {"user": 3, "item": 2, "shop": 1}
        ),
        HeteroCSR.from_edges({RATED: (src, dst), ("user", "met", "user"): ([], [])}, toy.n_nodes),
    ]
    assert len({g.content_hash for g in [toy, *others]}) == 1 + len(others)


def test_the_hash_tells_where_one_edge_type_ends_and_the_next_begins():
    def graph(a, b):
        return HeteroCSR.from_edges({("n", "a", "n"): a, ("n", "b", "n"): b}, {"n": 9})

    left = graph(([1], [2]), ([3, 4], [5, 6]))
    right = graph(([1, 2], [3, 4]), ([5], [6]))
    assert left.content_hash != right.content_hash


def test_hashing_in_chunks_changes_nothing(toy, monkeypatch):
    whole = toy.content_hash
    monkeypatch.setattr("dglmeta.graph.csr.HASH_CHUNK", 3)
    again = HeteroCSR(toy.schema, toy.n_nodes, toy.adjacencies)
    assert again.content_hash == whole


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_nodes": {"user": 3}}, SchemaError, "exactly the node types"),
        ({"adjacencies": {}}, SchemaError, "exactly the edge types"),
        ({"n_nodes": {"user": 3, "item": 9}}, DataError, r"of shape \(3, 9\), got \(3, 2\)"),
        ({"node_data": {"shop": {}}}, SchemaError, "node_data names 'shop'"),
        (
            {"node_data": {"item": {"x": np.zeros(3)}}},
            DataError,
            r"to have 2 rows, got shape \(3,\)",
        ),
        ({"node_data": {"item": {"x": np.array(3)}}}, DataError, r"to have 2 rows, got shape \(\)"),
        ({"edge_data": {("user", "x", "item"): {}}}, SchemaError, "no edge type"),
        ({"edge_data": {RATED: {"w": np.zeros(2)}}}, DataError, "to have 1 rows"),
    ],
)
def test_parts_that_disagree_are_refused(change, error, message):
    parts = {
        "schema": Schema(("user", "item"), (RATED,)),
        "n_nodes": {"user": 3, "item": 2},
        "adjacencies": {RATED: Adjacency.from_coo([0], [0], (3, 2))},
    }
    assert HeteroCSR(**parts).n_edges == {RATED: 1}
    with pytest.raises(error, match=message):
        HeteroCSR(**(parts | change))


def test_an_edge_to_an_unknown_node_type_is_refused():
    with pytest.raises(SchemaError, match="names node type 'item', which is not among"):
        HeteroCSR.from_edges({RATED: ([0], [0])}, {"user": 3})


def test_the_graph_room_loads_no_library_it_was_not_asked_for():
    script = """
import sys
from dglmeta.graph import GraphBatch, HeteroCSR, as_csr
hg = HeteroCSR.from_edges({('a', 'r', 'a'): ([1, 0], [0, 1])}, {'a': 2})
as_csr(GraphBatch.from_graphs([hg, hg]).graph).content_hash
print({'torch', 'dgl', 'pandas', 'networkx', 'torch_geometric'} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
