"""Graph attention between rows and columns that share blocks, without a list of their pairs.

The mathematics is that of :mod:`dglmeta.kernels.cpu.block_attention`. A sum over a run of a block's
members is what is known at the nearest chunk before it and a walk of at most 64 members, so that
all chunks of all blocks are walked at once, a thread for each number of a vector.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dglmeta.kernels.cpu.block_attention import BlockAttended, Members
from dglmeta.kernels.gpu.device import array_module, blocks_for, launch
from dglmeta.kernels.gpu.order import counting_order

__all__ = ["BlockAttended", "Members", "block_attention", "block_attention_gradient"]

THREADS = 256
CHUNK = 64
"""Members that a thread goes through one after another."""


class Side(NamedTuple):
    """The members of one side, for each head block after block, in each by rising score."""

    members: Any
    """(H, n_members) int32, or int64 where there are too many: the node."""
    runs: Any
    """(H, n_members), like members: with how many of the other side, from the lowest on, the sum
    of scores is at most 0."""
    factors: Any
    """(H, 2, n_members) float64: where that is so, and elsewhere, a pair's weight is the product of
    its two sides' factors; 0 where there is no pair."""
    indptr: Any
    """(n + 1,) int64: the nodes' memberships."""
    places: Any
    """(H, n_members), like members: where a membership stands."""
    starts: Any
    """(n_blocks + 1,) int64: where each block's members begin."""
    chunk_starts: Any
    """(n_blocks + 1,) int64: where each block's chunks begin."""

    @property
    def most_chunks(self) -> int:
        """At least as many as there are, known without waiting for the device."""
        n_members = self.members.shape[1]
        return n_members // CHUNK + min(n_members, len(self.starts) - 1)


def block_attention(
    rows: Members,
    columns: Members,
    n_blocks: int,
    row_score: Any,
    col_score: Any,
    x: Any,
    slope: float,
) -> BlockAttended:
    """``y[i] = sum_b sum_j in b softmax(leaky(r_i + c_j)) x[j]`` over the blocks b of row i.

    As :func:`dglmeta.kernels.cpu.block_attention.block_attention`, up to rounding; the same bits in
    every run. Eleven launches of ours and three sorts a side; bytes: the results, of which 28 a
    member and head beside y, 8 a member and number of x, and 16 a number of y and one more a row.
    """
    xp, dtype = array_module(), x.dtype
    most = max(len(a) for a in (rows.blocks, columns.blocks, row_score, col_score))
    ids = np.int32 if most < 2**31 else np.int64
    order, of_rows = _sorted(rows, n_blocks, row_score, ids)
    col_order, of_columns = _sorted(columns, n_blocks, col_score, ids)
    n_rows, n_heads = row_score.shape
    largest = xp.empty((n_rows, n_heads), np.float64)
    launch(
        "block_attention", "largest_of_rows", blocks_for(largest.size, THREADS), THREADS,
        rows.indptr, rows.blocks, of_columns.starts, of_columns.members, row_score, col_score,
        np.float64(slope), n_rows, len(columns.blocks), n_heads, largest,
        REAL=dtype, INDEX=np.dtype(ids), A_INDEX=rows.blocks.dtype, CHUNK=CHUNK,
    )  # fmt: skip
    _describe(order, of_rows, of_columns, row_score, col_score, largest, slope)
    _describe(col_order, of_columns, of_rows, col_score, row_score, None, slope)
    sums = _sums(0, of_rows, of_columns, x) + _sums(1, of_rows, of_columns, x)
    total = xp.where(sums[..., -1] == 0, 1.0, sums[..., -1])
    y = (sums[..., :-1] / total[..., None]).astype(dtype)
    whole = xp.take_along_axis(xp.ascontiguousarray(total.T), of_rows.members.astype(np.int64), 1)
    factors = of_rows.factors / whole[:, None]
    return BlockAttended(y, of_rows._replace(factors=factors), of_columns)


def block_attention_gradient(
    rows: Members,
    columns: Members,
    n_blocks: int,
    row_score: Any,
    col_score: Any,
    x: Any,
    slope: float,
    attended: BlockAttended,
    grad: Any,
) -> tuple[Any, Any, Any]:
    """The gradients of ``block_attention`` in the scores and in x.

    As :func:`dglmeta.kernels.cpu.block_attention.block_attention_gradient`, up to rounding; the
    same bits in every run. Twelve launches; bytes: the results, 8 a member and number of x, and 16
    a number of x and of y.
    """
    del rows, columns, n_blocks, row_score, col_score  # all that is needed of them is kept
    xp, dtype = array_module(), x.dtype
    positive = _sums(1, attended.rows, attended.columns, x)
    along = _dots(grad, attended.y)
    d_row_score = (1 - slope) * (_dots(grad, positive[..., :-1]) - along * positive[..., -1])
    low, high = (_sums(k, attended.columns, attended.rows, grad, along) for k in range(2))
    low_part, high_part = (_dots(x, part[..., :-1]) - part[..., -1] for part in (low, high))
    d_col_score = slope * low_part + high_part
    d_x = xp.ascontiguousarray((low + high)[..., :-1]).astype(dtype)
    return d_row_score.astype(dtype), d_col_score.astype(dtype), d_x


