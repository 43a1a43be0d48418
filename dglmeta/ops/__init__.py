"""Sparse operations on adjacencies that compose with autograd and ``torch.func`` in any order.

The adjacency runs from source rows to destination columns; ``adj.T`` is the other way, with the
same edge ids. Per-edge tensors are in the order of edge ids. Whatever comes first in a shape, nodes
or edges, the axes after it are yours.

Batch with :func:`torch.func.vmap` or :func:`torch.func.jacrev`; the older ``is_grads_batched`` of
:func:`torch.autograd.grad` cannot see into ops that are not torch's own.
"""

from dglmeta.ops.attention import attention
from dglmeta.ops.block_attention import block_attention, pairs_meet_once
from dglmeta.ops.sddmm import sddmm
from dglmeta.ops.segment import gather_dst, gather_src, segment_max, segment_mean, segment_sum
from dglmeta.ops.softmax import edge_softmax
from dglmeta.ops.spmm import spmm

__all__ = [
    "attention",
    "block_attention",
    "edge_softmax",
    "gather_dst",
    "gather_src",
    "pairs_meet_once",
    "sddmm",
    "segment_max",
    "segment_mean",
    "segment_sum",
    "spmm",
]
