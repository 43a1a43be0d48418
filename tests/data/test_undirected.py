"""Edges in any form become simple undirected graphs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.data.undirected import LINK, NODE, undirected, undirected_parts
from dglmeta.errors import DataError

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30)


def edges(graph) -> list[tuple[int, int]]:
    return list(zip(*(ends.tolist() for ends in graph.adjacency(LINK).coo()), strict=True))


@given(PAIRS)
def test_edges_are_stored_once_in_both_directions_without_loops(pairs):
    src, dst = np.array(pairs, np.int64).reshape(-1, 2).T
    expected = {(u, v) for u, v in pairs if u != v} | {(v, u) for u, v in pairs if u != v}
    assert edges(undirected(7, src, dst)) == sorted(expected)


def test_ids_and_rows_are_checked():
    with pytest.raises(DataError, match=r"in \[0, 2\), got 2"):
        undirected(2, [0], [2])
    with pytest.raises(DataError, match="to have 2 rows"):
        undirected(2, [0], [1], {"feat": np.ones((3, 1), np.float32)})


@given(PAIRS, st.lists(st.integers(0, 2), min_size=7, max_size=7))
def test_parts_hold_the_edges_and_rows_of_their_nodes_in_order(pairs, groups):
    graph_of = np.array(groups + [0, 1, 2])  # no part is empty
    kept = [(u, v) for u, v in pairs if graph_of[u] == graph_of[v]]
    src, dst = np.array(kept, np.int64).reshape(-1, 2).T
    parts = undirected_parts(graph_of, src, dst, {"id": np.arange(10)})
    assert len(parts) == 3
    found = set()
    for number, part in enumerate(parts):
        ids = part.node_data[NODE]["id"]
        assert ids.tolist() == np.flatnonzero(graph_of == number).tolist()
        found |= {(int(ids[u]), int(ids[v])) for u, v in edges(part)}
    assert found == {e for u, v in kept if u != v for e in ((u, v), (v, u))}


def test_an_edge_between_two_parts_is_refused():
    with pytest.raises(DataError, match="got 1 - 2 between graphs 0 and 1"):
        undirected_parts(np.array([0, 0, 1]), np.array([0, 1]), np.array([1, 2]))
