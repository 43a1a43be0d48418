"""Small graphs made up on the spot, of two kinds that only their edges tell apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dglmeta.data.dataset import Card
from dglmeta.data.graph_dataset import GraphDataset, undirected
from dglmeta.graph import HeteroCSR

__all__ = ["toy_graphs"]

Ids = npt.NDArray[np.int64]

SEED = 0
N_GRAPHS = 12
N_CLASSES = 3
FEWEST_NODES, MOST_NODES = 30, 60
MIXING = ((0.45, 0.03), (0.03, 0.22))
"""Probability of an edge within a class and between two, for each kind of graph: about as many
edges in both, so that their number does not tell the kind."""


def toy_graphs() -> GraphDataset:
    """Twelve stochastic block models: in half of them like nodes link, in the others unlike ones.

    Always the same; for docs and tests. Nodes have one of three classes, which is their feature
    (one-hot) and their label. Whether an edge within a class is likely differs from graph to graph,
    and a few edges show which: what links are likely is worth learning anew for every graph. The
    class of a graph is 0 where like nodes link, else 1; the two take turns.

    Examples
    --------
    >>> ds = toy_graphs()
    >>> ds.counts
    {'graphs': 12, 'nodes': 518, 'edges': 1863, 'features': 3, 'classes': 2}
    >>> ds.labels[:4]
    array([0, 1, 0, 1])
    """
    rng = np.random.default_rng(SEED)
    kinds = np.arange(N_GRAPHS) % len(MIXING)
    sizes = rng.integers(FEWEST_NODES, MOST_NODES + 1, N_GRAPHS)
    graphs = tuple(
        _block_model(int(n), *MIXING[kind], rng) for n, kind in zip(sizes, kinds, strict=True)
    )
    card = Card(
        title="A toy: small graphs in which like nodes link, or unlike ones", licence="none needed"
    )
    names = tuple(str(number) for number in range(N_GRAPHS))
    return GraphDataset("toy-graphs", graphs, names, kinds, card=card)


def _block_model(n: int, within: float, between: float, rng: np.random.Generator) -> HeteroCSR:
    """A graph of ``n`` nodes in classes of equal size, each pair joined or not for itself."""
    label = rng.permutation(np.arange(n) % N_CLASSES)
    src, dst = np.triu_indices(n, k=1)
    joined = rng.random(len(src)) < np.where(label[src] == label[dst], within, between)
    feat = np.eye(N_CLASSES, dtype=np.float32)[label]
    return undirected(n, src[joined], dst[joined], {"feat": feat, "label": label})
