"""Sparse times dense: every row's weighted sum of its neighbours' vectors."""

from __future__ import annotations

from typing import Any

from dglmeta.kernels.gpu.device import array_module, launch
from dglmeta.kernels.gpu.rows import THREADS, add_pieces, blocks_of_teams, lay_out, plan_rows

__all__ = ["spmm", "sum_rows"]


def spmm(
    indptr: Any,
    indices: Any,
    edge_ids: Any | None,
    weight: Any | None,
    x: Any,
    row_scale: Any | None = None,
    col_scale: Any | None = None,
    by_column: tuple[Any, Any] | None = None,
) -> Any:
    """Sum of the neighbours' vectors, by head: ``y[i,h,:] = r[i] sum_e w[e,h] c[j] x[j,h,:]``.

    As :func:`dglmeta.kernels.cpu.spmm.spmm`, up to the order of additions, which is fixed;
    ``by_column`` makes no difference here. One launch, and one more where there are heavy rows;
    bytes: the result, and H d numbers for each piece of a heavy row.
    """
    _, n_heads, d = x.shape
    y = array_module().empty((len(indptr) - 1, n_heads, d), x.dtype)
    if weight is not None and weight.dtype != x.dtype:
        weight = weight.astype(x.dtype)
    headed = weight is not None and weight.shape[1] > 1
    sum_rows(
        indptr, indices, edge_ids, weight, x, y, row_scale, col_scale, n_heads if headed else 1
    )
    return y


def sum_rows(
    indptr: Any,
    indices: Any | None,
    edge_ids: Any | None,
    weight: Any | None,
    x: Any,
    y: Any,
    row_scale: Any | None = None,
    col_scale: Any | None = None,
    n_heads: int = 1,
) -> None:
    """Write ``spmm`` into y; without indices x is by edge id. Heads that share a weight are one."""
    if y.size == 0:
        return
    plan = plan_rows(indptr)
    width = y.size // len(y)
    layout = lay_out(width, width // n_heads, x)
    n_rows, n_pieces = len(y), len(plan.pieces)
    partial = array_module().empty((n_pieces, width), y.dtype)
    launch(
        "spmm", "multiply_rows",
        blocks_of_teams((n_rows + n_pieces) * layout.n_tiles, layout.team), THREADS,
        indptr, indices, edge_ids, weight, x, row_scale, col_scale, plan.pieces, n_rows, n_pieces,
        plan.most, layout.n_vectors, n_heads, layout.n_tiles, y, partial,
        REAL=x.dtype, INDEX="long long" if indices is None else indices.dtype,
        HEADED=int(n_heads > 1), **layout.macros,
    )  # fmt: skip
    add_pieces(plan, partial, row_scale, y)
