"""Rough sizes are near those measured, whatever the graph, and lead to an order near the best."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.paths.chain import chain_of
from dglmeta.paths.plan import plan_order
from dglmeta.paths.sizes import measure_sizes
from dglmeta.paths.sketch import sketch_sizes


def chain(hg, path, mode="reach", rows=None):
    return chain_of(hg, MetaPath.parse(path, hg.schema), mode, rows)


@pytest.mark.parametrize("mode", ["reach", "count", "walk"])
@pytest.mark.parametrize("rows", [None, np.arange(40), np.arange(0, 3000, 2)])
def test_sizes_are_near_those_measured(bipartite, mode, rows):
    steps = chain(bipartite(3000, 1000, 30_000), "user-item-user-item-user", mode, rows)
    rough, measured = sketch_sizes(steps, mode), measure_sizes(steps, mode)
    for span, size in rough.entries.items():
        assert size.total == pytest.approx(measured.entries[span].total, rel=0.3)
    for join, flops in rough.flops.items():
        assert flops.total == pytest.approx(measured.flops[join].total, rel=0.3)
        assert rough.work[join] == pytest.approx(measured.work[join], rel=0.3)


def test_of_paths_that_come_back_the_pairs_are_not_overestimated():
    # As if ends were independent, 200 groups that meet only each other would be taken for one.
    member = np.arange(20_000)
    groups = 2 * (member[:, None] % 200) + [0, 1]
    edges = {("person", "in", "group"): (np.repeat(member, 2), groups.ravel())}
    hg = HeteroCSR.from_edges(edges, {"person": 20_000, "group": 400})
    rough = sketch_sizes(chain(hg, "person-group-person-group-person"), "reach")
    assert rough.entries[0, 1].total == pytest.approx(200 * 100**2, rel=0.05)
    assert rough.entries[0, 2].total == pytest.approx(200 * 100 * 2, rel=0.05)


@given(data=st.data())
def test_there_is_an_order_for_every_graph(heterographs, paths, data):
    hg = data.draw(heterographs())
    path = data.draw(paths(hg, max_length=4))
    steps = chain_of(hg, path, "reach")

    def visited(order):
        return [order] if isinstance(order, int) else visited(order[0]) + visited(order[1])

    assert visited(plan_order(steps, "reach")) == list(range(len(steps)))


def test_from_few_ends_the_product_is_taken_from_their_side(bipartite):
    hg = bipartite(2000, 500, 20_000)
    ids = np.arange(2000)
    edges = {e: hg.adjacency(e).coo() for e in hg.schema.edge_types}
    hg = HeteroCSR.from_edges(
        {**edges, ("user", "lives in", "country"): (ids, ids % 3)}, {**hg.n_nodes, "country": 3}
    )
    assert plan_order(chain(hg, "user-item-user-country"), "reach") == (0, (1, 2))
    assert plan_order(chain(hg, "country-user-item-user"), "reach") == ((0, 1), 2)
    assert plan_order(chain(hg, "user-item-user-item", rows=np.arange(3)), "reach") == ((0, 1), 2)
