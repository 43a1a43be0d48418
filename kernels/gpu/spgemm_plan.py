"""Which rows of a sparse product are computed how: sorted by a warp, marked by a block, copied."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dglmeta.kernels.gpu.device import array_module, blocks_for, launch

__all__ = ["Marked", "RowKinds", "classify_rows", "count_flops", "inspect_order", "share_tiles"]

THREADS = 256

PIECE = 1024
"""Entries of A that eight lanes go through at most; longer rows are cut into pieces."""

KINDS, COPIED, FIRST_SORTED, FIRST_MARKED, LAST_MARKED = 16, 1, 2, 8, 10
"""As ``classify`` in spgemm.cu numbers them."""

LARGE, HEAVY = 1 << 14, 1 << 22
"""From so many flops on, a row gets more threads, and even more than one block."""

MARKED_THREADS = 128, 512, 1024
"""At least so many threads a block, by that."""

MOST_BLOCKS = 16
"""That a multiprocessor is meant to run at a time: with 128 threads each it is full."""

HEAVY_TILES = 16
"""Blocks that share a heavy row."""

TILE_BYTES = 200_000
"""Of the bitmap in shared memory, of which a block has 227 KiB at most."""

QUAD_COLUMNS = 128
"""Columns that are marked in one quad of words."""


class RowKinds(NamedTuple):
    """Rows with something to compute, by kind."""

    copied: Any
    """Have one entry, which leads to a long row of B without repeats."""
    sorted: list[tuple[int, Any]]
    """Have at most 32 times so many flops."""
    marked: list[Any]
    """The rest: few flops, many, and most."""


class Marked(NamedTuple):
    """Rows that blocks mark in bitmaps, the columns cut into tiles, a block for each of both."""

    rows: Any
    n_threads: int
    n_tiles: int
    tile: int
    shared_bytes: int

    @property
    def n_items(self) -> int:
        """Pairs of a row and a tile."""
        return len(self.rows) * self.n_tiles


def count_flops(a_indptr: Any, a_indices: Any, b_indptr: Any) -> Any:
    """Two-step paths from each row: the multiplications its row of the product takes.

    As :func:`dglmeta.kernels.cpu.spgemm.count_flops`: the same numbers. Eight lanes a row, and a
    block for each ``PIECE`` entries of longer rows.
    """
    xp = array_module()
    n_rows, n_entries = len(a_indptr) - 1, len(a_indices)
    flops = xp.empty(n_rows, np.int64)
    macros = {"A_INDEX": a_indices.dtype, "PIECE": PIECE}
    launch(
        "spgemm", "count_short_flops", blocks_for(8 * n_rows, THREADS), THREADS,
        n_rows, a_indptr, a_indices, b_indptr, flops, **macros,
    )  # fmt: skip
    launch(
        "spgemm", "add_long_flops", blocks_for(n_entries, PIECE), THREADS,
        n_rows, n_entries, a_indptr, a_indices, b_indptr, flops, **macros,
    )  # fmt: skip
    return flops


def inspect_order(indptr: Any, indices: Any) -> Any:
    """Two numbers on the device: not 0 if columns of a row descend somewhere, if they repeat."""
    flags = array_module().zeros(2, np.uint32)
    launch(
        "spgemm", "inspect_order", blocks_for(len(indices), THREADS), THREADS,
        len(indptr) - 1, len(indices), indptr, indices, flags, INDEX=indices.dtype,
    )  # fmt: skip
    return flags


def classify_rows(
    a_indptr: Any, flops: Any, flags: Any, most_sorted: int, large: int, heavy: int
) -> tuple[RowKinds, list[int]]:
    """Rows by kind, and the flags of ``inspect_order`` on the host; waits for the device once.

    Bytes: 9 a row. Rows of a kind stand in any order: what is computed does not depend on it.
    """
    xp = array_module()
    n_rows = len(flops)
    kinds, rows = xp.empty(n_rows, np.uint8), xp.empty(n_rows, np.int64)
    counts, cursors = xp.zeros(KINDS, np.uint64), xp.zeros(KINDS, np.uint64)
    blocks = blocks_for(n_rows, THREADS)
    launch(
        "spgemm", "classify", blocks, THREADS,
        n_rows, a_indptr, flops, flags, most_sorted, large, heavy, kinds, counts,
    )  # fmt: skip
    launch("spgemm", "list_kinds", blocks, THREADS, n_rows, kinds, counts, cursors, rows)
    *sizes, descend, repeat = xp.concatenate([counts, flags.astype(np.uint64)]).tolist()
    ends = np.cumsum(sizes).tolist()
    by_kind = [rows[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    in_order = [(1 << k, by_kind[FIRST_SORTED + k]) for k in range(FIRST_MARKED - FIRST_SORTED)]
    marked = by_kind[FIRST_MARKED : LAST_MARKED + 1]
    return RowKinds(by_kind[COPIED], in_order, marked), [descend, repeat]


def share_tiles(marked: list[Any], flops: Any, n_cols: int, *, values: bool) -> list[Marked]:
    """Batches of rows to be marked, the heaviest first, so that none begins when others end."""
    xp = array_module()
    most_quads = TILE_BYTES // _quad_bytes(values)
    batches = []
    for kind in reversed(range(len(marked))):
        rows = marked[kind]
        if len(rows) == 0:
            continue
        n_quads = blocks_for(n_cols, QUAD_COLUMNS)
        if kind == 2:
            n_quads = blocks_for(n_quads, HEAVY_TILES)
        n_quads = min(n_quads, most_quads)
        if kind > 0:
            rows = rows[xp.argsort(-flops[rows])]
        bytes_of_tile = n_quads * _quad_bytes(values)
        n_threads = max(_threads_beside(bytes_of_tile), MARKED_THREADS[kind])
        shared = bytes_of_tile + n_threads * (16 if values else 8)
        tile = n_quads * QUAD_COLUMNS
        batches.append(Marked(rows, n_threads, blocks_for(n_cols, tile), tile, shared))
    return batches


def _quad_bytes(values: bool) -> int:
    """Four words of marks, and for values how many marks there are before them."""
    return 20 if values else 16


def _threads_beside(shared_bytes: int) -> int:
    """Threads a block that fill a multiprocessor with as many blocks as its memory holds."""
    blocks = min((227 << 10) // (shared_bytes + 5000), MOST_BLOCKS)
    return int(min(1024, 1 << (2048 // blocks).bit_length() - 1))
