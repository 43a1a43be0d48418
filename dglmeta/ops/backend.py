"""Where tensors become arrays: picks the kernels of a device, calls them, wraps the results.

Everything here is plain computation on real tensors; derivatives are in :mod:`rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from math import prod
from typing import Any, NamedTuple

import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.errors import DeviceError
from dglmeta.graph.adjacency import Adjacency

__all__ = ["Kernels", "kernels_for", "override"]

Array = npt.NDArray[Any]


class Kernels(NamedTuple):
    """The kernels of one device, with the signatures of :mod:`dglmeta.kernels.cpu`."""

    spmm: Callable[..., Array]
    sddmm: Callable[..., Array]
    segment_sum: Callable[..., Array]
    segment_max: Callable[..., tuple[Array, Array]]
    edge_softmax: Callable[..., Array]
    edge_softmax_gradient: Callable[..., Array]
    expand: Callable[..., Array]
    attention: Callable[..., Any]
    attention_gradient: Callable[..., tuple[Array, Array, Array]]


_overriding: Kernels | None = None


@cache
def _cpu() -> Kernels:
    # Imported on the first call: Numba takes a tenth of a second.
    from dglmeta.kernels.cpu import attention, sddmm, segment, softmax, spmm

    return Kernels(
        spmm.spmm,
        sddmm.sddmm,
        segment.segment_sum,
        segment.segment_max,
        softmax.edge_softmax,
        softmax.edge_softmax_gradient,
        segment.expand,
        attention.attention,
        attention.attention_gradient,
    )


def kernels_for(x: Tensor) -> Kernels:
    """The kernels that compute where x lies, or those of :func:`override` where it is in force.

    Raises
    ------
    DeviceError
        If there are none for that device.
    """
    if _overriding is not None:
        return _overriding
    if x.is_cpu:
        return _cpu()
    raise DeviceError(
        f"ops: expected tensors on the CPU, got device {str(x.device)!r}, for which there are no "
        f"kernels yet. Move them with .cpu()."
    )


@contextmanager
def override(kernels: Kernels) -> Iterator[None]:
    """Compute with other kernels inside a ``with`` block: oracles, counters, one's own.

    Process-wide, so not for use while other threads compute.
    """
    global _overriding
    before, _overriding = _overriding, kernels
    try:
        yield
    finally:
        _overriding = before


def spmm(adj: Adjacency, weight: Tensor | None, x: Tensor, *scales: Tensor | None) -> Tensor:
    """``y[i] = sum of weight[e] * x[j]`` over the edges e: i -> j.

    Parameters
    ----------
    weight : (n_edges, *heads) or None
    x : (n_dst, *heads, ...)
    scales : (n_src,) or None, and (n_dst,) or None, optional
        Factors of the rows of y and of x.

    Returns
    -------
    y : (n_src, *heads, ...)
    """
    a, w = _array(x), None if weight is None else _array(weight)
    heads = () if w is None else w.shape[1:]
    n_heads = prod(heads)
    y = kernels_for(x).spmm(
        adj.indptr,
        adj.indices,
        adj.edge_ids,
        None if w is None else w.reshape(len(w), n_heads),
        a.reshape(len(a), n_heads, prod(a.shape[1 + len(heads) :])),
        *([None if scale is None else _array(scale) for scale in scales] if scales else ()),
    )
    return torch.from_numpy(y.reshape(len(y), *a.shape[1:]))


def sddmm(adj: Adjacency, x: Tensor, z: Tensor) -> Tensor:
    """``s[e] = <x[i], z[j]>`` for every edge e: i -> j, over the last axis.

    Parameters
    ----------
    x, z : (n_src, *heads, d) and (n_dst, *heads, d)

    Returns
    -------
    s : (n_edges, *heads)
    """
    a, b = _array(x), _array(z)
    _, *heads, d = a.shape
    n_heads = prod(heads)
    s = kernels_for(x).sddmm(
        adj.indptr,
        adj.indices,
        adj.edge_ids,
        a.reshape(len(a), n_heads, d),
        b.reshape(len(b), n_heads, d),
    )
    return torch.from_numpy(s.reshape(len(s), *heads))


def segment_sum(adj: Adjacency, values: Tensor) -> Tensor:
    """Sum of ``values`` (n_edges, ...) over the edges of each row: (n_src, ...)."""
    v = _array(values)
    y = kernels_for(values).segment_sum(adj.indptr, adj.edge_ids, _table(v))
    return torch.from_numpy(y.reshape(len(y), *v.shape[1:]))


def segment_argmax(adj: Adjacency, values: Tensor) -> Tensor:
    """Edge of the largest of ``values`` (n_edges, ...) in each row, -1 in an empty row: int64."""
    v = _array(values)
    _, edge = kernels_for(values).segment_max(adj.indptr, adj.edge_ids, _table(v))
    return torch.from_numpy(edge.reshape(len(edge), *v.shape[1:]))


def edge_softmax(adj: Adjacency, scores: Tensor) -> Tensor:
    """Softmax of ``scores`` (n_edges, ...) over the edges of each row."""
    s = _array(scores)
    y = kernels_for(scores).edge_softmax(adj.indptr, adj.edge_ids, _table(s))
    return torch.from_numpy(y.reshape(s.shape))


def edge_softmax_gradient(adj: Adjacency, alpha: Tensor, t: Tensor) -> Tensor:
    """``alpha * (t - sum of alpha * t over the row)``, all (n_edges, ...)."""
    a, b = _array(alpha), _array(t)
    y = kernels_for(alpha).edge_softmax_gradient(adj.indptr, adj.edge_ids, _table(a), _table(b))
    return torch.from_numpy(y.reshape(a.shape))


def expand(adj: Adjacency, x: Tensor) -> Tensor:
    """``x[i]`` for every edge e: i -> j: from (n_src, ...) to (n_edges, ...)."""
    a = _array(x)
    y = kernels_for(x).expand(adj.indptr, adj.edge_ids, _table(a))
    return torch.from_numpy(y.reshape(len(y), *a.shape[1:]))


def attention(adj: Adjacency, score_src: Tensor, score_dst: Tensor, x: Tensor, slope: float) -> Any:
    """What the kernel gives: arrays, the result first, for heads (n, H) and x (n_dst, H, d)."""
    arrays = (_array(t) for t in (score_src, score_dst, x))
    return kernels_for(x).attention(adj.indptr, adj.indices, *arrays, slope)


def attention_gradient(
    adj: Adjacency,
    score_src: Tensor,
    score_dst: Tensor,
    x: Tensor,
    slope: float,
    attended: Any,
    grad: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients in the scores and in x, of ``attended``, which :func:`attention` gave."""
    arrays = (_array(t) for t in (score_src, score_dst, x))
    by_column = (adj.T.indptr, adj.T.indices)
    gradients = kernels_for(x).attention_gradient(
        *by_column, *arrays, slope, attended, _array(grad)
    )
    d_src, d_dst, d_x = (torch.from_numpy(g) for g in gradients)
    return d_src, d_dst, d_x


def _array(x: Tensor) -> Array:
    """The same memory as an array, copied only where it is not contiguous.

    Forced, because forward mode hands in zeros that have no memory of their own.
    """
    return x.contiguous().numpy(force=True)


def _table(a: Array) -> Array:
    """(n, ...) as (n, k); k is spelled out because -1 is ambiguous when n is 0."""
    return a.reshape(len(a), prod(a.shape[1:]))
