"""Graph encoders over one adjacency of all nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from dglmeta import ops
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency, HeteroCSR
from dglmeta.graph.convert import as_csr

if TYPE_CHECKING:
    from dglmeta._dgl import DGLGraph

__all__ = ["GCN", "Messages", "message_adjacency"]

Features = Tensor | dict[str, Tensor]

SHARE_WORTH_CUTTING = 0.5
"""Copying out part of the messages pays where no more than this share of them is needed."""


class Messages(NamedTuple):
    """What a layer sums over: y = A x, with a weight on every edge."""

    adjacency: Adjacency
    """Rows receive, columns send; self loops last."""
    weight: Tensor
    """By edge id."""

    def to(self, nodes: Tensor) -> Messages:
        """The messages that some nodes receive; row k is ``nodes[k]``."""
        part, edge_ids = self.adjacency.rows(nodes.numpy())
        return Messages(part, self.weight[torch.from_numpy(edge_ids)])

    def among(self) -> tuple[Messages, Tensor]:
        """The same messages with their senders renumbered from 0, and who the senders are."""
        part, senders = self.adjacency.without_empty_columns()
        return Messages(part, self.weight), torch.from_numpy(senders)


class GCN(nn.Module):
    r"""Graph convolutional network: layers Â X W + b with Â = D^-1/2 (A + I) D^-1/2, ReLU between.

    Parameters
    ----------
    d_in, d_out : int
        Widths of the node features and of the output embeddings.
    d_hidden : int, optional
        Width between layers; ``d_out`` when absent.
    n_layers : int
        Number of layers, >= 1.
    both_ways : bool
        Let messages run against the edges of a heterograph too, as they must when each relation
        is stored in one direction only.

    Raises
    ------
    ConfigError
        If a width or the number of layers is below 1.

    References
    ----------
    Kipf and Welling, arXiv 1609.02907, eq. 2. On a directed graph a source is scaled by its
    out-degree and a destination by its in-degree.

    Examples
    --------
    >>> from dglmeta.graph import HeteroCSR
    >>> hg = HeteroCSR.from_edges({("a", "to", "b"): ([0, 1], [0, 0])}, {"a": 2, "b": 1})
    >>> out = GCN(4, 3)(hg, {"a": torch.ones(2, 4), "b": torch.ones(1, 4)})
    >>> {name: tuple(h.shape) for name, h in out.items()}
    {'a': (2, 3), 'b': (1, 3)}
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        *,
        d_hidden: int | None = None,
        n_layers: int = 2,
        both_ways: bool = False,
    ) -> None:
        super().__init__()
        between = d_hidden if d_hidden is not None else d_out
        if min(d_in, d_out, between, n_layers) < 1:
            raise ConfigError(
                f"GCN: expected widths and n_layers of at least 1, got d_in={d_in}, d_out={d_out}, "
                f"d_hidden={d_hidden}, n_layers={n_layers}. Raise the one below 1."
            )
        widths = [d_in, *[between] * (n_layers - 1), d_out]
        self.weights = nn.ParameterList(
            nn.init.xavier_uniform_(torch.empty(a, b))
            for a, b in zip(widths, widths[1:], strict=False)
        )
        self.biases = nn.ParameterList(torch.zeros(b) for b in widths[1:])
        self.both_ways = both_ways

    def messages(
        self, g: Adjacency | HeteroCSR | DGLGraph, edge_weight: Tensor | None = None
    ) -> Messages:
        """Â, prepared once for several calls on the same graph.

        Parameters
        ----------
        g : Adjacency, HeteroCSR or DGLGraph
            An Adjacency is square, over all nodes. The nodes of a heterograph are numbered type
            after type.
        edge_weight : (n_edges,) tensor, optional
            Weight of each edge of the adjacency, by edge id; 0 takes an edge out.
        """
        adj = message_adjacency(g, both_ways=self.both_ways)
        dtype = self.weights[0].dtype
        weight = edge_weight
        if weight is None:
            weight = torch.ones(adj.n_edges, dtype=dtype, device=self.weights[0].device)
        degrees = [1 + ops.segment_sum(a, weight) for a in (adj, adj.T)]  # out, in; 1 is the loop
        source, destination = (d.rsqrt() for d in degrees)
        between = weight * ops.gather_src(adj, source) * ops.gather_dst(adj, destination)
        return Messages(adj.with_loops.T, torch.cat([between, source * destination]))

    def layers(self, a_hat: Messages, nodes: Tensor) -> list[Messages]:
        """What each layer sums over when only some nodes' embeddings are wanted.

        A layer computes the nodes that the next one hears from and no others, where these hear
        few messages themselves. Messages are on the host: to find out which are needed would make
        a GPU wait for longer than it takes to pass them all.
        """
        last = a_hat.to(nodes)
        layers = [last]
        while len(layers) < len(self.weights):
            part, senders = layers[0].among()
            if SHARE_WORTH_CUTTING * a_hat.adjacency.n_edges < _n_edges_to(a_hat, senders):
                break
            layers[:1] = [a_hat.to(senders), part]
        return [a_hat] * (len(self.weights) - len(layers)) + layers

    def forward(
        self,
        g: list[Messages] | Adjacency | HeteroCSR | DGLGraph,
        x: Features,
        edge_weight: Tensor | None = None,
    ) -> Features:
        """Embeddings of all nodes, or of those that ``layers`` was asked for.

        Parameters
        ----------
        g : Adjacency, HeteroCSR, DGLGraph, or what ``layers`` made of one
        x : (N, d_in) tensor, or dict of node type to (n, d_in)
            Node features.
        edge_weight : (n_edges,) tensor, optional
            As in ``messages``.

        Returns
        -------
        embeddings : (N, d_out) tensor, or dict, as ``x`` came
        """
        n_layers = len(self.weights)
        layers = g if isinstance(g, list) else [self.messages(g, edge_weight)] * n_layers
        h = _one_tensor(g, x)
        for k, (a_hat, w, b) in enumerate(zip(layers, self.weights, self.biases, strict=True)):
            h = torch.relu(h) if k else h
            if a_hat.adjacency.n_src < a_hat.adjacency.n_dst:  # the dense product on the fewer rows
                h = ops.spmm(a_hat.adjacency, h, a_hat.weight) @ w + b
            else:
                h = ops.spmm(a_hat.adjacency, h @ w, a_hat.weight) + b
        return _as_given(g, x, h)


