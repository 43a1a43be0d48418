"""Routes along meta-paths: kept for their graph, and estimates that do not depend on that."""

import gc
import weakref

import numpy as np
import pytest

from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.paths import route as module
from dglmeta.paths.route import Route, route_along

RATED = ("user", "rated", "item")


def graph(seed=0):
    rng = np.random.default_rng(seed)
    edges = rng.integers(0, 30, 200), rng.integers(0, 20, 200)
    return HeteroCSR.from_edges({RATED: edges}, {"user": 30, "item": 20})


def path(hg, text="user-item-user-item"):
    return MetaPath.parse(text, hg.schema)


def test_a_route_is_kept_and_goes_with_its_graph():
    hg = graph()
    first = route_along(hg, path(hg))
    assert route_along(hg, path(hg)) is first
    assert route_along(graph(), path(hg)) is not first
    _ = first.forward, first.backward, first.onward
    gone = weakref.ref(first)
    del first, hg
    gc.collect()
    assert gone() is None


def test_the_routes_asked_for_last_are_kept(monkeypatch):
    monkeypatch.setattr(module, "KEPT", 2)
    hg = graph()
    texts = ["user-item", "user-item-user", "item-user"]
    one, two = (route_along(hg, path(hg, text)) for text in texts[:2])
    assert route_along(hg, path(hg, texts[0])) is one
    route_along(hg, path(hg, texts[2]))
    assert route_along(hg, path(hg, texts[0])) is one
    assert route_along(hg, path(hg, texts[1])) is not two


def test_both_ways_are_those_of_the_reversed_route():
    hg = graph()
    route = route_along(hg, path(hg))
    back = route.reversed()
    other = route_along(hg, path(hg).reverse())
    assert back.n_nodes == other.n_nodes == (20, 30, 20, 30)
    for one, two in ((back.forward, other.forward), (back.backward, other.backward)):
        for a, b in zip(one.indptr + one.indices, two.indptr + two.indices, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("sources", [None, np.array([0, 3, 4])])
def test_where_to_meet_does_not_depend_on_what_was_asked_before(sources):
    hg = graph()
    kept = route_along(hg, path(hg))
    kept.meet(np.array([1]), 1, np.array([2]), 50)
    steps = [hg.step_adjacency(*step) for step in path(hg).steps]
    fresh = Route(path(hg), kept.n_nodes, steps)
    asked = (sources, 3, np.array([1, 5]), 100)
    assert kept.meet(*asked) == fresh.meet(*asked)
    assert kept.edges_to_list(np.array([0, 3])) == fresh.edges_to_list(np.array([0, 3]))
