"""Blocks hold what the oracle draws, in local ids that begin with the destinations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.errors import ConfigError, DataError, SchemaError
from dglmeta.graph import Adjacency, HeteroCSR, Step
from dglmeta.kernels import reference
from dglmeta.kernels.rng import derive_seed
from dglmeta.paths.blocks import sample_blocks
from dglmeta.paths.neighbors import sample_neighbors


def draw_seeds(data, hg):
    """Some node ids of every type, some types left out, some ids repeated."""
    types = data.draw(st.lists(st.sampled_from(hg.schema.node_types), unique=True))
    return {
        t: data.draw(st.lists(st.integers(0, hg.n_nodes[t] - 1), max_size=4))
        if hg.n_nodes[t]
        else []
        for t in types
    }


def steps_of(hg, both_ways):
    return [Step(e, f) for e in hg.schema.edge_types for f in (True, False)[: 1 + both_ways]]


def expected_blocks(hg, seeds, fanouts, seed, both_ways):
    """The nodes of every type, and {step: rows of (sender, edge id)} for each hop."""
    nodes = {t: list(dict.fromkeys(seeds.get(t, ()))) for t in hg.schema.node_types}
    hops = []
    for hop, fanout in enumerate(fanouts):
        rows, met = {}, {t: set() for t in nodes}
        for k, step in enumerate(steps_of(hg, both_ways)):
            adj = hg.step_adjacency(step.edge_type, not step.forward)
            near = np.array(nodes[step.target], np.int64)
            indptr, senders, ids = reference.sample_neighbors(
                adj.indptr, adj.indices, adj.edge_ids, near, fanout, derive_seed(seed) + k, hop
            )
            pairs = list(zip(senders.tolist(), ids.tolist(), strict=True))
            rows[step] = [pairs[i:j] for i, j in zip(indptr[:-1], indptr[1:], strict=True)]
            met[step.source] |= {sender for sender, _ in pairs}
        nodes = {t: ids + sorted(met[t] - set(ids)) for t, ids in nodes.items()}
        hops.append(rows)
    return nodes, hops


@given(
    data=st.data(),
    both_ways=st.booleans(),
    fanouts=st.lists(st.integers(-1, 3), max_size=3),
    seed=st.integers(-5, 2**63),
)
def test_blocks_equal_the_oracle(heterographs, data, both_ways, fanouts, seed):
    hg = data.draw(heterographs())
    seeds = draw_seeds(data, hg)
    nodes, hops = expected_blocks(hg, seeds, fanouts, seed, both_ways)
    sample = sample_blocks(hg, seeds, fanouts, seed, both_ways=both_ways)
    assert {t: ids.tolist() for t, ids in sample.node_ids.items()} == nodes
    assert len(sample.blocks) == len(fanouts)
    n_dst = {t: len(dict.fromkeys(seeds.get(t, ()))) for t in nodes}
    for block, rows in zip(reversed(sample.blocks), hops, strict=True):
        assert block.n_dst == n_dst
        n_dst = block.n_src
        for step in steps_of(hg, both_ways):
            adj, ids = block.adjacency(*step), block.edge_ids[step]
            assert adj.shape == (block.n_dst[step.target], block.n_src[step.source])
            for row, drawn in enumerate(rows[step]):
                here = slice(adj.indptr[row], adj.indptr[row + 1])
                senders = sample.node_ids[step.source][adj.indices[here]]
                got = sorted(zip(senders.tolist(), ids[here].tolist(), strict=True))
                assert got == sorted(drawn)
                assert np.all(np.diff(adj.indices[here]) >= 0)


@given(data=st.data(), both_ways=st.booleans(), n_layers=st.integers(0, 3))
def test_layers_on_blocks_of_all_edges_give_what_the_whole_graph_gives(
    heterographs, data, both_ways, n_layers
):
    hg = data.draw(heterographs())
    seeds = draw_seeds(data, hg)
    sample = sample_blocks(hg, seeds, [-1] * n_layers, both_ways=both_ways)
    whole = {t: np.arange(1, n + 1) for t, n in hg.n_nodes.items()}
    here = {t: whole[t][ids] for t, ids in sample.node_ids.items()}
    for block in sample.blocks:
        sent, here = here, {t: x[: block.n_dst[t]].copy() for t, x in here.items()}
        for step, adj in block.adjacencies.items():
            here[step.target] += adj.to_scipy() @ sent[step.source]
        sent, whole = whole, {t: x.copy() for t, x in whole.items()}
        for step in steps_of(hg, both_ways):
            matrix = hg.step_adjacency(step.edge_type, not step.forward).to_scipy()
            whole[step.target] += matrix @ sent[step.source]
    for t, x in here.items():
        n_seeds = len(dict.fromkeys(seeds.get(t, ())))
        assert np.array_equal(x[:n_seeds], whole[t][sample.node_ids[t][:n_seeds]])


def test_blocks_hold_no_node_but_destinations_and_those_they_hear_from():
    path = Adjacency.from_coo([1, 2, 3, 0, 0], [0, 1, 2, 4, 0], (5, 5))
    sample = sample_blocks(path, [4], fanouts=[-1, -1, -1])
    assert sample.node_ids["_N"].tolist() == [4, 0, 1, 2]
    sizes = [(block.n_dst["_N"], block.n_src["_N"]) for block in sample.blocks]
    assert sizes == [(3, 4), (2, 3), (1, 2)]
    # Each hop draws for all nodes so far: 4 hears from 0 in all three.
    assert [block.edge_ids[("_N", "_E", "_N"), True].tolist() for block in sample.blocks] == [
        [3, 4, 0, 1],
        [3, 4, 0],
        [3],
    ]


def test_blocks_do_not_depend_on_threads_or_on_who_else_samples(bipartite, in_threads):
    hg = bipartite(3000, 2000, 60_000)

    def draw(_=None):
        return sample_blocks(hg, {"user": range(0, 3000, 2)}, [5, 5], 1, both_ways=True)

    one, three = (in_threads(n, draw) for n in (1, 3))
    with ThreadPoolExecutor(4) as pool:
        others = list(pool.map(draw, range(8)))
    for other in (three, *others):
        for t, ids in one.node_ids.items():
            assert np.array_equal(ids, other.node_ids[t])
        for block, again in zip(one.blocks, other.blocks, strict=True):
            for step, adj in block.adjacencies.items():
                assert np.array_equal(adj.indptr, again.adjacencies[step].indptr)
                assert np.array_equal(adj.indices, again.adjacencies[step].indices)
                assert np.array_equal(block.edge_ids[step], again.edge_ids[step])


@given(
    data=st.data(),
    both_ways=st.booleans(),
    fanouts=st.lists(st.integers(-1, 3), max_size=3),
    seed=st.integers(-5, 2**63),
)
def test_a_graph_on_a_device_is_sampled_there(
    cuda, same_on_device, heterographs, data, both_ways, fanouts, seed
):
    hg = data.draw(heterographs())
    seeds = draw_seeds(data, hg)
    expected = sample_blocks(hg, seeds, fanouts, seed, both_ways=both_ways)
    there = sample_blocks(hg.to("cuda"), seeds, fanouts, seed, both_ways=both_ways)
    same_on_device(there, expected)


@pytest.mark.parametrize("fanouts", [[7, 40], [-1, 2]])
def test_large_blocks_on_a_device_are_those_of_the_host(cuda, same_on_device, bipartite, fanouts):
    hg = bipartite(3000, 200, 40_000)
    seeds = {"user": range(0, 3000, 9), "item": [3, 1]}
    expected = sample_blocks(hg, seeds, fanouts, 1, both_ways=True)
    same_on_device(sample_blocks(hg.to("cuda"), seeds, fanouts, 1, both_ways=True), expected)


def test_seeds_may_lie_on_another_device_than_the_graph(cuda, same_on_device, bipartite):
    hg = bipartite(30, 20, 300)
    seeds = {"user": np.array([3, 1, 3], np.int32)}
    expected = sample_blocks(hg, seeds, [3, 2], 1, both_ways=True)
    seeds_there = {"user": cuda.asarray(seeds["user"])}
    there = sample_blocks(hg.to("cuda"), seeds_there, [3, 2], 1, both_ways=True)
    same_on_device(there, expected)
    here = sample_blocks(hg, seeds_there, [3, 2], 1, both_ways=True)
    for t, ids in expected.node_ids.items():
        assert np.array_equal(ids, here.node_ids[t])


def test_bad_seeds_on_a_device_are_named(cuda, bipartite):
    hg = bipartite(3, 2, 4).to("cuda")
    with pytest.raises(DataError, match=r"'item' ids in \[0, 2\), got -1"):
        sample_blocks(hg, {"item": cuda.asarray(np.array([-1]))}, [1])


def test_a_graph_of_one_node_hears_from_itself_alone():
    loops = Adjacency.from_coo([0, 0], [0, 0], (1, 1))
    sample = sample_blocks(loops, [0, 0], [1, 5])
    assert sample.node_ids["_N"].tolist() == [0]
    assert [block.adjacency(("_N", "_E", "_N")).n_edges for block in sample.blocks] == [2, 1]
    alone = sample_blocks(Adjacency.from_coo([], [], (1, 1)), [0], [3])
    assert alone.blocks[0].adjacency(("_N", "_E", "_N")).shape == (1, 1)


def test_fan_outs_may_differ_between_edge_types():
    n = 50
    to = np.arange(n), np.arange(n)
    many = np.repeat(np.arange(n), 9), np.tile(np.arange(9), n)
    x, y, z = ("a", "x", "b"), ("b", "y", "a"), ("b", "z", "a")
    hg = HeteroCSR.from_edges({x: to, y: many[::-1], z: many[::-1]}, {"a": n, "b": n})
    sample = sample_blocks(hg, {"a": range(20)}, [{"y": 3, z: 0}, {"x": -1}])
    first, last = sample.blocks
    assert {e: last.adjacency(e).n_edges for e in (x, y, z)} == {x: 0, y: 60, z: 0}
    assert first.adjacency(x).n_edges == first.n_dst["b"] > 0
    assert first.adjacency(y).n_edges == 0
    merged = sample_neighbors(hg, {"a": range(20)}, [{"y": 3}])
    assert np.array_equal(merged.edge_ids[y], np.sort(last.edge_ids[Step(y)]))


def test_bad_arguments_are_named(bipartite):
    hg = bipartite(3, 2, 4)
    with pytest.raises(ConfigError, match="fan-outs >= 0, or -1 for all edges, got -3"):
        sample_blocks(hg, {"user": [0]}, [-3])
    with pytest.raises(ConfigError, match="got -2"):
        sample_blocks(hg, {"user": [0]}, [{"rated": -2}])
    with pytest.raises(SchemaError, match="no edge type 'likes'"):
        sample_blocks(hg, {"user": [0]}, [{"likes": 2}])
    with pytest.raises(DataError, match=r"'item' ids in \[0, 2\), got -1"):
        sample_blocks(hg, {"item": [-1]}, [1])
