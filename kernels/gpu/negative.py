"""Is there an edge, and a uniform column to which there is none."""

from __future__ import annotations

from typing import Any

import numpy as np

from dglmeta.kernels.cpu.negative import NEGATIVES, NUMBERS
from dglmeta.kernels.gpu.device import WARP, array_module, blocks_for, launch
from dglmeta.kernels.rng import as_word

__all__ = ["contains", "random_numbers", "sample_negatives"]

THREADS = 256


def random_numbers(seed: int, begin: int, end: int, n: int) -> Any:
    """Numbers ``begin..end-1`` of a sequence of uniform integers in [0, n).

    As :func:`dglmeta.kernels.cpu.negative.random_numbers`: the same numbers. A thread a number.
    """
    numbers = array_module().empty(end - begin, "int64")
    launch(
        "negative", "draw_numbers", blocks_for(len(numbers), THREADS), THREADS,
        as_word(seed), as_word(NUMBERS), as_word(begin), len(numbers), as_word(n), numbers,
        INDEX=np.int32,
    )  # fmt: skip
    return numbers


def contains(indptr: Any, indices: Any, rows: Any, cols: Any) -> Any:
    """Whether there is an edge from each row to its column.

    As :func:`dglmeta.kernels.cpu.negative.contains`. A thread a pair.
    """
    xp = array_module()
    rows, cols = (xp.ascontiguousarray(ids, dtype="int64") for ids in (rows, cols))
    found = xp.empty(len(rows), "bool")
    launch(
        "negative", "find", blocks_for(len(rows), THREADS), THREADS,
        indptr, indices, rows, cols, len(rows), found,
        INDEX=indices.dtype,
    )  # fmt: skip
    return found


def sample_negatives(
    indptr: Any,
    indices: Any,
    rows: Any,
    n_cols: int,
    seed: int,
    *,
    forbid_diagonal: bool = False,
) -> Any:
    """One column for each given row, uniform among those to which the row has no edge.

    As :func:`dglmeta.kernels.cpu.negative.sample_negatives`: the same columns. A warp a row given.
    """
    xp = array_module()
    rows = xp.ascontiguousarray(rows, dtype="int64")
    cols = xp.empty(len(rows), "int64")
    launch(
        "negative", "draw", blocks_for(len(rows) * WARP, THREADS), THREADS,
        indptr, indices, rows, len(rows), n_cols, as_word(seed), as_word(NEGATIVES),
        forbid_diagonal, cols,
        INDEX=indices.dtype,
    )  # fmt: skip
    return cols
