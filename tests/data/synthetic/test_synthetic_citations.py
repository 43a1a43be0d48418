"""The toy of citations: always the same, and told by its links and words in part."""

from __future__ import annotations

import numpy as np
import pytest

from dglmeta.data import LINK, NODE, load_dataset, toy_citations


def test_it_is_always_the_same_and_found_by_name():
    one, again, other = toy_citations(), load_dataset("toy-citations"), toy_citations(seed=1)
    assert one.csr.content_hash == again.csr.content_hash != other.csr.content_hash
    assert (one.labels == again.labels).all()
    assert (one.node_split.test.node == again.node_split.test.node).all()
    assert one.name == again.name == "toy-citations"
    named = load_dataset("toy-citations", seed=1)
    assert named.csr.content_hash == other.csr.content_hash


def test_the_split_has_twenty_a_class_then_sixty_and_a_hundred():
    ds = toy_citations()
    split = ds.node_split
    assert np.bincount(ds.labels).tolist() == [60] * 4
    assert np.bincount(split.train.label).tolist() == [20] * 4
    assert [len(part.node) for part in (split.valid, split.test)] == [60, 100]
    assert set(np.unique(split.valid.label)) == set(np.unique(split.test.label)) == set(range(4))


def nearest_mean(feat, split) -> float:
    """Share of test nodes whose nearest class mean of the training nodes is that of their class."""
    node, label = split.train
    means = np.stack([feat[node[label == c]].mean(0) for c in range(split.n_classes)])
    away = ((feat[split.test.node, None] - means) ** 2).sum(2)
    return float((away.argmin(1) == split.test.label).mean())


@pytest.mark.parametrize("seed", range(4))
def test_links_tell_much_words_a_little_and_both_together_more(seed):
    ds = toy_citations(seed)
    u, v = ds.csr.adjacency(LINK).coo()
    assert 0.7 < (ds.labels[u] == ds.labels[v]).mean() < 0.85
    assert 3 < len(u) / 240 < 7
    feat = ds.csr.node_data[NODE]["feat"]
    assert (feat.shape, feat.dtype) == ((240, 60), np.float32)
    assert set(np.unique(feat)) == {0, 1}
    adj = ds.csr.adjacency(LINK).to_scipy().toarray() + np.eye(240)
    mean = adj / adj.sum(1, keepdims=True)
    words, both = (nearest_mean(x, ds.node_split) for x in (feat, mean @ mean @ feat))
    assert 0.27 < words < 0.55
    assert both > words + 0.25
