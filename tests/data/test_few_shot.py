"""Few-shot splits of a graph's links: exact parts, true and uniform non-edges."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from dglmeta.data import LINK, NODE, few_shot_split, undirected
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import HeteroCSR


def random_graph(n: int, n_edges: int, seed: int = 0) -> tuple[HeteroCSR, set[tuple[int, int]]]:
    """A graph of n nodes and its edges u < v."""
    every = list(combinations(range(n), 2))
    picked = np.random.default_rng(seed).choice(len(every), n_edges, replace=False)
    edges = [every[i] for i in picked]
    src, dst = np.array(edges).T
    return undirected(n, src, dst, {"feat": np.ones((n, 2), np.float32)}), set(edges)


def pairs(part: np.ndarray) -> list[tuple[int, int]]:
    return [tuple(pair) for pair in part.tolist()]


@given(st.data())
def test_parts_are_exact_and_negatives_are_true_and_apart(data):
    n = data.draw(st.integers(4, 12))
    n_edges = data.draw(st.integers(3, n * (n - 1) // 2 - 2))
    hg, edges = random_graph(n, n_edges, data.draw(st.integers(0, 99)))
    split = few_shot_split(hg, data.draw(st.sampled_from([0.1, 0.3, 0.7])), seed=1)
    positives = [pairs(part) for part in split[:3]]
    negatives = [pairs(part) for part in split[3:]]
    assert sum(positives, []) == [p for part in positives for p in sorted(part)]
    assert set(sum(positives, [])) == edges
    assert sum(map(len, positives)) == len(edges)
    wrong = sum(negatives, [])
    assert len(set(wrong)) == len(wrong)
    assert not set(wrong) & edges
    assert all(0 <= u < v < n for u, v in wrong)
    assert min(map(len, positives + negatives)) >= 1
    n_free = n * (n - 1) // 2 - n_edges
    assert len(wrong) == min(len(positives[1]) + len(positives[2]), n_free)


def test_shares_are_of_all_edges_and_rounded():
    hg, _ = random_graph(60, 257)
    split = few_shot_split(hg, 0.1)
    assert [len(part) for part in split] == [26, 51, 180, 51, 180]
    assert [len(part) for part in few_shot_split(hg, 0.3, valid_fraction=0.1)][:3] == [77, 26, 154]
    assert all(part.dtype == np.int64 for part in split)


def test_a_tiny_graph_has_an_edge_in_every_part():
    for fraction in (0.01, 0.78):
        split = few_shot_split(random_graph(5, 3)[0], fraction)
        assert [len(part) for part in split] == [1] * 5


def test_the_seed_decides_and_nothing_else():
    hg, _ = random_graph(30, 120)
    one, again, other = (few_shot_split(hg, seed=seed) for seed in (4, 4, 5))
    assert all((a == b).all() for a, b in zip(one, again, strict=True))
    assert all((a != b).any() for a, b in zip(one, other, strict=True))


def test_negatives_and_training_edges_are_uniform():
    hg, edges = random_graph(9, 10)
    free = sorted(set(combinations(range(9), 2)) - edges)
    drawn = {part: dict.fromkeys(free, 0) for part in ("valid_negatives", "test_negatives")}
    train = dict.fromkeys(edges, 0)
    for seed in range(3000):
        split = few_shot_split(hg, seed=seed)
        for part, counts in drawn.items():
            for pair in pairs(getattr(split, part)):
                counts[pair] += 1
        train[pairs(split.train)[0]] += 1
    for counts in (*drawn.values(), train):
        # The seeds are fixed, so this fails always or never.
        assert chisquare(list(counts.values())).pvalue > 1e-3


def test_a_dense_graph_shares_all_its_non_edges_in_proportion():
    n = 20
    hg, edges = random_graph(n, n * (n - 1) // 2 - 12)
    split = few_shot_split(hg, 0.2, valid_fraction=0.2)
    assert (len(split.valid_negatives), len(split.test_negatives)) == (3, 9)
    wrong = pairs(split.valid_negatives) + pairs(split.test_negatives)
    assert set(wrong) == set(combinations(range(n), 2)) - edges


def test_a_large_sparse_graph_has_true_negatives():
    rng = np.random.default_rng(0)
    hg = undirected(100_000, *rng.integers(100_000, size=(2, 200_000)))
    split = few_shot_split(hg)
    u, v = hg.adjacency(LINK).coo()
    keys = np.concatenate([split.valid_negatives, split.test_negatives]) @ [100_000, 1]
    assert not np.isin(keys, u.astype(np.int64) * 100_000 + v).any()
    assert len(np.unique(keys)) == len(split.valid) + len(split.test)


def test_the_training_graph_has_the_training_edges_only_and_all_features():
    hg, _ = random_graph(20, 60)
    split = few_shot_split(hg, 0.3)
    training = split.training_graph(hg)
    u, v = training.adjacency(LINK).coo()
    both = pairs(split.train) + [(b, a) for a, b in pairs(split.train)]
    assert list(zip(u.tolist(), v.tolist(), strict=True)) == sorted(both)
    assert training.node_data[NODE]["feat"] is hg.node_data[NODE]["feat"]


@pytest.mark.parametrize(("train", "valid"), [(0, 0.2), (0.1, 0), (0.8, 0.2), (-1, 0.5)])
def test_fractions_that_leave_a_part_empty_are_refused(train, valid):
    with pytest.raises(ConfigError, match=f"of sum below 1, got {train} and {valid}"):
        few_shot_split(random_graph(9, 10)[0], train, valid_fraction=valid)


@pytest.mark.parametrize(("n", "n_edges"), [(5, 2), (5, 9), (5, 10), (2, 1)])
def test_a_graph_with_too_few_edges_or_non_edges_is_refused(n, n_edges):
    free = n * (n - 1) // 2 - n_edges
    says = f"3 edges and 2 pairs without one, got {n_edges} and {free} among {n} nodes"
    with pytest.raises(DataError, match=says):
        few_shot_split(random_graph(n, n_edges)[0])


def test_other_graphs_are_refused():
    typed = HeteroCSR.from_edges({("a", "to", "b"): ([0], [0])}, {"a": 1, "b": 1})
    with pytest.raises(DataError, match="expected a graph of edge type .* got .*'a', 'to', 'b'"):
        few_shot_split(typed)
    one_way = HeteroCSR.from_edges({LINK: ([0, 1, 2], [1, 2, 3])}, {NODE: 6})
    with pytest.raises(DataError, match="expected every edge in both directions"):
        few_shot_split(one_way)
