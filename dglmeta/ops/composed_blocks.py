"""Attention within blocks, composed of torch's operations: for derivatives of derivatives."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops import backend

__all__ = ["composed_block_attention"]


def composed_block_attention(
    rows: Adjacency,
    columns: Adjacency,
    score_src: Tensor,
    score_dst: Tensor,
    x: Tensor,
    slope: float,
) -> Tensor:
    """The same as :class:`BlockAttention` in operations of torch, on any device.

    Sums over runs of a block are differences of one running total over all blocks, in float64.
    Powers are relative to the largest of a block, and of a row; these shifts cancel, and so need
    no derivative.
    """
    at = _places(rows, columns)
    order, split = _order(at, score_src.detach(), score_dst.detach())
    r, c = score_src.double()[at.taker], score_dst.double().gather(0, order)
    shift = _largest(at, r.detach(), c.detach(), len(score_src), slope)
    vectors = torch.cat([x, x.new_ones(*x.shape[:2], 1)], -1).double()
    vectors = vectors.gather(0, _along(order, vectors))  # (members, H, d + 1)
    (low_given, low_taken), (given, taken) = (_powers(at, r, c, shift, a) for a in (slope, 1.0))
    low, _ = _runs(at, low_given * vectors, split)
    _, high = _runs(at, given * vectors, split)
    each = low_taken * low + taken * high
    sums = each.new_zeros(len(score_src), *each.shape[1:]).index_add(0, at.taker, each)
    y, whole = sums[..., :-1], sums[..., -1:]
    return (y / torch.where(whole == 0, 1.0, whole)).to(x.dtype)


class _Places(NamedTuple):
    """Members are attended nodes in blocks, block after block; visits attending nodes in blocks."""

    taker: Tensor
    """(visits,) the attending node; in blocks without members there are no visits."""
    block: Tensor
    """(visits,) the block."""
    giver: Tensor
    """(members,) the attended node."""
    home: Tensor
    """(members,) the block."""
    starts: Tensor
    """(n_blocks + 1,) where each block's members begin."""


def _places(rows: Adjacency, columns: Adjacency) -> _Places:
    to = backend.bridge_to(rows)
    with to.stream():
        indptr, block = to.tensor(rows.indptr), to.tensor(rows.indices).long()
        starts, giver = to.tensor(columns.T.indptr), to.tensor(columns.T.indices).long()
    taker, home = (
        torch.arange(len(p) - 1, device=p.device).repeat_interleave(p.diff())
        for p in (indptr, starts)
    )
    met = (starts.diff() > 0)[block]
    return _Places(taker[met], block[met], giver, home, starts)


def _order(at: _Places, score_src: Tensor, score_dst: Tensor) -> tuple[Tensor, Tensor]:
    """Members in order of score, and where those begin whose scores with a visitor's exceed 0.

    (members, H) nodes and (visits, H) positions among them.
    """
    n = len(score_dst)
    rising, nodes = score_dst.T.contiguous().sort(1)
    rank = nodes.argsort(1)  # (H, n_dst)
    below = torch.searchsorted(rising, -score_src.T.contiguous(), right=True)
    keys, order = (at.home * (n + 1) + rank[:, at.giver]).sort(1)
    split = torch.searchsorted(keys, at.block * (n + 1) + below[:, at.taker])
    return at.giver[order].T, split.T


def _largest(at: _Places, r: Tensor, c: Tensor, n_src: int, slope: float) -> Tensor:
    """(visits, H): the largest leaky score of the visitor's pairs in all its blocks.

    It is at an end of one of them: a leaky ReLU of slope at most 1 is convex.
    """
    ends = torch.stack([r + c[_first(at, at.block)], r + c[_last(at, at.block)]])
    here = torch.where(ends > 0, ends, slope * ends).amax(0)
    to = at.taker.unsqueeze(1).expand_as(here)
    most = here.new_full((n_src, here.shape[1]), -torch.inf).scatter_reduce(0, to, here, "amax")
    return most[at.taker]


def _powers(
    at: _Places, r: Tensor, c: Tensor, shift: Tensor, slope: float
) -> tuple[Tensor, Tensor]:
    """Factors (members, H, 1) and (visits, H, 1) of ``exp(slope * (r + c) - shift)``."""
    peak = _last if slope > 0 else _first
    still = c.detach()
    given = torch.exp(slope * (c - still[peak(at, at.home)]))
    taken = torch.exp(slope * (r + still[peak(at, at.block)]) - shift)
    return given.unsqueeze(-1), taken.unsqueeze(-1)


def _runs(at: _Places, vectors: Tensor, split: Tensor) -> tuple[Tensor, Tensor]:
    """(visits, H, d + 1): sums over the block's members before the split, and after."""
    running = vectors.cumsum(0)
    running = torch.cat([running.new_zeros(1, *running.shape[1:]), running])
    middle = running.gather(0, _along(split, running))
    begin, end = (running[starts[at.block]] for starts in (at.starts[:-1], at.starts[1:]))
    return middle - begin, end - middle


def _along(places: Tensor, x: Tensor) -> Tensor:
    """(k, H) as an index for ``gather`` in (n, H, d)."""
    return places.unsqueeze(-1).expand(-1, -1, x.shape[-1])


def _first(at: _Places, block: Tensor) -> Tensor:
    return at.starts[:-1][block]


def _last(at: _Places, block: Tensor) -> Tensor:
    return at.starts[1:][block] - 1
