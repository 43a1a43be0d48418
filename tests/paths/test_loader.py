"""Batches are the same whenever and wherever they are sampled, and no thread is left behind."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.errors import ConfigError, DataError, DeviceError, SchemaError
from dglmeta.graph import Adjacency
from dglmeta.paths.blocks import sample_blocks
from dglmeta.paths.loader import NeighborLoader
from dglmeta.paths.neighbors import sample_neighbors


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("dglmeta-loader")]


def contents(batch):
    """All arrays of a batch, for comparison."""
    arrays = [batch.index, *batch.sample.node_ids.values(), *batch.seeds.values()]
    for block in batch.sample.blocks:
        arrays += [*(adj.indices for adj in block.adjacencies.values()), *block.edge_ids.values()]
    return [np.asarray(array).tolist() for array in arrays]


@pytest.fixture
def graph(bipartite):
    return bipartite(300, 200, 4000)


def of_users(graph, **options):
    return NeighborLoader(graph, {"user": range(100)}, [4, 3], 16, **options)


@given(
    n_seeds=st.integers(0, 20),
    batch_size=st.integers(1, 9),
    epoch=st.integers(0, 3),
    drop_last=st.booleans(),
)
def test_an_epoch_gives_every_seed_once(n_seeds, batch_size, epoch, drop_last):
    ring = Adjacency.from_coo(range(20), np.roll(range(20), 1), (20, 20))
    loader = NeighborLoader(ring, range(n_seeds), [1], batch_size, drop_last=drop_last, prefetch=0)
    batches = list(loader.epoch(epoch))
    assert len(loader) == len(batches)
    assert [batch.index for batch in batches] == list(range(len(batches)))
    sizes = [len(batch.seeds["_N"]) for batch in batches]
    left = [] if drop_last or n_seeds % batch_size == 0 else [n_seeds % batch_size]
    assert sizes == [batch_size] * (n_seeds // batch_size) + left
    given_out = [v for batch in batches for v in batch.seeds["_N"].tolist()]
    assert len(set(given_out)) == len(given_out)
    if not drop_last:
        assert sorted(given_out) == list(range(n_seeds))


@pytest.mark.parametrize("prefetch", [1, 3, 50])
def test_batches_are_the_same_with_and_without_prefetch(graph, prefetch):
    alone = [contents(batch) for batch in of_users(graph, prefetch=0).epoch(2)]
    ahead = [contents(batch) for batch in of_users(graph, prefetch=prefetch).epoch(2)]
    assert len(alone) == 7
    assert alone == ahead
    assert not threads()


def test_batches_are_the_same_for_any_number_of_threads(graph, in_threads):
    one, three = (
        in_threads(n, lambda: [contents(b) for b in of_users(graph).epoch(0)]) for n in (1, 3)
    )
    assert one == three


def test_an_epoch_goes_on_from_any_batch(graph):
    whole = [contents(batch) for batch in of_users(graph).epoch(1)]
    rest = [contents(batch) for batch in of_users(graph).epoch(1, start=4)]
    assert rest == whole[4:]
    assert list(of_users(graph).epoch(1, start=7)) == []


def test_epochs_and_seeds_give_other_orders_and_other_samples(graph):
    first, epoch, seed = (
        [contents(b) for b in of_users(graph, seed=s).epoch(e)] for e, s in [(0, 0), (1, 0), (0, 1)]
    )
    assert first != epoch
    assert first != seed
    kept = [
        [b.seeds["user"].tolist() for b in of_users(graph, shuffle=False).epoch(e)] for e in (0, 1)
    ]
    assert kept[0] == kept[1]
    assert sum(kept[0], []) == list(range(100))


def test_seeds_of_several_types_share_batches(graph):
    loader = NeighborLoader(graph, {"item": [5, 5, 6], "user": [1, 2, 3, 4]}, [2], 3)
    batches = list(loader.epoch(0))
    assert [sum(map(len, batch.seeds.values())) for batch in batches] == [3, 3]
    for batch in batches:
        for t, ids in batch.seeds.items():
            assert np.array_equal(batch.sample.node_ids[t][: len(ids)], ids)
    users = np.concatenate([batch.seeds["user"] for batch in batches])
    assert sorted(users.tolist()) == [1, 2, 3, 4]


def test_leaving_an_epoch_ends_its_thread(graph):
    for _ in of_users(graph, prefetch=2).epoch(0):
        assert threads()
        break
    assert not threads()
    batches = of_users(graph).epoch(0)
    next(batches)
    batches.close()
    assert not threads()


def test_an_error_in_training_ends_the_thread(graph):
    def train():
        for _ in of_users(graph).epoch(0):
            raise KeyError

    with pytest.raises(KeyError):
        train()
    assert not threads()


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_error_in_sampling_comes_at_its_batch(graph, prefetch):
    calls = []

    def fail_at_the_third(*args):
        calls.append(args)
        if len(calls) == 3:
            raise OSError("no more")

    batches = of_users(graph, prefetch=prefetch, sample=fail_at_the_third).epoch(0)
    assert [next(batches).index, next(batches).index] == [0, 1]
    with pytest.raises(OSError, match="no more"):
        next(batches)
    assert not threads()


def test_the_next_batch_is_sampled_while_one_is_used(graph):
    sampled = threading.Event()

    def sample(hg, seeds, fanouts, seed):
        if 0 in seeds["user"]:
            return
        sampled.set()

    loader = NeighborLoader(graph, {"user": [0, 1]}, [1], 1, shuffle=False, sample=sample)
    batches = loader.epoch(0)
    next(batches)
    assert sampled.wait(timeout=60)
    assert [batch.index for batch in batches] == [1]


def test_no_more_than_prefetch_batches_are_sampled_ahead(graph):
    calls = []
    loader = of_users(graph, prefetch=2, sample=lambda *args: calls.append(args))
    batches = loader.epoch(0)
    next(batches)
    time.sleep(0.05)
    assert len(calls) <= 3
    batches.close()


def test_another_sampler_may_be_given(graph):
    batch = next(of_users(graph, sample=sample_neighbors).epoch(0))
    assert batch.sample.graph.schema == graph.schema


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("sample", [sample_blocks, sample_neighbors])
def test_batches_sampled_on_the_host_come_to_the_device(
    cuda, same_on_device, graph, sample, prefetch
):
    options = {"sample": sample, "prefetch": prefetch}
    expected = list(of_users(graph, **options).epoch(1))
    loader = of_users(graph, device="cuda", **options)
    assert loader.graph is graph
    assert (loader.device, of_users(graph).device) == ("cuda", "cpu")
    same_on_device(list(loader.epoch(1)), expected)
    assert not threads()


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_graph_on_a_device_gives_the_batches_of_the_host(cuda, same_on_device, graph, prefetch):
    expected = list(of_users(graph).epoch(1))
    there = graph.to("cuda")
    same_on_device(list(of_users(there, prefetch=prefetch).epoch(1)), expected)
    back = list(of_users(there, device="cpu").epoch(1))
    assert [contents(batch) for batch in back] == [contents(batch) for batch in expected]


def test_what_another_sampler_returns_comes_to_the_device(cuda, same_on_device, graph):
    arrays = [
        np.arange(5, dtype=np.int32),
        np.zeros((0, 3)),
        np.array(2.5, np.float32),
        np.arange(24, dtype=np.float64).reshape(2, 3, 4)[:, ::2],
        np.array([True, False]),
    ]
    there = [cuda.asarray(np.arange(3))]
    names = np.array(["a", None], object)

    def sample(hg, seeds, fanouts, seed):
        return {"arrays": arrays, "there": there, "names": names, "seed": 3}

    batch = next(of_users(graph, sample=sample, device="cuda").epoch(0)).sample
    same_on_device([batch["arrays"], batch["seed"]], [arrays, 3])
    assert batch["there"][0] is there[0]
    assert batch["names"] is names
    nothing = next(of_users(graph, sample=lambda *_: None, device="cuda").epoch(0))
    assert nothing.sample is None


def test_a_device_must_be_there(graph):
    with pytest.raises(DeviceError, match="'cpu' or 'cuda', got 'tpu'"):
        of_users(graph, device="tpu")


def test_bad_arguments_are_named(graph):
    with pytest.raises(ConfigError, match="batch_size >= 1, got 0"):
        NeighborLoader(graph, {"user": [0]}, [1], 0)
    with pytest.raises(ConfigError, match="prefetch >= 0, got -1"):
        NeighborLoader(graph, {"user": [0]}, [1], 1, prefetch=-1)
    with pytest.raises(DataError, match=r"'user' ids in \[0, 300\), got 300"):
        NeighborLoader(graph, {"user": [300]}, [1], 1)
    with pytest.raises(SchemaError, match="unknown node type 'shop'"):
        NeighborLoader(graph, {"shop": [0]}, [1], 1)
