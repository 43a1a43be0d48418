"""Many graphs as one data set: what is refused at the door, and how graphs are split."""

from __future__ import annotations

import numpy as np
import pytest

from dglmeta.data import LINK, NODE, GraphDataset, GraphSplit, undirected
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import HeteroCSR


def path(n: int = 3, **rows) -> HeteroCSR:
    """A path of n nodes with these arrays of the nodes."""
    return undirected(n, np.arange(n - 1), np.arange(1, n), rows)


def directed(n: int, src, dst) -> HeteroCSR:
    return HeteroCSR.from_edges({LINK: (src, dst)}, {NODE: n})


def many(n: int, **fields) -> GraphDataset:
    return GraphDataset("mine", (path(),) * n, tuple(map(str, range(n))), **fields)


def feat(n: int, d: int = 2, dtype=np.float32) -> np.ndarray:
    return np.ones((n, d), dtype)


def test_counts_are_of_undirected_edges():
    graphs = path(3, feat=feat(3)), path(5, feat=feat(5))
    ds = GraphDataset("mine", graphs, ("a", "b"), labels=np.array([0, 2]))
    assert ds.counts == {"graphs": 2, "nodes": 8, "edges": 6, "features": 2, "classes": 3}


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (directed(3, [0, 1], [1, 0]), None),
        (directed(3, [0], [1]), "graph 1: expected every edge in both directions"),
        (directed(3, [0, 1, 2], [1, 0, 0]), "graph 1: expected every edge in both directions"),
        (directed(3, [2, 0, 1], [2, 1, 0]), "graph 1: expected no loops, got one at node 2"),
        (directed(3, [0, 0, 1, 1], [1, 1, 0, 0]), "expected no parallel edges, got one at node 0"),
        (
            HeteroCSR.from_edges({("a", "link", "a"): ([0, 1], [1, 0])}, {"a": 2}),
            "graph 1: expected node type 'node'",
        ),
    ],
)
def test_a_graph_that_is_not_simple_and_undirected_is_refused(second, says):
    graphs, names = (path(), second), ("0", "1")
    if says is None:
        assert len(GraphDataset("mine", graphs, names)) == 2
        return
    with pytest.raises(DataError, match=says):
        GraphDataset("mine", graphs, names)


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ({"feat": feat(3)}, {}, "'feat' in all graphs or in none, got it in the first"),
        ({}, {"label": np.zeros(3, np.int64)}, "'label' in all graphs or in none, got it in this"),
        ({"feat": feat(3)}, {"feat": feat(3, 4)}, r"graph 1: expected 'feat' as \(n, d\) float32"),
        ({"feat": feat(3, dtype=float)},) * 2 + ("graph 0: expected 'feat' as .* got float64",),
        ({"feat": np.ones(3, np.float32)},) * 2 + (r"graph 0: .* got float32 of shape \(3,\)",),
        ({"label": np.zeros(3, np.int32)},) * 2 + ("'label' as .* got int32",),
    ],
)
def test_features_and_labels_of_another_form_are_refused(first, second, says):
    with pytest.raises(DataError, match=says):
        GraphDataset("mine", (path(**first), path(**second)), ("0", "1"))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"graphs": ()}, "expected at least one graph"),
        ({"graph_names": ("a", "b")}, "expected 3 different names of graphs, got 2"),
        ({"graph_names": ("a", "b", "a")}, "got 3 of which 2 differ"),
        ({"labels": np.array([0, 1])}, r"expected classes of the 3 graphs as \(3,\) int64"),
        ({"labels": np.array([0, -1, 1])}, "least -1"),
        ({"labels": np.array([0.0, 1.0, 1.0])}, "got float64"),
        ({"published": GraphSplit(*map(np.array, ([0], [1], [3])))}, "numbers 0 to 2 in three"),
        ({"published": GraphSplit(*map(np.array, ([0], [1], [1])))}, "no number twice"),
        ({"published": GraphSplit(np.array([0, 1, 2]), *[np.zeros(0, np.int64)] * 2)}, "none empt"),
    ],
)
def test_names_classes_and_published_parts_are_checked(fields, says):
    whole = {"graphs": (path(),) * 3, "graph_names": ("a", "b", "c")}
    with pytest.raises(DataError, match=says) as caught:
        GraphDataset("mine", **whole | fields)
    assert str(caught.value).startswith("mine")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("n", "sizes"), [(3, (1, 1, 1)), (19, (17, 1, 1)), (41, (33, 4, 4))])
