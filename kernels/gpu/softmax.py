"""Softmax over the edges of each row, and its derivative."""

from __future__ import annotations

from typing import Any

from dglmeta.kernels.gpu.device import WARP, array_module, launch
from dglmeta.kernels.gpu.rows import (
    THREADS,
    add_pieces,
    blocks_of_teams,
    columns_layout,
    plan_rows,
)

__all__ = ["edge_softmax", "edge_softmax_gradient"]


def edge_softmax(indptr: Any, edge_ids: Any | None, scores: Any) -> Any:
    """Softmax over each row's edges: ``exp(s[e] - m) / sum_f exp(s[f] - m)``, m the row's largest.

    As :func:`dglmeta.kernels.cpu.softmax.edge_softmax`, up to rounding; the same bits in every run.
    One launch, and two more where there are heavy rows; bytes: the result, 2 k numbers for each
    piece of a heavy row, and 2 k for each row.
    """
    xp, plan = array_module(), plan_rows(indptr)
    n_rows, n_pieces, width = len(indptr) - 1, len(plan.pieces), scores.shape[1]
    alpha = xp.empty(scores.shape, scores.dtype)
    if alpha.size == 0:
        return alpha
    of_pieces = xp.empty((2, n_pieces, width), scores.dtype)
    macros = {"REAL": scores.dtype, **columns_layout(width)}
    team = macros["TEAM"]
    launch(
        "softmax", "soften_rows", blocks_of_teams(n_rows + n_pieces, team), THREADS,
        indptr, edge_ids, scores, plan.pieces, n_rows, n_pieces, plan.most, width, alpha,
        of_pieces[0], of_pieces[1], **macros,
    )  # fmt: skip
    if n_pieces == 0:
        return alpha
    n_heavy, of_rows = len(plan.heavy), xp.empty((2, n_rows, width), scores.dtype)
    launch(
        "softmax", "join_pieces", blocks_of_teams(n_heavy * width, WARP), THREADS,
        plan.heavy, of_pieces[0], of_pieces[1], n_heavy, width, of_rows[0], of_rows[1], **macros,
    )  # fmt: skip
    launch(
        "softmax", "soften_pieces", blocks_of_teams(n_pieces, team), THREADS,
        plan.pieces, edge_ids, scores, of_rows[0], of_rows[1], n_pieces, width, alpha, **macros,
    )  # fmt: skip
    return alpha


def edge_softmax_gradient(indptr: Any, edge_ids: Any | None, alpha: Any, grad: Any) -> Any:
    """The softmax's Jacobian times a vector: ``a[e] (g[e] - sum_f a[f] g[f])``, f of e's row.

    As :func:`dglmeta.kernels.cpu.softmax.edge_softmax_gradient`, up to the order of additions,
    which is fixed. Launches and bytes as ``edge_softmax`` has them, half the numbers.
    """
    xp, plan = array_module(), plan_rows(indptr)
    n_rows, n_pieces, width = len(indptr) - 1, len(plan.pieces), alpha.shape[1]
    product = xp.empty(alpha.shape, alpha.dtype)
    if product.size == 0:
        return product
    of_pieces = xp.empty((n_pieces, width), alpha.dtype)
    macros = {"REAL": alpha.dtype, **columns_layout(width)}
    team = macros["TEAM"]
    launch(
        "softmax", "derive_rows", blocks_of_teams(n_rows + n_pieces, team), THREADS,
        indptr, edge_ids, alpha, grad, plan.pieces, n_rows, n_pieces, plan.most, width, product,
        of_pieces, **macros,
    )  # fmt: skip
    if n_pieces == 0:
        return product
    means = xp.empty((n_rows, width), alpha.dtype)
    add_pieces(plan, of_pieces, None, means)
    launch(
        "softmax", "derive_pieces", blocks_of_teams(n_pieces, team), THREADS,
        plan.pieces, edge_ids, alpha, grad, means, n_pieces, width, product, **macros,
    )  # fmt: skip
    return product
