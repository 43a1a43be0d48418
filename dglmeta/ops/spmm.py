"""Message passing: the product of a sparse adjacency with dense features."""

from __future__ import annotations

from torch import Tensor

from dglmeta.errors import DataError
from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops.door import check_adjacency, check_rows, check_same_kind
from dglmeta.ops.fused import ScaledSpMM, scaled
from dglmeta.ops.rules import SpMM, transforming

__all__ = ["spmm"]


def spmm(
    adj: Adjacency,
    x: Tensor,
    weight: Tensor | None = None,
    *,
    scale_src: Tensor | None = None,
    scale_dst: Tensor | None = None,
) -> Tensor:
    """Sum of the destinations' features over the edges leaving each source: ``adj @ x``.

    ``y[i] = scale_src[i] * (sum of weight[e] * scale_dst[j] * x[j])`` over the edges e: i -> j;
    parallel edges count each. To send messages along the edges, from sources to destinations, give
    ``adj.T``.

    Parameters
    ----------
    adj : Adjacency
        Shape (n_src, n_dst).
    x : (n_dst, ...) float32 or float64
        Features, usually (n_dst, d) or (n_dst, H, d).
    weight : (n_edges,) or (n_edges, H), optional
        A factor for each edge, or one for each edge and head when x is (n_dst, H, ...); in the
        order of edge ids; ones when absent. Same dtype and device as x.
    scale_src, scale_dst : (n_src,) and (n_dst,), optional
        Factors of sources and destinations, like x; ones when absent. The inverses of out-degrees
        as ``scale_src`` make a mean; those of the square roots of both degrees the normalisation of
        a GCN. Constant scales cost less than weights that are their products.

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
    Cost O(n_edges * d); no (n_edges, d) array is made, in either direction. Differentiable in
    every tensor any number of times, forward and reverse; under vmap still one kernel call.

    Examples
    --------
    >>> import torch
    >>> adj = Adjacency.from_coo([0, 0, 1], [1, 0, 1], (2, 2))
    >>> spmm(adj, torch.tensor([[1.0], [10.0]]), weight=torch.tensor([1.0, 2.0, 3.0]))
    tensor([[12.],
            [30.]])
    """
    check_adjacency("spmm", adj)
    check_rows("spmm", adj, "x", x, adj.n_dst, "destination")
    if weight is not None:
        check_rows("spmm", adj, "weight", weight, adj.n_edges, "edge")
        check_same_kind("spmm", "x", x, "weight", weight)
        if weight.ndim > 1 and weight.shape[1:] != x.shape[1 : weight.ndim]:
            raise DataError(
                f"ops.spmm: expected weight of shape (n_edges,), or (n_edges, H) with x "
                f"(n_dst, H, ...), got weight {tuple(weight.shape)} and x {tuple(x.shape)}. "
                f"Drop weight's last axis or give x one axis of heads."
            )
    if scale_src is None and scale_dst is None:
        if transforming():
            return SpMM.apply(adj, weight, x)
        return ScaledSpMM.apply(adj, weight, x, None, None)
    return _scaled_spmm(adj, x, weight, scale_src, scale_dst)


def _scaled_spmm(
    adj: Adjacency,
    x: Tensor,
    weight: Tensor | None,
    scale_src: Tensor | None,
    scale_dst: Tensor | None,
) -> Tensor:
    """In one kernel where the scales are constants, op by op where they are not."""
    for name, scale, n, node in (
        ("scale_src", scale_src, adj.n_src, "source"),
        ("scale_dst", scale_dst, adj.n_dst, "destination"),
    ):
        if scale is None:
            continue
        check_rows("spmm", adj, name, scale, n, node)
        check_same_kind("spmm", "x", x, name, scale)
        if scale.ndim != 1:
            raise DataError(
                f"ops.spmm: expected {name} of shape ({n},), got {tuple(scale.shape)}. Give one "
                f"number a node, or scale x or the result yourself."
            )
    if transforming() or any(s is not None and s.requires_grad for s in (scale_src, scale_dst)):
        return scaled(SpMM.apply(adj, weight, scaled(x, scale_dst)), scale_src)
    return ScaledSpMM.apply(adj, weight, x, scale_src, scale_dst)
