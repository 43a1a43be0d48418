"""Graphs and features on the device, and whether a result is what it has to be."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dglmeta.bench.gpu.bench import N_SETS, Bench
from dglmeta.graph import Adjacency

__all__ = [
    "differentiated",
    "expect",
    "float32_matrix",
    "normal",
    "normal_sets",
    "on_host",
    "put",
    "read_bytes",
    "structure",
    "tensor",
    "torch_csr",
]

TOLERANCE = 1e-4
"""Norm of the error by the norm of the result: float32 sums stay far below, wrong ones do not."""


def put(bench: Bench, array: Any) -> Any:
    """A copy on the device, None as it is."""
    return None if array is None else bench.xp.asarray(np.array(array))


def on_host(array: Any) -> Any:
    """The same as a NumPy array."""
    if hasattr(array, "detach"):
        array = array.detach().cpu()
    return array.get() if hasattr(array, "get") else np.asarray(array)


def structure(bench: Bench, adj: Adjacency) -> tuple[Any, Any, Any]:
    """``indptr``, ``indices`` and ``edge_ids`` on the device."""
    return tuple(put(bench, a) for a in (adj.indptr, adj.indices, adj.edge_ids))


def read_bytes(adj: Adjacency, *, ids: bool) -> int:
    """Bytes of a structure, with the ids of edges where they are read."""
    return (
        adj.indptr.nbytes
        + adj.indices.nbytes
        + (ids and adj.edge_ids is not None) * (8 * adj.n_edges)
    )


def normal(bench: Bench, seed: int, *shape: int) -> Any:
    """Normal float32 numbers on the device."""
    return bench.xp.random.default_rng(seed).standard_normal(shape, dtype="float32")


def normal_sets(bench: Bench, *shapes: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """Sets of inputs of given shapes that take turns."""
    return [
        tuple(normal(bench, 100 * k + i, *shape) for i, shape in enumerate(shapes))
        for k in range(N_SETS)
    ]


def tensor(array: Any) -> Any:
    """The same memory as a torch tensor."""
    return torch.from_dlpack(array)


def float32_matrix(bench: Bench, adj: Adjacency, data: Any = None) -> Any:
    """An adjacency as CuPy's csr_matrix with int32 indices, ones where no data are given."""
    indptr, indices, _ = structure(bench, adj)
    if data is None:
        data = bench.xp.ones(adj.n_edges, "float32")
    parts = (data, indices.astype("int32"), indptr.astype("int32"))
    return bench.sparse.csr_matrix(parts, shape=adj.shape)


def torch_csr(bench: Bench, adj: Adjacency, data: Any = None) -> Any:
    """An adjacency as torch's sparse CSR tensor with int32 indices."""
    indptr, indices, _ = structure(bench, adj)
    if data is None:
        data = torch.ones(adj.n_edges, device=bench.device)
    parts = (tensor(a.astype("int32")) for a in (indptr, indices))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse ")  # beta, and invariants that hold here
        return torch.sparse_csr_tensor(*parts, data, size=adj.shape)


def differentiated(function: Callable[..., Tensor]) -> Callable[..., list[Tensor]]:
    """A function of tensors with its gradients, for the gradient of the result that comes last."""

    def call(*given: Tensor) -> list[Tensor]:
        *inputs, grad = given
        inputs = [a.detach().requires_grad_() for a in inputs]
        y = function(*inputs)
        return [y, *torch.autograd.grad(y, inputs, grad)]

    return call


def expect(expected: Any, tolerance: float = TOLERANCE) -> Callable[[Any], None]:
    """A check that a result, or each of several, is near what is expected, by its norm.

    Raises
    ------
    ArithmeticError
        By how much it is not. NaN is never near.
    """
    many = isinstance(expected, Sequence)

    def check(got: Any) -> None:
        pairs = zip(got, expected, strict=True) if many else [(got, expected)]
        for k, (some, wanted) in enumerate(pairs):
            difference = on_host(some).reshape(wanted.shape).astype(np.float64) - wanted
            error = sqrt(np.vdot(difference, difference) / max(np.vdot(wanted, wanted), 1e-300))
            if not error < tolerance:
                raise ArithmeticError(f"result {k} is off by {error:.1e} of its norm")

    return check
