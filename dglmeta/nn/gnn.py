"""Graph encoders over one adjacency of all nodes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dglmeta import ops
from dglmeta.graph import Adjacency, Homogeneous
from dglmeta.nn.encoder import Encoder, Messages, check_widths

__all__ = ["GCN"]


class GCN(Encoder):
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
        super().__init__(both_ways=both_ways)
        check_widths("GCN", d_in=d_in, d_out=d_out, d_hidden=d_hidden, n_layers=n_layers)
        between = d_hidden if d_hidden is not None else d_out
        widths = [d_in, *[between] * (n_layers - 1), d_out]
        self.n_hops = n_layers
        self.weights = nn.ParameterList(
            nn.init.xavier_uniform_(torch.empty(a, b))
            for a, b in zip(widths, widths[1:], strict=False)
        )
        self.biases = nn.ParameterList(torch.zeros(b) for b in widths[1:])

    def prepare(self, g: Adjacency | Homogeneous, adj: Adjacency, edge_weight: Tensor) -> Messages:
        """Messages of Â: each edge scaled by both its ends."""
        del g
        degrees = [1 + ops.segment_sum(a, edge_weight) for a in (adj, adj.T)]  # 1 is the loop
        source, destination = (d.rsqrt() for d in degrees)
        between = edge_weight * ops.gather_src(adj, source) * ops.gather_dst(adj, destination)
        return Messages(adj.with_loops.T, torch.cat([between, source * destination]))

    def propagate(self, layers: list[Messages], h: Tensor) -> Tensor:
        """Layers of Â h W + b, the dense product on the fewer rows."""
        for k, (a_hat, w, b) in enumerate(zip(layers, self.weights, self.biases, strict=True)):
            h = torch.relu(h) if k else h
            if a_hat.adjacency.n_src < a_hat.adjacency.n_dst:
                h = ops.spmm(a_hat.adjacency, h, a_hat.weight) @ w + b
            else:
                h = ops.spmm(a_hat.adjacency, h @ w, a_hat.weight) + b
        return h
