"""Attention within blocks, items that share attributes: the kernels, and torch's operations."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from dglmeta import ops
from dglmeta.bench.gpu.bench import Bench
from dglmeta.bench.gpu.data import differentiated, expect, normal_sets, on_host, tensor
from dglmeta.bench.graphs import HAS
from dglmeta.graph import Adjacency
from dglmeta.kernels.cpu import block_attention as host
from dglmeta.ops.composed_blocks import composed_block_attention

SHAPES = ((1, 64), (8, 8))
SLOPE = 0.2


def run(bench: Bench) -> None:
    hg = bench.graph("medium")
    items, there = hg.adjacency(HAS), hg.to(bench.device).adjacency(HAS)
    for heads, width in SHAPES:
        compare(bench, items, there, heads, width)


def compare(bench: Bench, items: Adjacency, there: Adjacency, heads: int, width: int) -> None:
    """One forward pass, and with the backward pass."""
    n = items.n_src
    sets = normal_sets(bench, *2 * [(n, heads)], *2 * [(n, heads, width)])
    tensors = [tuple(map(tensor, arrays)) for arrays in sets]
    wanted = by_host(items, *map(on_host, sets[0]))

    def fused(score_src: Tensor, score_dst: Tensor, x: Tensor) -> Tensor:
        return ops.block_attention(there, there, score_src, score_dst, x, negative_slope=SLOPE)

    def composed(score_src: Tensor, score_dst: Tensor, x: Tensor) -> Tensor:
        return composed_block_attention(there, there, score_src, score_dst, x, SLOPE)

    name = f"heads: {heads}, features each: {width}"
    for who, function in (("dglmeta", fused), ("torch, composed", composed)):
        bench.time(f"{name}, forward", who, function, [some[:3] for some in tensors],
                   check=expect(wanted[0]))  # fmt: skip
    for who, function in (("dglmeta", fused), ("torch, composed", composed)):
        bench.time(f"{name}, forward and backward", who, differentiated(function), tensors,
                   check=expect(wanted))  # fmt: skip


def by_host(items: Adjacency, *given: Any) -> list[Any]:
    """The result and the three gradients by the kernels of the host in float64."""
    *inputs, grad = (a.astype(np.float64) for a in given)
    one = host.Members(items.indptr, items.indices)
    structure = one, one, items.n_dst
    attended = host.block_attention(*structure, *inputs, SLOPE)
    gradients = host.block_attention_gradient(*structure, *inputs, SLOPE, attended, grad)
    return [attended.y, *gradients]
