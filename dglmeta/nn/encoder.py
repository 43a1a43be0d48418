"""What graph encoders share: the messages a layer sums over, and who needs which."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency, HeteroCSR, Homogeneous
from dglmeta.graph.convert import as_csr

if TYPE_CHECKING:
    from dglmeta._dgl import DGLGraph

__all__ = [
    "Encoder",
    "Features",
    "Messages",
    "check_widths",
    "message_adjacency",
    "one_tensor",
    "with_loops",
]

Features: TypeAlias = Tensor | dict[str, Tensor]
Graph: TypeAlias = "Adjacency | Homogeneous | HeteroCSR | DGLGraph"

SHARE_WORTH_CUTTING = 0.5
"""Copying out part of the messages pays where no more than this share of them is needed."""


class Messages(NamedTuple):
    """What a layer sums over: y = A x, with a weight on every edge."""

    adjacency: Adjacency
    """Rows receive, columns send; every row has a loop from its own node, loops numbered last."""
    weight: Tensor
    """(n_edges,) by edge id."""
    receivers: Tensor | None = None
    """(n_rows,) int64: column of the node that each row is; None where row k is column k."""
    edge_type: Tensor | None = None
    """(n_edges,) int64 by edge id: number of the edge's type and direction, loops the last number;
    None where the encoder does not ask."""

    def to(self, nodes: Tensor) -> Messages:
        """The messages that some nodes receive; row k is ``nodes[k]``."""
        part, edge_ids = self.adjacency.rows(nodes.numpy())
        ids = torch.from_numpy(edge_ids)
        kind = None if self.edge_type is None else self.edge_type[ids]
        return Messages(part, self.weight[ids], nodes, kind)

    def among(self) -> tuple[Messages, Tensor]:
        """The same messages with their senders renumbered from 0, and who the senders are."""
        part, numbers = self.adjacency.without_empty_columns()
        senders = torch.from_numpy(numbers)
        receivers = self.receivers
        if receivers is not None:
            receivers = torch.searchsorted(senders, receivers)
        return Messages(part, self.weight, receivers, self.edge_type), senders

    def own(self, h: Tensor) -> Tensor:
        """Of the features of senders, those of the receivers themselves."""
        return h if self.receivers is None else h[self.receivers]


class Encoder(nn.Module, abc.ABC):
    """A stack of hops over one adjacency of all nodes, from node features to embeddings.

    A subclass says in ``prepare`` what weight each message has and in ``propagate`` what is done
    with them; it sets ``n_hops``, how many times messages are summed.

    Parameters
    ----------
    both_ways : bool
        Let messages run against the edges of a heterograph too, as they must when each relation
        is stored in one direction only.
    """

    n_hops: int

    def __init__(self, *, both_ways: bool = False) -> None:
        super().__init__()
        self.both_ways = both_ways

    def messages(self, g: Graph, edge_weight: Tensor | None = None) -> Messages:
        """What every hop sums over, prepared once for several calls on the same graph.

        Parameters
        ----------
        g : Adjacency, Homogeneous, HeteroCSR or DGLGraph
            An Adjacency is square, over all nodes. The nodes of a heterograph are numbered type
            after type.
        edge_weight : (n_edges,) tensor, optional
            Weight of each edge of the adjacency, by edge id; 0 takes an edge out.
        """
        if not isinstance(g, Adjacency | Homogeneous):
            g = as_csr(g).homogeneous(both_ways=self.both_ways)
        adj = g.adjacency if isinstance(g, Homogeneous) else g
        if edge_weight is None:
            one = next(self.parameters())
            edge_weight = torch.ones(adj.n_edges, dtype=one.dtype, device=one.device)
        return self.prepare(g, adj, edge_weight)

    def prepare(self, g: Adjacency | Homogeneous, adj: Adjacency, edge_weight: Tensor) -> Messages:
        """Messages along every edge with its weight; a node's own, last, with weight one."""
        del g
        return Messages(adj.with_loops.T, with_loops(edge_weight, adj.n_src))

    def layers(self, messages: Messages, nodes: Tensor) -> list[Messages]:
        """What each hop sums over when only some nodes' embeddings are wanted.

        A hop computes the nodes that the next one hears from and no others, where these hear
        few messages themselves. Messages are on the host: to find out which are needed would make
        a GPU wait for longer than it takes to pass them all.
        """
        layers = [messages.to(nodes)]
        while len(layers) < self.n_hops:
            part, senders = layers[0].among()
            if SHARE_WORTH_CUTTING * messages.adjacency.n_edges < _n_edges_to(messages, senders):
                break
            layers[:1] = [messages.to(senders), part]
        return [messages] * (self.n_hops - len(layers)) + layers

    def forward(
        self, g: list[Messages] | Graph, x: Features, edge_weight: Tensor | None = None
    ) -> Features:
        """Embeddings of all nodes, or of those that ``layers`` was asked for.

        Parameters
        ----------
        g : Adjacency, Homogeneous, HeteroCSR, DGLGraph, or what ``layers`` made of one
        x : (N, d_in) tensor, or dict of node type to (n, d_in)
            Node features.
        edge_weight : (n_edges,) tensor, optional
            As in ``messages``.

        Returns
        -------
        embeddings : (N, d_out) tensor, or dict, as ``x`` came
        """
        if isinstance(g, list):
            return self.propagate(g, one_tensor(g, x))
        every = [self.messages(g, edge_weight)] * self.n_hops
        return _as_given(g, x, self.propagate(every, one_tensor(g, x)))

    @abc.abstractmethod
    def propagate(self, layers: list[Messages], h: Tensor) -> Tensor:
        """(n, d_out) embeddings of the last hop's receivers, from the first hop's senders' h."""


