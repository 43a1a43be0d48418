"""Adjacency: compressed edges of one type that keep their ids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from dglmeta.errors import DataError
from dglmeta.graph import Adjacency


@st.composite
def edge_lists(draw) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    n_src, n_dst = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    ends = st.tuples(st.integers(0, n_src - 1), st.integers(0, n_dst - 1))
    pairs = draw(st.lists(ends, max_size=20))
    src, dst = np.array(pairs, np.int64).reshape(-1, 2).T
    return src, dst, (n_src, n_dst)


@given(edge_lists())
def test_coo_gives_the_edges_back_in_the_order_of_their_ids(edges):
    src, dst, shape = edges
    adj = Adjacency.from_coo(src, dst, shape)
    assert_array_equal(adj.coo()[0], src)
    assert_array_equal(adj.coo()[1], dst)
    assert (adj.shape, adj.n_edges) == (shape, len(src))


@given(edge_lists())
def test_positions_are_those_of_a_stable_lexicographic_sort(edges):
    src, dst, shape = edges
    adj = Adjacency.from_coo(src, dst, shape)
    order = np.lexsort((dst, src))
    assert_array_equal(adj.indices, dst[order])
    assert_array_equal(np.arange(len(src)) if adj.edge_ids is None else adj.edge_ids, order)
    assert_array_equal(adj.indptr, np.searchsorted(src[order], np.arange(shape[0] + 1)))
    assert (adj.edge_ids is None) == bool(np.all(np.diff(order) > 0))


@given(edge_lists())
def test_the_transpose_has_the_same_edges_under_the_same_ids(edges):
    src, dst, shape = edges
    flipped = Adjacency.from_coo(src, dst, shape).T
    assert flipped.shape == shape[::-1]
    assert_array_equal(flipped.coo()[0], dst)
    assert_array_equal(flipped.coo()[1], src)
    again = Adjacency.from_coo(dst, src, shape[::-1])
    assert_array_equal(flipped.indptr, again.indptr)
    assert_array_equal(flipped.indices, again.indices)


@given(edge_lists())
def test_degrees_count_parallel_edges_and_isolated_nodes(edges):
    src, dst, shape = edges
    adj = Adjacency.from_coo(src, dst, shape)
    assert_array_equal(adj.out_degrees, [np.sum(src == i) for i in range(shape[0])])
    assert_array_equal(adj.in_degrees, [np.sum(dst == j) for j in range(shape[1])])


@given(edge_lists())
def test_to_scipy_sums_parallel_edges(edges):
    src, dst, shape = edges
    dense, weighted = np.zeros(shape, np.int64), np.zeros(shape)
    values = np.arange(len(src)) + 0.5
    np.add.at(dense, (src, dst), 1)
    np.add.at(weighted, (src, dst), values)
    adj = Adjacency.from_coo(src, dst, shape)
    assert_array_equal(adj.to_scipy().toarray(), dense)
    assert_array_equal(adj.to_scipy(values).toarray(), weighted)
    assert adj.to_scipy().has_canonical_format


@given(edge_lists(), st.data())
def test_without_drops_edges_and_keeps_the_order_of_the_others(edges, data):
    src, dst, shape = edges
    drop = data.draw(st.lists(st.sampled_from(range(len(src))))) if len(src) else []
    kept = np.setdiff1d(np.arange(len(src)), drop)
    adj = Adjacency.from_coo(src, dst, shape).without(drop)
    fresh = Adjacency.from_coo(src[kept], dst[kept], shape)
    for got, wanted in zip(
        (*adj.coo(), adj.indptr, adj.indices),
        (*fresh.coo(), fresh.indptr, fresh.indices),
        strict=True,
    ):
        assert_array_equal(got, wanted)


def test_the_transpose_of_the_transpose_is_the_adjacency_itself():
    adj = Adjacency.from_coo([1, 0], [0, 0], (2, 1))
    assert adj.T.T is adj
    assert adj.T is adj.T


def test_the_input_may_change_afterwards():
    src, dst = np.array([0, 1], np.int32), np.array([0, 1], np.int32)
    adj = Adjacency.from_coo(src, dst, (2, 2))
    dst[:] = 0
    assert_array_equal(adj.indices, [0, 1])


def test_index_dtypes_do_not_depend_on_those_of_the_input():
    for dtype in (np.int32, np.int64, np.uint8):
        for src in ([0, 1], [1, 0]):
            adj = Adjacency.from_coo(np.array(src, dtype), np.array([0, 1], dtype), (2, 2))
            assert (adj.indptr.dtype, adj.indices.dtype) == (np.int64, np.int32)
            assert adj.edge_ids is None or adj.edge_ids.dtype == np.int64
            assert (adj.T.indptr.dtype, adj.T.indices.dtype) == (np.int64, np.int32)
            assert adj.T.edge_ids.dtype == np.int64


def test_ids_of_more_than_two_billion_nodes_take_eight_bytes():
    adj = Adjacency.from_coo([0, 1], [3_000_000_000, 7], (2, 2**32))
    assert adj.indices.dtype == np.int64
    assert_array_equal(adj.coo()[1], [3_000_000_000, 7])


def test_an_adjacency_may_have_no_edges_and_no_nodes():
    adj = Adjacency.from_coo([], [], (0, 3))
    assert (adj.n_edges, adj.shape, adj.T.shape) == (0, (0, 3), (3, 0))
    assert adj.to_scipy().shape == (0, 3)
    assert adj.without([]).n_edges == 0


@pytest.mark.parametrize(
    ("src", "dst", "shape", "message"),
    [
        ([0, 2], [0, 0], (2, 1), r"expected source ids in \[0, 2\), got 2"),
        ([0, 0], [0, -1], (2, 1), r"expected destination ids in \[0, 1\), got -1"),
        ([0.5], [0], (2, 1), "expected source ids as a flat integer array, got float64"),
        ([[0]], [0], (2, 1), r"got int64 of shape \(1, 1\)"),
        ([0, 1], [0], (2, 1), "as many sources as destinations, got 2 and 1"),
        ([], [], (-1, 1), "expected node counts >= 0"),
    ],
)
def test_bad_edges_are_refused_at_the_door(src, dst, shape, message):
    with pytest.raises(DataError, match=message):
        Adjacency.from_coo(src, dst, shape)


@pytest.mark.parametrize("ids", [[2], [-1], [0.5]])
def test_without_refuses_ids_that_are_no_edges(ids):
    with pytest.raises(DataError, match="edge ids"):
        Adjacency.from_coo([0, 1], [0, 0], (2, 1)).without(ids)


def test_repr_tells_shape_and_edges():
    assert repr(Adjacency.from_coo([0], [2], (1, 1000))) == "Adjacency(1 x 1,000, 1 edges)"


@given(
    edges=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20),
    ordered=st.booleans(),
)
def test_loops_come_last_by_id_and_in_their_place_by_row(edges, ordered):
    src, dst = np.array(sorted(edges) if ordered else edges, np.int64).reshape(-1, 2).T
    adj = Adjacency.from_coo(src, dst, (6, 6)).with_loops
    nodes = np.arange(6)
    expected = Adjacency.from_coo(np.append(src, nodes), np.append(dst, nodes), (6, 6))
    assert adj.indptr.tolist() == expected.indptr.tolist()
    assert adj.indices.tolist() == expected.indices.tolist()
    ids = range(expected.n_edges) if expected.edge_ids is None else expected.edge_ids.tolist()
    assert adj.edge_ids.tolist() == list(ids)
    assert adj.indices.dtype == expected.indices.dtype
