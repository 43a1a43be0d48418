"""Attention: scores of edges normalised among the edges of one node."""

from __future__ import annotations

from torch import Tensor

from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops.door import check_adjacency, check_rows
from dglmeta.ops.rules import EdgeSoftmax

__all__ = ["edge_softmax"]


def edge_softmax(adj: Adjacency, scores: Tensor) -> Tensor:
    """Softmax of scores over the edges leaving each source; a row's values sum to one.

    ``a[e] = exp(scores[e]) / sum of exp(scores[f])`` over the edges f of the same row. To normalise
    over the edges entering each destination, as attention usually does, give ``adj.T``: edge ids
    are the same.

    Parameters
    ----------
    adj : Adjacency
        Shape (n_src, n_dst).
    scores : (n_edges, ...) float32 or float64
        In the order of edge ids, usually (n_edges,) or (n_edges, H).

    Returns
    -------
    a : like scores
        In [0, 1].

    Raises
    ------
    DataError
        If a shape or dtype does not fit.
    DeviceError
        If there are no kernels for the device.

    Notes
    -----
    Each row's largest score is subtracted first, so large scores do not overflow. Cost
    O(n_edges * H). Differentiable any number of times, forward and reverse; under vmap still one
    kernel call.

    Examples
    --------
    >>> import torch
    >>> adj = Adjacency.from_coo([0, 0, 1], [0, 1, 1], (2, 2))
    >>> edge_softmax(adj, torch.tensor([5.0, 5.0, 700.0]))
    tensor([0.5000, 0.5000, 1.0000])
    """
    check_adjacency("edge_softmax", adj)
    check_rows("edge_softmax", adj, "scores", scores, adj.n_edges, "edge")
    return EdgeSoftmax.apply(adj, scores)
