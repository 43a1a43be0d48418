"""A small labelled graph without types, made up on the spot: papers that cite papers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dglmeta.data.dataset import Card, Dataset
from dglmeta.data.imbalance import random_rank
from dglmeta.data.node_splits import LabelledNodes, NodeSplit
from dglmeta.data.undirected import NODE, undirected

__all__ = ["toy_citations"]

Ids = npt.NDArray[np.int64]

N_PAPERS, N_WORDS, N_CLASSES = 240, 60, 4
N_TRAIN, N_VALID = 20, 60
"""Of each class, and of all."""
CITES = (0.06, 0.006)
"""Probability that two papers of one field are linked, and two of different fields."""
HAS_WORD = (0.13, 0.07)
"""Probability that a paper has a word of its field, and of another."""


def toy_citations(seed: int = 0) -> Dataset:
    """Two hundred and forty papers of four fields, which their citations and words tell in part.

    A stochastic block model of the form of Cora; for docs and tests. Three links in four join
    papers of one field. Each word belongs to one field, whose papers have it nearly twice as often
    as others. The split trains with 20 papers a field and validates with 60; the rest is to test.

    Parameters
    ----------
    seed : int
        Same seed, same graph, words and split.

    Examples
    --------
    >>> ds = toy_citations()
    >>> ds.counts
    {'node': 240, 'edge types': 1, 'edges': 1166, 'classes': 4, 'labelled': 240}
    >>> np.bincount(ds.node_split.train.label)
    array([20, 20, 20, 20])
    """
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(N_PAPERS) % N_CLASSES)
    src, dst = np.triu_indices(N_PAPERS, k=1)
    linked = rng.random(len(src)) < np.where(label[src] == label[dst], *CITES)
    own = label[:, None] == np.arange(N_WORDS) % N_CLASSES
    feat = (rng.random(own.shape) < np.where(own, *HAS_WORD)).astype(np.float32)
    hg = undirected(N_PAPERS, src[linked], dst[linked], {"feat": feat})
    card = Card(title="A toy: papers of four fields that cite each other", licence="none needed")
    split = _split(label, rng)
    return Dataset("toy-citations", hg, card=card, node_split=split, labels=label)


def _split(label: Ids, rng: np.random.Generator) -> NodeSplit:
    """As many papers of each class to train with, then some of any to validate with."""
    first = random_rank(label, N_CLASSES, rng) < N_TRAIN
    valid, test = np.split(rng.permutation(np.flatnonzero(~first)), [N_VALID])
    parts = (np.flatnonzero(first), np.sort(valid), np.sort(test))
    return NodeSplit(NODE, N_CLASSES, *(LabelledNodes(p, label[p]) for p in parts))
