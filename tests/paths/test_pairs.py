"""Drawn pairs are uniform over the pairs a path joins, or over those it does not."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from dglmeta.errors import BudgetError, ConfigError, DataError
from dglmeta.graph import HeteroCSR
from dglmeta.paths import (
    draw,
    metapath_product,
    sample_metapath_pairs,
    sample_unconnected_pairs,
)

RATED = ("user", "rated", "item")
PATH = "user-item-user"


def sparse_graph():
    """Pairs joined by one to many instances; fewer instances than pairs of users."""
    src = [0, 0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 6, 7, 8, 9]
    dst = [0, 1, 2, 0, 1, 2, 2, 3, 3, 4, 4, 5, 6, 6, 7]
    return HeteroCSR.from_edges({RATED: (src, dst)}, {"user": 12, "item": 9})


def dense_graph():
    """More instances than pairs of users: many users rated the same items."""
    rng = np.random.default_rng(3)
    ends = rng.integers(0, 8, 50), rng.integers(0, 6, 50)
    ends = np.append(ends[0], [8, 9]), np.append(ends[1], [6, 7])
    return HeteroCSR.from_edges({RATED: ends}, {"user": 10, "item": 8})


def frequencies(src, dst, expected):
    """How often each expected pair was drawn; every drawn pair must be expected."""
    drawn = np.zeros(expected.shape, np.int64)
    np.add.at(drawn, (src, dst), 1)
    assert not drawn[~expected].any()
    return drawn[expected]


@pytest.fixture(params=["tried", "from the product"])
def way(request, monkeypatch):
    """Pairs drawn by trying, and from a product thought small enough to be built."""
    paths_a_pair = 0 if request.param == "tried" else 1 << 40
    monkeypatch.setattr(draw, "PRODUCT_PATHS_A_PAIR", paths_a_pair)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("graph", [sparse_graph, dense_graph])
def test_joined_pairs_are_uniform_whatever_their_number_of_instances(graph):
    hg = graph()
    counts = metapath_product(hg, PATH, "count").toarray()
    assert bool(counts.sum() > counts.size) is (graph is dense_graph)
    assert counts.max() >= 4
    src, dst = sample_metapath_pairs(hg, PATH, 40_000, seed=5)
    assert src.dtype == dst.dtype == np.int64
    assert chisquare(frequencies(src, dst, counts > 0)).pvalue > 0.01


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("graph", [sparse_graph, dense_graph])
def test_pairs_not_joined_are_uniform(graph):
    hg = graph()
    free = ~metapath_product(hg, PATH).toarray()
    src, dst = sample_unconnected_pairs(hg, PATH, 40_000, seed=5)
    assert chisquare(frequencies(src, dst, free)).pvalue > 0.01


def test_targets_of_each_source_are_uniform():
    hg = sparse_graph()
    joined = metapath_product(hg, PATH).toarray()
    src, dst = sample_metapath_pairs(hg, PATH, 10 * 4000, seed=5, per_source=4000)
    drawn = np.zeros(joined.shape, np.int64)
    np.add.at(drawn, (src, dst), 1)
    assert not drawn[~joined].any()
    sources = np.flatnonzero(joined.any(axis=1))
    assert np.array_equal(src, np.repeat(sources, 4000))
    for source in sources[joined[sources].sum(axis=1) > 1]:
        assert chisquare(drawn[source, joined[source]]).pvalue > 0.001


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("sample", [sample_metapath_pairs, sample_unconnected_pairs])
def test_pairs_of_some_sources_are_uniform(sample):
    hg = dense_graph()
    some = np.array([7, 0, 9])
    fitting = metapath_product(hg, PATH).toarray() == (sample is sample_metapath_pairs)
    fitting[np.setdiff1d(np.arange(10), some)] = False
    src, dst = sample(hg, PATH, 10_000, seed=5, sources=some)
    assert chisquare(frequencies(src, dst, fitting)).pvalue > 0.01


def test_nodes_not_joined_to_each_source_are_uniform():
    hg = sparse_graph()
    free = ~metapath_product(hg, PATH).toarray()
    src, dst = sample_unconnected_pairs(hg, PATH, None, seed=5, per_source=2000)
    assert np.array_equal(src, np.repeat(np.arange(12), 2000))
    drawn = np.zeros(free.shape, np.int64)
    np.add.at(drawn, (src, dst), 1)
    assert not drawn[~free].any()
    for source in range(12):
        assert chisquare(drawn[source, free[source]]).pvalue > 0.001


@pytest.mark.parametrize("sample", [sample_metapath_pairs, sample_unconnected_pairs])
def test_blocks_of_sources_give_what_all_sources_give(sample, bipartite):
    hg = bipartite(900, 300, 3000)
    src, dst = sample(hg, "user-item-user", None, 7, per_source=3)
    blocks = [
        sample(hg, "user-item-user", None, 7, per_source=3, sources=np.arange(begin, end))
        for begin, end in ((0, 10), (10, 11), (11, 900))
    ]
    assert np.array_equal(np.concatenate(blocks, axis=1), (src, dst))
    joined = metapath_product(hg, "user-item-user").toarray()
    assert (joined[src, dst] == (sample is sample_metapath_pairs)).all()
    with_any = joined.any(axis=1) if sample is sample_metapath_pairs else np.ones(900, bool)
    assert np.array_equal(src, np.repeat(np.flatnonzero(with_any), 3))


def test_sources_without_a_pair_are_left_out():
    hg = HeteroCSR.from_edges({RATED: ([0, 0, 1], [0, 1, 0])}, {"user": 3, "item": 2})
    assert sample_metapath_pairs(hg, PATH, per_source=2)[0].tolist() == [0, 0, 1, 1]
    joined_to_all = "user-item-user-item"
    for per_source in (1, 300):
        src, dst = sample_unconnected_pairs(hg, joined_to_all, per_source=per_source)
        assert np.unique(src).tolist() == [2]
        assert len(src) == per_source
    src, _ = sample_unconnected_pairs(hg, joined_to_all, 2, per_source=2)
    assert src.tolist() == [2, 2]


def test_sources_are_drawn_uniformly_without_replacement():
    hg = sparse_graph()
    draws = [sample_metapath_pairs(hg, PATH, 6, seed=s, per_source=2)[0][::2] for s in range(1000)]
    assert all(np.unique(src).size == 3 for src in draws)
    assert chisquare(np.bincount(np.concatenate(draws), minlength=12)[:10]).pvalue > 0.01


@given(data=st.data(), seed=st.integers(0, 2**32))
@settings(max_examples=60)
def test_any_path_gives_pairs_of_the_right_kind(heterographs, paths, dense_counts, data, seed):
    hg = data.draw(heterographs())
    path = data.draw(paths(hg))
    joined = dense_counts(hg, path) > 0
    if joined.any():
        src, dst = sample_metapath_pairs(hg, path, 9, seed)
        assert len(src) == len(dst) == 9
        assert joined[src, dst].all()
        src, dst = sample_metapath_pairs(hg, path, 2, seed, per_source=2)
        assert joined[src, dst].all()
    else:
        with pytest.raises(DataError, match="to join at least one pair, got none"):
            sample_metapath_pairs(hg, path, 9, seed)
    if not joined.all():
        src, dst = sample_unconnected_pairs(hg, path, 9, seed)
        assert len(src) == len(dst) == 9
        assert not joined[src, dst].any()


@pytest.mark.parametrize("graph", [sparse_graph, dense_graph])
@pytest.mark.parametrize("per_source", [None, 10])
def test_a_seed_fixes_the_draw_and_threads_do_not_change_it(graph, per_source, in_threads):
    hg = graph()

    def draw(seed=1):
        both = sample_metapath_pairs(hg, PATH, 60, seed, per_source)
        return np.stack([*both, *sample_unconnected_pairs(hg, PATH, 60, seed)])

    one, three = (in_threads(n, draw) for n in (1, 3))
    assert np.array_equal(one, three)
    assert not np.array_equal(one, draw(seed=2))


def test_paths_with_more_instances_than_an_int64_can_count_are_drawn_all_the_same():
    loops = [0] * 4096, [0] * 4096
    hg = HeteroCSR.from_edges({("a", "loop", "a"): loops}, {"a": 2})
    src, dst = sample_metapath_pairs(hg, "a" + "-[loop]-a" * 6, 20)
    assert not src.any()
    assert not dst.any()


def test_pairs_too_rare_to_be_found_are_refused():
    everything = np.divmod(np.arange(9), 3)
    hg = HeteroCSR.from_edges({RATED: everything}, {"user": 3, "item": 3})
    with pytest.raises(BudgetError, match="got 0 in .* tries"):
        sample_unconnected_pairs(hg, PATH, 2)


def test_sources_with_targets_too_rare_are_refused_with_the_density(monkeypatch):
    ring = np.arange(400)
    to = np.concatenate([(ring + step) % 400 for step in range(399)])
    hg = HeteroCSR.from_edges({("a", "to", "a"): (np.tile(ring, 399), to)}, {"a": 400})
    path = "a-[to]-a"
    src, dst = sample_unconnected_pairs(hg, path, per_source=1)
    assert np.array_equal(dst, (src - 1) % 400)
    monkeypatch.setattr(draw, "TRIES_A_PAIR", 1)
    with pytest.raises(BudgetError, match=r"got .* in .* tries: about 99\.\d+% "):
        sample_unconnected_pairs(hg, path, per_source=1)


def test_no_pairs_may_be_asked_for():
    for sample in (sample_metapath_pairs, sample_unconnected_pairs):
        src, dst = sample(sparse_graph(), PATH, 0)
        assert len(src) == len(dst) == 0


def test_bad_arguments_are_named():
    hg = sparse_graph()
    with pytest.raises(ConfigError, match="got -1"):
        sample_metapath_pairs(hg, PATH, -1)
    with pytest.raises(ConfigError, match="got n=5 and per_source=2"):
        sample_metapath_pairs(hg, PATH, 5, per_source=2)
    with pytest.raises(ConfigError, match="n or per_source, got neither"):
        sample_metapath_pairs(hg, PATH)
    with pytest.raises(ConfigError, match="distinct sources, got 3 of which 2 differ"):
        sample_metapath_pairs(hg, PATH, 5, sources=[1, 0, 1])
    with pytest.raises(DataError, match=r"'user' ids in \[0, 12\), got 12"):
        sample_metapath_pairs(hg, PATH, 5, sources=[12])
    with pytest.raises(DataError, match="at least 11 sources .* got 10"):
        sample_metapath_pairs(hg, PATH, 22, per_source=2)
    empty = HeteroCSR.from_edges({RATED: ([], [])}, {"user": 0, "item": 3})
    with pytest.raises(DataError, match="nodes of type 'user', got none"):
        sample_unconnected_pairs(empty, PATH, 1)


@given(data=st.data(), seed=st.integers(0, 2**32), per_source=st.sampled_from([None, 1, 3]))
@settings(max_examples=60)
def test_a_graph_on_a_device_gives_the_same_pairs(
    cuda, same_on_device, heterographs, paths, data, seed, per_source
):
    hg = data.draw(heterographs())
    path = data.draw(paths(hg))
    n_sources = hg.n_nodes[path.source]
    sources = data.draw(st.none() | st.permutations(range(n_sources)).map(lambda p: p[::2]))
    n = data.draw(st.sampled_from([0, 3, 9])) if per_source is None else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draw, "PRODUCT_PATHS_A_PAIR", data.draw(st.sampled_from([0, 50])))
        for sample in (sample_metapath_pairs, sample_unconnected_pairs):
            try:
                expected = sample(hg, path, n, seed, per_source, sources=sources)
            except (DataError, BudgetError) as error:
                with pytest.raises(type(error), match=re.escape(str(error))):
                    sample(hg.to("cuda"), path, n, seed, per_source, sources=sources)
                continue
            there = sample(hg.to("cuda"), path, n, seed, per_source, sources=sources)
            same_on_device(there, expected)


@pytest.mark.parametrize("path", [PATH, "item-user-item", "user-item-user-item", "user-item"])
@pytest.mark.parametrize("options", [{"n": 300}, {"n": 60, "per_source": 2}, {"per_source": 1}])
@pytest.mark.parametrize("sample", [sample_metapath_pairs, sample_unconnected_pairs])
def test_a_large_graph_on_a_device_gives_the_same_pairs(
    cuda, same_on_device, bipartite, monkeypatch, path, options, sample
):
    monkeypatch.setattr(draw, "PRODUCT_PATHS_A_PAIR", 0)
    hg = bipartite(400, 250, 1500)
    some = {"sources": np.arange(0, 250, 7)} if options == {"per_source": 1} else {}
    same_on_device(
        sample(hg.to("cuda"), path, **options, **some), sample(hg, path, **options, **some)
    )


def test_sources_may_lie_on_the_device(cuda, same_on_device):
    hg = sparse_graph()
    there = sample_metapath_pairs(hg.to("cuda"), PATH, per_source=2, sources=cuda.asarray([3, 1]))
    same_on_device(there, sample_metapath_pairs(hg, PATH, per_source=2, sources=[3, 1]))
    with pytest.raises(ConfigError, match="distinct sources, got 2 of which 1 differ"):
        sample_metapath_pairs(hg.to("cuda"), PATH, 5, sources=cuda.asarray([1, 1]))
