"""What every op checks before it computes: one clear line instead of a wrong number."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dglmeta.errors import DataError, DeviceError
from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops import backend

__all__ = ["check_adjacency", "check_rows", "check_same_kind"]

_FLOATS = (torch.float32, torch.float64)


def check_adjacency(op: str, adj: Any) -> None:
    """Refuse anything but an Adjacency.

    Raises
    ------
    DataError
        Saying how to get one.
    """
    if not isinstance(adj, Adjacency):
        raise DataError(
            f"ops.{op}: expected an Adjacency first, got {type(adj).__name__}. Give "
            f"hg.adjacency(edge_type), where hg = HeteroCSR.from_dgl(g) for a DGLGraph g."
        )


def check_rows(op: str, adj: Adjacency, name: str, x: Any, n: int, what: str) -> None:
    """Refuse anything but a dense float tensor where the adjacency lies, a row for each of n.

    Raises
    ------
    DataError
        If x is not a dense tensor, not float32 or float64, or has another number of rows.
    DeviceError
        If there are no kernels for its device, or the adjacency lies on another.
    """
    if (
        type(x) is Tensor
        and x.is_cpu
        and adj.device == "cpu"
        and x.dtype in _FLOATS
        and x.layout is torch.strided
        and x.shape[:1] == (n,)
    ):
        return
    _examine_rows(op, adj, name, x, n, what)


def _examine_rows(op: str, adj: Adjacency, name: str, x: Any, n: int, what: str) -> None:
    """The same, one thing after the other; ``check_rows`` itself lets common tensors pass."""
    if not isinstance(x, Tensor) or x.layout is not torch.strided:
        got = x.layout if isinstance(x, Tensor) else type(x).__name__
        raise DataError(
            f"ops.{op}: expected {name} as a dense torch.Tensor, got {got}. Convert it first."
        )
    if x.dtype not in _FLOATS:
        raise DataError(
            f"ops.{op}: expected {name} of float32 or float64, got {x.dtype}. "
            f"Convert it with .float() or .double()."
        )
    if x.ndim == 0 or x.shape[0] != n:
        raise DataError(
            f"ops.{op}: expected {name} with {n} rows, one for each {what}, got shape "
            f"{tuple(x.shape)}. adj runs from source rows to destination columns; adj.T is the "
            f"other way."
        )
    backend.kernels_for(x)
    if x.device.type != backend.bridge_to(adj).device_type:
        raise DeviceError(
            f"ops.{op}: expected {name} where the adjacency lies, on {adj.device!r}, got a tensor "
            f"on {str(x.device)!r}. Move the adjacency, once: adj.to({x.device.type!r}), or "
            f"hg.to({x.device.type!r}) for a whole graph."
        )


def check_same_kind(op: str, name: str, x: Tensor, other_name: str, other: Tensor) -> None:
    """Refuse two tensors of different dtypes or devices.

    Raises
    ------
    DataError
        If they differ; nothing is converted silently.
    """
    if x.dtype != other.dtype or x.device != other.device:
        raise DataError(
            f"ops.{op}: expected {name} and {other_name} of one dtype and device, got {x.dtype} on "
            f"{x.device} and {other.dtype} on {other.device}. Convert one with .to()."
        )