def test_every_graph_is_in_one_part_and_the_seed_decides_which(n, sizes):
    ds = many(n)
    split = ds.splits(seed=1)
    assert tuple(map(len, split)) == sizes
    assert sorted(np.concatenate(split).tolist()) == list(range(n))
    assert all((a == b).all() for a, b in zip(split, ds.splits(seed=1), strict=True))
    if n > 3:
        assert any((a != b).any() for a, b in zip(split, ds.splits(seed=2), strict=True))


@pytest.mark.parametrize("n", [3, 10, 41, 600, 1113])
def test_the_default_deal_has_not_changed(n):
    """As dealt before shares could be given, on which published results rest."""
    n_held = max(1, n // 10)
    order = np.random.default_rng(123).permutation(n)
    parts = np.split(order, [n - 2 * n_held, n - n_held])
    for split in (many(n).splits(123), many(n).splits(123, shares=(0.1, 0.1))):
        assert [part.tolist() for part in split] == [sorted(part.tolist()) for part in parts]


@pytest.mark.parametrize(
    ("n", "shares", "sizes"),
    [
        (600, (0.1, 0.2), (420, 60, 120)),
        (467, (0.1, 0.2), (328, 46, 93)),
        (467, (0.2, 0.1), (328, 93, 46)),
        (100, (0.29, 0.58), (13, 29, 58)),
        (5, (0, 0.5), (2, 1, 2)),
        (3, (0.0, 0.0), (1, 1, 1)),
    ],
)
def test_shares_are_rounded_down_but_one_graph_at_least(n, shares, sizes):
    split = many(n).splits(0, shares=shares)
    assert tuple(map(len, split)) == sizes
    assert sorted(np.concatenate(split).tolist()) == list(range(n))


@pytest.mark.parametrize(
    "shares", [(-0.1, 0.2), (0.1, -0.2), (0.5, 0.5), (1.0, 0.0), (float("nan"), 0.1), (0.1,)]
)
def test_shares_that_are_none_are_refused(shares):
    for ds in (many(20), many(4, published=GraphSplit(*map(np.array, ([1, 3], [0], [2]))))):
        with pytest.raises(ConfigError, match="mine: expected shares of valid and test, each 0 or"):
            ds.splits(0, shares=shares)


def test_shares_that_leave_no_graph_to_train_on_are_refused():
    with pytest.raises(ConfigError, match="got 1 to choose by and 9 to test on of 10"):
        many(10).splits(0, shares=(0, 0.95))


def test_any_graph_may_be_held_out():
    tests = {int(k) for seed in range(60) for k in many(5).splits(seed).test}
    assert tests == set(range(5))


def test_a_published_split_comes_before_any_seed():
    published = GraphSplit(np.array([1, 3]), np.array([0]), np.array([2]))
    ds = many(4, published=published)
    assert ds.splits(7) is published
    assert ds.splits(7, shares=(0.3, 0.3)) is published


@pytest.mark.parametrize(("k", "valid", "train"), [(0, 1, [2, 3]), (3, 0, [1, 2])])
def test_leave_one_out_chooses_by_the_next_graph(k, valid, train):
    split = many(4).leave_one_out(k)
    assert (split.train.tolist(), split.valid.tolist(), split.test.tolist()) == (
        train,
        [valid],
        [k],
    )


@pytest.mark.parametrize("k", [-1, 4])
def test_a_graph_that_is_not_there_cannot_be_left_out(k):
    with pytest.raises(ConfigError, match=f"number of a graph, 0 to 3, got {k}"):
        many(4).leave_one_out(k)


def test_two_graphs_are_too_few_to_split():
    ds = many(2)
    for split in (ds.splits, lambda: ds.leave_one_out(0)):
        with pytest.raises(DataError, match="mine: expected at least 3 graphs, one each"):
            split()
