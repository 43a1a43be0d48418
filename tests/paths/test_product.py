"""Meta-path products equal dense oracles, in every mode and for any rows."""

from __future__ import annotations

import gzip
import tracemalloc
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.errors import BudgetError, ConfigError, DataError, SchemaError
from dglmeta.graph import HeteroCSR
from dglmeta.paths import estimate_product, metapath_product

PAIRS_OF_LASTFM = {
    "film.actor.film": 22_940,
    "film.person_or_entity_appearing_in_film.film": 21_992,
    "music.musician.instruments_played": 18_998,
    "~rated": 2_157_880,
    "music.artist.origin": 357_415,
}


@given(data=st.data())
def test_counts_equal_the_dense_product(heterographs, paths, dense_counts, data):
    hg = data.draw(heterographs())
    path = data.draw(paths(hg))
    product = metapath_product(hg, path, "count")
    assert product.dtype == np.int64
    assert np.array_equal(product.toarray(), dense_counts(hg, path))
    assert np.all(product.data > 0)


@given(data=st.data())
def test_reach_is_where_there_are_instances(heterographs, paths, dense_counts, data):
    hg = data.draw(heterographs())
    path = data.draw(paths(hg))
    product = metapath_product(hg, path)
    expected = dense_counts(hg, path) > 0
    assert product.dtype == np.bool_
    assert np.array_equal(product.toarray(), expected)
    assert product.nnz == expected.sum()


@given(data=st.data())
def test_walk_multiplies_transition_probabilities(heterographs, paths, dense_steps, data):
    hg = data.draw(heterographs())
    path = data.draw(paths(hg))
    steps = [m / np.maximum(m.sum(axis=1, keepdims=True), 1) for m in dense_steps(hg, path)]
    product = metapath_product(hg, path, "walk")
    assert product.dtype == np.float64
    np.testing.assert_allclose(product.toarray(), reduce(np.matmul, steps), rtol=0, atol=1e-12)


@given(data=st.data(), mode=st.sampled_from(["reach", "count", "walk"]))
def test_rows_are_rows_of_the_whole_in_the_order_asked(heterographs, paths, data, mode):
    hg = data.draw(heterographs())
    path = data.draw(paths(hg))
    n = hg.n_nodes[path.source]
    rows = data.draw(st.lists(st.integers(0, n - 1), max_size=6)) if n else []
    whole = metapath_product(hg, path, mode).toarray()
    some = metapath_product(hg, path, mode, rows=rows).toarray()
    np.testing.assert_allclose(some, whole[np.array(rows, int)], rtol=0, atol=1e-12)


def test_a_walk_row_sums_to_less_than_one_where_the_walker_can_get_stuck():
    edges = {("a", "x", "b"): ([0, 0, 1], [0, 1, 1]), ("b", "y", "c"): ([1], [0])}
    hg = HeteroCSR.from_edges(edges, {"a": 2, "b": 2, "c": 1})
    assert metapath_product(hg, "a-b-c", "walk").toarray().tolist() == [[0.5], [1.0]]


@pytest.mark.parametrize("mode", ["reach", "count", "walk"])
@pytest.mark.parametrize("path", ["user-item", "user-item-user"])
def test_the_flag_for_sorted_columns_is_true_to_fact(bipartite, mode, path):
    hg = bipartite(60, 50, 600)
    for sort in (False, True):
        product = metapath_product(hg, path, mode, sort=sort)
        rows = np.split(product.indices, product.indptr[1:-1])
        in_order = all(np.all(np.diff(row) > 0) for row in rows)
        assert bool(product.has_sorted_indices) is in_order
        assert in_order or not sort


def test_indices_stay_int32(bipartite):
    product = metapath_product(bipartite(60, 50, 600), "user-item-user")
    assert product.indices.dtype == product.indptr.dtype == np.int32


@pytest.mark.parametrize("mode", ["reach", "count", "walk"])
def test_threads_do_not_change_a_bit(bipartite, in_threads, mode):
    hg = bipartite(300, 200, 3000)
    path = "user-item-user-item"
    one, three = (in_threads(n, lambda: metapath_product(hg, path, mode)) for n in (1, 3))
    assert np.array_equal(one.indptr, three.indptr)
    assert np.array_equal(one.indices, three.indices)
    assert np.array_equal(one.data, three.data)


def test_a_mapped_graph_has_the_same_product(bipartite, tmp_path):
    hg = bipartite(60, 50, 600)
    hg.save(tmp_path / "graph")
    mapped = metapath_product(HeteroCSR.open(tmp_path / "graph"), "user-item-user", "count")
    assert np.array_equal(
        mapped.toarray(), metapath_product(hg, "user-item-user", "count").toarray()
    )


