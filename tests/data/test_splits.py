"""Splits share no pair, lose no pair, and hide what is held out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dglmeta.data import draw_negatives, k_folds, load_dataset, planted, split_links, toy
from dglmeta.errors import ConfigError, DataError, SchemaError
from dglmeta.graph import HeteroCSR

RATED, KNOWS = ("user", "rated", "item"), ("user", "knows", "user")


@st.composite
def graphs(draw) -> HeteroCSR:
    """Users and items with 8 to 40 ratings, some given twice, in any order."""
    pairs = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=8, max_size=40))
    src, dst = np.array(pairs).T
    weight = {"weight": np.arange(len(pairs))}
    n_nodes = {"user": 10, "item": 10}
    return HeteroCSR.from_edges({RATED: (src, dst)}, n_nodes, edge_data={RATED: weight})


def split_or_reject(hg, **options):
    try:
        return split_links(hg, RATED, **options)
    except DataError:  # a part with one kind of row only: too small an example
        assume(False)


def pairs_of(rows, label=None):
    kept = slice(None) if label is None else rows.label == label
    return list(zip(rows.src[kept].tolist(), rows.dst[kept].tolist(), strict=True))


@given(graphs(), st.integers(0, 3))
def test_every_distinct_pair_is_one_row_of_one_part(hg, seed):
    split = split_or_reject(hg, seed=seed)
    parts = (split.train, split.valid, split.test)
    rows = [pair for part in parts for pair in pairs_of(part)]
    assert len(set(rows)) == len(rows)
    positives = {pair for part in parts for pair in pairs_of(part, 1)}
    src, dst = hg.adjacency(RATED).coo()
    assert positives == set(zip(src.tolist(), dst.tolist(), strict=True))


@given(graphs(), st.integers(0, 3))
def test_edge_k_of_the_training_graph_is_the_kth_positive_training_row(hg, seed):
    split = split_or_reject(hg, seed=seed)
    training = split.training_graph(hg)
    src, dst = training.adjacency(RATED).coo()
    assert list(zip(src.tolist(), dst.tolist(), strict=True)) == pairs_of(split.train, 1)
    weight = training.edge_data[RATED]["weight"]
    np.testing.assert_array_equal(weight, split.train_edge_ids)


@given(graphs(), st.integers(0, 3))
def test_held_out_edges_are_all_edges_of_held_out_pairs(hg, seed):
    split = split_or_reject(hg, seed=seed)
    src, dst = hg.adjacency(RATED).coo()
    held_out = {*pairs_of(split.valid, 1), *pairs_of(split.test, 1)}
    pairs = zip(src.tolist(), dst.tolist(), strict=True)
    expected = [e for e, pair in enumerate(pairs) if pair in held_out]
    assert split.held_out_edge_ids.tolist() == expected


@given(graphs(), st.integers(0, 3), st.booleans())
def test_no_copy_of_a_held_out_pair_is_left_in_the_training_graph(hg, seed, turned):
    src, dst = hg.adjacency(RATED).coo()
    order = np.random.default_rng(seed).permutation(len(src))
    copy = ("item", "rated by", "user") if turned else ("user", "rated too", "item")
    ends = (dst[order], src[order]) if turned else (src[order], dst[order])
    saw = ("user", "saw", "item")
    edges = {RATED: (src, dst), copy: ends, saw: (src[1:], dst[1:])}
    both = HeteroCSR.from_edges(edges, {"user": 10, "item": 10})
    split = split_or_reject(both, seed=seed)
    training = split.training_graph(both)
    adj = training.adjacency(copy).T if turned else training.adjacency(copy)
    left = set(zip(*(ends.tolist() for ends in adj.coo()), strict=True))
    assert left == set(pairs_of(split.train, 1))
    assert training.n_edges[saw] == len(src) - 1  # not a copy: untouched


@given(st.integers(0, 20))
def test_a_pair_and_its_reverse_fall_into_the_same_part(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(30, size=(2, 60))
    edges = {KNOWS: (np.concatenate([a, b]), np.concatenate([b, a]))}
    split = split_links(HeteroCSR.from_edges(edges, {"user": 30}), KNOWS, seed=seed)
    parts = [{frozenset(p) for p in pairs_of(x)} for x in (split.train, split.valid, split.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_everything_but_the_target_is_shared_with_the_whole_graph():
    hg = planted(n_users=100).csr
    training = split_links(hg, RATED).training_graph(hg)
    for triple, adj in hg.adjacencies.items():
        assert (training.adjacencies[triple] is adj) == (triple != RATED)


def test_rows_are_split_60_20_20():
    split = planted().splits()
    sizes = np.array([len(part.src) for part in (split.train, split.valid, split.test)])
    np.testing.assert_allclose(sizes / sizes.sum(), (0.6, 0.2, 0.2), atol=1e-3)


def test_given_negatives_are_the_negatives_each_once():
    ds = toy()
    negatives = draw_negatives(ds.csr.adjacency(RATED), 5)
    split = split_links(ds.csr, RATED, negatives=np.concatenate([negatives[::-1], negatives]))
    found = [p for part in (split.train, split.valid, split.test) for p in pairs_of(part, 0)]
    assert sorted(found) == [tuple(p) for p in negatives.tolist()]


def test_a_seed_gives_one_split_and_another_seed_another():
    ds = planted(n_users=100)
    first, again, other = (ds.splits(seed) for seed in (0, 0, 1))
    assert pairs_of(first.test) == pairs_of(again.test)
    assert set(pairs_of(first.test)) != set(pairs_of(other.test))


def test_training_positives_hold_no_test_pair_on_lastfm(data_dir):
    ds = load_dataset("lastfm", root=data_dir)
    split = ds.splits(0)
    assert [len(p.src) for p in (split.train, split.valid, split.test)] == [25_408, 8_469, 8_469]
    training = split.training_graph(ds.csr).adjacency(RATED).to_scipy()
    for part in (split.valid, split.test):
        assert not training[part.src, part.dst].any()


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"fractions": (0.5, 0.2, 0.2)}, ConfigError, "three positive fractions of sum 1"),
        ({"fractions": (1.0, 0.0, 0.0)}, ConfigError, "three positive fractions of sum 1"),
        ({"target": "likes"}, SchemaError, "no edge type 'likes'"),
        ({"negatives": [[0, 8]]}, DataError, r"expected negatives below \(8, 8\), got \[0, 8\]"),
        ({"negatives": [[0, 0]]}, DataError, r"negatives that are no edges, got \[0, 0\]"),
        ({"negatives": [0, 7]}, DataError, r"negatives as \(m, 2\) integers, got int64 of shape"),
        ({"negatives": [[0.5, 1]]}, DataError, r"negatives as \(m, 2\) integers, got float64"),
        ({"negatives": [[1, 7]]}, DataError, "expected positives and negatives in"),
        ({"fractions": (0.98, 0.01, 0.01)}, DataError, "in valid, got 0 rows"),
    ],
)
def test_a_split_that_cannot_be_is_refused(options, error, says):
    with pytest.raises(error, match=says):
        split_links(toy().csr, **{"target": RATED, **options})


def test_a_graph_without_target_edges_is_refused():
    hg = HeteroCSR.from_edges({RATED: ([], [])}, {"user": 2, "item": 2})
    with pytest.raises(DataError, match="expected edges of the target type, got none"):
        split_links(hg, RATED)


def test_the_training_graph_of_another_graph_is_refused():
    split = toy().splits()
    smaller = HeteroCSR.from_edges({RATED: ([0], [0])}, {"user": 8, "item": 8})
    with pytest.raises(DataError, match="expected the graph that was split, got one with only 1"):
        split.training_graph(smaller)


@given(st.integers(2, 40), st.integers(2, 6), st.integers(0, 3))
def test_folds_deal_every_number_to_one_of_k_even_folds(n, k, seed):
    assume(k <= n)
    folds = k_folds(n, k, seed=seed)
    assert sorted(np.concatenate(folds).tolist()) == list(range(n))
    sizes = [len(fold) for fold in folds]
    assert len(sizes) == k
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("n", "k"), [(3, 4), (3, 1), (3, 0)])
def test_impossible_folds_are_refused(n, k):
    with pytest.raises(ConfigError, match=f"expected 2 <= k <= n = {n}, got k = {k}"):
        k_folds(n, k)