def message_adjacency(g: Adjacency | HeteroCSR | DGLGraph, *, both_ways: bool = False) -> Adjacency:
    """The square adjacency over all nodes that messages run along."""
    return g if isinstance(g, Adjacency) else as_csr(g).homogeneous(both_ways=both_ways).adjacency


def _n_edges_to(a_hat: Messages, nodes: Tensor) -> int:
    return int(a_hat.adjacency.out_degrees[nodes.numpy()].sum())


def _one_tensor(g: list[Messages] | Adjacency | HeteroCSR | DGLGraph, x: Features) -> Tensor:
    """Features of all nodes in one (N, d) tensor, types in the graph's order."""
    if isinstance(x, Tensor):
        return x
    if isinstance(g, Adjacency | list):
        raise DataError(
            "GCN: expected one (N, d) tensor with an Adjacency, got a dict. "
            "Concatenate the features of all types."
        )
    hg = as_csr(g)
    missing = [t for t in hg.schema.node_types if t not in x]
    if missing:
        raise DataError(
            f"GCN: expected features of every node type, got none for {missing}. "
            f"Add them, an (n, d) tensor each."
        )
    return torch.cat([x[t] for t in hg.schema.node_types])


def _as_given(
    g: list[Messages] | Adjacency | HeteroCSR | DGLGraph, x: Features, h: Tensor
) -> Features:
    """Embeddings in the form the features had."""
    if isinstance(x, Tensor) or isinstance(g, Adjacency | list):
        return h
    hg = as_csr(g)
    sizes = [hg.n_nodes[t] for t in hg.schema.node_types]
    return dict(zip(hg.schema.node_types, h.split(sizes), strict=True))
