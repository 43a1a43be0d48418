"""Graph attention: each node's softmax-weighted sum of its neighbours' features."""

from __future__ import annotations

from torch import Tensor

from dglmeta.errors import DataError
from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops.door import check_adjacency, check_rows, check_same_kind
from dglmeta.ops.fused import Attention, composed_attention
from dglmeta.ops.rules import transforming

__all__ = ["attention"]


def attention(
    adj: Adjacency,
    score_src: Tensor,
    score_dst: Tensor,
    x: Tensor,
    *,
    negative_slope: float = 0.2,
) -> Tensor:
    """Sum of the destinations' features over the edges leaving each source, weighted by attention.

    ``y[i] = sum of a[e] * x[j]`` over the edges e: i -> j, where a is the softmax, over the edges
    of row i, of ``leaky_relu(score_src[i] + score_dst[j])``. To attend from destinations to the
    sources of their incoming edges, as graph attention networks do, give ``adj.T``.

    Parameters
    ----------
    adj : Adjacency
        Shape (n_src, n_dst).
    score_src : (n_src,) or (n_src, H), float32 or float64
        What the attending node adds to the scores of its edges.
    score_dst : (n_dst,) or (n_dst, H), like score_src
        What the attended node adds.
    x : (n_dst, d), or (n_dst, H, d) with scores of H heads
        Features of destinations.
    negative_slope : float
        Of the leaky ReLU.

    Returns
    -------
    y : (n_src, d) or (n_src, H, d)
        Zero for a source without edges.

    Raises
    ------
    DataError
        If a shape or dtype does not fit.
    DeviceError
        If there are no kernels for the device.

    Notes
    -----
    Equal to :func:`gather_src`, :func:`gather_dst`, leaky ReLU, :func:`edge_softmax` and
    :func:`spmm` one after the other, but outside of :mod:`torch.func` transforms and of forward
    mode no array of n_edges numbers is made, forward or backward: weights are computed again in
    backward. Cost O(n_edges * H * d). Differentiable any number of times, forward and reverse.

    References
    ----------
    Velickovic et al., arXiv 1710.10903, eq. 3 and 4.

    Examples
    --------
    >>> import torch
    >>> adj = Adjacency.from_coo([0, 0, 1], [0, 1, 1], (2, 2))
    >>> attention(adj, torch.zeros(2), torch.zeros(2), torch.tensor([[2.0], [6.0]]))
    tensor([[4.],
            [6.]])
    """
    check_adjacency("attention", adj)
    check_rows("attention", adj, "score_src", score_src, adj.n_src, "source")
    check_rows("attention", adj, "score_dst", score_dst, adj.n_dst, "destination")
    check_rows("attention", adj, "x", x, adj.n_dst, "destination")
    check_same_kind("attention", "x", x, "score_src", score_src)
    check_same_kind("attention", "x", x, "score_dst", score_dst)
    heads = score_src.shape[1:]
    if len(heads) > 1 or score_dst.shape[1:] != heads or x.shape[1:-1] != heads or x.ndim < 2:
        raise DataError(
            f"ops.attention: expected scores (n,) with x (n_dst, d), or scores (n, H) with x "
            f"(n_dst, H, d), got score_src {tuple(score_src.shape)}, score_dst "
            f"{tuple(score_dst.shape)} and x {tuple(x.shape)}. Give all three the same heads."
        )
    if transforming():
        return composed_attention(adj, score_src, score_dst, x, negative_slope)
    if not heads:
        score_src, score_dst, x = (t.unsqueeze(1) for t in (score_src, score_dst, x))
    y = Attention.apply(adj, score_src, score_dst, x, negative_slope)
    return y if heads else y.squeeze(1)
