"""Reductions over the edges of each row, and their adjoint."""

from __future__ import annotations

from typing import Any

from dglmeta.kernels.gpu.device import WARP, array_module, launch
from dglmeta.kernels.gpu.rows import (
    RUN_EDGES,
    THREADS,
    blocks_of_teams,
    columns_layout,
    plan_rows,
)
from dglmeta.kernels.gpu.spmm import sum_rows

__all__ = ["expand", "segment_max", "segment_sum"]


def segment_sum(indptr: Any, edge_ids: Any | None, values: Any) -> Any:
    """Sum over each row's edges: ``y[i,:] = sum_e values[e,:]``.

    As :func:`dglmeta.kernels.cpu.segment.segment_sum`, up to the order of additions, which is
    fixed. Sparse times dense, with the edges in the place of the columns.
    """
    sums = array_module().empty((len(indptr) - 1, values.shape[1]), values.dtype)
    sum_rows(indptr, None, edge_ids, None, values, sums)
    return sums


def segment_max(indptr: Any, edge_ids: Any | None, values: Any) -> tuple[Any, Any]:
    """Largest value among each row's edges, column by column, and the edge that holds it.

    As :func:`dglmeta.kernels.cpu.segment.segment_max`: the same results. One launch, and one more
    where there are heavy rows; bytes: the results, and 2 k numbers for each piece of a heavy row.
    """
    xp, plan = array_module(), plan_rows(indptr)
    n_rows, n_pieces, width = len(indptr) - 1, len(plan.pieces), values.shape[1]
    largest, arg = xp.empty((n_rows, width), values.dtype), xp.empty((n_rows, width), "int64")
    if largest.size == 0:
        return largest, arg
    of_pieces = xp.empty((n_pieces, width), values.dtype), xp.empty((n_pieces, width), "int64")
    macros = columns_layout(width)
    launch(
        "segment", "largest_of_rows", blocks_of_teams(n_rows + n_pieces, macros["TEAM"]), THREADS,
        indptr, edge_ids, values, plan.pieces, n_rows, n_pieces, plan.most, width, largest, arg,
        *of_pieces,
        REAL=values.dtype, **macros,
    )  # fmt: skip
    n_heavy = len(plan.heavy)
    launch(
        "segment", "largest_of_pieces", blocks_of_teams(n_heavy * width, WARP), THREADS,
        plan.heavy, edge_ids, *of_pieces, n_heavy, width, largest, arg,
        REAL=values.dtype, **macros,
    )  # fmt: skip
    return largest, arg


def expand(indptr: Any, edge_ids: Any | None, x: Any) -> Any:
    """Each edge's copy of its row's values: ``y[e,:] = x[i(e),:]``, the adjoint of ``segment_sum``.

    As :func:`dglmeta.kernels.cpu.segment.expand`: the same results. One launch; bytes: the result.
    """
    plan, width = plan_rows(indptr), x.shape[1]
    copies = array_module().empty((plan.n_edges, width), x.dtype)
    if copies.size == 0:
        return copies
    n_runs = len(plan.run_rows) - 1
    launch(
        "segment", "expand_runs", blocks_of_teams(n_runs, WARP), THREADS,
        indptr, edge_ids, plan.run_rows, x, plan.n_edges, n_runs, RUN_EDGES, width, copies,
        REAL=x.dtype, **columns_layout(width),
    )  # fmt: skip
    return copies
