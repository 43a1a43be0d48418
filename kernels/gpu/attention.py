"""Graph attention in one pass over the edges: scores, softmax and weighted sum, and the gradients.

The mathematics is that of :mod:`dglmeta.kernels.cpu.attention`. Forward, a team of lanes keeps the
largest score so far and scales its sums down when a larger one comes, so that x is read once.
Backward, the gradient of a column's score needs dot products of sums over edges only::

    dc_j = slope (<s_j, x_j> - S_j) + (1 - slope) (<s+_j, x_j> - S+_j)

with ``s_j = sum_e a g_i`` (which is the gradient of x_j), ``S_j = sum_e a <g_i, y_i>``, and the
same sums over the edges with a positive argument.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dglmeta.kernels.cpu.attention import Attended
from dglmeta.kernels.gpu.device import array_module, blocks_for, launch
from dglmeta.kernels.gpu.rows import (
    MERGE_COLUMNS,
    MERGE_THREADS,
    THREADS,
    Layout,
    blocks_of_teams,
    lay_out,
    plan_rows,
    power_of_two,
)

__all__ = ["Attended", "attention", "attention_gradient"]


class Heads(NamedTuple):
    """How teams share out heads: all to one where their numbers fit its lanes, else one each."""

    n: int
    a_team: int
    vectors: int
    """Of one head."""
    layout: Layout

    @property
    def macros(self) -> dict[str, int]:
        """What the compiler is told."""
        lanes = power_of_two(self.vectors)
        return {"HEADED": int(self.a_team > 1), "HEAD_LANES": lanes, **self.layout.macros}


def attention(
    indptr: Any, indices: Any, row_score: Any, col_score: Any, x: Any, slope: float
) -> Attended:
    """Attention of each row to its neighbours: ``y[i] = sum_j softmax_j(leaky(r_i + c_j)) x[j]``.

    As :func:`dglmeta.kernels.cpu.attention.attention`, up to rounding; the same bits in every run.
    One launch, and one more where there are heavy rows; bytes: the results, and 2 H d + 3 H numbers
    for each piece of a heavy row.
    """
    xp, plan = array_module(), plan_rows(indptr)
    n_rows, n_pieces, (_, n_heads, d) = len(indptr) - 1, len(plan.pieces), x.shape
    y, positive_y = (xp.empty((n_rows, n_heads, d), x.dtype) for _ in range(2))
    log_sum, positive_weight = (xp.empty((n_rows, n_heads), x.dtype) for _ in range(2))
    attended = Attended(y, log_sum, positive_y, positive_weight)
    if log_sum.size == 0:
        return attended
    sums = [xp.empty((n_pieces, n_heads, d), x.dtype) for _ in range(2)]
    sums += [xp.empty((n_pieces, n_heads), x.dtype) for _ in range(3)]
    heads = _share_heads(x)
    n_teams = (n_rows + n_pieces) * (n_heads // heads.a_team) * heads.layout.n_tiles
    launch(
        "attention", "attend_rows", blocks_of_teams(n_teams, heads.layout.team), THREADS,
        indptr, indices, row_score, col_score, x, x.dtype.type(slope), plan.pieces, n_rows,
        n_pieces, plan.most, n_heads, heads.a_team, heads.vectors, heads.layout.n_tiles,
        *attended, *sums,
        REAL=x.dtype, INDEX=indices.dtype, **heads.macros,
    )  # fmt: skip
    tiles = max(1, blocks_for(d, MERGE_COLUMNS))
    launch(
        "attention", "join_rows", len(plan.heavy) * n_heads * tiles, MERGE_THREADS,
        plan.heavy, *sums, n_heads, d, tiles, *attended,
        REAL=x.dtype, INDEX=indices.dtype, **heads.macros,
    )  # fmt: skip
    return attended


def attention_gradient(
    col_indptr: Any,
    col_indices: Any,
    row_score: Any,
    col_score: Any,
    x: Any,
    slope: float,
    attended: Attended,
    grad: Any,
) -> tuple[Any, Any, Any]:
    """The gradients of ``attention`` in the scores and in x.

    As :func:`dglmeta.kernels.cpu.attention.attention_gradient`, up to rounding; the same bits in
    every run. Two launches, one by row and one by column, and one more where there are heavy
    columns; bytes: the results, 4 n_rows H numbers, and 2 H d + 2 H for each piece of a heavy
    column.
    """
    xp, plan = array_module(), plan_rows(col_indptr)
    (n_rows, n_heads, d), n_cols, n_pieces = grad.shape, len(x), len(plan.pieces)
    slope = x.dtype.type(slope)
    about_rows = xp.empty((n_rows, n_heads, 4), x.dtype)
    d_row_score = xp.empty((n_rows, n_heads), x.dtype)
    d_col_score, d_x = xp.empty(col_score.shape, x.dtype), xp.empty(x.shape, x.dtype)
    heads = _share_heads(x, grad, attended.y, attended.positive_y)
    macros = {"REAL": x.dtype, "INDEX": col_indices.dtype, **heads.macros}
    launch(
        "attention_gradient", "describe_rows",
        blocks_of_teams(n_rows * n_heads, macros["HEAD_LANES"]), THREADS,
        row_score, slope, *attended, grad, n_rows * n_heads, heads.vectors, about_rows,
        d_row_score, **macros,
    )  # fmt: skip
    sums = [xp.empty((n_pieces, n_heads, d), x.dtype) for _ in range(2)]
    sums += [xp.empty((n_pieces, n_heads), x.dtype) for _ in range(2)]
    n_teams = (n_cols + n_pieces) * (n_heads // heads.a_team)
    launch(
        "attention_gradient", "attend_columns",
        blocks_of_teams(n_teams, heads.layout.team), THREADS,
        col_indptr, col_indices, about_rows, col_score, x, slope, grad, plan.pieces, n_cols,
        n_pieces, plan.most, n_heads, heads.a_team, heads.vectors, heads.layout.n_tiles,
        d_col_score, d_x, *sums, **macros,
    )  # fmt: skip
    launch(
        "attention_gradient", "join_columns", len(plan.heavy) * n_heads, MERGE_THREADS,
        plan.heavy, x, slope, *sums, n_heads, d, d_col_score, d_x, **macros,
    )  # fmt: skip
    return d_row_score, d_col_score, d_x


def _share_heads(x: Any, *others: Any) -> Heads:
    """How the heads of x are shared out; the other arrays are read alike."""
    _, n_heads, d = x.shape
    together = lay_out(n_heads * d, d, x, *others)
    a_team = n_heads if n_heads > 1 and d and together.n_tiles == 1 else 1
    layout = together if a_team > 1 else lay_out(d, d, x, *others)
    return Heads(n_heads, max(a_team, 1), d // layout.vec, layout)
