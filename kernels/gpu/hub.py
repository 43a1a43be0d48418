"""Hub nodes, and the edges that tie them to a subgraph."""

from __future__ import annotations

from typing import Any

from dglmeta.kernels.cpu.sample import Drawn
from dglmeta.kernels.gpu.device import WARP, array_module, blocks_for, launch

__all__ = ["hub_edges", "top_hubs"]

THREADS = 256

PIECE = 1 << 9
"""Positions of a hub's row, or nodes, that a warp looks at."""


def top_hubs(degrees: Any, n_hubs: int) -> Any:
    """Ids of the nodes of highest degree, highest first; of equal ones the lowest id first.

    As :func:`dglmeta.kernels.cpu.hub.top_hubs`, by a sort of all degrees.
    """
    xp = array_module()
    n_hubs = min(n_hubs, len(degrees))
    if n_hubs == 0:
        return xp.zeros(0, "int64")
    lowest = xp.sort(degrees)[-n_hubs]
    candidates = xp.flatnonzero(degrees >= lowest)
    order = xp.argsort(-degrees[candidates].astype("float64"), kind="stable")
    return candidates[order[:n_hubs]]


def hub_edges(
    indptr: Any, indices: Any, edge_ids: Any | None, hubs: Any, nodes: Any, n_cols: int
) -> Drawn:
    """The edges between hubs and some nodes: those of the hubs' rows whose columns are the nodes.

    As :func:`dglmeta.kernels.cpu.hub.hub_edges`: the same edges in the same order. Of a hub's row
    and the nodes, the fewer are looked up in the more, which takes no bitmap and so not ``n_cols``;
    pieces of them go to warps, so that one heavy hub serves the whole device. Two launches, one
    that counts and one that writes; waits for the device twice.
    """
    xp = array_module()
    hubs, nodes = (xp.ascontiguousarray(ids, dtype="int64") for ids in (hubs, nodes))
    n_items = xp.minimum(indptr[hubs + 1] - indptr[hubs], len(nodes))
    n_each = xp.zeros(len(hubs) + 1, "int64")
    n_each[1:] = (n_items + (PIECE - 1)) // PIECE
    pieces = xp.cumsum(n_each)
    n_pieces = int(pieces[-1])
    n_found = xp.zeros(n_pieces + 1, "int64")

    def find(counts: Any | None, before: Any | None, *found: Any | None) -> None:
        launch(
            "hub", "find", blocks_for(n_pieces * WARP, THREADS), THREADS,
            indptr, indices, edge_ids, hubs, len(hubs), nodes, len(nodes), pieces, n_pieces, PIECE,
            counts, before, *found,
            INDEX=indices.dtype,
        )  # fmt: skip

    find(n_found[1:], None, None, None)
    before = xp.cumsum(n_found)
    n = int(before[-1])
    drawn = Drawn(before[pieces], xp.empty(n, indices.dtype), xp.empty(n, "int64"))
    find(None, before, *drawn[1:])
    return drawn
