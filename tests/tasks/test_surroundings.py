"""A view has the edges it should, by the ids of the whole graph."""

import numpy as np
import pytest
import torch

from dglmeta.tasks import Surroundings

ENDS = np.array([2, 9, 61, 75])


@pytest.fixture(scope="module")
def everything(training):
    return training.graph.homogeneous(both_ways=True)


def edges_of(graph, weight=None, nodes=None):
    """Ends in the numbers of all nodes, and the type, of every edge that weighs something."""
    src, dst = (np.asarray(side) for side in graph.adjacency.coo())
    kept = np.ones(len(src), bool) if weight is None else weight.numpy() > 0
    if nodes is not None:
        src, dst = nodes.numpy()[src], nodes.numpy()[dst]
    types = np.asarray(graph.edge_types)
    return set(zip(*(x[kept].tolist() for x in (src, dst, types)), strict=True))


def some_edges(everything, node):
    """Ids of edges at a node, either way."""
    src, dst = everything.adjacency.coo()
    return np.flatnonzero((src == node) | (dst == node))


def test_without_fanouts_the_view_is_the_whole_graph_less_the_removed_edges(everything):
    removed = np.array([0, 7, 7])
    view = Surroundings(everything).around(ENDS, removed, 0)
    assert view.graph is everything
    assert (view.nodes, view.wanted, view.hint_graph) == (None, None, None)
    assert (view.edge_weight == 0).nonzero().flatten().tolist() == [0, 7]


@pytest.mark.parametrize("fanouts", [(-1, -1), (3, 2), (1,)])
def test_a_sampled_view_has_edges_of_the_graph_with_their_types(everything, fanouts):
    view = Surroundings(everything, fanouts=fanouts).around(ENDS, ENDS[:0], 3)
    assert view.nodes[: len(ENDS)].tolist() == ENDS.tolist()
    assert len(view.nodes.unique()) == len(view.nodes)
    found = edges_of(view.graph, view.edge_weight, view.nodes)
    assert found <= edges_of(everything)
    assert len(found) == view.graph.adjacency.n_edges
    assert view.graph.n_edge_types == everything.n_edge_types


def test_a_sample_of_all_neighbours_has_every_edge_that_arrives_within_its_hops(everything):
    view = Surroundings(everything, fanouts=(-1, -1)).around(ENDS, ENDS[:0], 0)
    near, whole = set(ENDS.tolist()), edges_of(everything)
    expected = set()
    for _ in range(2):
        arriving = {edge for edge in whole if edge[1] in near}
        expected |= arriving
        near = {edge[0] for edge in arriving}
    assert edges_of(view.graph, view.edge_weight, view.nodes) == expected


def test_another_seed_samples_others(everything):
    around = Surroundings(everything, fanouts=(2, 2))
    views = [around.around(ENDS, ENDS[:0], seed) for seed in (0, 0, 1)]
    found = [edges_of(v.graph, v.edge_weight, v.nodes) for v in views]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("kind", ["fanouts", "hint_fanouts"])
def test_removed_edges_weigh_nothing_in_either_graph(everything, kind):
    around = Surroundings(everything, **{kind: (-1, -1)}, hubs=np.array([61]))
    removed = some_edges(everything, 61)
    view = around.around(ENDS, removed, 0)
    graph, weight, nodes = (
        (view.graph, view.edge_weight, view.nodes)
        if kind == "fanouts"
        else (view.hint_graph, view.hint_weight, view.wanted)
    )
    assert (weight == 0).any()
    left = edges_of(graph, weight, nodes)
    assert left
    assert not any(61 in edge[:2] for edge in left)
    assert any(61 in edge[:2] for edge in edges_of(graph, None, nodes))


HUBS = np.array([63, 70])


def hint_edges(everything, hubs, **options):
    view = Surroundings(everything, hubs=hubs, **options).around(ENDS, ENDS[:0], 0)
    nodes = view.wanted if view.nodes is None else view.nodes
    return view, edges_of(view.hint_graph, view.hint_weight, nodes)


@pytest.mark.parametrize("kind", ["whole", "sampled"])
def test_hubs_hear_from_and_speak_to_all_of_the_sample(everything, kind):
    fanouts = {"fanouts": (2, 1)} if kind == "sampled" else {}
    view, found = hint_edges(everything, HUBS, hint_fanouts=(2, 1), **fanouts)
    _, plain = hint_edges(everything, HUBS[:0], hint_fanouts=(2, 1), **fanouts)
    inside = set((view.wanted if view.nodes is None else view.nodes).tolist())
    assert set(HUBS.tolist()) <= inside
    hubs = set(HUBS.tolist())
    tied = {e for e in edges_of(everything) if hubs & {*e[:2]} and set(e[:2]) <= inside}
    assert found == plain | tied
    assert {(v, u) for u, v, _ in tied} == {(u, v) for u, v, _ in tied}  # both ways


def test_as_published_hubs_only_hear_and_only_from_the_last_hop(everything):
    view, found = hint_edges(
        everything, HUBS, fanouts=(2, 1), hint_fanouts=(2, 1), hubs_hear_only=True
    )
    _, plain = hint_edges(everything, HUBS[:0], fanouts=(2, 1), hint_fanouts=(2, 1))
    first = Surroundings(everything, fanouts=(2,)).around(ENDS, ENDS[:0], 0)
    late = plain - edges_of(first.graph, None, first.nodes)
    last, hubs = {edge[0] for edge in late}, set(HUBS.tolist())
    expected = {e for e in edges_of(everything) if e[1] in hubs and e[0] in last}
    assert expected - plain
    assert found == plain | expected


def test_hubs_that_were_not_sampled_lie_in_the_batchs_graph_without_edges(everything):
    options = {"fanouts": (2, 1), "hint_fanouts": (2, 1)}
    view, _ = hint_edges(everything, HUBS, **options)
    plain = Surroundings(everything, fanouts=(2, 1)).around(ENDS, ENDS[:0], 0)
    assert edges_of(view.graph, view.edge_weight, view.nodes) == edges_of(
        plain.graph, plain.edge_weight, plain.nodes
    )
    assert view.nodes[: len(plain.nodes)].tolist() == plain.nodes.tolist()
    assert set(view.nodes[len(plain.nodes) :].tolist()) == set(HUBS) - set(plain.nodes.tolist())
    assert torch.equal(view.wanted, torch.arange(len(view.nodes)))
