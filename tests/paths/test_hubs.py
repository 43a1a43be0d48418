"""Hubs are the nodes of most edges, tied to all their neighbours in the sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.errors import ConfigError, DataError, DeviceError, SchemaError
from dglmeta.graph import HeteroCSR
from dglmeta.paths import add_hubs, sample_neighbors
from dglmeta.paths.hubs import find_hubs


def degrees_of(hg):
    """{(type, id): edges of any type at either end}."""
    degrees = {(t, i): 0 for t in hg.schema.node_types for i in range(hg.n_nodes[t])}
    for source, relation, target in hg.schema.edge_types:
        for src, dst in zip(*hg.adjacency((source, relation, target)).coo(), strict=True):
            degrees[source, int(src)] += 1
            degrees[target, int(dst)] += 1
    return degrees


@given(data=st.data(), n_hubs=st.integers(0, 20))
def test_hubs_are_the_nodes_with_most_edges(heterographs, data, n_hubs):
    hg = data.draw(heterographs())
    degrees = degrees_of(hg)
    expected = sorted(degrees, key=lambda node: -degrees[node])[:n_hubs]
    hubs = find_hubs(hg, n_hubs)
    assert {(t, int(i)) for t, ids in hubs.items() for i in ids} == set(expected)


@given(data=st.data(), n_hubs=st.integers(0, 4), fanout=st.integers(-1, 2))
def test_exactly_the_edges_between_hubs_and_the_sample_are_added(
    heterographs, data, n_hubs, fanout
):
    hg = data.draw(heterographs())
    seeds = {t: [0] for t, n in hg.n_nodes.items() if n}
    block = sample_neighbors(hg, seeds, [fanout], seed=1)
    hubbed = add_hubs(block, hg, n_hubs)
    hubs = {t: set(ids.tolist()) for t, ids in find_hubs(hg, n_hubs).items()}
    inside = {t: set(ids.tolist()) for t, ids in hubbed.node_ids.items()}
    for t, ids in block.node_ids.items():
        assert np.array_equal(hubbed.node_ids[t][: len(ids)], ids)
        assert inside[t] == hubs[t] | set(ids.tolist())
        assert len(inside[t]) == len(hubbed.node_ids[t])
    for triple in hg.schema.edge_types:
        ends = hg.adjacency(triple).coo()
        expected = set(block.edge_ids[triple].tolist())
        for e, (src, dst) in enumerate(zip(*ends, strict=True)):
            joins_hub = src in hubs[triple[0]] or dst in hubs[triple[2]]
            if joins_hub and src in inside[triple[0]] and dst in inside[triple[2]]:
                expected.add(e)
        edge_ids = hubbed.edge_ids[triple]
        assert edge_ids.tolist() == sorted(expected)
        src, dst = hubbed.graph.adjacency(triple).coo()
        assert np.array_equal(hubbed.node_ids[triple[0]][src], ends[0][edge_ids])
        assert np.array_equal(hubbed.node_ids[triple[2]][dst], ends[1][edge_ids])


def test_hubs_of_a_relation_are_the_destinations_most_edges_arrive_at():
    rated, about = ("user", "rated", "item"), ("item", "about", "genre")
    edges = {rated: ([0, 1, 2, 0], [1, 1, 1, 0]), about: ([2] * 9, [0] * 9)}
    hg = HeteroCSR.from_edges(edges, {"user": 3, "item": 3, "genre": 1})
    chosen = find_hubs(hg, 1, edge_type="rated")
    assert {t: ids.tolist() for t, ids in chosen.items()} == {"user": [], "item": [1], "genre": []}
    hubbed = add_hubs(sample_neighbors(hg, {"user": [2]}, []), hg, 1, edge_type=rated)
    assert hubbed.edge_ids[rated].tolist() == [2]
    anything = find_hubs(hg, 2)
    assert {t: ids.tolist() for t, ids in anything.items()} == {
        "user": [],
        "item": [2],
        "genre": [0],
    }


def test_hubs_found_once_serve_every_batch(bipartite):
    hg = bipartite(300, 40, 3000)
    hubs = find_hubs(hg, 7)
    for seed in range(3):
        block = sample_neighbors(hg, {"user": [seed]}, [2, 2], seed, both_ways=True)
        one, other = add_hubs(block, hg, 7), add_hubs(block, hg, hubs=hubs)
        assert one.graph.content_hash == other.graph.content_hash
        for t, ids in one.node_ids.items():
            assert np.array_equal(ids, other.node_ids[t])
    some = add_hubs(block, hg, hubs={"item": [3, 3]})
    assert 3 in some.node_ids["item"]


def test_tying_hubs_does_not_depend_on_threads(bipartite, in_threads):
    hg = bipartite(3000, 400, 40_000)
    block = sample_neighbors(hg, {"user": range(400)}, [3], 1)
    one, two = (in_threads(n, lambda: add_hubs(block, hg, 20)) for n in (1, 2))
    assert one.graph.content_hash == two.graph.content_hash
    assert one.graph.n_edges["user", "rated", "item"] > len(block.edge_ids["user", "rated", "item"])


@given(data=st.data(), n_hubs=st.integers(0, 4), fanout=st.integers(-1, 2))
def test_hubs_are_tied_on_a_device(cuda, same_on_device, heterographs, data, n_hubs, fanout):
    hg = data.draw(heterographs())
    seeds = {t: [0] for t, n in hg.n_nodes.items() if n}
    there = hg.to("cuda")
    same_on_device(find_hubs(there, n_hubs), find_hubs(hg, n_hubs))
    blocks = (sample_neighbors(graph, seeds, [fanout], seed=1) for graph in (there, hg))
    hubbed = [add_hubs(b, g, n_hubs) for b, g in zip(blocks, (there, hg), strict=True)]
    same_on_device(*hubbed)


def test_hubs_of_a_large_sample_are_tied_on_a_device(cuda, same_on_device, bipartite):
    hg = bipartite(2000, 30, 40_000)
    hubs = {"item": [3, 1, 3], "user": [0]}
    one, other = (
        add_hubs(sample_neighbors(g, {"user": range(200)}, [3], 1), g, hubs=hubs)
        for g in (hg.to("cuda"), hg)
    )
    same_on_device(one, other)


def test_a_sample_and_its_graph_must_lie_on_one_device(cuda, bipartite):
    hg = bipartite(3, 2, 4)
    block = sample_neighbors(hg.to("cuda"), {"user": [0]}, [1])
    with pytest.raises(DeviceError, match=r"the sample on 'cpu', .* got one on 'cuda'"):
        add_hubs(block, hg)


def test_bad_arguments_are_named(bipartite):
    hg = bipartite(3, 2, 4)
    block = sample_neighbors(hg, {"user": [0]}, [1])
    with pytest.raises(SchemaError, match="unknown node type 'shop' among the hubs"):
        add_hubs(block, hg, hubs={"shop": [0]})
    with pytest.raises(DataError, match=r"'item' ids in \[0, 2\), got 2"):
        add_hubs(block, hg, hubs={"item": [2]})
    with pytest.raises(ConfigError, match="n_hubs >= 0, got -1"):
        add_hubs(block, hg, -1)
    with pytest.raises(SchemaError, match="no edge type 'likes'"):
        add_hubs(block, hg, edge_type="likes")
