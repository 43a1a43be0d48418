"""TAM: margins of labelled nodes by how unlike their class the labels around them are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta import ops
from dglmeta.data import NodeSplit
from dglmeta.graph import Adjacency
from dglmeta.tasks.imbalance.closed_neighbours import closed_neighbours
from dglmeta.tasks.imbalance.constants import Constants

__all__ = ["TopologyMargins", "jensen_shannon"]

Ids = npt.NDArray[np.int64]

ROUNDING = 8
"""Divergences below this many times the precision of a dtype are taken for zero."""


@dataclass(frozen=True, eq=False)
class TopologyMargins:
    """What TAM adds to the logits of the labelled nodes before their softmax.

    Of node i of class y and another class c it is ``alpha log ACM - beta ADM``; of class y, 0. With
    d_i the mean prediction over i and its neighbours, M_c the mean of d over the labelled nodes of
    c, and J the Jensen-Shannon distance (the root of the divergence, in nats)::

        ACM = min(1, d_i[y] M_y[c] / (M_y[y] d_i[c]))
        ADM = (J(d_i, M_y)^2 + J(M_y, M_c)^2 - J(d_i, M_c)^2) / (2 J(M_y, M_c)^2)

    Predictions are one-hot for labelled nodes, and ``softmax(T z)`` for others, where
    ``T_k = phi (r_k + 1 - max r)`` and ``r_k = 0.4 N_k / sum N + 0.6`` with N_k nodes labelled k.

    Made by :meth:`of`. Margins are constants of the loss: no gradient passes through predictions.

    Examples
    --------
    >>> from dglmeta.data import LabelledNodes
    >>> one, two, three = (LabelledNodes(np.array(n), np.array([0, 1])) for n in (
    ...     [3, 1], [5, 6], [7, 8]))
    >>> split = NodeSplit("paper", 2, one, two, three)
    >>> adj = Adjacency.from_coo([3, 0, 3, 1], [0, 3, 1, 3], (9, 9))
    >>> margins = TopologyMargins.of(split, adj, alpha=2.5, beta=0.5, phi=1.2)
    >>> margins.rows
    array([3, 1, 0])
    >>> margins(torch.zeros(3, 2))
    tensor([[0., 0.],
            [0., 0.]])
    """

    rows: Ids
    """(n_rows,) nodes whose logits are read: the labelled ones, then their other neighbours."""
    around: Adjacency
    """(n, n_rows) each labelled node and its neighbours, as places in ``rows``."""
    alpha: float
    beta: float
    kept: Constants

    @classmethod
    def of(cls, split: NodeSplit, adj: Adjacency, *, alpha: float, beta: float, phi: float) -> Self:
        """Margins of the training nodes of a split, every class of which occurs among them.

        Parameters
        ----------
        split : NodeSplit
        adj : Adjacency
            Undirected: every edge both ways. Parallel edges count once, self loops none.
        alpha, beta : float
            How much the connectivity and the distribution around a node count.
        phi : float
            Temperature of the predictions, which are multiplied by it.

        Raises
        ------
        DataError
            If ``adj`` is not symmetric.
        """
        node, label = split.train
        near = closed_neighbours("TopologyMargins", adj)[node].tocoo()
        others = np.setdiff1d(near.col, node)
        rows = np.concatenate([node, others])
        place = np.empty(adj.n_src, np.int64)
        place[rows] = np.arange(len(rows))
        around = Adjacency.from_coo(near.row, place[near.col], (len(node), len(rows)))
        one_hot = np.eye(split.n_classes)[label]
        kept = Constants(
            label=label,
            one_hot=one_hot,
            class_mean=(one_hot / one_hot.sum(0)).T,
            temperature=_temperatures(one_hot.sum(0), phi),
            node_mean=1 / around.out_degrees,
        )
        return cls(rows, around, alpha, beta, kept)

    def __call__(self, logits: Tensor) -> Tensor:
        """Margins of the labelled nodes, finite for finite logits.

        Parameters
        ----------
        logits : (..., n_rows, K) float32 or float64
            Of ``rows``; leading axes are independent models.

        Returns
        -------
        margins : (..., n, K), like logits

        Notes
        -----
        Where d_i[c] is zero, ACM is 1, whatever M_y[c] is. Where M_y and M_c are the same but for
        rounding, ADM is taken as 0: a node then cannot be nearer to one of them. Cost O(models *
        (n_edges * K + n * K^2)) with n_edges those of labelled nodes; bytes O(models * (n_rows * K
        + n * K^2)).
        """
        kept = self.kept.beside(logits)
        around = self._distributions(logits.detach())  # (..., n, K)
        means = kept["class_mean"] @ around  # (..., K, K)
        margins = torch.zeros_like(around)
        if self.alpha:
            margins = margins + self.alpha * log_connectivity(around, means, kept["label"])
        if self.beta:
            margins = margins - self.beta * deviation(around, means, kept["label"])
        return margins * (1 - kept["one_hot"])

    def _distributions(self, logits: Tensor) -> Tensor:
        """(..., n, K) mean prediction over each labelled node and its neighbours."""
        kept = self.kept.beside(logits)
        n = len(kept["label"])
        guessed = (logits[..., n:, :] * kept["temperature"]).softmax(-1)
        told = kept["one_hot"].expand(*logits.shape[:-2], -1, -1)
        predicted = torch.cat([told, guessed], -2).movedim(-2, 0).contiguous()
        adj = self.around.to(logits.device.type)
        return ops.spmm(adj, predicted, scale_src=kept["node_mean"]).movedim(0, -2)


def log_connectivity(around: Tensor, means: Tensor, label: Tensor) -> Tensor:
    """Logarithm of ACM, (..., n, K), at most 0.

    Parameters
    ----------
    around : (..., n, K)
        Distribution of classes around each node.
    means : (..., K, K)
        Their mean over each class.
    label : (n,)
        Class of each node.
    """
    least = torch.finfo(around.dtype).tiny
    near, usual = (x.clamp(min=least).log() for x in (around, means[..., label, :]))
    excess = usual - near  # of the usual over what is here, in nats
    return (excess - _of_class(excess, label)).clamp(max=0).masked_fill(around == 0, 0)


def deviation(around: Tensor, means: Tensor, label: Tensor) -> Tensor:
    """ADM, (..., n, K): how far each node is on the way from its class to each other, 0 to its own.

    Parameters are those of :func:`log_connectivity`.
    """
    to_mean = jensen_shannon(around, means)  # (..., n, K)
    between = jensen_shannon(means, means)[..., label, :]
    apart = between > ROUNDING * torch.finfo(around.dtype).eps
    gap = _of_class(to_mean, label) + between - to_mean
    return torch.where(apart, gap / (2 * between.masked_fill(~apart, 1)), 0)


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence in nats of each of some distributions from each of others.

    Parameters
    ----------
    p, q : (..., n, K) and (..., m, K)
        Each row non-negative and of sum 1.

    Returns
    -------
    divergence : (..., n, m)
        In [0, log 2] but for rounding below; the square of a distance.

    Examples
    --------
    >>> jensen_shannon(torch.eye(2), torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    tensor([[0.0000, 0.2158],
            [0.6931, 0.2158]])
    """
    middle = (p[..., :, None, :] + q[..., None, :, :]) / 2
    mean = (_information(p)[..., :, None] + _information(q)[..., None, :]) / 2
    return (mean - _information(middle)).clamp(min=0)


def _information(p: Tensor) -> Tensor:
    """Negative entropy of each distribution, in nats."""
    information: Tensor = torch.special.xlogy(p, p).sum(-1)
    return information


def _of_class(values: Tensor, label: Tensor) -> Tensor:
    """(..., n, 1) the value of each node at its own class."""
    index = label[:, None].expand(*values.shape[:-1], 1)
    return values.gather(-1, index)


def _temperatures(counts: npt.NDArray[np.float64], phi: float) -> npt.NDArray[np.float64]:
    """(K,) T_k, which logits are multiplied by: phi for the largest class, less for others."""
    share = 0.4 * counts / counts.sum() + 0.6
    scaled: npt.NDArray[np.float64] = phi * (share + 1 - share.max())
    return scaled
