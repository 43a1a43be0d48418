"""Few-shot link prediction: a graph of which few edges are known.

Messages run over known edges, and known edges are what there is to learn from. An edge that is
asked about while messages run over it gives itself away; so the known edges are dealt into folds,
and those of a fold are asked about with messages over the others (design: a batch's own positives
leave the message-passing graph). Held-out edges are asked about with messages over all known ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.data import FewShotSplit
from dglmeta.errors import ConfigError
from dglmeta.graph import Adjacency
from dglmeta.graph.states import NodeStates, node_states

__all__ = ["FEATURES", "FewShotGraph", "degree_profile", "normalised"]

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FEATURES = ("given", "centred", "degrees", "neighbours")
"""Of a node: those of the data set; these less their mean over the graph, all of one length; its
degree profile; the mean of those of its neighbours."""

LENGTH = 3.0
"""Of a node's centred features, so that they weigh about as much as its degree profile."""


@dataclass(frozen=True, eq=False)
class FewShotGraph:
    """A graph whose training edges are known, as two layers of messages read it.

    Parameters
    ----------
    split : FewShotSplit
    given : (n, d) array
        Features of the data set; d may be 0.
    features : tuple of str
        Of :data:`FEATURES`. Degrees and neighbours are those in the edges that messages run over,
        and know of no other.
    n_folds : int
        Folds of the training edges; with 1, messages run over the edges that are asked about, too.
    structure : bool
        Whether messages pass between nodes; without, each hears itself alone.
    skip : bool
        Whether each layer reads a node's own row beside what it hears.

    Raises
    ------
    ConfigError
        If there are fewer than 1 folds or training edges for them, or no feature is left.
    """

    split: FewShotSplit
    given: npt.NDArray[np.floating[Any]]
    features: tuple[str, ...] = ("given",)
    n_folds: int = 1
    structure: bool = True
    skip: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.n_folds <= len(self.split.train):
            raise ConfigError(
                f"FewShotGraph: expected folds from 1 to the number of training edges, "
                f"{len(self.split.train)}, got {self.n_folds}. Lower it or raise train_fraction."
            )
        if self.describe(self.known).shape[1] == 0:
            raise ConfigError(
                f"FewShotGraph: expected features, got {list(self.features)} of a data set "
                f"without any. Add 'degrees'."
            )

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.given)

    @cached_property
    def known(self) -> Adjacency:
        """(n, n): the training edges, both ways."""
        return self._both_ways(self.split.train)

    def asked(self, fold: int) -> Ids:
        """(m, 2): the training edges of a fold."""
        return self._asked[fold]

    @cached_property
    def states(self) -> NodeStates:
        """Node states with messages over all training edges."""
        return self.read(self.known)

    @cached_property
    def fold_states(self) -> tuple[NodeStates, ...]:
        """For each fold, node states with messages over the training edges outside it."""
        if self.n_folds == 1:
            return (self.states,)
        return tuple(
            self.read(self._both_ways(self.split.train[self._fold != fold]))
            for fold in range(self.n_folds)
        )

    def read(self, heard: Adjacency) -> NodeStates:
        """Node states with messages over some edges; row v of ``heard`` has what v hears."""
        x = np.column_stack([self.describe(heard), np.ones(self.n_nodes)])
        return node_states(*normalised(heard, structure=self.structure), x, own=self.skip)

    @cached_property
    def n_inputs(self) -> int:
        """Width of what the first layer reads of a node."""
        width = int(self.states.received.shape[1])
        return width - 2 if self.skip else width - 1

    def describe(self, adj: Adjacency) -> Floats:
        """(n, d): features of the nodes where these are the edges."""
        blocks: dict[str, Callable[[], npt.NDArray[Any]]] = {
            "given": lambda: self.given,
            "centred": lambda: _centred(self.given),
            "degrees": lambda: degree_profile(adj),
            "neighbours": lambda: _neighbour_mean(adj, self.given),
        }
        return np.column_stack([blocks[name]() for name in self.features]).astype(np.float64)

    @cached_property
    def _asked(self) -> tuple[Ids, ...]:
        return tuple(self.split.train[self._fold == fold] for fold in range(self.n_folds))

    @cached_property
    def _fold(self) -> Ids:
        """(n_train,) fold of each training edge; they are dealt at random, but always alike."""
        n = len(self.split.train)
        return np.random.default_rng(n).permutation(n) % self.n_folds

    def _both_ways(self, edges: Ids) -> Adjacency:
        u, v = edges.T
        ends = np.concatenate([u, v]), np.concatenate([v, u])
        return Adjacency.from_coo(*ends, (self.n_nodes, self.n_nodes))


def normalised(adj: Adjacency, *, structure: bool = True) -> tuple[Adjacency, Floats]:
    """D^-1/2 (A + I) D^-1/2 and its weights, D of what each node hears; I without structure."""
    n = adj.n_src
    if not structure:
        return Adjacency.from_coo(np.arange(n), np.arange(n), (n, n)), np.ones(n)
    adj = adj.with_loops
    heard = adj.out_degrees.astype(np.float64)
    by, of = adj.coo()
    return adj, 1 / np.sqrt(heard[by] * heard[of])


def degree_profile(adj: Adjacency) -> Floats:
    """(n, 5): log(1 + .) of degree, and of least, greatest, mean and spread of the neighbours'.

    Parameters
    ----------
    adj : Adjacency
        Shape (n, n).

    References
    ----------
    Cai and Wang, arXiv 1811.03508, who take the logarithm of none.

    Examples
    --------
    >>> star = Adjacency.from_coo([0, 0, 1, 2], [1, 2, 0, 0], (4, 4))
    >>> np.expm1(degree_profile(star)).round(3)
    array([[2., 1., 1., 1., 0.],
           [1., 2., 2., 2., 0.],
           [1., 2., 2., 2., 0.],
           [0., 0., 0., 0., 0.]])
    """
    degree = adj.out_degrees.astype(np.float64)
    matrix = adj.to_scipy().astype(np.float64)
    mean, square = (matrix @ np.column_stack([degree, degree**2]) / degree.clip(1)[:, None]).T
    spread = np.sqrt((square - mean**2).clip(0))
    extremes = np.zeros((2, len(degree)))
    some = np.flatnonzero(degree)
    if len(some):
        heard = degree[adj.indices]
        extremes[0, some] = np.minimum.reduceat(heard, adj.indptr[some])
        extremes[1, some] = np.maximum.reduceat(heard, adj.indptr[some])
    profile: Floats = np.log1p(np.column_stack([degree, *extremes, mean, spread]))
    return profile


def _centred(x: npt.NDArray[np.floating[Any]]) -> Floats:
    """(n, d): rows less their mean, LENGTH long; a row that is the mean stays zero."""
    apart: Floats = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(apart, axis=1, keepdims=True)
    return apart * (LENGTH / np.where(length > 1e-9, length, np.inf))


def _neighbour_mean(adj: Adjacency, x: npt.NDArray[np.floating[Any]]) -> Floats:
    """(n, d): mean of x over the neighbours; zero where there are none."""
    total: Floats = adj.to_scipy() @ x.astype(np.float64)
    mean: Floats = total / adj.out_degrees.clip(1)[:, None]
    return mean
