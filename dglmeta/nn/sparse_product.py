"""The product of two sparse matrices as a function of their values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dglmeta import ops
from dglmeta.graph import Adjacency
from dglmeta.kernels.twins import twin

__all__ = ["SparseProduct"]

DENSE_ROWS = 512
"""Rows of a product whose gradient is made dense at a time."""


class SparseProduct(torch.autograd.Function):
    """C = A B of sparse matrices without parallel entries: the values of C, and its pattern.

    The kernel sums in float64. dA is ``dC B^T`` in A's places and dB is ``A^T dC`` in those of B;
    neither can be differentiated again.
    """

    @staticmethod
    def forward(
        ctx: Any, a: Adjacency, a_values: Tensor, b: Adjacency, b_values: Tensor
    ) -> tuple[Tensor, Adjacency]:
        """Values by position, and the adjacency they belong to."""
        *structure, values = twin("spgemm", a.indptr).multiply_values(
            a.indptr,
            a.indices,
            _float64(a_values),
            b.indptr,
            b.indices,
            _float64(b_values),
            b.n_dst,
        )
        ctx.structures = a, b, Adjacency(*structure, None, b.n_dst)
        ctx.save_for_backward(a_values, b_values)
        return torch.from_numpy(values).to(a_values.dtype), ctx.structures[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: None) -> tuple[Tensor | None, ...]:
        """Both factors' gradients."""
        (a, b, c), (a_values, b_values) = ctx.structures, ctx.saved_tensors
        turned = b.T
        d_a = np.zeros(a.n_edges)
        d_a[b.out_degrees[a.indices] > 0] = twin("spgemm_masked", a.indptr).multiply_masked(
            c.indptr,
            c.indices,
            _float64(grad),
            turned.indptr,
            turned.indices,
            _float64(b_values)[turned.edge_ids],
            a.indptr,
            a.indices,
            a.n_dst,
        )[2]
        # A row of A^T dC meets long rows of both, and few of the results are wanted: dot products
        # of dense columns are cheaper.
        d_b = torch.zeros_like(b_values)
        for begin in range(0, a.n_src, DENSE_ROWS):
            columns = (_dense_columns(m, v, begin) for m, v in ((a, a_values), (c, grad)))
            d_b += ops.sddmm(b, *columns)
        return None, torch.from_numpy(d_a).to(a_values.dtype), None, d_b


def _dense_columns(adj: Adjacency, values: Tensor, begin: int) -> Tensor:
    """(n_dst, up to DENSE_ROWS): rows from ``begin`` on, turned; values are by position."""
    indptr = adj.indptr[begin : begin + DENSE_ROWS + 1]
    here = slice(int(indptr[0]), int(indptr[-1]))
    rows = torch.from_numpy(np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)))
    dense = values.new_zeros(adj.n_dst, len(indptr) - 1)
    dense[torch.from_numpy(adj.indices[here]), rows] = values[here]
    return dense


def _float64(values: Tensor) -> npt.NDArray[np.float64]:
    return values.detach().double().numpy()
