"""Rows of unknown length written once, side by side, by several threads.

How many entries a row of a product has is only known when it is done. So every block of rows is
computed in a buffer of its own, and copied to its place in the result as soon as the blocks before
it are done and their lengths known: one pass, no memory beside the result but a buffer a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from dglmeta.kernels.cpu.pool import (
    BLOCKS_PER_THREAD,
    SERIAL_BELOW_NS,
    get_num_threads,
    run_blocks,
)

__all__ = ["BLOCK_ENTRIES", "PAD", "Stamps", "blocks_of", "write_in_order"]

BLOCK_ENTRIES = 1 << 20
"""Entries of a block of a large result, a few times as many at most, a single row apart. Two pages
of two MiB: threads that write to a page at the same time, for the first time, each have it cleared.
"""

BLOCK_NS = 250_000
"""Blocks of less work are not worth taking turns for."""

PAD = 16
"""Entries a buffer has to spare, for kernels that write some at once and keep the first."""

HUGE_PAGE = 1 << 21
"""Bytes that some systems hand out at once, if asked to and the address is a multiple of it: NumPy
asks for arrays of two or more. Small pages, one by one, take five to ten times as long.
"""

HUGE_FROM = 1 << 20
"""Bytes of a result from which that pays."""

T = TypeVar("T")

_kept_buffers: dict[np.dtype, list[npt.NDArray]] = {}
"""By dtype, at most one a thread, none above twice ``BLOCK_ENTRIES``."""


class Stamps:
    """A number for every column that was never used before: what is in ``array`` is lower."""

    def __init__(self, n_cols: int, most: int) -> None:
        dtype = np.int32 if most < np.iinfo(np.int32).max else np.int64
        self.array = np.zeros(n_cols, dtype)
        self.next = 1

    def take(self, n: int) -> int:
        """The first of n numbers in a row, at most the ``most`` promised."""
        if self.next + n > np.iinfo(self.array.dtype).max:
            self.array[:] = 0
            self.next = 1
        first = self.next
        self.next += n
        return first


def blocks_of(most: npt.NDArray, work: npt.NDArray) -> Sequence[int]:
    """Bounds of row blocks that fit into a buffer and cost about the same.

    Parameters
    ----------
    most : (n_rows,) int64
        Most entries of each row.
    work : (n_rows,) int64
        Rough cost of each row, in nanoseconds.
    """
    n_threads, total, n_entries = get_num_threads(), int(work.sum()), int(most.sum())
    if n_threads == 1 or total < SERIAL_BELOW_NS:
        return (0, len(work))
    n_blocks = min(BLOCKS_PER_THREAD * n_threads, max(n_threads, total // BLOCK_NS))
    n_blocks = max(n_blocks, n_entries // BLOCK_ENTRIES)
    # Both the entries and the work of a block are at most twice their even share.
    before = np.cumsum(most * (1 / max(n_entries, 1)) + work * (1 / total))
    cuts = 1 + np.searchsorted(before, before[-1] / n_blocks * np.arange(1, n_blocks))
    return [0, *sorted({*cuts.tolist()} - {len(work)}), len(work)]


def write_in_order(
    compute: Callable[[int, int, T, list[npt.NDArray]], int],
    scratch: Callable[[], T],
    blocks: Sequence[int],
    most: npt.NDArray,
    dtypes: Sequence[npt.DTypeLike],
    count: Callable[[], int] | None = None,
) -> list[npt.NDArray]:
    """One array for each dtype, with the entries of all rows in the order of rows.

    Parameters
    ----------
    compute : callable
        ``compute(begin, end, scratch, buffers)`` writes the entries of some rows to one buffer for
        each dtype and returns how many. Called once a block, from several threads.
    scratch : callable
        Makes what one thread needs to compute.
    blocks : sequence of int
        From ``blocks_of``.
    most : (n_rows,) int64
        Most entries of each row. Room for the sum is reserved, and what is not used is given back:
        on systems that tell the two apart, memory reserved but not written to takes no room.
    dtypes : sequence of dtype
        Of the entries' numbers: columns, values.
    count : callable, optional
        Number of entries, exactly; called only where there is no room for the sum of ``most``.

    Notes
    -----
    Bytes: the result, and for every thread a buffer for the largest block, kept for the next call
    unless it is very large.
    """
    try:
        rooms = [_Room(int(most.sum()) + PAD, np.dtype(dtype)) for dtype in dtypes]
    except MemoryError:
        if count is None:
            raise
        # The last rows, too, may write to all the room they are promised.
        n_entries = count() + int(most.max())
        rooms = [_Room(n_entries + PAD, np.dtype(dtype)) for dtype in dtypes]
    results = [room.array for room in rooms]
    if len(blocks) == 2:
        n = compute(blocks[0], blocks[1], scratch(), results)
        return [room.cut(n) for room in rooms]
    size = int(np.add.reduceat(most, blocks[:-1]).max()) + PAD
    spare: list[T] = []
    turns = _Turns()

    def write_block(begin: int, end: int) -> None:
        with turns:
            own = spare.pop() if spare else scratch()
            buffers = [_take_buffer(size, np.dtype(dtype)) for dtype in dtypes]
            n = compute(begin, end, own, buffers)
            first = turns.take(begin, end, n)
            for result, buffer in zip(results, buffers, strict=True):
                result[first : first + n] = buffer[:n]
                _keep_buffer(buffer)
            spare.append(own)

    run_blocks(write_block, blocks)
    return [room.cut(turns.n_entries) for room in rooms]


class _Room:
    """Memory for at most n numbers, beginning on a huge page if it is large."""

    def __init__(self, n: int, dtype: np.dtype) -> None:
        self.start = 0
        page = HUGE_PAGE // dtype.itemsize
        if n * dtype.itemsize < HUGE_FROM:
            self.memory = np.empty(n, dtype)
        else:
            self.memory = np.empty(max(n, page) + page, dtype)
            self.start = -self.memory.ctypes.data % HUGE_PAGE // dtype.itemsize
        self.array = self.memory[self.start : self.start + n]

    def cut(self, n: int) -> npt.NDArray:
        """The first n numbers; the rest of the memory is given back."""
        del self.array
        self.memory.resize(self.start + n, refcheck=False)
        return self.memory[self.start :]


def _take_buffer(size: int, dtype: np.dtype) -> npt.NDArray:
    """A buffer kept by an earlier block or call, if there is one and it is long enough."""
    kept = _kept_buffers.setdefault(dtype, [])
    try:
        buffer = kept.pop()
    except IndexError:
        return np.empty(size, dtype)
    return buffer if len(buffer) >= size else np.empty(size, dtype)


def _keep_buffer(buffer: npt.NDArray) -> None:
    """Keep it for the next: memory that was never written to costs as much as the product."""
    kept = _kept_buffers[buffer.dtype]
    if len(buffer) <= 2 * BLOCK_ENTRIES and len(kept) < get_num_threads():
        kept.append(buffer)


class _Turns:
    """Gives each block its place, in the order of rows.

    Blocks are begun in order, so the first that has no place yet is always being computed: nobody
    waits for ever. If one fails, those that wait for it fail too.
    """

    def __init__(self) -> None:
        self.next_row = 0
        self.n_entries = 0
        self.error: BaseException | None = None
        self.changed = threading.Condition()

    def take(self, begin: int, end: int, n: int) -> int:
        """Where the n entries of the rows begin..end-1 go; waits for the rows before."""
        with self.changed:
            self.changed.wait_for(lambda: self.error or self.next_row == begin)
            if self.error:
                raise RuntimeError("write_in_order: a block of rows failed") from self.error
            first = self.n_entries
            self.next_row, self.n_entries = end, first + n
            self.changed.notify_all()
        return first

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            with self.changed:
                self.error = self.error or error
                self.changed.notify_all()
