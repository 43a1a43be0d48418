"""Where tensors become arrays: picks the kernels of a device, calls them, wraps the results.

Everything here is plain computation on real tensors; derivatives are in :mod:`rules`. A device is
where the adjacency lies; the tensors lie there too, which the doors check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from importlib import import_module
from math import prod
from typing import Any, NamedTuple

import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.errors import DeviceError
from dglmeta.graph.adjacency import Adjacency
from dglmeta.graph.device import require_cuda

__all__ = ["Bridge", "Kernels", "bridge_of", "bridge_to", "kernels_for", "override"]

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
    spmm_gradient: Callable[..., tuple[Array, Array]]


class Bridge(NamedTuple):
    """A device's kernels, and how torch's tensors become their arrays and come back."""

    device_type: str
    """As torch calls it."""
    kernels: Kernels
    array: Callable[[Tensor], Array]
    tensor: Callable[[Array], Tensor]
    stream: Callable[[], AbstractContextManager[None]]
    """Inside it kernels run, and allocate, in turn with torch's."""


BRIDGES: dict[str, Callable[[], Bridge]] = {}
"""By what :attr:`Adjacency.device` says."""

_overriding: Kernels | None = None
_nothing = nullcontext()


def kernels_of(room: str) -> Kernels:
    """The kernels of "cpu" or "gpu"."""

    def module(name: str) -> Any:
        return import_module(f"dglmeta.kernels.{room}.{name}")

    segment, softmax, attention = (module(n) for n in ("segment", "softmax", "attention"))
    return Kernels(
        module("spmm").spmm,
        module("sddmm").sddmm,
        segment.segment_sum,
        segment.segment_max,
        softmax.edge_softmax,
        softmax.edge_softmax_gradient,
        segment.expand,
        attention.attention,
        attention.attention_gradient,
        module("spmm_gradient").spmm_gradient,
    )


@cache
def _to_host() -> Bridge:
    # Imported on the first call: Numba takes a tenth of a second.
    kernels = kernels_of("cpu")
    return Bridge("cpu", kernels, _as_array, torch.from_numpy, lambda: _nothing)


@cache
def _to_cuda() -> Bridge:
    require_cuda()
    from dglmeta.ops import cuda

    kernels = kernels_of("gpu")
    return Bridge("cuda", kernels, cuda.as_array, cuda.as_tensor, cuda.TorchStream)


BRIDGES.update(cpu=_to_host, cuda=_to_cuda)


def bridge_of(device: str) -> Bridge:
    """The bridge to a device, "cpu" or "cuda"."""
    return BRIDGES[device]()


def bridge_to(adj: Adjacency) -> Bridge:
    """The bridge to the device of an adjacency."""
    bridge = bridge_of(adj.device)
    return bridge if _overriding is None else bridge._replace(kernels=_overriding)


def kernels_for(x: Tensor) -> Kernels:
    """The kernels that compute where x lies, or those of :func:`override` where it is in force.

    Raises
    ------
    DeviceError
        If there are none for that device.
    """
    if _overriding is not None:
        return _overriding
    if x.device.type not in BRIDGES:
        raise DeviceError(
            f"ops: expected tensors on the CPU or a CUDA GPU, got device {str(x.device)!r}, for "
            f"which there are no kernels. Move them with .cpu()."
        )
    return BRIDGES[x.device.type]().kernels


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
    to = bridge_to(adj)
    with to.stream():
        a, w = to.array(x), None if weight is None else to.array(weight)
        heads = () if w is None else w.shape[1:]
        n_heads = prod(heads)
        by_column = None if w is None else _edges_by_column(adj)
        y = to.kernels.spmm(
            adj.indptr,
            adj.indices,
            adj.edge_ids,
            None if w is None else w.reshape(len(w), n_heads),
            a.reshape(len(a), n_heads, prod(a.shape[1 + len(heads) :])),
            *(None if scale is None else to.array(scale) for scale in _given(scales)),
            **({} if by_column is None else {"by_column": by_column}),
        )
        return to.tensor(y.reshape(len(y), *a.shape[1:]))


