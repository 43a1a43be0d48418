"""Message passing: the product of a sparse adjacency with dense features."""

from __future__ import annotations

from torch import Tensor

from dglmeta.errors import DataError
from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops.door import check_adjacency, check_rows, check_same_kind
from dglmeta.ops.rules import SpMM

__all__ = ["spmm"]


def spmm(adj: Adjacency, x: Tensor, weight: Tensor | None = None) -> Tensor:
    """Sum of the destinations' features over the edges leaving each source: ``adj @ x``.

    ``y[i] = sum of weight[e] * x[j]`` over the edges e: i -> j; parallel edges count each. To send
    messages along the edges, from sources to destinations, give ``adj.T``.

    Parameters
    ----------
    adj : Adjacency
        Shape (n_src, n_dst).
    x : (n_dst, ...) float32 or float64
        Features, usually (n_dst, d) or (n_dst, H, d).
    weight : (n_edges,) or (n_edges, H), optional
        A factor for each edge, or one for each edge and head when x is (n_dst, H, ...); in the
        order of edge ids; ones when absent. Same dtype and device as x.

    Returns
    -------
    y : (n_src, ...), like x
        Zero for a source without edges.

    Raises
    ------
    DataError
        If a shape or dtype does not fit.
    DeviceError
        If there are no kernels for the device.

    Notes
    -----
    Cost O(n_edges * d); no (n_edges, d) array is made, in either direction. Differentiable in x
    and weight any number of times, forward and reverse; under vmap still one kernel call.

    Examples
    --------
    >>> import torch
    >>> adj = Adjacency.from_coo([0, 0, 1], [1, 0, 1], (2, 2))
    >>> spmm(adj, torch.tensor([[1.0], [10.0]]), weight=torch.tensor([1.0, 2.0, 3.0]))
    tensor([[12.],
            [30.]])
    """
    check_adjacency("spmm", adj)
    check_rows("spmm", "x", x, adj.n_dst, "destination")
    if weight is not None:
        check_rows("spmm", "weight", weight, adj.n_edges, "edge")
        check_same_kind("spmm", "x", x, "weight", weight)
        if weight.ndim > 1 and weight.shape[1:] != x.shape[1 : weight.ndim]:
            raise DataError(
                f"ops.spmm: expected weight of shape (n_edges,), or (n_edges, H) with x "
                f"(n_dst, H, ...), got weight {tuple(weight.shape)} and x {tuple(x.shape)}. "
                f"Drop weight's last axis or give x one axis of heads."
            )
    return SpMM.apply(adj, weight, x)
