"""Held-out links: what is asked about is not heard, and non-edges are true and uniform."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from dglmeta.errors import ConfigError
from dglmeta.tasks.episodes.holdout import (
    LinkHoldout,
    first_non_edges,
    hold_out_links,
    published_holdout,
)
from dglmeta.tasks.graphs import GraphRows

EDGELESS, ONE_EDGE, COMPLETE = nx.empty_graph(4), nx.path_graph(2), nx.complete_graph(5)


def rows_of(graphs: Sequence[nx.Graph]) -> GraphRows:
    node_ptr = np.cumsum([0, *map(len, graphs)])
    edges = [
        (u + begin, v + begin)
        for graph, begin in zip(graphs, node_ptr, strict=False)
        for u, v in sorted(tuple(sorted(edge)) for edge in graph.edges)
    ]
    edge_ptr = np.cumsum([0, *(graph.number_of_edges() for graph in graphs)])
    x = np.zeros((node_ptr[-1], 1), np.float32)
    return GraphRows(node_ptr, x, np.array(edges, np.int64).reshape(-1, 2), edge_ptr, None, None)


def molecule(seed: int) -> nx.Graph:
    """42 nodes and 44 edges, as in DHFR on average; the first node has few neighbours."""
    graph = nx.path_graph(42)
    rng = np.random.default_rng(seed)
    while graph.number_of_edges() < 44:
        graph.add_edge(*map(int, rng.choice(np.arange(10, 42), 2, replace=False)))
    return graph


def pairs_of(holdout: LinkHoldout, graph: int, label: int) -> list[tuple[int, int]]:
    here = (holdout.graph == graph) & (holdout.label == label)
    return [tuple(pair) for pair in holdout.pairs[here].tolist()]


def number_held(n_edges: int, n_free: int, share: float) -> int:
    if n_edges < 2 or n_free == 0:
        return 0
    return min(max(round(share * n_edges), 1), n_edges - 1)


random_graphs = st.lists(
    st.builds(
        lambda n, p, seed: nx.gnp_random_graph(n, p, seed=seed),
        st.integers(0, 12),
        st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
        st.integers(0, 1000),
    ),
    max_size=5,
)


@given(random_graphs, st.floats(0.01, 0.99), st.integers(0, 1000))
def test_each_graph_is_asked_about_a_share_of_its_edges_and_as_many_of_its_non_edges(
    graphs, share, seed
):
    rows = rows_of(graphs)
    holdout = hold_out_links(rows, share=share, seed=seed)
    heard = set(map(tuple, holdout.messages.tolist()))
    assert len(heard) == len(holdout.messages)
    n_positive = int(holdout.label.sum())
    np.testing.assert_array_equal(holdout.label, np.arange(len(holdout.label)) < n_positive)
    for b, graph in enumerate(graphs):
        begin, end = rows.node_ptr[b : b + 2].tolist()
        edges = set(map(tuple, rows.edges[rows.edge_ptr[b] : rows.edge_ptr[b + 1]].tolist()))
        free = set(combinations(range(begin, end), 2)) - edges
        positives, negatives = pairs_of(holdout, b, 1), pairs_of(holdout, b, 0)
        assert len(positives) == number_held(len(edges), len(free), share)
        assert len(negatives) == min(len(positives), len(free))
        assert len(set(positives)) == len(positives)
        assert len(set(negatives)) == len(negatives)
        assert set(positives) == edges - heard
        assert set(negatives) <= free
        assert graph.number_of_edges() == len(edges & heard) + len(positives)
    assert heard <= set(map(tuple, rows.edges.tolist()))


def test_messages_and_pairs_come_in_the_order_of_graphs_and_nodes():
    rows = rows_of([nx.gnp_random_graph(15, 0.4, seed=seed) for seed in range(6)])
    holdout = hold_out_links(rows, seed=3)
    for part in (holdout.messages, *(holdout.pairs[holdout.label == k] for k in (0, 1))):
        assert part.tolist() == sorted(part.tolist())
        assert part.dtype == np.int64


def test_graphs_with_too_few_edges_or_no_non_edge_are_asked_nothing_and_keep_all_edges():
    rows = rows_of([EDGELESS, ONE_EDGE, nx.path_graph(9), COMPLETE, nx.empty_graph(1), EDGELESS])
    holdout = hold_out_links(rows, seed=0)
    assert set(holdout.graph.tolist()) == {2}
    assert len(holdout.messages) == rows.edge_ptr[-1] - 2
    empty = hold_out_links(rows_of([EDGELESS]), seed=0)
    assert [part.shape for part in empty] == [(0, 2), (0, 2), (0,), (0,)]


def test_two_edges_leave_one_to_hear_whatever_the_share():
    rows = rows_of([nx.path_graph(3)])
    for share in (0.01, 0.99):
        holdout = hold_out_links(rows, share=share, seed=0)
        assert len(holdout.messages) == 1
        np.testing.assert_array_equal(holdout.pairs[1], [0, 2])


@pytest.mark.parametrize("p", [0.25, 0.8], ids=["few of many non-edges", "most of few"])
def test_edges_and_non_edges_are_chosen_uniformly(p):
    graphs = [nx.path_graph(4), nx.gnp_random_graph(9, p, seed=1), nx.cycle_graph(5)]
    rows = rows_of(graphs)
    counts: dict[int, dict[tuple[int, int], int]] = {0: {}, 1: {}}
    n_edges = graphs[1].number_of_edges()
    assert (2 * round(0.2 * n_edges) > 36 - n_edges) == (p == 0.8)
    for u, v in combinations(range(4, 13), 2):
        counts[int(graphs[1].has_edge(u - 4, v - 4))][u, v] = 0
    for seed in range(1500):
        holdout = hold_out_links(rows, seed=seed)
        for label in (0, 1):
            for pair in pairs_of(holdout, 1, label):
                counts[label][pair] += 1
    for label in (0, 1):
        observed = np.array(list(counts[label].values()))
        assert observed.sum() == 1500 * min(round(0.2 * n_edges), len(observed))
        # Distinct pairs vary less than independent ones would, so the test is a lenient one.
        assert chisquare(observed).pvalue > 1e-3


def test_the_same_seed_holds_out_the_same_and_another_seed_not():
    rows = rows_of([molecule(seed) for seed in range(4)])
    first, again, other = (hold_out_links(rows, seed=seed) for seed in (5, 5, 6))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.messages.tolist() != other.messages.tolist()
    negatives = (h.pairs[h.label == 0].tolist() for h in (first, other))
    assert next(negatives) != next(negatives)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_that_leaves_nothing_is_refused(share):
    with pytest.raises(ConfigError, match=f"between 0 and 1, got {share}. Change it."):
        hold_out_links(rows_of([nx.path_graph(4)]), share=share, seed=0)


@given(random_graphs)
def test_the_published_pairs_are_the_last_tenth_of_the_first_ones_in_order(graphs):
    rows = rows_of(graphs)
    holdout = published_holdout(rows)
    np.testing.assert_array_equal(holdout.messages, rows.edges)
    for b, graph in enumerate(graphs):
        every = list(combinations(range(len(graph)), 2))
        edges = [pair for pair in every if graph.has_edge(*pair)]
        free = [pair for pair in every if not graph.has_edge(*pair)][: len(edges)]
        for label, listed in ((1, edges), (0, free)):
            asked = np.array(pairs_of(holdout, b, label)).reshape(-1, 2) - rows.node_ptr[b]
            assert asked.tolist() == [list(p) for p in listed[len(listed) * 9 // 10 :]]


@given(random_graphs.filter(bool), st.data())
def test_the_first_non_edges_come_row_by_row_for_every_time_a_graph_is_named(graphs, data):
    rows = rows_of(graphs)
    numbers = np.array(data.draw(st.lists(st.integers(0, len(graphs) - 1), max_size=6)), np.int64)
    n_each = np.array([data.draw(st.integers(0, 40)) for _ in numbers], np.int64)
    pairs, of = first_non_edges(rows, numbers, n_each)
    expected = []
    for place, (b, n) in enumerate(zip(numbers, n_each, strict=True)):
        every = combinations(range(len(graphs[b])), 2)
        free = [pair for pair in every if not graphs[b].has_edge(*pair)][:n]
        begin = rows.node_ptr[b]
        expected += [(place, u + begin, v + begin) for u, v in free]
    assert np.column_stack([of, pairs]).tolist() == [list(row) for row in expected]


def test_published_non_edges_touch_the_first_two_nodes_and_ours_do_not():
    rows = rows_of([molecule(seed) for seed in range(20)])
    touched = {}
    for name, holdout in (
        ("published", published_holdout(rows)),
        ("ours", hold_out_links(rows, seed=0)),
    ):
        near = holdout.pairs[:, 0] - rows.node_ptr[holdout.graph]
        touched[name] = [(near[holdout.label == label] < 2).mean() for label in (0, 1)]
    assert touched["published"] == [1.0, 0.0]
    assert touched["ours"][0] < 0.25
