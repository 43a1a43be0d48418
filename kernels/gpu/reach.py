"""What the first steps of a chain reach from each of many sources, some sources at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from dglmeta.kernels.cpu.chain import Chain
from dglmeta.kernels.cpu.reach import first_nodes
from dglmeta.kernels.gpu.device import array_module, free_bytes, launch

__all__ = ["Batch", "meeting_level", "reach_in_batches", "scratch_bytes"]

THREADS = 256

SCRATCH_BYTES = 2 << 30
"""Bounds the bitmaps, counts or lists of the sources worked on at the same time."""

SCRATCH_SHARE = 8
"""As does the free memory divided by this."""


class Batch(NamedTuple):
    """Some sources, and what is reached from each at levels 2..middle."""

    begin: int
    end: int
    """Which sources."""
    first: Any
    """(L + 2,) uint64 on the device: as ``first_nodes`` numbers the levels. None with level 1."""
    reached: Any
    """(end - begin, n_each): uint32 bitmaps, or uint64 numbers of paths. None with level 1."""


def scratch_bytes() -> int:
    """Device memory for what is reached from the sources worked on at the same time."""
    return min(SCRATCH_BYTES, free_bytes() // SCRATCH_SHARE)


def meeting_level(n_steps: int, middle: int) -> int:
    """Where walks meet on a device: of two steps always in the middle, where rows need no marks.

    A row of the source and one of the target are then searched for a common column, the shorter in
    the longer, which no bitmap betters.
    """
    return 1 if n_steps <= 2 else middle


def reach_in_batches(
    forward: Chain, n_nodes: tuple[int, ...], sources: Any, middle: int, *, count: bool = False
) -> Iterator[Batch]:
    """Mark or count what ``forward`` reaches from sources at level ``middle`` and before it.

    As :func:`dglmeta.kernels.cpu.reach.reach`, in no order: a block a source, one launch a batch.
    Level 1 is the row of the source and not marked: for ``middle == 1`` there is one batch of all.
    Bytes: an eighth, or for counts 8, a node of levels 2..middle a source, in all at most
    ``scratch_bytes()`` or those of one source.
    """
    xp = array_module()
    if middle == 1:
        yield Batch(0, len(sources), None, None)
        return
    first = first_nodes(n_nodes)
    on_device = xp.asarray(first)
    n_reached = int(first[middle + 1] - first[2])
    kernel, dtype, n_each = (
        ("count_reach", "uint64", n_reached) if count else ("mark", "uint32", n_reached // 32)
    )
    at_once = max(scratch_bytes() // (n_each * (8 if count else 4)), 1)
    for begin in range(0, len(sources), at_once):
        some = sources[begin : begin + at_once]
        reached = xp.zeros((len(some), n_each), dtype)
        launch(
            "reach", kernel, len(some), THREADS,
            forward.table, middle, on_device, some, n_each, reached,
            INDEX=forward.kind.dtype,
        )  # fmt: skip
        yield Batch(begin, begin + len(some), on_device, reached)
