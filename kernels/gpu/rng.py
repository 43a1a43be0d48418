"""Counter-based random numbers on a device: those of ``dglmeta.kernels.rng``."""

from __future__ import annotations

from typing import Any

from dglmeta.kernels.gpu.device import array_module, blocks_for, launch
from dglmeta.kernels.rng import as_word

__all__ = ["random_array"]

THREADS = 256


def random_array(seed: int, block: int, rows: Any, draw: int = 0) -> Any:
    """64 random bits for each row, as :func:`dglmeta.kernels.rng.random_array`. A thread a row."""
    xp = array_module()
    rows = xp.ascontiguousarray(rows, dtype="int64")
    bits = xp.empty(len(rows), "uint64")
    launch(
        "rng", "fill", blocks_for(len(rows), THREADS), THREADS,
        as_word(seed), as_word(block), rows, len(rows), as_word(draw), bits,
    )  # fmt: skip
    return bits
