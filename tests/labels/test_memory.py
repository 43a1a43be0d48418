"""Labels equal dense oracles; draws from them are uniform and quick."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from dglmeta.errors import BudgetError, DataError, SchemaError
from dglmeta.graph import Adjacency, HeteroCSR, MetaPath
from dglmeta.kernels.cpu import pool
from dglmeta.labels import label_pairs

TRIPLES = (("a", "x", "b"), ("a", "self", "a"))
PATHS = (
    "a-[x]-b",
    "a-[x]-b-[~x]-a",
    "b-[~x]-a-[x]-b",
    "a-[self]-a",
    "a-[self]-a-[x]-b",
    "b-[~x]-a-[self]-a-[x]-b",
)


@st.composite
def drawn_edges(draw, n_src, n_dst, most):
    ends = st.tuples(st.integers(0, max(n_src - 1, 0)), st.integers(0, max(n_dst - 1, 0)))
    pairs = draw(st.lists(ends, max_size=most)) if n_src and n_dst else []
    return np.array(pairs, np.int64).reshape(-1, 2).T


@st.composite
def cases(draw):
    """A small graph with parallel edges, one of its paths, and pairs to exclude or None."""
    n_nodes = {"a": draw(st.integers(0, 5)), "b": draw(st.integers(0, 5))}
    edges = {e: tuple(draw(drawn_edges(n_nodes[e[0]], n_nodes[e[2]], 8))) for e in TRIPLES}
    hg = HeteroCSR.from_edges(edges, n_nodes)
    path = MetaPath.parse(draw(st.sampled_from(PATHS)), hg.schema)
    shape = n_nodes[path.source], n_nodes[path.target]
    excluded = Adjacency.from_coo(*draw(drawn_edges(*shape, 6)), shape)
    return hg, path, draw(st.sampled_from([None, excluded]))


def kinds(hg, path, exclude):
    """Which pairs are positive, and which negative, from dense matrices."""
    steps = [hg.step_adjacency(*step).to_scipy().toarray() for step in path.steps]
    joined = reduce(np.matmul, steps) > 0
    left_out = np.zeros_like(joined) if exclude is None else exclude.to_scipy().toarray() > 0
    if path.source == path.target:
        np.fill_diagonal(left_out, True)
    is_source = joined.any(axis=1, keepdims=True)
    return joined & ~left_out, is_source & ~joined & ~left_out


def frequencies(pairs, expected):
    """How often each expected pair was drawn; every drawn pair must be expected."""
    drawn = np.zeros(expected.shape, np.int64)
    np.add.at(drawn, pairs, 1)
    assert not drawn[~expected].any()
    return drawn[expected]


@given(case=cases())
@settings(max_examples=300)
def test_positives_and_negatives_are_those_of_the_dense_product(case):
    hg, path, exclude = case
    positive, negative = kinds(hg, path, exclude)
    if not positive.any() or not negative.any():
        with pytest.raises(DataError) as error:
            label_pairs(hg, path, exclude=exclude)
        assert str(path) in str(error.value)
        return
    labels = label_pairs(hg, str(path), exclude=exclude)
    assert labels.metapath == path
    assert np.array_equal(np.stack([labels.src, labels.dst], axis=1), np.argwhere(positive))
    assert labels.n_positives == positive.sum()
    assert labels.n_negatives == negative.sum()
    connected = labels.connected.to_scipy().toarray()
    assert connected.max() == 1
    is_source = connected.any(axis=1, keepdims=True)
    assert np.array_equal(is_source & (connected == 0), negative)
    rng = np.random.default_rng(0)
    frequencies(labels.sample_positives(20, rng), positive)
    frequencies(labels.sample_negatives(20, rng), negative)


@pytest.fixture(scope="module")
def graph():
    """Rows of very different sizes, one of them full but for one column, some empty."""
    rng = np.random.default_rng(0)
    degrees = [0, 1, 2, 3, 5, 8, 11, 0]
    src = np.repeat(np.arange(8), degrees)
    dst = np.concatenate([rng.choice(12, d, replace=False) for d in degrees])
    return HeteroCSR.from_edges({("u", "rated", "i"): (src, dst)}, {"u": 8, "i": 12})


@pytest.fixture(params=["u-i", "u-i-u"])
def case(graph, request):
    """Labels with some excluded pairs, joined and not, and the dense oracle."""
    path = MetaPath.parse(request.param, graph.schema)
    shape = graph.n_nodes[path.source], graph.n_nodes[path.target]
    exclude = Adjacency.from_coo([2, 3, 3, 4], [1, 0, 5, 6], shape)
    return label_pairs(graph, path, exclude=exclude), *kinds(graph, path, exclude)


def test_positives_are_uniform(case):
    labels, positive, _ = case
    drawn = frequencies(labels.sample_positives(30_000, np.random.default_rng(1)), positive)
    assert chisquare(drawn).pvalue > 0.01


def test_negatives_are_uniform(case):
    labels, _, negative = case
    drawn = frequencies(labels.sample_negatives(30_000, np.random.default_rng(1)), negative)
    assert chisquare(drawn).pvalue > 0.01


def test_draws_are_int64_and_follow_the_generator_whatever_the_threads(case, monkeypatch):
    labels, _, _ = case
    monkeypatch.setattr(pool, "SERIAL_BELOW_NS", 0)
    monkeypatch.setattr(pool._threads, "chosen", 1)
    alone = labels.sample_negatives(500, np.random.default_rng(2))
    monkeypatch.setattr(pool._threads, "chosen", 3)
    together = labels.sample_negatives(500, np.random.default_rng(2))
    other = labels.sample_negatives(500, np.random.default_rng(3))
    assert np.array_equal(alone, together)
    assert not np.array_equal(alone, other)
    for ends in (*alone, *labels.sample_positives(5, np.random.default_rng(2))):
        assert ends.dtype == np.int64


def test_successive_draws_differ(case):
    labels, _, _ = case
    rng = np.random.default_rng(4)
    for draw in (labels.sample_positives, labels.sample_negatives):
        assert not np.array_equal(draw(50, rng), draw(50, rng))


def test_none_may_be_asked_for(case):
    labels, _, _ = case
    for draw in (labels.sample_positives, labels.sample_negatives):
        assert [len(ends) for ends in draw(0, np.random.default_rng(0))] == [0, 0]


def test_edges_outside_the_graph_given_do_not_make_labels(graph):
    held_out = np.arange(0, 30, 2)
    training = graph.without_edges("rated", held_out)
    labels = label_pairs(training, "u-i")
    src, dst = graph.adjacency("rated").coo()
    kept = np.delete(np.stack([src, dst], axis=1), held_out, axis=0)
    assert np.array_equal(np.stack([labels.src, labels.dst], axis=1), np.unique(kept, axis=0))


def test_labels_beyond_the_budget_are_refused(graph):
    with pytest.raises(BudgetError, match="label_pairs: .* budget_bytes=100 .*Raise the budget"):
        label_pairs(graph, "u-i-u", budget_bytes=100)
    assert label_pairs(graph, "u-i-u", budget_bytes=None).n_positives > 0


def test_bad_arguments_are_named(graph):
    with pytest.raises(DataError, match=r"exclude of shape \(8, 12\) .* got \(12, 8\)"):
        label_pairs(graph, "u-i", exclude=graph.adjacency("rated").T)
    with pytest.raises(SchemaError, match="unknown node type 'shop'"):
        label_pairs(graph, "u-shop")


def test_a_path_that_joins_everything_or_nothing_is_refused_by_name(graph):
    everything = graph.with_edges(("u", "rated", "i"), *np.divmod(np.arange(96), 12))
    with pytest.raises(DataError, match=r"'u-\[rated\]-i' .* joins every source to everything"):
        label_pairs(everything, "u-i")
    with pytest.raises(DataError, match=r"'u-\[rated\]-i' to join a pair that is not excluded"):
        label_pairs(graph, "u-i", exclude=everything.adjacency("rated"))