def test_a_dgl_graph_has_the_same_product(bipartite):
    hg = bipartite(60, 50, 600)
    product = metapath_product(hg.to_dgl(), "user-item-user", "count")
    assert np.array_equal(
        product.toarray(), metapath_product(hg, "user-item-user", "count").toarray()
    )


@pytest.mark.parametrize("mode", ["reach", "count", "walk"])
@pytest.mark.parametrize("path", ["user-item-user", "user-item-user-item"])
def test_a_budget_that_is_accepted_is_kept(bipartite, mode, path):
    hg = bipartite(2000, 1000, 8000)
    metapath_product(hg, path, mode)  # compiled, and the transpose cached
    budget = estimate_product(hg, path, mode).bytes
    tracemalloc.start()
    metapath_product(hg, path, mode, budget_bytes=budget)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.7 * budget < peak <= budget


def test_a_budget_too_small_is_refused_before_anything_large_is_made(bipartite):
    hg = bipartite(2000, 1000, 40_000)
    metapath_product(hg, "user-item-user", rows=[0])
    estimate = estimate_product(hg, "user-item-user")
    tracemalloc.start()
    with pytest.raises(BudgetError) as error:
        metapath_product(hg, "user-item-user", budget_bytes=estimate.bytes - 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < estimate.bytes / 4
    for said in (f"{estimate.nnz:,}", "Raise the budget", "rows=", "metapath_connected"):
        assert said in str(error.value)


def test_fewer_rows_fit_into_a_smaller_budget(bipartite):
    hg = bipartite(2000, 1000, 40_000)
    budget = estimate_product(hg, "user-item-user").bytes // 10
    product = metapath_product(hg, "user-item-user", rows=np.arange(50), budget_bytes=budget)
    assert product.shape == (50, 2000)


def test_counts_beyond_int64_are_refused():
    loops = [0] * 4096, [0] * 4096
    hg = HeteroCSR.from_edges({("a", "loop", "a"): loops}, {"a": 1})
    path = "a" + "-[loop]-a" * 6
    with pytest.raises(DataError, match="2\\*\\*63"):
        metapath_product(hg, path, "count")
    assert metapath_product(hg, path, "walk").toarray() == 1


def test_bad_arguments_are_named(bipartite):
    hg = bipartite(3, 2, 4)
    with pytest.raises(ConfigError, match="got 'reached'"):
        metapath_product(hg, "user-item", "reached")
    with pytest.raises(DataError, match=r"'user' ids in \[0, 3\), got 3"):
        metapath_product(hg, "user-item", rows=[0, 3])
    with pytest.raises(DataError, match="flat integer array, got float64"):
        metapath_product(hg, "user-item", rows=[0.5])
    with pytest.raises(SchemaError, match="unknown node type 'shop'"):
        metapath_product(hg, "user-shop")


def test_lastfm_has_the_published_numbers_of_pairs(data_dir):
    hg = lastfm(data_dir / "lastfm-music")
    for relation, n_pairs in PAIRS_OF_LASTFM.items():
        middle = "user-[rated]" if relation == "~rated" else f"entity-[~{relation}]"
        path = f"user-[rated]-item-[{relation}]-{middle}-item"
        assert metapath_product(hg, path).nnz == n_pairs


def lastfm(folder: Path) -> HeteroCSR:
    """Users, items and knowledge-graph entities; every relation starts at an item."""

    def table(name: str) -> list[list[str]]:
        with gzip.open(folder / name, "rt") as lines:
            return [line.rstrip("\n").split("\t") for line in lines]

    names = table("item_index2entity_id.txt.gz")
    item_of_artist = {artist: i for i, (artist, _) in enumerate(names)}
    entities = {entity: i for i, (_, entity) in enumerate(names)}
    users: dict[str, int] = {}
    edges = {("user", "rated", "item"): []}
    for user, artist, _ in table("user_artists.dat.gz")[1:]:
        if artist in item_of_artist:
            ends = users.setdefault(user, len(users)), item_of_artist[artist]
            edges["user", "rated", "item"].append(ends)
    for head, relation, tail in table("kg.txt.gz"):
        ends = (entities.setdefault(end, len(entities)) for end in (head, tail))
        edges.setdefault(("item", relation, "entity"), []).append(tuple(ends))
    n_nodes = {"user": len(users), "item": len(names), "entity": len(entities)}
    return HeteroCSR.from_edges({e: np.array(pairs).T for e, pairs in edges.items()}, n_nodes)
