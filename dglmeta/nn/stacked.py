"""Graphs side by side, whose rows are multiplied by matrices of their own.

No loop runs over the graphs: the rows of each are filled up to whole tiles, and a batched product
takes every tile times the matrix of its graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.graph import Adjacency
from dglmeta.graph.states import NodeStates
from dglmeta.ops.backend import bridge_of

__all__ = ["TILE", "StackedGraphs", "layer_inputs", "stack_graphs", "tile_product"]

TILE = 32
"""Rows that are multiplied by one graph's matrix at a time."""


class StackedGraphs(NamedTuple):
    """B graphs as two layers of messages read them: the distinct states of their nodes.

    The rows of each graph are filled up with zeros to whole tiles.
    """

    received: Tensor
    """(C1 * TILE, d_in + 2): distinct rows of [Â X, Â 1, 1]; with ``own`` of [Â X, X, Â 1, 1]."""
    n_receiving: Tensor
    """(C1 * TILE,) nodes of each such row; 0 where it is a filling."""
    first_graph: Tensor
    """(C1,) int64: graph of each tile of them."""
    messages: Adjacency
    """(C2 * TILE, C1 * TILE): distinct rows of Â."""
    weight: Tensor
    """(n_edges,) of the messages, in the order of edge ids."""
    sent: Tensor
    """(C2 * TILE, 2): [Â 1, 1] of each such row."""
    n_nodes: Tensor
    """(C2 * TILE,) nodes of each such row."""
    second_graph: Tensor
    """(C2,) int64: graph of each tile of them."""
    row: Tensor
    """(n_nodes,) int64: row of each node's state among the second layer's; on the host."""
    size: Tensor
    """(B,) nodes of each graph."""
    own: Tensor | None
    """(C2 * TILE,) int64: row of the first layer that each of the second's has itself."""
    kl_share: Tensor
    """(C2 * TILE,) what the divergence of each row counts: over the nodes a mean, over N again."""

    def to(self, device: str) -> StackedGraphs:
        """The same on "cpu" or "cuda", but for ``row``."""
        if device == "cpu":
            return self
        kind = bridge_of(device).device_type
        moved = {
            name: part.to(kind)
            for name, part in self._asdict().items()
            if isinstance(part, Tensor) and name != "row"
        }
        return self._replace(messages=self.messages.to(device), **moved)


def stack_graphs(states: Sequence[NodeStates], dtype: torch.dtype = torch.float32) -> StackedGraphs:
    """Node states of several graphs in the form that encoders read.

    Parameters
    ----------
    states : sequence of NodeStates
        Of at least one graph, as :func:`dglmeta.graph.states.node_states` makes them: edges of the
        messages in order. The last feature of each is 1 for every node, so that the last column of
        what is received is Â 1.
    dtype : torch.dtype
    """

    def tensor(array: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(dtype)

    first = _Tiles([len(s.received) for s in states])
    second = _Tiles([s.messages.n_src for s in states])
    degrees = second.fill([s.messages.out_degrees for s in states])
    columns = [s.messages.indices + b for s, b in zip(states, first.begin, strict=True)]
    messages = Adjacency(
        np.concatenate([[0], np.cumsum(degrees)]),
        np.concatenate(columns).astype(np.int32),
        None,
        first.n_rows,
    )
    rows = [s.state + b for s, b in zip(states, second.begin, strict=True)]
    n_nodes = second.fill([s.n_nodes for s in states])
    own = None
    if all(s.own is not None for s in states):
        rows_of = [s.own + b for s, b in zip(states, first.begin, strict=True)]
        own = torch.from_numpy(second.fill(rows_of))
    size = np.array([len(s.state) for s in states])
    return StackedGraphs(
        received=tensor(first.fill([layer_inputs(s) for s in states])),
        n_receiving=tensor(first.fill([s.n_receiving for s in states])),
        first_graph=torch.from_numpy(first.graph),
        messages=messages,
        weight=tensor(np.concatenate([s.weight for s in states])),
        sent=tensor(second.fill([_with_ones(_row_sums(s)[:, None]) for s in states])),
        n_nodes=tensor(n_nodes),
        second_graph=torch.from_numpy(second.graph),
        row=torch.from_numpy(np.concatenate(rows)),
        size=tensor(size),
        own=own,
        kl_share=tensor(n_nodes / np.repeat(size[second.graph] ** 2.0, TILE)),
    )


def tile_product(x: Tensor, maps: Tensor, graph: Tensor) -> Tensor:
    """Rows of each graph times that graph's matrix.

    Parameters
    ----------
    x : (C * TILE, a)
    maps : (B, a, b)
    graph : (C,) int64
        Graph of each tile.

    Returns
    -------
    y : (C * TILE, b)
    """
    tiles = x.view(len(graph), TILE, -1)
    return torch.bmm(tiles, maps[graph]).flatten(0, 1)


class _Tiles:
    """Where rows of several graphs lie, each graph's filled up to whole tiles."""

    def __init__(self, counts: list[int]) -> None:
        tiles = -(-np.array(counts) // TILE)
        self.begin = np.concatenate([[0], np.cumsum(tiles[:-1])]) * TILE
        self.graph = np.repeat(np.arange(len(counts)), tiles)
        self.n_rows = len(self.graph) * TILE

    def fill(self, blocks: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """The blocks' rows in their places, zeros between them."""
        out = np.zeros((self.n_rows, *blocks[0].shape[1:]), blocks[0].dtype)
        for begin, block in zip(self.begin, blocks, strict=True):
            out[begin : begin + len(block)] = block
        return out


def layer_inputs(states: NodeStates) -> npt.NDArray[Any]:
    """[Â x, Â 1, 1] or, of nodes that hear themselves apart, [Â x, x, Â 1, 1]."""
    rows = states.received
    if states.own is None:
        return _with_ones(rows)
    heard, own = np.split(rows, 2, axis=1)  # [Â x, Â 1] and [x, 1]
    return np.column_stack([heard[:, :-1], own[:, :-1], heard[:, -1], own[:, -1]])


def _with_ones(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.column_stack([rows, np.ones(len(rows))])


def _row_sums(states: NodeStates) -> npt.NDArray[np.float64]:
    """Sum of the weights of each distinct row of messages."""
    rows = np.repeat(np.arange(states.messages.n_src), states.messages.out_degrees)
    return np.bincount(rows, states.weight, minlength=states.messages.n_src)