def _sorted(side: Members, n_blocks: int, score: Any, ids: type) -> tuple[Any, Side]:
    """Memberships in order, (H, n_members) int64, and a side with the rest to be described."""
    xp = array_module()
    n, n_heads = score.shape
    n_members = len(side.blocks)
    by_score = xp.argsort(xp.ascontiguousarray(score.T), axis=1, kind="stable")
    rank = xp.empty_like(by_score)
    rank[xp.arange(n_heads)[:, None], by_score] = xp.arange(n)
    entries = xp.arange(n_members)
    node = xp.searchsorted(side.indptr, entries, side="right") - 1
    keys = side.blocks.astype(np.int64)[None] * max(n, 1) + rank[:, node]
    order = xp.argsort(keys, axis=1, kind="stable").astype(np.int64)
    starts, _ = counting_order(side.blocks, n_blocks)
    n_chunks = (starts[1:] - starts[:-1] + CHUNK - 1) // CHUNK
    chunk_starts = xp.zeros(n_blocks + 1, np.int64)
    chunk_starts[1:] = xp.cumsum(n_chunks)
    members = xp.ascontiguousarray(node[order].astype(ids))
    runs, places = (xp.empty((n_heads, n_members), ids) for _ in range(2))
    factors = xp.empty((n_heads, 2, n_members), np.float64)
    return order, Side(members, runs, factors, side.indptr, places, starts, chunk_starts)


def _describe(
    order: Any, side: Side, other: Side, score: Any, other_score: Any, largest: Any, slope: float
) -> None:
    """Write a side's places, runs and factors."""
    n_heads, n_members = side.members.shape
    launch(
        "block_attention", "describe_members", blocks_for(order.size, THREADS), THREADS,
        order, side.starts, other.starts, side.members, other.members, score, other_score, largest,
        np.float64(slope), n_members, other.members.shape[1], len(side.starts) - 1, n_heads,
        side.places, side.runs, side.factors, **_types(side, score),
    )  # fmt: skip


def _sums(high: int, takers: Side, givers: Side, x: Any, extra: Any = None) -> Any:
    """(n, H, d + 1) float64: each taker's sums of weights times x, and times extra (or 1).

    Over its low pairs or its high ones.
    """
    xp = array_module()
    _, n_heads, d = x.shape
    (_, n_takers), (_, n_givers) = takers.members.shape, givers.members.shape
    n_nodes, n_blocks, width = len(takers.indptr) - 1, len(takers.starts) - 1, d + 1
    n_chunks, n_units, types = givers.most_chunks, takers.most_chunks, _types(takers, x)
    given = givers.members, givers.factors, x, extra
    chunks = xp.empty((n_heads, n_chunks, width), np.float64)
    launch(
        "block_attention", "sum_chunks", blocks_for(chunks.size, THREADS), THREADS,
        high, givers.starts, givers.chunk_starts, *given, n_givers, n_blocks, n_chunks, n_heads, d,
        chunks, **types,
    )  # fmt: skip
    launch(
        "block_attention", "add_chunks", blocks_for(n_heads * n_blocks * width, THREADS), THREADS,
        high, givers.chunk_starts, n_blocks, n_chunks, n_heads, d, chunks, **types,
    )  # fmt: skip
    found = xp.empty((n_heads, n_takers, width), np.float64)
    launch(
        "block_attention", "walk_takers", blocks_for(n_heads * n_units * width, THREADS), THREADS,
        high, takers.starts, takers.chunk_starts, takers.runs, takers.factors, givers.starts,
        givers.chunk_starts, *given, chunks, n_takers, n_givers, n_blocks, n_units, n_chunks,
        n_heads, d, found, **types,
    )  # fmt: skip
    sums = xp.empty((n_nodes, n_heads, width), np.float64)
    launch(
        "block_attention", "sum_members", blocks_for(sums.size, THREADS), THREADS,
        takers.indptr, takers.places, found, n_nodes, n_takers, n_heads, width, sums, **types,
    )  # fmt: skip
    return sums


def _types(side: Side, numbers: Any) -> dict[str, Any]:
    """What the compiler is told; the type of the blocks matters to one kernel alone."""
    index = side.members.dtype
    return {"REAL": numbers.dtype, "INDEX": index, "A_INDEX": index, "CHUNK": CHUNK}


def _dots(a: Any, b: Any) -> Any:
    """(n, H) float64: products of two rows."""
    return (a.astype(np.float64) * b).sum(axis=-1)
