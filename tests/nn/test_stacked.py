"""Stacked graphs: what each holds is found again, and products are those graph by graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dglmeta.graph import Adjacency
from dglmeta.graph.states import NodeStates, node_states
from dglmeta.nn.stacked import TILE, stack_graphs, tile_product

SIZES = (5, TILE, 1, 2 * TILE + 3, 40)
"""Nodes of graphs that fill less than a tile, one exactly, and several."""


def states_of(n: int, seed: int) -> NodeStates:
    """States of a random weighted graph with distinct features, the last of them 1."""
    rng = np.random.default_rng(seed)
    src, dst = np.nonzero(rng.random((n, n)) < 3 / n)
    x = np.column_stack([rng.normal(size=(n, 2)), np.ones(n)])
    return node_states(Adjacency.from_coo(src, dst, (n, n)), rng.random(len(src)) + 0.1, x)


@pytest.fixture(scope="module")
def several() -> list[NodeStates]:
    return [states_of(n, seed) for seed, n in enumerate(SIZES)]


def rows_of(tile_graph: torch.Tensor, b: int) -> torch.Tensor:
    """Row numbers of a graph's tiles."""
    return (tile_graph.repeat_interleave(TILE) == b).nonzero()[:, 0]


def test_each_graph_has_whole_tiles_of_its_own_in_order(several):
    stacked = stack_graphs(several)
    for graph, counts in (
        (stacked.first_graph, [len(s.received) for s in several]),
        (stacked.second_graph, [len(s.n_nodes) for s in several]),
    ):
        expected = np.repeat(np.arange(len(several)), [-(-n // TILE) for n in counts])
        np.testing.assert_array_equal(graph, expected)
    assert len(stacked.received) == TILE * len(stacked.first_graph)
    assert stacked.messages.shape == (TILE * len(stacked.second_graph), len(stacked.received))


def test_rows_are_those_of_the_states_and_fillings_count_for_nothing(several):
    stacked = stack_graphs(several, torch.float64)
    for b, states in enumerate(several):
        rows, n = rows_of(stacked.first_graph, b), len(states.received)
        np.testing.assert_array_equal(stacked.received[rows[:n], :-1], states.received)
        assert (stacked.received[rows[:n], -1] == 1).all()
        np.testing.assert_array_equal(stacked.n_receiving[rows[:n]], states.n_receiving)
        assert not stacked.received[rows[n:]].any()
        assert not stacked.n_receiving[rows[n:]].any()
        rows, n = rows_of(stacked.second_graph, b), len(states.n_nodes)
        np.testing.assert_array_equal(stacked.n_nodes[rows[:n]], states.n_nodes)
        sums = np.bincount(states.messages.coo()[0], states.weight, minlength=n)
        np.testing.assert_allclose(stacked.sent[rows[:n], 0], sums, rtol=1e-15)
        assert (stacked.sent[rows[:n], 1] == 1).all()
        assert not stacked.sent[rows[n:]].any()
        assert not stacked.n_nodes[rows[n:]].any()


def test_messages_are_the_blocks_on_the_diagonal_and_nothing_else(several):
    stacked = stack_graphs(several, torch.float64)
    whole = np.zeros(stacked.messages.shape)
    np.add.at(whole, stacked.messages.coo(), stacked.weight.numpy())
    for b, states in enumerate(several):
        rows = rows_of(stacked.second_graph, b)[: len(states.n_nodes)]
        columns = rows_of(stacked.first_graph, b)[: len(states.received)]
        block = np.zeros(states.messages.shape)
        np.add.at(block, states.messages.coo(), states.weight)
        np.testing.assert_array_equal(whole[np.ix_(rows, columns)], block)
        whole[np.ix_(rows, columns)] = 0
    assert not whole.any()


def test_nodes_find_the_row_of_their_state(several):
    stacked = stack_graphs(several)
    ends = np.cumsum([len(s.state) for s in several])[:-1]
    for b, (row, states) in enumerate(zip(np.split(stacked.row, ends), several, strict=True)):
        np.testing.assert_array_equal(row, rows_of(stacked.second_graph, b)[states.state])
    np.testing.assert_array_equal(stacked.size, SIZES)


def test_floats_are_of_the_type_asked_for_and_numbers_of_rows_whole(several):
    for dtype in (torch.float32, torch.float64):
        stacked = stack_graphs(several, dtype)
        floats = ("received", "n_receiving", "weight", "sent", "n_nodes", "size")
        assert {getattr(stacked, name).dtype for name in floats} == {dtype}
        numbers = ("first_graph", "second_graph", "row")
        assert {getattr(stacked, name).dtype for name in numbers} == {torch.int64}


def test_tile_product_is_each_graphs_rows_times_its_own_matrix():
    g = torch.Generator().manual_seed(0)
    graph = torch.tensor([0, 1, 1, 1, 3, 3])  # none of graph 2
    x = torch.randn(len(graph) * TILE, 4, generator=g, dtype=torch.float64)
    maps = torch.randn(4, 4, 3, generator=g, dtype=torch.float64)
    got = tile_product(x, maps, graph)
    assert got.shape == (len(graph) * TILE, 3)
    for b in range(4):
        rows = rows_of(graph, b)
        torch.testing.assert_close(got[rows], x[rows] @ maps[b], rtol=1e-12, atol=1e-12)


def test_tile_product_gives_each_matrix_the_gradient_of_its_own_rows():
    g = torch.Generator().manual_seed(1)
    graph = torch.tensor([0, 1, 1])
    x = torch.randn(3 * TILE, 2, generator=g, dtype=torch.float64, requires_grad=True)
    maps = torch.randn(2, 2, 2, generator=g, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, m: tile_product(x, m, graph)[:: TILE // 2], (x, maps))
    (found,) = torch.autograd.grad(tile_product(x, maps, graph)[:TILE].sum(), maps)
    assert found[0].all()
    assert not found[1].any()
