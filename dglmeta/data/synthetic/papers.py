"""A small labelled heterograph made up on the spot: papers, their authors and venues."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dglmeta.data.dataset import Card, Dataset
from dglmeta.data.node_splits import LabelledNodes, NodeSplit
from dglmeta.graph import EdgeType, HeteroCSR

__all__ = ["toy_papers"]

Ids = npt.NDArray[np.int64]

WRITTEN_BY: EdgeType = ("paper", "written_by", "author")
PUBLISHED_AT: EdgeType = ("paper", "published_at", "venue")

SEED = 0
N_PAPERS, N_AUTHORS, N_VENUES, N_WORDS, N_CLASSES = 90, 45, 6, 30, 3
LOYAL = 0.8
"""Probability that an author or venue of a paper is of its class."""
LABELS = (2, 5)
"""Training labels a class."""


def toy_papers() -> Dataset:
    """Ninety papers of three fields, which their authors, venues and words tell in part.

    Always the same; for docs and tests. Every paper has two authors and one venue, four times in
    five of its field, and six words, of which two are of its field and four are any.

    Examples
    --------
    >>> ds = toy_papers()
    >>> ds.csr
    HeteroCSR(paper: 90, author: 45, venue: 6; 270 edges of 2 types)
    >>> ds.metapaths
    ('paper-author-paper', 'paper-venue-paper')
    >>> {k: len(split.train.node) for k, split in ds.label_splits.items()}
    {2: 6, 5: 15}
    """
    rng = np.random.default_rng(SEED)
    label = rng.permutation(np.arange(N_PAPERS) % N_CLASSES)
    papers = np.repeat(np.arange(N_PAPERS), 2)
    hg = HeteroCSR.from_edges(
        {
            WRITTEN_BY: (papers, _of_class(label[papers], N_AUTHORS, rng)),
            PUBLISHED_AT: (np.arange(N_PAPERS), _of_class(label, N_VENUES, rng)),
        },
        {"paper": N_PAPERS, "author": N_AUTHORS, "venue": N_VENUES},
        {"paper": {"feat": _words(label, rng)}},
    )
    splits = {k: _split(label, k, rng) for k in LABELS}
    card = Card(title="A toy: papers of three fields", licence="none needed")
    paths = ("paper-author-paper", "paper-venue-paper")
    return Dataset(
        "toy-papers", hg, None, paths, card=card,
        node_split=splits[max(LABELS)], labels=label, label_splits=splits,
    )  # fmt: skip


def _of_class(label: Ids, n: int, rng: np.random.Generator) -> Ids:
    """One of n things for each label, mostly one whose number is of that class."""
    own = np.where(rng.random(len(label)) < LOYAL, label, rng.integers(0, N_CLASSES, len(label)))
    return own + N_CLASSES * rng.integers(0, n // N_CLASSES, len(label))


def _words(label: Ids, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """How often each paper has each word."""
    own = label[:, None] + N_CLASSES * rng.integers(0, N_WORDS // N_CLASSES, (len(label), 2))
    other = rng.integers(0, N_WORDS, (len(label), 4))
    counts = np.zeros((len(label), N_WORDS), np.float32)
    np.add.at(counts, (np.arange(len(label))[:, None], np.hstack([own, other])), 1)
    return counts


def _split(label: Ids, k: int, rng: np.random.Generator) -> NodeSplit:
    """Of each class k papers to train with; half of the rest to choose with, and to test."""
    order = rng.permutation(N_PAPERS)
    rank = np.empty(N_PAPERS, np.int64)  # of a paper among those of its class
    for c in range(N_CLASSES):
        mine = order[label[order] == c]
        rank[mine] = np.arange(len(mine))
    rest = order[rank[order] >= k]
    valid, test = np.split(rest, [len(rest) // 2])
    parts = (order[rank[order] < k], valid, test)
    return NodeSplit("paper", N_CLASSES, *(LabelledNodes(p, label[p]) for p in parts))
