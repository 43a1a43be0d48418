"""Step imbalance: how many nodes of each class are left, which, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.data import (
    DATASETS,
    NODE,
    Dataset,
    LabelledNodes,
    NodeSplit,
    load_dataset,
    step_imbalance,
    toy_citations,
    undirected,
)
from dglmeta.data.imbalance import random_rank
from dglmeta.errors import ConfigError, DataError


def parts(split):
    return {name: dict(zip(*getattr(split, name), strict=True))
            for name in ("train", "valid", "test")}  # fmt: skip


def with_train(sizes: list[int], n_classes: int) -> Dataset:
    """A data set with so many training nodes of each class, in mixed order."""
    label = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    n = len(label)
    train = LabelledNodes(np.arange(n), label)
    valid, test = (LabelledNodes(np.array([n + i]), np.array([i])) for i in range(2))
    split = NodeSplit(NODE, n_classes, train, valid, test)
    return Dataset("mine", undirected(n + 2, [0], [1]), node_split=split)


@pytest.mark.parametrize(
    ("sizes", "rho", "left"),
    [
        ([20, 20, 20, 20], 10, [20, 20, 2, 2]),
        ([20, 20, 20, 20], 5, [20, 20, 4, 4]),
        ([20, 20, 20, 20, 20], 10, [20, 20, 20, 2, 2]),
        ([20] * 7, 10, [20, 20, 20, 20, 2, 2, 2]),
        ([20, 20, 20], 10, [20, 20, 2]),
        ([20, 20], 1, [20, 20]),
        ([20, 20], 3, [20, 6]),
        ([20, 20], 50, [20, 1]),
        ([4, 20, 20, 3], 5, [4, 20, 4, 3]),
        ([4, 4, 30, 30], 10, [4, 4, 3, 3]),
    ],
)
def test_the_last_half_of_the_classes_keeps_a_rhoth_of_the_largest(sizes, rho, left):
    ds = with_train(sizes, len(sizes))
    split = step_imbalance(ds, rho=rho, seed=0)
    assert np.bincount(split.train.label, minlength=len(sizes)).tolist() == left
    before, after = parts(ds.node_split), parts(split)
    assert after["train"].items() <= before["train"].items()
    assert {k: after[k] for k in ("valid", "test")} == {k: before[k] for k in ("valid", "test")}
    assert (np.diff(split.train.node) > 0).all()


def test_rho_of_one_leaves_balanced_classes_as_they_are():
    ds = toy_citations()
    assert parts(step_imbalance(ds, rho=1, seed=3)) == parts(ds.node_split)


@pytest.mark.parametrize("ratio", [None, 0.1])
def test_the_seed_decides_all_and_the_data_set_is_left_alone(ratio):
    ds = toy_citations()
    before = parts(ds.node_split)
    one, again, other = (
        parts(step_imbalance(ds, rho=5, seed=seed, label_ratio=ratio)) for seed in (1, 1, 2)
    )
    assert one == again != other
    assert parts(ds.node_split) == before


def test_every_training_node_of_a_class_is_as_likely_to_stay():
    ds = with_train([12, 12], 2)
    mine = ds.node_split.train.node[ds.node_split.train.label == 1].tolist()
    stays = dict.fromkeys(mine, 0)
    for seed in range(600):
        node, label = step_imbalance(ds, rho=6, seed=seed).train
        for i in node[label == 1].tolist():
            stays[i] += 1
    assert sum(stays.values()) == 1200
    assert all(60 < n < 140 for n in stays.values())  # 100 expected, of spread 9


def test_of_all_labels_a_share_is_drawn_and_the_rest_validates_and_tests():
    ds = toy_citations()
    split = step_imbalance(ds, rho=5, seed=0, label_ratio=0.1, valid_per_class=7)
    # 24 labels over 2 classes of m and 2 of 5 m: m = round(24 / 12) = 2.
    assert np.bincount(split.train.label).tolist() == [10, 10, 2, 2]
    assert np.bincount(split.valid.label).tolist() == [7] * 4
    assert np.bincount(split.test.label).tolist() == [43, 43, 51, 51]
    found = parts(split)
    assert sum(map(len, found.values())) == len(ds.labels)
    assert {k: v for part in found.values() for k, v in part.items()} == dict(enumerate(ds.labels))


@pytest.mark.parametrize(
    ("rho", "ratio", "train"),
    [(10, 0.01, [10, 10, 1, 1]), (2.5, 0.1, [8, 8, 3, 3]), (1, 0.05, [3, 3, 3, 3])],
)
def test_numbers_are_rounded_and_no_class_is_left_out(rho, ratio, train):
    split = step_imbalance(toy_citations(), rho=rho, seed=0, label_ratio=ratio)
    assert np.bincount(split.train.label).tolist() == train


def test_without_labels_of_all_nodes_those_of_the_split_are_drawn():
    ds = toy_citations()
    bare = replace(ds, labels=None)
    one, other = (
        parts(step_imbalance(d, rho=5, seed=4, label_ratio=0.1, valid_per_class=5))
        for d in (ds, bare)
    )
    assert one == other
    unknown = ds.labels.copy()
    left_out = ds.node_split.test.node[:5]
    unknown[left_out] = -1
    few = NodeSplit(NODE, 4, ds.node_split.train, ds.node_split.valid,
                    LabelledNodes(*(x[5:] for x in ds.node_split.test)))  # fmt: skip
    split = step_imbalance(
        replace(ds, labels=unknown, node_split=few), rho=5, seed=4, label_ratio=0.1
    )
    assert len(split) == 235
    assert not set(left_out.tolist()) & {i for part in parts(split).values() for i in part}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"rho": 0.5}, "expected rho as a number from 1, got 0.5"),
        ({"rho": float("nan")}, "expected rho as a number from 1, got nan"),
        ({"rho": float("inf")}, "expected rho as a number from 1, got inf"),
        ({"label_ratio": 0.0}, "expected label_ratio as a share between 0 and 1, got 0.0"),
        ({"label_ratio": 1.0}, "expected label_ratio as a share between 0 and 1, got 1.0"),
        ({"label_ratio": 0.1, "valid_per_class": 0}, "expected valid_per_class as a number from 1"),
    ],
)
def test_numbers_out_of_range_are_refused(changed, says):
    with pytest.raises(ConfigError, match=says):
        step_imbalance(toy_citations(), **{"rho": 10, "seed": 0} | changed)


def test_data_without_what_is_needed_is_refused():
    bare = Dataset("mine", undirected(3, [0], [1]))
    with pytest.raises(DataError, match="labelled nodes, got 'mine' without"):
        step_imbalance(bare, rho=10, seed=0)
    for sizes in ([20, 0, 20], [20, 20, 0]):
        with pytest.raises(DataError, match="of every class, got none of class"):
            step_imbalance(with_train(sizes, 3), rho=10, seed=0)
    says = "expected at least 81 nodes of class 0, for 50 in train, 30 in valid .* got 60"
    with pytest.raises(DataError, match=says):
        step_imbalance(toy_citations(), rho=10, seed=0, label_ratio=0.5)
    step_imbalance(toy_citations(), rho=10, seed=0, label_ratio=0.5, valid_per_class=9)
    with pytest.raises(DataError, match="expected at least 61 nodes of class 0"):
        step_imbalance(toy_citations(), rho=10, seed=0, label_ratio=0.5, valid_per_class=10)


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(0, 2**32 - 1))
def test_ranks_number_every_class_from_zero(label, seed):
    rank = random_rank(np.array(label, np.int64), 4, np.random.default_rng(seed))
    for c in range(4):
        mine = [r for r, lab in zip(rank.tolist(), label, strict=True) if lab == c]
        assert sorted(mine) == list(range(len(mine)))


@pytest.mark.parametrize(
    ("name", "rho", "train"),
    [
        ("amazon-photo", 10, [20] * 4 + [2] * 4),
        ("amazon-computers", 10, [30] * 5 + [3] * 5),
        ("amazon-computers", 5, [25] * 5 + [5] * 5),
    ],
)
def test_amazon_has_a_hundredth_of_its_labels(name, rho, train, data_dir):
    files = DATASETS[name].files
    if not all((data_dir / "amazon" / file.name).is_file() for file in files):
        pytest.skip(f"needs {files[0].name} in {data_dir / 'amazon'}")
    ds = load_dataset(name, data_dir)
    split = step_imbalance(ds, rho=rho, seed=0, label_ratio=0.01)
    assert np.bincount(split.train.label).tolist() == train
    assert len(split) == ds.counts["node"]
    assert np.bincount(split.valid.label).tolist() == [30] * len(train)
