"""Rows shared out among teams of lanes: heavy ones in pieces, so that skew costs nothing.

What depends on ``indptr`` alone is found when an ``indptr`` is first seen, which waits for the
device; after that operations neither wait nor make arrays whose size lies on the device, so that
they can be captured in CUDA graphs. The plan is kept as long as the array lives. Arrays of a
structure are never written, so one array means one plan.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import ref

import numpy as np

from dglmeta.kernels.gpu.device import WARP, array_module, blocks_for, launch

__all__ = [
    "MERGE_COLUMNS",
    "MERGE_THREADS",
    "PIECE_EDGES",
    "RUN_EDGES",
    "THREADS",
    "Layout",
    "Plan",
    "add_pieces",
    "address_of",
    "blocks_of_teams",
    "columns_layout",
    "lay_out",
    "plan_rows",
    "power_of_two",
]

THREADS = 256

PIECE_EDGES = 256
"""Edges of a piece, and the most of a row that is not cut: what a team does in some 30 us."""

RUN_EDGES = 128
"""Positions of a run: what a warp does where work is shared out by edges."""

MERGE_THREADS, MERGE_COLUMNS = 512, 32
VECTOR_BYTES, LANE_BYTES = 16, 32
"""What a lane reads at once, and of one edge."""


class Plan(NamedTuple):
    """How the rows of one ``indptr`` are shared out."""

    n_edges: int
    most: int
    """Edges of a piece; rows that have more are heavy."""
    pieces: Any
    """(n_pieces, 3) int64: row, first position, and where the piece ends."""
    heavy: Any
    """(n_heavy, 3) int64: row, first piece, and the piece after the last."""
    run_rows: Any
    """(n_runs + 1,) int64: the row of each run's first position, and the row after the last."""


class Layout(NamedTuple):
    """How a team's lanes lie over the numbers of one edge."""

    vec: int
    vecs: int
    lanes: int
    team: int
    n_vectors: int
    n_tiles: int

    @property
    def macros(self) -> dict[str, int]:
        """What the compiler is told."""
        return {"VEC": self.vec, "VECS": self.vecs, "LANES": self.lanes, "TEAM": self.team}


_plans: dict[int, tuple[ref[Any], Plan]] = {}


def plan_rows(indptr: Any) -> Plan:
    """The plan of an ``indptr``, from when it was first seen."""
    key = id(indptr)
    found = _plans.get(key)
    if found is not None and found[0]() is indptr:
        return found[1]
    plan = _plan_rows(indptr)
    _plans[key] = ref(indptr, lambda gone: _forget(key, gone)), plan
    return plan


def _forget(key: int, gone: ref[Any]) -> None:
    if key in _plans and _plans[key][0] is gone:
        del _plans[key]


def _plan_rows(indptr: Any) -> Plan:
    xp = array_module()
    n_edges, n_rows = int(indptr[-1]), len(indptr) - 1
    pieces, heavy = _cut(indptr)
    n_runs = blocks_for(n_edges, RUN_EDGES)
    run_rows = xp.empty(n_runs + 1, "int64")
    starts = xp.arange(n_runs, dtype="int64") * RUN_EDGES
    run_rows[:-1] = xp.searchsorted(indptr, starts, side="right") - 1
    run_rows[-1] = n_rows - 1
    return Plan(n_edges, PIECE_EDGES, pieces, heavy, run_rows)


def _cut(indptr: Any) -> tuple[Any, Any]:
    """The pieces and the heavy rows, as :class:`Plan` has them."""
    xp = array_module()
    degree = xp.diff(indptr)
    rows = xp.flatnonzero(degree > PIECE_EDGES)
    heavy = xp.empty((len(rows), 3), "int64")
    if len(rows) == 0:
        return xp.empty((0, 3), "int64"), heavy
    after = xp.cumsum((degree[rows] + PIECE_EDGES - 1) // PIECE_EDGES)
    heavy[:, 0], heavy[0, 1], heavy[1:, 1], heavy[:, 2] = rows, 0, after[:-1], after
    piece = xp.arange(int(after[-1]), dtype="int64")
    of = xp.searchsorted(after, piece, side="right")
    row = rows[of]
    pieces = xp.empty((len(piece), 3), "int64")
    pieces[:, 0] = row
    pieces[:, 1] = indptr[row] + (piece - heavy[:, 1][of]) * PIECE_EDGES
    pieces[:, 2] = xp.minimum(pieces[:, 1] + PIECE_EDGES, indptr[row + 1])
    return pieces, heavy


def lay_out(n_numbers: int, unit: int, *arrays: Any) -> Layout:
    """How teams read so many numbers an edge.

    Parameters
    ----------
    n_numbers : int
        Numbers of one edge.
    unit : int
        A lane's numbers lie in one unit of so many: a head, or all.
    *arrays
        Read in vectors, one dtype; their first numbers bound how far.
    """
    size = arrays[0].dtype.itemsize
    vec = max(VECTOR_BYTES // size, 1)
    together = [unit * size, *map(address_of, arrays)]
    while vec > 1 and any(bytes_ % (vec * size) for bytes_ in together):
        vec //= 2
    n_vectors = n_numbers // vec
    lanes = power_of_two(n_vectors)
    vecs = max(1, min(blocks_for(n_vectors, lanes), LANE_BYTES // (vec * size), 4))
    n_tiles = max(1, blocks_for(n_vectors, lanes * vecs))
    return Layout(vec, vecs, lanes, min(WARP, max(16, 4 * lanes)), n_vectors, n_tiles)


def columns_layout(n_columns: int) -> dict[str, int]:
    """Macros for lanes that read one number each, of so many columns an edge, 8 edges at a time."""
    lanes = power_of_two(n_columns)
    return {"VEC": 1, "VECS": 1, "LANES": lanes, "TEAM": min(WARP, 8 * lanes)}


def power_of_two(n: int) -> int:
    """The smallest power of two that is at least n, at most a warp."""
    return min(WARP, 1 << max(n - 1, 0).bit_length())


def address_of(array: Any) -> int:
    """Where an array's first number lies."""
    pointer = getattr(array.data, "ptr", None)  # CuPy's, without a look at streams
    return array.__cuda_array_interface__["data"][0] if pointer is None else pointer


def blocks_of_teams(n_teams: int, team: int) -> int:
    """Blocks that hold so many teams."""
    return blocks_for(n_teams * team, THREADS)


def add_pieces(plan: Plan, partial: Any, scale: Any | None, sums: Any) -> None:
    """Write the heavy rows of ``sums``: what their pieces' partial sums add up to, times scale.

    In a fixed order: by warps every 16th piece, then over the warps.
    """
    width = int(np.prod(sums.shape[1:]))
    tiles = blocks_for(width, MERGE_COLUMNS)
    launch(
        "rows", "add_pieces", len(plan.heavy) * tiles, MERGE_THREADS,
        plan.heavy, partial, width, tiles, scale, sums,
        REAL=sums.dtype,
    )  # fmt: skip
