"""Meta-path products equal dense oracles, in every mode and for any rows."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_array

from dglmeta.errors import BudgetError, ConfigError, DataError, SchemaError
from dglmeta.graph import Adjacency, HeteroCSR, MetaPath
from dglmeta.paths import estimate_product, metapath_product, stream
from dglmeta.paths.chain import Sparse, chain_of
from dglmeta.paths.product import multiply_by_rows, multiply_chain, to_scipy
from dglmeta.paths.truth import MAPPED_FROM

STATUS = Path("/proc/self/status")

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


@given(data=st.data(), mode=st.sampled_from(["reach", "count", "walk"]), masked=st.booleans())
def test_a_product_of_a_graph_on_a_gpu_equals_the_hosts(
    cuda, heterographs, paths, data, mode, masked
):
    hg = data.draw(heterographs())
    path = data.draw(paths(hg))
    n, m = hg.n_nodes[path.source], hg.n_nodes[path.target]
    rows = data.draw(st.none() | st.lists(st.integers(0, n - 1), max_size=6)) if n else None
    options = {"rows": rows}
    if masked:
        n_rows = n if rows is None else len(rows)
        options["mask"] = csr_array(np.arange(n_rows * m).reshape(n_rows, m) % 3)
    expected = metapath_product(hg, path, mode, **options)
    product = metapath_product(hg.to("cuda"), path, mode, **options)
    assert hasattr(product.data, "__cuda_array_interface__")
    assert product.shape == expected.shape
    assert product.data.dtype == expected.dtype
    np.testing.assert_allclose(product.get().toarray(), expected.toarray(), rtol=0, atol=1e-12)


def test_a_product_too_large_for_a_gpu_comes_in_blocks(cuda, bipartite):
    hg = bipartite(120, 80, 700)
    for text in ("user-item-user", "user-item-user-item"):
        expected = metapath_product(hg, text, "count", sort=True)
        product = metapath_product(
            hg.to("cuda"), text, "count", sort=True, budget_bytes=expected.nnz * 8
        )
        assert isinstance(product, csr_array)
        for part in ("indptr", "indices", "data"):
            assert np.array_equal(getattr(product, part), getattr(expected, part))
    with pytest.raises(BudgetError, match="Raise the budget"):
        metapath_product(hg.to("cuda"), "user-item-user-item", budget_bytes=1000)


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


@pytest.mark.skipif(not STATUS.exists(), reason="needs Linux to measure memory")
@pytest.mark.parametrize("mode", ["reach", "count", "walk"])
@pytest.mark.parametrize("path", ["user-item-user", "user-item-user-item"])
def test_a_budget_that_is_accepted_is_kept(bipartite, mode, path):
    hg = bipartite(30_000, 6000, 200_000)
    rows = np.arange(100)
    metapath_product(hg, path, mode, rows=rows, budget_bytes=1 << 30)  # compiled
    estimate = estimate_product(hg, path, mode)
    product, peak = with_peak(lambda: metapath_product(hg, path, mode, budget_bytes=estimate.bytes))
    assert product.nnz == pytest.approx(estimate.nnz, rel=0.02)
    assert peak <= estimate.bytes
    # Of memory touched before nothing is seen, so the other bound is on the result.
    held = product.indices.nbytes + (0 if mode == "reach" else product.data.nbytes)
    assert estimate.bytes < 2 * held


@pytest.mark.skipif(not STATUS.exists(), reason="needs Linux to measure memory")
def test_a_budget_too_small_for_the_intermediate_product_is_kept_by_blocks_of_rows(monkeypatch):
    # What users buy at which shop is far more than what shops have in common.
    monkeypatch.setattr(stream, "BLOCK_ENTRIES", 1 << 15)
    rng = np.random.default_rng(0)
    rated = rng.integers(0, 20_000, 300_000), rng.integers(0, 5000, 300_000)
    sold = np.arange(5000), rng.integers(0, 60, 5000)
    hg = HeteroCSR.from_edges(
        {("user", "rated", "item"): rated, ("item", "of", "shop"): sold},
        {"user": 20_000, "item": 5000, "shop": 60},
    )
    path = "shop-item-user-item-shop"
    expected = metapath_product(hg, path, "count")
    estimate = estimate_product(hg, path, "count")
    for budget in (estimate.bytes, estimate.bytes // 2):
        product, peak = with_peak(
            lambda b=budget: metapath_product(hg, path, "count", budget_bytes=b)
        )
        assert peak <= budget
        assert (product != expected).nnz == 0
    with pytest.raises(BudgetError):
        metapath_product(hg, path, "count", budget_bytes=estimate.bytes // 20)


def with_peak(compute: Callable[[], csr_array]) -> tuple[csr_array, int]:
    """The result, and the most bytes of memory it took."""
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    result = compute()
    return result, resident("VmHWM") - before


@pytest.mark.parametrize("mode", ["reach", "count", "walk"])
@pytest.mark.parametrize("masked", [False, True])
def test_rows_by_blocks_are_those_of_the_product_at_once(bipartite, monkeypatch, mode, masked):
    monkeypatch.setattr(stream, "BLOCK_ENTRIES", 2000)
    hg = bipartite(100, 80, 900)
    path = MetaPath.parse("user-item-user-item", hg.schema)
    chain = chain_of(hg, path, mode)
    mask = None
    if masked:
        pattern = hg.adjacency("rated")
        mask = Sparse(pattern.indptr, pattern.indices, None, 80)
    expected = to_scipy(multiply_chain(chain, ((0, 1), 2), mode, mask, sort=True))
    for order in ((0, (1, 2)), ((0, 1), 2)):
        rows = to_scipy(multiply_by_rows(chain, order, mode, mask, sort=True))
        assert np.array_equal(rows.indptr, expected.indptr)
        assert np.array_equal(rows.indices, expected.indices)
        np.testing.assert_allclose(rows.data, expected.data, rtol=1e-12)
        assert rows.dtype == expected.dtype


def resident(field: str) -> int:
    """Bytes of this process in memory, now or at most."""
    line = next(row for row in STATUS.read_text().splitlines() if row.startswith(field))
    return 1024 * int(line.split()[1])


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


@given(data=st.data(), mode=st.sampled_from(["reach", "count", "walk"]), sort=st.booleans())
def test_a_mask_leaves_what_it_stores(heterographs, paths, data, mode, sort):
    hg = data.draw(heterographs())
    path = data.draw(paths(hg))
    n = hg.n_nodes[path.source]
    rows = data.draw(st.none() | st.lists(st.integers(0, n - 1), max_size=6)) if n else None
    whole = metapath_product(hg, path, mode, rows=rows).toarray()
    n_rows, n_cols = whole.shape
    place = st.tuples(st.integers(0, max(n_rows - 1, 0)), st.integers(0, max(n_cols - 1, 0)))
    places = data.draw(st.lists(place, max_size=12)) if whole.size else []
    src, dst = np.array(places, np.int64).reshape(-1, 2).T
    wanted = np.zeros(whole.shape, bool)
    wanted[src, dst] = True
    adjacency = Adjacency.from_coo(src, dst, whole.shape)
    for mask in (adjacency, coo_array((np.zeros(len(src)), (src, dst)), shape=whole.shape)):
        product = metapath_product(hg, path, mode, rows=rows, mask=mask, sort=sort)
        assert product.dtype == whole.dtype
        np.testing.assert_allclose(product.toarray(), whole * wanted, rtol=0, atol=1e-12)
        assert product.nnz == np.count_nonzero(whole * wanted)
        assert product.has_sorted_indices


def test_a_masked_product_takes_little_memory(bipartite):
    hg = bipartite(2000, 1000, 40_000)
    mask = Adjacency.from_coo([3, 5], [4, 6], (2000, 2000))
    metapath_product(hg, "user-item-user", "count", mask=mask)
    tracemalloc.start()
    metapath_product(hg, "user-item-user", "count", mask=mask, budget_bytes=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_mask_of_another_shape_or_kind_is_refused(bipartite):
    hg = bipartite(6, 5, 10)
    mask = Adjacency.from_coo([0], [0], (6, 5))
    with pytest.raises(DataError, match=r"mask of shape \(6, 6\), got \(6, 5\)"):
        metapath_product(hg, "user-item-user", mask=mask)
    with pytest.raises(DataError, match="got ndarray"):
        metapath_product(hg, "user-item-user", mask=np.ones((6, 6)))


def test_true_of_large_products_can_be_written(bipartite):
    hg = bipartite(3000, 100, 60_000)
    product = metapath_product(hg, "user-item-user")
    assert product.nnz > MAPPED_FROM
    again = metapath_product(hg, "user-item-user")
    assert product.data.all()
    product.data[::2] = False
    product.eliminate_zeros()
    assert product.nnz == again.nnz // 2
    again.sort_indices()
    again.setdiag(False)
    assert again.count_nonzero() == again.nnz - 3000


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


def test_the_order_is_found_once_for_every_row_and_again_for_some(bipartite, monkeypatch):
    hg, planned = bipartite(30, 20, 100), []

    def plan_order(chain, mode):
        planned.append(mode)
        return (0, (1, 2))

    monkeypatch.setattr("dglmeta.paths.product.plan_order", plan_order)
    for rows in (None, None, [0, 1], [0, 1]):
        metapath_product(hg, "user-item-user-item", rows=rows)
    metapath_product(hg, "user-item-user-item", "count")
    assert planned == ["reach"] * 3 + ["count"]
