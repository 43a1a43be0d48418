"""Scores of edges: dot products of the features at their two ends."""

from __future__ import annotations

from torch import Tensor

from dglmeta.errors import DataError
from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops.door import check_adjacency, check_rows, check_same_kind
from dglmeta.ops.rules import SDDMM

__all__ = ["sddmm"]


def sddmm(adj: Adjacency, x: Tensor, z: Tensor) -> Tensor:
    """Dot product of each edge's source and destination features: ``s[e] = <x[i], z[j]>``.

    Parameters
    ----------
    adj : Adjacency
        Shape (n_src, n_dst).
    x : (n_src, d) or (n_src, H, d), float32 or float64
        Features of sources.
    z : (n_dst, d) or (n_dst, H, d), like x
        Features of destinations.

    Returns
    -------
    s : (n_edges,) or (n_edges, H)
        In the order of edge ids.

    Raises
    ------
    DataError
        If a shape or dtype does not fit.
    DeviceError
        If there are no kernels for the device.

    Notes
    -----
    Cost O(n_edges * d); no (n_edges, d) array is made, in either direction. Differentiable in x
    and z any number of times, forward and reverse; under vmap still one kernel call.

    Examples
    --------
    >>> import torch
    >>> adj = Adjacency.from_coo([1, 0], [0, 1], (2, 2))
    >>> sddmm(adj, torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.eye(2))
    tensor([3., 2.])
    """
    check_adjacency("sddmm", adj)
    check_rows("sddmm", adj, "x", x, adj.n_src, "source")
    check_rows("sddmm", adj, "z", z, adj.n_dst, "destination")
    check_same_kind("sddmm", "x", x, "z", z)
    if x.ndim < 2 or x.shape[1:] != z.shape[1:]:
        raise DataError(
            f"ops.sddmm: expected x (n_src, d) and z (n_dst, d), or both with an axis of heads "
            f"before d, got {tuple(x.shape)} and {tuple(z.shape)}. Make all but the first axis "
            f"equal."
        )
    return SDDMM.apply(adj, x, z)
