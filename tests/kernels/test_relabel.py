"""Nodes are numbered in the order promised, whatever way is taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu import relabel as module
from dglmeta.kernels.cpu import sample
from dglmeta.kernels.cpu.relabel import Met, look_up, number, relabel_rows
from dglmeta.kernels.cpu.sample import sample_neighbors


@given(
    first=st.lists(st.integers(0, 2**62), max_size=8, unique=True),
    others=st.lists(st.integers(0, 12) | st.integers(0, 2**62), max_size=30),
    spare=st.integers(0, 3),
)
def test_numbers_equal_the_oracle(twin, first, others, spare):
    first, others = np.array(first, np.int64), np.array(others, np.int64)
    n_nodes = int(max([-1, *first, *others])) + 1 + spare
    nodes, local = twin("relabel").relabel(first, others, n_nodes)
    expected = reference.relabel(first, others, n_nodes)
    assert np.array_equal(nodes, expected[0])
    assert np.array_equal(local, expected[1])
    assert np.array_equal(nodes[local], others)


@given(
    first=st.lists(st.integers(0, 299), max_size=40, unique=True),
    others=st.lists(st.integers(0, 299), max_size=80),
)
def test_a_bitmap_and_a_sort_number_alike(twin, first, others):
    kernels = twin("relabel")
    first, others = np.array(first, np.int64), np.array(others, np.int32)
    bitmap, by_sort = (kernels.relabel(first, others, n_nodes) for n_nodes in (300, 2**40))
    for n_nodes in (300, 2**40):
        numbering = kernels.number(first, [others], n_nodes)
        assert (numbering.known is None) == (n_nodes == 300)
        for part, expected in zip(numbering, number(first, [others], n_nodes), strict=True):
            assert np.array_equal(part, expected)
    assert np.array_equal(bitmap[0], by_sort[0])
    assert np.array_equal(bitmap[1], by_sort[1])
    assert bitmap[1].dtype == by_sort[1].dtype == np.int32


def test_large_numberings_are_those_of_the_cpu(twin, large):
    first = np.random.default_rng(2).permutation(large.n_cols)[:700]
    others = [large.indices[::3].copy(), large.indices[:90].astype(np.int64)]
    numbering, expected = (f.number(first, others, 2100) for f in (twin("relabel"), module))
    assert all(np.array_equal(a, b) for a, b in zip(numbering[:4], expected[:4], strict=True))
    assert [a.dtype for a in numbering[:4]] == [a.dtype for a in expected[:4]]
    for nodes in others:
        assert np.array_equal(twin("relabel").look_up(numbering, nodes), look_up(expected, nodes))


def test_numbers_are_looked_up_in_any_number_of_threads(large, in_threads):
    numbering = number(np.array([5, 3]), [large.indices], large.n_cols)
    one, two = (in_threads(n, lambda: look_up(numbering, large.indices)) for n in (1, 2))
    assert np.array_equal(one, two)
    assert np.array_equal(numbering.nodes[one], large.indices)


@pytest.mark.parametrize("n_nodes", [2000, 2**50])
@pytest.mark.parametrize("fanout", [3, -1])
def test_drawn_rows_get_the_same_edges_sorted_by_number(
    twin, large, in_threads, monkeypatch, n_nodes, fanout
):
    monkeypatch.setattr(sample, "EDGES_A_PIECE", 64)
    hub, others = np.array([7, 2, 9]), np.arange(0, 3000, 11)
    drawn = [sample_neighbors(*large[:3], nodes, fanout, 1, 0) for nodes in (hub, others)]
    first = np.array([1999, 4, 1000])

    def renumber():
        met = [Met(first, drawn, n_nodes), Met(first, [], n_nodes)]
        return twin("relabel").relabel_rows(met)

    one, two = (in_threads(n, renumber) for n in (1, 2))
    (nodes, local), (alone, none) = one
    assert (alone.tolist(), none) == (first.tolist(), [])
    every = np.concatenate([d.neighbours for d in drawn])
    assert np.array_equal(nodes, reference.relabel(first, every, n_nodes)[0])
    for before, after, again in zip(drawn, local, two[0][1], strict=True):
        assert np.array_equal(after.neighbours, again.neighbours)
        assert np.array_equal(after.edge_ids, again.edge_ids)
        for begin, stop in zip(before.indptr[:-1], before.indptr[1:], strict=True):
            places = {node: k for k, node in enumerate(nodes.tolist())}
            found = np.array([places[v] for v in before.neighbours[begin:stop].tolist()], int)
            order = np.argsort(found, kind="stable")
            assert np.array_equal(after.neighbours[begin:stop], found[order])
            assert np.array_equal(after.edge_ids[begin:stop], before.edge_ids[begin:stop][order])


def test_types_of_one_hop_are_numbered_together(twin, large):
    none = sample_neighbors(*large[:3], np.zeros(0, np.int64), 3, 1, 0)
    few = sample_neighbors(*large[:3], np.array([2, 10, 5]), 4, 1, 0)
    all_of_two = sample_neighbors(*large[:3], np.array([7, 1]), -1, 1, 0)
    first = np.array([1999, 4, 1000])
    met = [
        Met(first, [few, none, few], 2000),
        Met(first, [none], 2000),
        Met(first[:0], [all_of_two], 2**50),
        Met(first, [few], 2011),
    ]
    for one, other in zip(twin("relabel").relabel_rows(met), relabel_rows(met), strict=True):
        assert np.array_equal(one[0], other[0])
        for drawn, expected in zip(one[1], other[1], strict=True):
            for part, same in zip(drawn, expected, strict=True):
                assert np.array_equal(part, same)


def test_what_is_renumbered_is_not_written_to(large):
    drawn = sample_neighbors(*large[:3], np.arange(50), 5, 1, 0)
    copies = [array.copy() for array in drawn]
    relabel_rows([Met(np.array([0]), [drawn], 2000)])
    assert all(np.array_equal(a, b) for a, b in zip(drawn, copies, strict=True))


def test_no_nodes_have_no_numbers(twin):
    none = np.zeros(0, np.int64)
    for n_nodes in (0, 10, 2**50):
        nodes, local = twin("relabel").relabel(none, none, n_nodes)
        assert (len(nodes), len(local)) == (0, 0)


@given(ids=st.lists(st.integers(0, 9) | st.integers(0, 2**62), max_size=40))
def test_distinct_ids_equal_the_oracle(twin, ids):
    ids = np.array(ids, np.int64)
    assert np.array_equal(twin("relabel").distinct(ids), reference.distinct(ids))


def test_a_bitmap_is_taken_where_it_is_short():
    few = np.arange(3)
    assert number(few, [few], module.SPARSE_FROM * 7).known is None
    assert number(few, [few], module.SPARSE_FROM * 7 + 1).known is not None
