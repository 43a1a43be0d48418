"""Membership and counts equal the product's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.errors import DataError, SchemaError
from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.paths import metapath_connected, metapath_product
from dglmeta.paths.connected import count_instances, estimate_density


@given(data=st.data())
def test_connected_and_counts_are_entries_of_the_product(heterographs, paths, dense_counts, data):
    hg = data.draw(heterographs())
    path = data.draw(paths(hg))
    counts = dense_counts(hg, path)
    pair = st.tuples(*(st.integers(0, max(n - 1, 0)) for n in counts.shape))
    pairs = data.draw(st.lists(pair, max_size=12)) if counts.size else []
    src, dst = np.array(pairs, np.int64).reshape(-1, 2).T
    connected = metapath_connected(hg, path, src, dst)
    assert connected.dtype == np.bool_
    assert np.array_equal(connected, counts[src, dst] > 0)
    assert np.array_equal(count_instances(hg, path, src, dst), counts[src, dst])


@pytest.mark.parametrize("path", ["user-item-user", "item-user-item", "item-user-item-user-item"])
def test_many_pairs_of_few_nodes_are_taken_from_either_end(bipartite, path):
    hg = bipartite(300, 200, 900)
    path = MetaPath.parse(path, hg.schema)
    rng = np.random.default_rng(0)
    few, many = np.arange(3), np.arange(hg.n_nodes[path.source])
    full = metapath_product(hg, path, "count").toarray()
    for src, dst in ((few, many), (many, few)):
        pairs = rng.choice(src, 4000), rng.choice(dst, 4000)
        assert np.array_equal(metapath_connected(hg, path, *pairs), full[pairs] > 0)
        assert np.array_equal(count_instances(hg, path, *pairs), full[pairs])


def test_threads_do_not_change_the_answer(bipartite, in_threads):
    hg = bipartite(300, 200, 900)
    src, dst = np.random.default_rng(0).integers(0, 300, (2, 5000))
    one, three = (
        in_threads(n, lambda: metapath_connected(hg, "user-item-user", src, dst)) for n in (1, 3)
    )
    assert np.array_equal(one, three)
    assert 0 < one.sum() < len(one)


def test_bad_arguments_are_named(bipartite):
    hg = bipartite(3, 2, 4)
    with pytest.raises(DataError, match=r"'item' ids in \[0, 2\), got 2"):
        metapath_connected(hg, "user-item", [0], [2])
    with pytest.raises(DataError, match="as many sources as targets, got 2 and 1"):
        metapath_connected(hg, "user-item", [0, 1], [0])
    with pytest.raises(SchemaError, match="no edge type"):
        metapath_connected(hg, "user-[likes]-item", [0], [0])


def test_the_estimated_density_is_that_of_the_product(bipartite):
    hg = bipartite(60, 40, 150)
    density = estimate_density(hg, "user-item-user", 20_000)
    share = metapath_product(hg, "user-item-user").nnz / 60**2
    assert 0 < density.error < 0.005
    assert abs(density.share - share) < 4 * density.error


def test_a_type_without_nodes_has_density_zero():
    hg = HeteroCSR.from_edges({("user", "rated", "item"): ([], [])}, {"user": 0, "item": 3})
    assert estimate_density(hg, "user-item-user") == (0, 0)


def test_counts_that_may_not_fit_are_refused():
    loops = [0] * 4096, [0] * 4096
    hg = HeteroCSR.from_edges({("a", "loop", "a"): loops}, {"a": 2})
    path = MetaPath.parse("a" + "-[loop]-a" * 6, hg.schema)
    with pytest.raises(DataError, match="fewer than"):
        count_instances(hg, path, np.array([0]), np.array([0]))
    assert count_instances(hg, path, np.array([1]), np.array([0])).tolist() == [0]
    assert metapath_connected(hg, path, [0, 0, 1], [0, 1, 1]).tolist() == [True, False, False]


@given(data=st.data())
def test_a_graph_on_a_device_gives_the_same_answers(
    cuda, same_on_device, heterographs, paths, data
):
    hg = data.draw(heterographs())
    path = data.draw(paths(hg))
    n, m = hg.n_nodes[path.source], hg.n_nodes[path.target]
    pairs = np.divmod(np.arange(n * m), max(m, 1))
    there = hg.to("cuda")
    same_on_device(metapath_connected(there, path, *pairs), metapath_connected(hg, path, *pairs))
    same_on_device(count_instances(there, path, *pairs), count_instances(hg, path, *pairs))
    moved = map(cuda.asarray, pairs)
    assert np.array_equal(
        metapath_connected(hg, path, *moved), metapath_connected(hg, path, *pairs)
    )
    assert estimate_density(there, path, 50) == estimate_density(hg, path, 50)


@pytest.mark.parametrize("path", ["user-item-user", "item-user-item-user", "user-item"])
def test_a_large_graph_on_a_device_gives_the_same_answers(cuda, same_on_device, bipartite, path):
    hg = bipartite(300, 200, 900)
    path = MetaPath.parse(path, hg.schema)
    rng = np.random.default_rng(0)
    pairs = [rng.integers(0, hg.n_nodes[t], 400) for t in (path.source, path.target)]
    for answer in (metapath_connected, count_instances):
        same_on_device(answer(hg.to("cuda"), path, *pairs), answer(hg, path, *pairs))
