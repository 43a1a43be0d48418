"""Products of what all models share, a constant matrix or messages, with what each has itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array
from torch import Tensor

from dglmeta import ops
from dglmeta.graph import Adjacency
from dglmeta.graph.adjacency import id_dtype
from dglmeta.ops.backend import bridge_of

__all__ = ["SPARSE_ENTRY", "Matrix", "SharedHop", "SharedProduct", "cheapest", "thrifty"]

Dense: TypeAlias = npt.NDArray[np.float64]
Matrix: TypeAlias = "csr_array | Dense"

SPARSE_ENTRY = 5.0
"""What an entry of a sparse matrix costs in a product and its gradient, where one of a dense
matrix costs 1 (measured on one core: 4.5 to 6). So a matrix is kept dense where more than one
entry in five is not zero."""


class SharedProduct:
    """Y_b = M W_b for the matrices W_b of all models, M constant: a matrix or a product of some.

    Parameters
    ----------
    factors : sequence of (n, m) arrays, dense or sparse
        M is the first times the second, and so on.
    dtype : torch.dtype
    device : str
        "cpu" or "cuda".
    """

    def __init__(self, factors: Sequence[Matrix], dtype: torch.dtype, device: str = "cpu") -> None:
        self._factors = [
            (_Sparse if isinstance(f, csr_array) else _Dense)(f, dtype, device)
            for f in reversed(factors)
        ]

    def __call__(self, maps: Tensor) -> Tensor:
        """(B, n, h) from (B, d, h); differentiable once."""
        for factor in self._factors:
            maps = factor(maps)
        return maps


class SharedHop:
    """One hop of messages that the nodes of all models hear, as graphs side by side.

    Parameters
    ----------
    adjacency : Adjacency
        Rows receive, columns send; edges in the order of their ids.
    weight : (n_edges,) tensor or None
        None where ``attend`` alone is called.
    receivers : (n_receivers,) int64
        Which sender each receiver is itself.
    device : str
        "cpu" or "cuda"; what is given lies on the host.
    """

    def __init__(
        self,
        adjacency: Adjacency,
        weight: Tensor | None,
        receivers: Tensor,
        device: str = "cpu",
    ) -> None:
        self._tiles = _Tiles(adjacency, weight, device)
        self._receivers = receivers.to(bridge_of(device).device_type)

    def summed(self, h: Tensor) -> Tensor:
        """(B, n_receivers, d) weighted sums of what the (B, n_senders, d) send."""
        adj, weight = self._tiles.of(len(h))
        return _by_model(ops.spmm(adj, h.flatten(0, 1), weight), len(h))

    def own(self, h: Tensor) -> Tensor:
        """(B, n_receivers, ...): of the senders' (B, n_senders, ...), that of each receiver."""
        return h.index_select(1, self._receivers)

    def attend(self, own: Tensor, sent: Tensor, h: Tensor, slope: float) -> Tensor:
        """Each receiver's attention to its senders, by head.

        Parameters
        ----------
        own, sent : (B, n_receivers, H) and (B, n_senders, H)
            What either end adds to a message's score.
        h : (B, n_senders, H * d)

        Returns
        -------
        y : (B, n_receivers, H * d)
        """
        n_models, _, n_heads = own.shape
        adj, _ = self._tiles.of(n_models)
        own, sent = (scores.flatten(0, 1) for scores in (own, sent))
        heads = h.reshape(-1, n_heads, h.shape[2] // n_heads)
        y = ops.attention(adj, own, sent, heads, negative_slope=slope)
        return _by_model(y.flatten(1), n_models)


def thrifty(matrix: Matrix) -> Matrix:
    """The same matrix, sparse where products with it then cost less."""
    sparse = csr_array(matrix)
    if SPARSE_ENTRY * sparse.nnz < matrix.shape[0] * matrix.shape[1]:
        return sparse
    return cast(Dense, sparse.toarray())


def cheapest(hop: csr_array, x: Matrix) -> list[Matrix]:
    """Factors of ``hop @ x``: their product, or both where one after the other costs less."""
    product = thrifty(hop @ x)
    return [product] if _cost(product) <= _cost(hop) + _cost(x) else [hop, x]


def _cost(matrix: Matrix) -> float:
    return float(matrix.size if isinstance(matrix, np.ndarray) else SPARSE_ENTRY * matrix.nnz)


class _Dense:
    def __init__(self, matrix: Dense, dtype: torch.dtype, device: str) -> None:
        on_host = torch.from_numpy(np.ascontiguousarray(matrix))
        self._matrix = on_host.to(bridge_of(device).device_type, dtype)

    def __call__(self, maps: Tensor) -> Tensor:
        return torch.bmm(self._matrix.expand(len(maps), -1, -1), maps)


class _Sparse:
    def __init__(self, matrix: csr_array, dtype: torch.dtype, device: str) -> None:
        self._there, self._back = (_of_matrix(m.tocsr(), dtype, device) for m in (matrix, matrix.T))

    def __call__(self, maps: Tensor) -> Tensor:
        there, back = (tiles.of(len(maps)) for tiles in (self._there, self._back))
        y = _TwoWay.apply(maps.flatten(0, 1), there, back)  # type: ignore[no-untyped-call]
        return _by_model(y, len(maps))


class _TwoWay(torch.autograd.Function):
    """A constant sparse product, its gradient by the transpose with weights in its own order."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, there: tuple[Adjacency, Tensor], back: tuple[Adjacency, Tensor]
    ) -> Tensor:
        ctx.back = back
        return ops.spmm(there[0], x, there[1])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        adj, weight = ctx.back
        return ops.spmm(adj, grad, weight), None, None


class _Tiles:
    """An adjacency in the order of its edges' ids, and copies of it side by side.

    Copies lie in one adjacency, block after block, so that one kernel call serves all models and
    each model's numbers stay in the cache while they are used. Those last asked for are kept.
    """

    def __init__(self, adjacency: Adjacency, weight: Tensor | None, device: str) -> None:
        self._host, self._device = adjacency, device
        self._weight = None if weight is None else weight.to(bridge_of(device).device_type)
        self._kept = 1, (adjacency.to(device), self._weight)

    def of(self, n: int) -> tuple[Adjacency, Tensor | None]:
        """So many copies, and the weights of their edges."""
        if self._kept[0] != n:
            adj = (_tiled(self._host, n) if n > 1 else self._host).to(self._device)
            self._kept = n, (adj, None if self._weight is None else self._weight.repeat(n))
        return self._kept[1]


def _tiled(adj: Adjacency, n: int) -> Adjacency:
    copy = np.arange(n)[:, None]
    starts = (adj.indptr[:-1] + copy * adj.n_edges).ravel()
    indices = adj.indices + (copy * adj.n_dst).astype(id_dtype(n * adj.n_dst))
    return Adjacency(np.append(starts, n * adj.n_edges), indices.ravel(), None, n * adj.n_dst)


def _of_matrix(matrix: csr_array, dtype: torch.dtype, device: str) -> _Tiles:
    matrix.sort_indices()
    indices = matrix.indices.astype(id_dtype(matrix.shape[1]))
    adj = Adjacency(matrix.indptr.astype(np.int64), indices, None, matrix.shape[1])
    return _Tiles(adj, torch.from_numpy(matrix.data).to(dtype), device)


def _by_model(y: Tensor, n_models: int) -> Tensor:
    """(B, n, d) from (B * n, d)."""
    return y.view(n_models, len(y) // n_models, y.shape[1])
