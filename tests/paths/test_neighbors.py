"""Samples are real edges, as many as asked for, in a graph that can be traced back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from dglmeta.errors import ConfigError, DataError, SchemaError
from dglmeta.graph import Adjacency, HeteroCSR
from dglmeta.paths import sample_neighbors


def draw_seeds(data, hg):
    """Some node ids of every type, some types left out, some ids repeated."""
    types = data.draw(st.lists(st.sampled_from(hg.schema.node_types), unique=True))
    return {
        t: data.draw(st.lists(st.integers(0, hg.n_nodes[t] - 1), max_size=4))
        if hg.n_nodes[t]
        else []
        for t in types
    }


def all_within(hg, seeds, n_hops, both_ways):
    """Ids of the edges that breadth-first search meets, by type."""
    frontier = {t: set(seeds.get(t, ())) for t in hg.schema.node_types}
    met = {e: set() for e in hg.schema.edge_types}
    for _ in range(n_hops):
        onward = {t: set() for t in hg.schema.node_types}
        for triple in hg.schema.edge_types:
            for e, (src, dst) in enumerate(zip(*hg.adjacency(triple).coo(), strict=True)):
                if dst in frontier[triple[2]]:
                    met[triple].add(e)
                    onward[triple[0]].add(src)
                if both_ways and src in frontier[triple[0]]:
                    met[triple].add(e)
                    onward[triple[2]].add(dst)
        frontier = onward
    return met


def global_ends(sample, triple):
    src, dst = sample.graph.adjacency(triple).coo()
    return sample.node_ids[triple[0]][src], sample.node_ids[triple[2]][dst]


@given(data=st.data(), both_ways=st.booleans(), fanout=st.integers(-1, 3))
def test_every_sampled_edge_is_the_edge_its_id_names(heterographs, data, both_ways, fanout):
    hg = data.draw(heterographs())
    seeds = draw_seeds(data, hg)
    sample = sample_neighbors(hg, seeds, [fanout, 2], seed=3, both_ways=both_ways)
    assert sample.graph.schema == hg.schema
    for t, ids in sample.node_ids.items():
        assert np.unique(ids).size == len(ids) == sample.graph.n_nodes[t]
        distinct_seeds = list(dict.fromkeys(seeds.get(t, ())))
        assert ids[: len(distinct_seeds)].tolist() == distinct_seeds
    for triple, edge_ids in sample.edge_ids.items():
        assert np.all(np.diff(edge_ids) > 0)
        for here, whole in zip(
            global_ends(sample, triple), hg.adjacency(triple).coo(), strict=True
        ):
            assert np.array_equal(here, whole[edge_ids])


@given(data=st.data(), both_ways=st.booleans(), n_hops=st.integers(0, 3))
def test_without_a_limit_all_edges_within_the_hops_are_there(heterographs, data, both_ways, n_hops):
    hg = data.draw(heterographs())
    seeds = draw_seeds(data, hg)
    sample = sample_neighbors(hg, seeds, [-1] * n_hops, both_ways=both_ways)
    expected = all_within(hg, seeds, n_hops, both_ways)
    assert {e: set(ids.tolist()) for e, ids in sample.edge_ids.items()} == expected
    touched = {t: set(seeds.get(t, ())) for t in hg.schema.node_types}
    for triple in hg.schema.edge_types:
        src, dst = global_ends(sample, triple)
        touched[triple[0]] |= set(src.tolist())
        touched[triple[2]] |= set(dst.tolist())
    assert {t: set(ids.tolist()) for t, ids in sample.node_ids.items()} == touched


@given(data=st.data(), fanout=st.integers(0, 3), seed=st.integers(-5, 2**63))
def test_a_hop_takes_as_many_edges_of_each_type_as_it_may(heterographs, data, fanout, seed):
    hg = data.draw(heterographs())
    seeds = draw_seeds(data, hg)
    sample = sample_neighbors(hg, seeds, [fanout], seed)
    for triple in hg.schema.edge_types:
        _, dst = global_ends(sample, triple)
        drawn = np.bincount(dst, minlength=hg.n_nodes[triple[2]])
        allowed = np.zeros_like(drawn)
        allowed[np.array(seeds.get(triple[2], ()), int)] = fanout
        assert np.array_equal(drawn, np.minimum(hg.adjacency(triple).in_degrees, allowed))


def test_later_hops_draw_for_the_previous_frontier_only():
    path = Adjacency.from_coo([1, 2, 3, 0, 0], [0, 1, 2, 4, 0], (5, 5))
    sample = sample_neighbors(path, [4], fanouts=[-1, -1, -1])
    # 4 hears from 0; 0 from 1 and itself; these from 2, and 1 and 0 again.
    assert sample.edge_ids["_N", "_E", "_N"].tolist() == [0, 1, 3, 4]
    assert sample.node_ids["_N"].tolist() == [4, 0, 1, 2]


def test_nodes_and_edge_types_draw_uniformly_and_independently():
    n = 20_000
    four_each = np.tile(np.arange(4), n), np.repeat(np.arange(n), 4)
    edges = {("leaf", "x", "node"): four_each, ("leaf", "y", "node"): four_each}
    hg = HeteroCSR.from_edges(edges, {"leaf": 4, "node": n})
    sample = sample_neighbors(hg, {"node": range(n)}, [1])
    x, y = (ids % 4 for ids in sample.edge_ids.values())
    drawn = np.zeros((4, 4), np.int64)
    np.add.at(drawn, (x, y), 1)
    assert drawn.sum() == n
    assert chisquare(drawn.ravel()).pvalue > 0.01
    following = np.zeros((4, 4), np.int64)
    np.add.at(following, (x[::2], x[1::2]), 1)
    assert chisquare(following.ravel()).pvalue > 0.01


def test_a_node_draws_again_in_another_hop():
    n = 2000
    four_each = np.tile(np.arange(4), n), np.repeat(np.arange(n), 4)
    loops = np.arange(n), np.arange(n)
    edges = {("leaf", "x", "node"): four_each, ("node", "loop", "node"): loops}
    hg = HeteroCSR.from_edges(edges, {"leaf": 4, "node": n})
    n_once, n_twice = (
        sample_neighbors(hg, {"node": range(n)}, hops).graph.n_edges["leaf", "x", "node"]
        for hops in ([1], [1, 1])
    )
    assert n_once == n
    # The second draw is another edge three times in four.
    assert n_twice == pytest.approx(1.75 * n, rel=0.05)


def test_an_adjacency_is_sampled_as_the_graph_of_its_edges(bipartite):
    homogeneous = bipartite(50, 40, 300).homogeneous(both_ways=True).adjacency
    alone = sample_neighbors(homogeneous, [3, 60], [4, 4], seed=1)
    edges = {("_N", "_E", "_N"): homogeneous.coo()}
    typed = sample_neighbors(HeteroCSR.from_edges(edges, {"_N": 90}), {"_N": [3, 60]}, [4, 4], 1)
    assert np.array_equal(alone.node_ids["_N"], typed.node_ids["_N"])
    assert alone.graph.content_hash == typed.graph.content_hash
    assert alone.graph.n_edges["_N", "_E", "_N"] > 8


def test_a_seed_fixes_the_sample_and_threads_do_not_change_it(bipartite, in_threads):
    hg = bipartite(300, 200, 6000)

    def draw(seed=1):
        return sample_neighbors(hg, {"user": range(0, 300, 2)}, [5, 5], seed, both_ways=True)

    one, three = (in_threads(n, draw) for n in (1, 3))
    triple = ("user", "rated", "item")
    assert np.array_equal(one.edge_ids[triple], three.edge_ids[triple])
    assert np.array_equal(one.node_ids["item"], three.node_ids["item"])
    assert not np.array_equal(one.edge_ids[triple], draw(seed=2).edge_ids[triple])


@given(
    data=st.data(),
    both_ways=st.booleans(),
    fanouts=st.lists(st.integers(-1, 3), max_size=2),
)
def test_a_graph_on_a_device_is_sampled_there(
    cuda, same_on_device, heterographs, data, both_ways, fanouts
):
    hg = data.draw(heterographs())
    seeds = draw_seeds(data, hg)
    expected = sample_neighbors(hg, seeds, fanouts, 3, both_ways=both_ways)
    there = sample_neighbors(hg.to("cuda"), seeds, fanouts, 3, both_ways=both_ways)
    same_on_device(there, expected)


def test_a_large_sample_on_a_device_is_that_of_the_host(cuda, same_on_device, bipartite):
    hg = bipartite(3000, 200, 40_000)
    expected = sample_neighbors(hg, {"user": range(300)}, [5, 40], 1, both_ways=True)
    there = sample_neighbors(hg.to("cuda"), {"user": range(300)}, [5, 40], 1, both_ways=True)
    same_on_device(there, expected)


def test_bad_arguments_are_named(bipartite):
    hg = bipartite(3, 2, 4)
    with pytest.raises(SchemaError, match="unknown node type 'shop' among the seeds"):
        sample_neighbors(hg, {"shop": [0]}, [1])
    with pytest.raises(SchemaError, match="as a dict of node type to ids, got one array"):
        sample_neighbors(hg, [0], [1])
    with pytest.raises(DataError, match=r"'user' ids in \[0, 3\), got 3"):
        sample_neighbors(hg, {"user": [3]}, [1])
    with pytest.raises(ConfigError, match="fan-outs >= 0, or -1 for all edges, got -2"):
        sample_neighbors(hg, {"user": [0]}, [1, -2])
    with pytest.raises(DataError, match=r"square adjacency, got shape \(3, 2\)"):
        sample_neighbors(hg.adjacency("rated"), [0], [1])
