"""Between nodes and their edges: reductions over each row's edges, and values read back."""

from __future__ import annotations

from torch import Tensor

from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops import backend
from dglmeta.ops.door import check_adjacency, check_rows
from dglmeta.ops.rules import Expand, SegmentArgmax, SegmentSum

__all__ = ["gather_dst", "gather_src", "segment_max", "segment_mean", "segment_sum"]


def segment_sum(adj: Adjacency, values: Tensor) -> Tensor:
    """Sum of the values of the edges leaving each source; give ``adj.T`` for those entering.

    Parameters
    ----------
    adj : Adjacency
        Shape (n_src, n_dst).
    values : (n_edges, ...) float32 or float64
        In the order of edge ids.

    Returns
    -------
    y : (n_src, ...), like values
        Zero for a source without edges.

    Raises
    ------
    DataError
        If a shape or dtype does not fit.
    DeviceError
        If there are no kernels for the device.

    Notes
    -----
    The adjoint of :func:`gather_src`. Differentiable any number of times, forward and reverse;
    under vmap still one kernel call.

    Examples
    --------
    >>> import torch
    >>> adj = Adjacency.from_coo([1, 0, 1], [0, 0, 1], (3, 2))
    >>> segment_sum(adj, torch.tensor([1.0, 2.0, 3.0]))
    tensor([2., 4., 0.])
    """
    check_adjacency("segment_sum", adj)
    check_rows("segment_sum", adj, "values", values, adj.n_edges, "edge")
    return SegmentSum.apply(adj, values)


def segment_mean(adj: Adjacency, values: Tensor) -> Tensor:
    """Mean of the values of the edges leaving each source; zero where there are none.

    Parameters, errors and derivatives are those of :func:`segment_sum`.

    Examples
    --------
    >>> import torch
    >>> adj = Adjacency.from_coo([1, 0, 1], [0, 0, 1], (3, 2))
    >>> segment_mean(adj, torch.tensor([1.0, 2.0, 3.0]))
    tensor([2., 2., 0.])
    """
    check_adjacency("segment_mean", adj)
    check_rows("segment_mean", adj, "values", values, adj.n_edges, "edge")
    counts = backend.out_degrees(adj).clamp(min=1).to(values.dtype)
    counts = counts.reshape(-1, *[1] * (values.ndim - 1))
    return SegmentSum.apply(adj, values) / counts


def segment_max(adj: Adjacency, values: Tensor) -> Tensor:
    """Largest value of the edges leaving each source; zero where there are none.

    Parameters and errors are those of :func:`segment_sum`. The derivative goes to the edge that
    attains the maximum, the first of equals in the row.

    Examples
    --------
    >>> import torch
    >>> adj = Adjacency.from_coo([1, 0, 1], [0, 0, 1], (3, 2))
    >>> segment_max(adj, torch.tensor([-1.0, -2.0, -3.0]))
    tensor([-2., -1.,  0.])
    """
    check_adjacency("segment_max", adj)
    check_rows("segment_max", adj, "values", values, adj.n_edges, "edge")
    if adj.n_edges == 0:
        return SegmentSum.apply(adj, values)  # zeros that still depend on values for autograd
    edge = SegmentArgmax.apply(adj, values)
    return values.gather(0, edge.clamp(min=0)).masked_fill(edge < 0, 0.0)


def gather_src(adj: Adjacency, x: Tensor) -> Tensor:
    """Value of each edge's source: from (n_src, ...) to (n_edges, ...), in the order of edge ids.

    Parameters
    ----------
    adj : Adjacency
        Shape (n_src, n_dst).
    x : (n_src, ...) float32 or float64

    Returns
    -------
    values : (n_edges, ...), like x

    Raises
    ------
    DataError
        If a shape or dtype does not fit.
    DeviceError
        If there are no kernels for the device.

    Notes
    -----
    The adjoint of :func:`segment_sum`. Differentiable any number of times, forward and reverse;
    under vmap still one kernel call.

    Examples
    --------
    >>> import torch
    >>> adj = Adjacency.from_coo([1, 0, 1], [0, 0, 1], (3, 2))
    >>> gather_src(adj, torch.tensor([5.0, 6.0, 7.0]))
    tensor([6., 5., 6.])
    """
    check_adjacency("gather_src", adj)
    check_rows("gather_src", adj, "x", x, adj.n_src, "source")
    return Expand.apply(adj, x)


def gather_dst(adj: Adjacency, x: Tensor) -> Tensor:
    """Value of each edge's destination: from (n_dst, ...) to (n_edges, ...).

    Parameters, errors and derivatives are those of :func:`gather_src`; the adjoint of
    ``segment_sum(adj.T, .)``.

    Examples
    --------
    >>> import torch
    >>> adj = Adjacency.from_coo([1, 0, 1], [0, 0, 1], (3, 2))
    >>> gather_dst(adj, torch.tensor([5.0, 6.0]))
    tensor([5., 5., 6.])
    """
    check_adjacency("gather_dst", adj)
    check_rows("gather_dst", adj, "x", x, adj.n_dst, "destination")
    return Expand.apply(adj.T, x)
