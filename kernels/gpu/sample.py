"""Neighbours drawn without replacement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dglmeta.kernels.cpu.sample import NEIGHBOURS, Drawn, Frontier
from dglmeta.kernels.gpu.device import WARP, array_module, blocks_for, launch
from dglmeta.kernels.gpu.rows import address_of
from dglmeta.kernels.rng import as_word

__all__ = ["Drawn", "Frontier", "sample_each", "sample_neighbors"]

THREADS = 256

CHOSEN_BY_A_THREAD = 32
"""Largest fan-out that one thread chooses; a warp chooses larger ones."""


def sample_neighbors(
    indptr: Any,
    indices: Any,
    edge_ids: Any | None,
    nodes: Any,
    fanout: int,
    seed: int,
    hop: int,
) -> Drawn:
    """Some edges of each node, drawn uniformly without replacement.

    As :func:`dglmeta.kernels.cpu.sample.sample_neighbors`: the same edges in the same order.
    """
    return sample_each([Frontier(indptr, indices, edge_ids, nodes, fanout, seed)], hop)[0]


def sample_each(frontiers: Sequence[Frontier], hop: int) -> list[Drawn]:
    """``sample_neighbors`` for several frontiers, together whatever their number.

    Four or five launches: a thread a node counts, a thread a row (a warp for fan-outs above 32)
    chooses positions where not all are taken, a thread an edge reads what stands there. Waits for
    the device once, for the sizes. Bytes beside the results: 24 a node.
    """
    xp = array_module()
    frontiers = [f._replace(nodes=xp.ascontiguousarray(f.nodes, dtype="int64")) for f in frontiers]
    drawn: dict[int, Drawn] = {}
    for dtype in {frontier.indices.dtype for frontier in frontiers}:
        alike = [k for k, frontier in enumerate(frontiers) if frontier.indices.dtype == dtype]
        together = _sample_together([frontiers[k] for k in alike], hop)
        drawn.update(zip(alike, together, strict=True))
    return [drawn[k] for k in range(len(frontiers))]


def _sample_together(frontiers: list[Frontier], hop: int) -> list[Drawn]:
    """``sample_each`` where all indices are of one dtype."""
    xp = array_module()
    table, begins, n_rows = _tabulate(frontiers)
    grid, rows = blocks_for(n_rows, THREADS), (table, len(frontiers), n_rows)
    n_drawn = xp.zeros(n_rows + 1, "int64")
    launch("sample", "count", grid, THREADS, *rows, n_drawn[1:])
    before = xp.cumsum(n_drawn)
    indptr, stops = xp.empty(n_rows, "int64"), xp.empty(len(frontiers) + 1, "int64")
    launch("sample", "begin_rows", grid, THREADS, *rows, before, indptr, stops)
    stops = stops.tolist()
    dtype = frontiers[0].indices.dtype
    neighbours, edge_ids = xp.empty(stops[-1], dtype), xp.empty(stops[-1], "int64")
    choice = *rows, CHOSEN_BY_A_THREAD, as_word(NEIGHBOURS + hop), before, edge_ids
    if any(0 < frontier.fanout <= CHOSEN_BY_A_THREAD for frontier in frontiers):
        launch("sample", "choose", grid, THREADS, *choice)
    if any(frontier.fanout > CHOSEN_BY_A_THREAD for frontier in frontiers):
        launch("sample", "choose_many", blocks_for(n_rows * WARP, THREADS), THREADS, *choice)
    launch(
        "sample", "gather", blocks_for(stops[-1], THREADS), THREADS,
        *rows, before, stops[-1], neighbours, edge_ids,
        INDEX=dtype,
    )  # fmt: skip
    return [
        Drawn(indptr[row : row + len(frontier.nodes) + 1], neighbours[i:j], edge_ids[i:j])
        for frontier, row, i, j in zip(frontiers, begins, stops[:-1], stops[1:], strict=True)
    ]


def _tabulate(frontiers: list[Frontier]) -> tuple[Any, list[int], int]:
    """The table of the kernels, the first row of each frontier, and the number of rows.

    A frontier begins at a multiple of a warp and ends with a row or more that draw nothing.
    """
    table, begins, n_rows = [], [], 0
    for indptr, indices, edge_ids, nodes, fanout, seed in frontiers:
        words = [n_rows, len(nodes), fanout, int(as_word(seed).view(np.int64))]
        places = [0 if a is None else address_of(a) for a in (nodes, indptr, indices, edge_ids)]
        table.append(words + places)
        begins.append(n_rows)
        n_rows += (len(nodes) // WARP + 1) * WARP
    return array_module().asarray(np.array(table, np.int64)), begins, n_rows
