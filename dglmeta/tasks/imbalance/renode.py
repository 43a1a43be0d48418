"""ReNode: labelled nodes weigh less where the influence of other classes' labels reaches them."""

from __future__ import annotations

from math import ceil, log
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dglmeta.data import LabelledNodes
from dglmeta.errors import ConfigError
from dglmeta.graph import Adjacency
from dglmeta.tasks.imbalance.closed_neighbours import closed_neighbours

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["renode_weights", "topology_conflict"]

Reals = npt.NDArray[np.float64]

RESTART = 0.15
"""Chance that a walk of personalised PageRank ends at each step, from 0 to 1."""

LEFT = 1e-10
"""Share of the walks that may still be under way when the power iteration ends."""


def topology_conflict(
    adj: Adjacency, labelled: LabelledNodes, *, restart: float = RESTART
) -> Reals:
    """Totoro of labelled nodes: how much the labels of other classes influence their surroundings.

    With ``P = restart (I - (1 - restart) S)^-1``, ``S = D^-1/2 (A + I) D^-1/2``, that of node i is
    ``sum over j of P_ij * (sum over classes c other than that of i of mean of P_lj over l in c)``.

    Parameters
    ----------
    adj : Adjacency
        Undirected: every edge both ways. Parallel edges count once, self loops make no difference.
    labelled : LabelledNodes
        n of them.
    restart : float
        In (0, 1).

    Returns
    -------
    conflict : (n,) float64
        0 where no label of another class is within reach.

    Raises
    ------
    ConfigError
        If ``restart`` is not in its range.
    DataError
        If ``adj`` is not symmetric.

    Notes
    -----
    P is symmetric, so that this is ``(P P m_c)_i`` summed over c, with m_c the uniform distribution
    over the labelled nodes of c: two power iterations on a column a class, of
    ``log(1e-10) / log(1 - restart)`` products each, 142 of them by default. Cost O(n_edges *
    classes * products), bytes O(nodes * classes); the inverse is never made.

    References
    ----------
    Chen et al., Topology-Imbalance Learning for Semi-Supervised Node Classification, NeurIPS 2021.

    Examples
    --------
    >>> path = Adjacency.from_coo([0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2], (4, 4))
    >>> topology_conflict(path, LabelledNodes(np.array([0, 3]), np.array([0, 1]))).round(4)
    array([0.1482, 0.1482])
    """
    if not 0 < restart < 1:
        raise ConfigError(
            f"topology_conflict: expected restart in (0, 1), got {restart}. ReNode has {RESTART}."
        )
    step = _normalised(closed_neighbours("topology_conflict", adj))
    node, label = labelled
    start = np.zeros((adj.n_src, label.max(initial=0) + 1))
    start[node, label] = 1 / np.bincount(label)[label]
    reached = _personalised(step, _personalised(step, start, restart), restart)[node]
    reached[np.arange(len(node)), label] = 0
    conflict: Reals = reached.sum(1)
    return conflict


def renode_weights(adj: Adjacency, labelled: LabelledNodes, *, restart: float = RESTART) -> Reals:
    """Weights from 1.5 for the labelled node of least conflict to 0.5 for that of most.

    ``0.5 + 0.5 (1 + cos(pi rank / (n - 1)))``, ranks from 0 by rising conflict.

    Parameters, errors and cost are those of :func:`topology_conflict`; weights are (n,) float64.

    Notes
    -----
    Nodes whose conflicts are equal in single precision share the mean of their ranks, so that
    neither the order of the nodes nor rounding in the last places decides between them.

    Examples
    --------
    >>> path = Adjacency.from_coo([0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2], (4, 4))
    >>> renode_weights(path, LabelledNodes(np.array([0, 2, 3]), np.array([0, 1, 1]))).round(4)
    array([1. , 0.5, 1.5])
    """
    from scipy.stats import rankdata

    conflict = topology_conflict(adj, labelled, restart=restart)
    rank = rankdata(conflict.astype(np.float32)) - 1
    weights: Reals = 0.5 + 0.5 * (1 + np.cos(np.pi * rank / max(len(rank) - 1, 1)))
    return weights


def _normalised(matrix: csr_array) -> csr_array:
    """``D^-1/2 M D^-1/2``, D the row sums."""
    from scipy.sparse import diags_array

    scale = diags_array(1 / np.sqrt(np.asarray(matrix.sum(1))))
    return (scale @ matrix @ scale).tocsr()


def _personalised(step: csr_array, start: npt.NDArray[Any], restart: float) -> Reals:
    """``restart (I - (1 - restart) step)^-1 start`` by its power series."""
    reached: Reals = start
    for _ in range(ceil(log(LEFT) / log(1 - restart))):
        reached = restart * start + (1 - restart) * (step @ reached)
    return reached
