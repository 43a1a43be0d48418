"""One layer of attention along meta-paths, and what it attends to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import elu

from dglmeta import ops
from dglmeta.errors import ConfigError
from dglmeta.graph import Adjacency, HeteroCSR, MetaPath
from dglmeta.graph.adjacency import id_dtype
from dglmeta.paths import metapath_product

__all__ = ["ATTENTIONS", "Neighbourhood", "PathLevel", "SharedBlocks", "neighbourhood"]

ATTENTIONS = ("pairs", "instances", "auto")


@dataclass(frozen=True, eq=False)
class SharedBlocks:
    """Nodes attend to all nodes that share a block with them, as often as they share one.

    Parameters
    ----------
    blocks : Adjacency
        (n, B): the blocks of each node; every node has one.
    """

    blocks: Adjacency

    def to(self, device: str) -> SharedBlocks:
        """The same where kernels of a device can take it."""
        return SharedBlocks(self.blocks.to(device))


Neighbourhood = Adjacency | SharedBlocks
"""Whom each node attends to: pairs with loops, rows attending to columns; or blocks."""

_known: WeakKeyDictionary[HeteroCSR, dict[tuple[MetaPath, str], Neighbourhood]] = (
    WeakKeyDictionary()
)
"""What was computed of each graph, as long as it lives."""


def neighbourhood(hg: HeteroCSR, path: MetaPath, attention: str = "pairs") -> Neighbourhood:
    """Whom the nodes of a type attend to along a meta-path.

    Parameters
    ----------
    hg : HeteroCSR
    path : MetaPath
        From a node type back to it.
    attention : {"pairs", "instances", "auto"}
        Each node that at least one instance of the path joins, and the node itself, once. Or as
        often as the two meet half-way, of paths that go there and back: for author-paper-author
        the papers they share; pairs are then never listed. "auto" takes the second where every
        node has one block, so that no two meet twice and both are the same, and the first
        elsewhere: where nodes have many blocks and blocks few nodes, pairs are quicker.

    Raises
    ------
    ConfigError
        If "instances" is asked for along a path that does not go there and back.

    Notes
    -----
    Computed once for each graph and kept as long as it lives.
    """
    known = _known.setdefault(hg, {})
    key = path, attention
    if key not in known:
        known[key] = _found(hg, path, attention)
    return known[key]


def _found(hg: HeteroCSR, path: MetaPath, attention: str) -> Neighbourhood:
    half = _half(path)
    if attention == "instances" and half is None:
        raise ConfigError(
            f"attention: expected a meta-path that goes there and back for 'instances', got "
            f"'{path}'. Use 'pairs'."
        )
    if half is not None and attention != "pairs":
        blocks = _blocks(hg, half)
        simple = blocks.n_edges == blocks.n_src  # one block a node
        if attention == "instances" or simple:
            return SharedBlocks(blocks)
    return _pairs(hg, path)


def _half(path: MetaPath) -> MetaPath | None:
    """The first half of a path whose second half walks it back."""
    half = len(path.steps) // 2
    there_and_back = 2 * half == len(path.steps) and path.is_symmetric
    return MetaPath(path.steps[:half]) if there_and_back else None


def _pairs(hg: HeteroCSR, path: MetaPath) -> Adjacency:
    """The pairs that a path joins, and every node with itself, each once."""
    from scipy.sparse import eye_array

    joined = metapath_product(hg, path, sort=True)
    n = hg.n_nodes[path.source]
    # A sum of two bool matrices is their union.
    near = (joined + eye_array(n, dtype=bool, format="csr")).sorted_indices()
    indices = near.indices.astype(id_dtype(n), copy=False)
    return Adjacency(near.indptr.astype("int64"), indices, None, n)


def _blocks(hg: HeteroCSR, half: MetaPath) -> Adjacency:
    """What each node reaches by half a path; a block of its own for one that reaches nothing."""
    reached = metapath_product(hg, half, sort=True)
    n, n_blocks = reached.shape
    alone = np.flatnonzero(np.diff(reached.indptr) == 0)
    src = np.concatenate([np.repeat(np.arange(n), np.diff(reached.indptr)), alone])
    dst = np.concatenate([reached.indices, n_blocks + np.arange(len(alone))])
    return Adjacency.from_coo(src, dst, (n, n_blocks + len(alone)))


class PathLevel(nn.Module):
    """One layer: what belongs to a node type or to a meta-path lies at its number.

    Parameters
    ----------
    n_types : int
    path_types : list of int
        The node type of each meta-path.
    d_in, d_out, n_heads, d_q : int
        Widths of what is read and given, heads that divide the latter, and length of q.
    """

    def __init__(
        self, n_types: int, path_types: list[int], d_in: int, d_out: int, n_heads: int, d_q: int
    ) -> None:
        super().__init__()
        self.d_out, self.n_heads = d_out, n_heads
        self.paths_of = {
            number: [k for k, t in enumerate(path_types) if t == number]
            for number in range(n_types)
        }
        with_paths = sorted(set(path_types))
        self.place = {number: k for k, number in enumerate(with_paths)}
        n, d_head = len(with_paths), d_out // n_heads
        self.project = _glorot(n_types, d_in, d_out, fans=d_in + d_out)
        # What a node adds to the scores of the edges it attends along, and of those to itself.
        self.attend = _glorot(len(path_types), 2, n_heads, d_head, fans=2 * d_head + 1)
        self.semantic_weight = _glorot(n, d_out, d_q, fans=d_out + d_q)
        self.semantic_bias = nn.Parameter(torch.zeros(n, d_q))
        self.query = _glorot(n, d_q, fans=d_q + 1)

    def forward(
        self, near: Sequence[Neighbourhood], number: int, x: Tensor
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """(n, d_out) embeddings of one node type, and the weight of each of its meta-paths."""
        paths, project = self.paths_of[number], self.project[number]
        if not paths:
            return elu(x @ project), {}
        if self.n_heads == 1 and x.shape[-1] < self.d_out:
            each = [_attend_narrow(near[k], self.attend[k, :, 0], x, project) for k in paths]
        else:
            heads = (x @ project).unflatten(-1, (self.n_heads, self.d_out // self.n_heads))
            each = [_attend(near[k], self.attend[k], heads).flatten(-2) for k in paths]
        z = elu(torch.stack(each))  # (paths, n, d_out)
        place = self.place[number]
        keys = torch.tanh(z @ self.semantic_weight[place] + self.semantic_bias[place])
        w = (keys @ self.query[place]).sum(-1) / max(len(x), 1)  # (paths,)
        beta = torch.softmax(w, 0)
        weights = dict(zip(paths, beta, strict=True))
        return torch.tensordot(beta, z, 1), weights


def _attend(near: Neighbourhood, a: Tensor, heads: Tensor) -> Tensor:
    """(n, H, d_head) of (n, H, d_head), scored by a (2, H, d_head)."""
    return _along(near, (heads * a[0]).sum(-1), (heads * a[1]).sum(-1), heads)


def _attend_narrow(near: Neighbourhood, a: Tensor, x: Tensor, project: Tensor) -> Tensor:
    """As ``_attend`` of ``x @ project`` by one head: sums first, which are narrower, then maps."""
    attending, attended = (x @ (project @ of_end) for of_end in a)
    return _along(near, attending, attended, x) @ project


def _along(near: Neighbourhood, attending: Tensor, attended: Tensor, x: Tensor) -> Tensor:
    if isinstance(near, Adjacency):
        return ops.attention(near, attending, attended, x)
    return ops.block_attention(near.blocks, near.blocks, attending, attended, x)


def _glorot(*shape: int, fans: int) -> nn.Parameter:
    """Uniform in +-sqrt(6 / (fan in + fan out)), the fans of one of several stacked maps."""
    bound = math.sqrt(6 / fans)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
