"""Where tensors become arrays: picks the kernels of a device, calls them, wraps the results.

Everything here is plain computation on real tensors; derivatives are in :mod:`rules`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np
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
    expand: Callable[..., Array]


_overriding: Kernels | None = None


@cache
def _cpu() -> Kernels:
    # Imported on the first call: Numba takes a tenth of a second.
    from dglmeta.kernels.cpu import sddmm, segment, spmm

    return Kernels(
        spmm.spmm,
        sddmm.sddmm,
        segment.segment_sum,
        segment.segment_max,
        segment.edge_softmax,
        segment.expand,
    )


def kernels_for(device: torch.device) -> Kernels:
    """The kernels that compute on a device, or those of :func:`override` where it is in force.

    Raises
    ------
    DeviceError
        If there are none for that device.
    """
    if _overriding is not None:
        return _overriding
    if device.type == "cpu":
        return _cpu()
    raise DeviceError(
        f"ops: expected tensors on the CPU, got device {str(device)!r}, for which there are no "
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


def spmm(adj: Adjacency, weight: Tensor | None, x: Tensor) -> Tensor:
    """``y[i] = sum of weight[e] * x[j]`` over the edges e: i -> j.

    Parameters
    ----------
    weight : (n_edges, *heads) or None
    x : (n_dst, *heads, ...)

    Returns
    -------
    y : (n_src, *heads, ...)
    """
    shape = (adj.n_src, *x.shape[1:])
    heads = () if weight is None else tuple(weight.shape[1:])
    n_heads = math.prod(heads)
    flat = (adj.n_dst, n_heads, math.prod(x.shape[1 + len(heads) :]))
    w = None if weight is None else _array(weight).reshape(adj.n_edges, n_heads)
    kernel = kernels_for(x.device).spmm
    y = kernel(adj.indptr, adj.indices, adj.edge_ids, w, _array(x).reshape(flat))
    return torch.from_numpy(y.reshape(shape))


def sddmm(adj: Adjacency, x: Tensor, z: Tensor) -> Tensor:
    """``s[e] = <x[i], z[j]>`` for every edge e: i -> j, over the last axis.

    Parameters
    ----------
    x, z : (n_src, *heads, d) and (n_dst, *heads, d)

    Returns
    -------
    s : (n_edges, *heads)
    """
    heads = tuple(x.shape[1:-1])
    flat = (math.prod(heads), x.shape[-1])
    kernel = kernels_for(x.device).sddmm
    s = kernel(
        adj.indptr,
        adj.indices,
        adj.edge_ids,
        _array(x).reshape(adj.n_src, *flat),
        _array(z).reshape(adj.n_dst, *flat),
    )
    return torch.from_numpy(s.reshape(adj.n_edges, *heads))


def segment_sum(adj: Adjacency, values: Tensor) -> Tensor:
    """Sum of ``values`` (n_edges, ...) over the edges of each row: (n_src, ...)."""
    y = kernels_for(values.device).segment_sum(adj.indptr, adj.edge_ids, _table(values))
    return torch.from_numpy(y.reshape(adj.n_src, *values.shape[1:]))


def segment_argmax(adj: Adjacency, values: Tensor) -> Tensor:
    """Edge of the largest of ``values`` (n_edges, ...) in each row, -1 in an empty row: int64."""
    _, edge = kernels_for(values.device).segment_max(adj.indptr, adj.edge_ids, _table(values))
    return torch.from_numpy(edge.reshape(adj.n_src, *values.shape[1:]).astype(np.int64, copy=False))


def edge_softmax(adj: Adjacency, scores: Tensor) -> Tensor:
    """Softmax of ``scores`` (n_edges, ...) over the edges of each row."""
    y = kernels_for(scores.device).edge_softmax(adj.indptr, adj.edge_ids, _table(scores))
    return torch.from_numpy(y.reshape(scores.shape))


def expand(adj: Adjacency, x: Tensor) -> Tensor:
    """``x[i]`` for every edge e: i -> j: from (n_src, ...) to (n_edges, ...)."""
    y = kernels_for(x.device).expand(adj.indptr, adj.edge_ids, _table(x))
    return torch.from_numpy(y.reshape(adj.n_edges, *x.shape[1:]))


def _array(x: Tensor) -> Array:
    """The same memory as an array, copied only where it is not contiguous.

    Forced, because forward mode hands in zeros that have no memory of their own.
    """
    return x.contiguous().numpy(force=True)


def _table(x: Tensor) -> Array:
    """(n, ...) as an (n, k) array; k is spelled out because -1 is ambiguous when n is 0."""
    return _array(x).reshape(x.shape[0], math.prod(x.shape[1:]))
