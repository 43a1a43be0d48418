"""Sampled dense times dense: a dot product for every edge, and nothing for other pairs."""

from __future__ import annotations

from typing import Any

from dglmeta.kernels.gpu.device import WARP, array_module, launch
from dglmeta.kernels.gpu.rows import RUN_EDGES, THREADS, blocks_of_teams, lay_out, plan_rows

__all__ = ["sddmm"]


def sddmm(indptr: Any, indices: Any, edge_ids: Any | None, x: Any, z: Any) -> Any:
    """Dot product of both ends of each edge, by head: ``s[e,h] = <x[i(e),h,:], z[j(e),h,:]>``.

    As :func:`dglmeta.kernels.cpu.sddmm.sddmm`, up to the order of additions, which is fixed. One
    launch; shared out by edges, so that heavy rows cost nothing more. Bytes: the result only.
    """
    _, n_heads, d = x.shape
    scores = array_module().empty((len(indices), n_heads), x.dtype)
    if scores.size == 0:
        return scores
    plan = plan_rows(indptr)
    layout = lay_out(d, d, x, z)
    n_runs = len(plan.run_rows) - 1
    launch(
        "sddmm", "score_runs", blocks_of_teams(n_runs, WARP), THREADS,
        indptr, indices, edge_ids, plan.run_rows, x, z, len(indices), n_runs, RUN_EDGES, n_heads,
        layout.n_vectors, scores,
        REAL=x.dtype, INDEX=indices.dtype, **{**layout.macros, "TEAM": WARP, "VECS": 1},
    )  # fmt: skip
    return scores