def spmm_gradient(adj: Adjacency, weight: Tensor, x: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients in the weight and in x of :func:`spmm` without scales, from that of its result."""
    to = bridge_to(adj)
    with to.stream():
        w, a, g = to.array(weight), to.array(x), to.array(grad)
        n_heads, d = prod(w.shape[1:]), prod(a.shape[w.ndim :])
        d_weight, d_x = to.kernels.spmm_gradient(
            (adj.indptr, adj.indices, adj.edge_ids),
            (adj.T.indptr, adj.T.indices, adj.T.edge_ids),
            w.reshape(len(w), n_heads),
            a.reshape(len(a), n_heads, d),
            g.reshape(len(g), n_heads, d),
        )
        return to.tensor(d_weight.reshape(w.shape)), to.tensor(d_x.reshape(a.shape))


def sddmm(adj: Adjacency, x: Tensor, z: Tensor) -> Tensor:
    """``s[e] = <x[i], z[j]>`` for every edge e: i -> j, over the last axis.

    Parameters
    ----------
    x, z : (n_src, *heads, d) and (n_dst, *heads, d)

    Returns
    -------
    s : (n_edges, *heads)
    """
    to = bridge_to(adj)
    with to.stream():
        a, b = to.array(x), to.array(z)
        _, *heads, d = a.shape
        n_heads = prod(heads)
        s = to.kernels.sddmm(
            adj.indptr,
            adj.indices,
            adj.edge_ids,
            a.reshape(len(a), n_heads, d),
            b.reshape(len(b), n_heads, d),
        )
        return to.tensor(s.reshape(len(s), *heads))


def segment_sum(adj: Adjacency, values: Tensor) -> Tensor:
    """Sum of ``values`` (n_edges, ...) over the edges of each row: (n_src, ...)."""
    to = bridge_to(adj)
    with to.stream():
        v = to.array(values)
        y = to.kernels.segment_sum(adj.indptr, adj.edge_ids, _table(v))
        return to.tensor(y.reshape(len(y), *v.shape[1:]))


def segment_argmax(adj: Adjacency, values: Tensor) -> Tensor:
    """Edge of the largest of ``values`` (n_edges, ...) in each row, -1 in an empty row: int64."""
    to = bridge_to(adj)
    with to.stream():
        v = to.array(values)
        _, edge = to.kernels.segment_max(adj.indptr, adj.edge_ids, _table(v))
        return to.tensor(edge.reshape(len(edge), *v.shape[1:]))


def out_degrees(adj: Adjacency) -> Tensor:
    """(n_src,) int64: edges of each row."""
    to = bridge_to(adj)
    with to.stream():
        return to.tensor(adj.out_degrees)


def edge_softmax(adj: Adjacency, scores: Tensor) -> Tensor:
    """Softmax of ``scores`` (n_edges, ...) over the edges of each row."""
    to = bridge_to(adj)
    with to.stream():
        s = to.array(scores)
        y = to.kernels.edge_softmax(adj.indptr, adj.edge_ids, _table(s))
        return to.tensor(y.reshape(s.shape))


def edge_softmax_gradient(adj: Adjacency, alpha: Tensor, t: Tensor) -> Tensor:
    """``alpha * (t - sum of alpha * t over the row)``, all (n_edges, ...)."""
    to = bridge_to(adj)
    with to.stream():
        a, b = to.array(alpha), to.array(t)
        y = to.kernels.edge_softmax_gradient(adj.indptr, adj.edge_ids, _table(a), _table(b))
        return to.tensor(y.reshape(a.shape))


def expand(adj: Adjacency, x: Tensor) -> Tensor:
    """``x[i]`` for every edge e: i -> j: from (n_src, ...) to (n_edges, ...)."""
    to = bridge_to(adj)
    with to.stream():
        a = to.array(x)
        y = to.kernels.expand(adj.indptr, adj.edge_ids, _table(a))
        return to.tensor(y.reshape(len(y), *a.shape[1:]))


def attention(
    adj: Adjacency, score_src: Tensor, score_dst: Tensor, x: Tensor, slope: float
) -> tuple[Tensor, Any]:
    """For heads (n, H) and x (n_dst, H, d): the result, and what its gradient needs beside it."""
    to = bridge_to(adj)
    with to.stream():
        arrays = (to.array(t) for t in (score_src, score_dst, x))
        attended = to.kernels.attention(adj.indptr, adj.indices, *arrays, slope)
        return to.tensor(attended.y), attended._replace(y=None)


def attention_gradient(
    adj: Adjacency,
    inputs: tuple[Tensor, Tensor, Tensor],
    slope: float,
    output: Tensor,
    kept: Any,
    grad: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients in the scores and in x, of the ``output`` that :func:`attention` gave."""
    to = bridge_to(adj)
    with to.stream():
        arrays = (to.array(t) for t in inputs)
        attended = kept._replace(y=to.array(output))
        by_column = (adj.T.indptr, adj.T.indices)
        gradients = to.kernels.attention_gradient(
            *by_column, *arrays, slope, attended, to.array(grad)
        )
        d_src, d_dst, d_x = (to.tensor(g) for g in gradients)
    return d_src, d_dst, d_x


def _given(scales: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    """None of them where none is given, which saves the kernel two arguments."""
    return scales if any(scale is not None for scale in scales) else ()


def _edges_by_column(adj: Adjacency) -> tuple[Array, Array] | None:
    """The transpose, where it is at hand and its edges, not these, come in the order of ids."""
    turned: Adjacency | None = adj.__dict__.get("T")
    if adj.edge_ids is None or turned is None or turned.edge_ids is not None:
        return None
    return turned.indptr, turned.indices


def _as_array(x: Tensor) -> Array:
    """The same memory as an array, copied only where it is not contiguous.

    Forced, because forward mode hands in zeros that have no memory of their own.
    """
    return x.contiguous().numpy(force=True)


def _table(a: Array) -> Array:
    """(n, ...) as (n, k); k is spelled out because -1 is ambiguous when n is 0."""
    return a.reshape(len(a), prod(a.shape[1:]))