def with_loops(edge_weight: Tensor, n_nodes: int, loop: float = 1.0) -> Tensor:
    """Weights of edges, then of one loop a node."""
    return torch.cat([edge_weight, edge_weight.new_full((n_nodes,), loop)])


def message_adjacency(g: Graph, *, both_ways: bool = False) -> Adjacency:
    """The square adjacency over all nodes that messages run along."""
    if isinstance(g, Homogeneous):
        return g.adjacency
    return g if isinstance(g, Adjacency) else as_csr(g).homogeneous(both_ways=both_ways).adjacency


def check_widths(where: str, **widths: int | None) -> None:
    """Refuse a width or a number of layers below 1.

    Raises
    ------
    ConfigError
        Naming all of them.
    """
    if min(w for w in widths.values() if w is not None) < 1:
        given = ", ".join(f"{name}={w}" for name, w in widths.items())
        raise ConfigError(
            f"{where}: expected widths and n_layers of at least 1, got {given}. "
            f"Raise the one below 1."
        )


def _n_edges_to(messages: Messages, nodes: Tensor) -> int:
    return int(messages.adjacency.out_degrees[nodes.numpy()].sum())


def one_tensor(g: list[Messages] | Graph, x: Features) -> Tensor:
    """Features of all nodes in one (N, d) tensor, types in the graph's order."""
    if isinstance(x, Tensor):
        return x
    if isinstance(g, Adjacency | Homogeneous | list):
        raise DataError(
            f"encoder: expected one (N, d) tensor with a {type(g).__name__}, got a dict. "
            f"Concatenate the features of all types."
        )
    hg = as_csr(g)
    missing = [t for t in hg.schema.node_types if t not in x]
    if missing:
        raise DataError(
            f"encoder: expected features of every node type, got none for {missing}. "
            f"Add them, an (n, d) tensor each."
        )
    return torch.cat([x[t] for t in hg.schema.node_types])


def _as_given(g: Graph, x: Features, h: Tensor) -> Features:
    """Embeddings in the form the features had."""
    if isinstance(x, Tensor):
        return h
    hg = as_csr(g)
    sizes = [hg.n_nodes[t] for t in hg.schema.node_types]
    return dict(zip(hg.schema.node_types, torch.split(h, sizes), strict=True))
