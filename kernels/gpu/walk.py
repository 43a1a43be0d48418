"""Random walks along a meta-path."""

from __future__ import annotations

from typing import Any

from dglmeta.kernels.cpu.walk import WALKS
from dglmeta.kernels.gpu.device import array_module, blocks_for, launch
from dglmeta.kernels.rng import as_word

__all__ = ["random_walks"]

THREADS = 256


def random_walks(steps: list[tuple[Any, Any]], starts: Any, seed: int) -> Any:
    """Walks that take a uniform edge of the next step's structure at each node.

    As :func:`dglmeta.kernels.cpu.walk.random_walks`: the same walks. One thread a walk, one launch
    a step.
    """
    xp = array_module()
    walks = xp.empty((len(starts), len(steps) + 1), "int64")
    walks[:, 0] = starts
    blocks = blocks_for(len(starts), THREADS)
    for step, (indptr, indices) in enumerate(steps):
        launch(
            "walk", "advance", blocks, THREADS,
            indptr, indices, as_word(seed), as_word(WALKS), step, *walks.shape, walks,
            INDEX=indices.dtype,
        )  # fmt: skip
    return walks
