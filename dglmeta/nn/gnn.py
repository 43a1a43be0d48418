"""Graph encoders over one adjacency of all nodes, without attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dglmeta import ops
from dglmeta.errors import ConfigError
from dglmeta.graph import Adjacency, Homogeneous
from dglmeta.nn.encoder import Encoder, Messages, check_widths, with_loops
from dglmeta.nn.heads import uniform_parameter
from dglmeta.nn.layered import LayeredEncoder, product, summed

__all__ = ["GCN", "GIN", "SAGE", "SGC", "StackedSGC"]


class Convolving(Encoder):
    """An encoder whose messages are those of Â = D^-1/2 (A + I) D^-1/2.

    On a directed graph a source is scaled by its out-degree and a destination by its in-degree.
    """

    def prepare(self, g: Adjacency | Homogeneous, adj: Adjacency, edge_weight: Tensor) -> Messages:
        """Messages of Â: each edge scaled by both its ends."""
        del g
        adj, weight = adj.with_loops, with_loops(edge_weight, adj.n_src)
        source, destination = (ops.segment_sum(a, weight).rsqrt() for a in (adj, adj.T))
        weight = weight * ops.gather_src(adj, source) * ops.gather_dst(adj, destination)
        return Messages(adj.T, weight)


class GCN(Convolving, LayeredEncoder):
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

    def build(self, widths: list[int]) -> None:
        """W by Glorot's rule, b zero."""
        self.weights, self.biases = glorot_matrices(widths), zero_biases(widths)

    def layer(self, k: int, hops: list[Messages], h: Tensor) -> Tensor:
        """Â h W + b."""
        return product(hops, h, self.weights[k]) + self.biases[k]


class SGC(Convolving):
    r"""Simplified graph convolution: Â^K X W + b, one linear map of what K hops sum.

    Parameters
    ----------
    d_in, d_out : int
        Widths of the node features and of the output embeddings.
    d_hidden : None
        There is nothing between layers; taken so that encoders are made alike.
    n_layers : int
        Number of hops K, >= 1.
    both_ways : bool
        As for :class:`GCN`.

    Raises
    ------
    ConfigError
        If a width or the number of layers is below 1, or ``d_hidden`` is given.

    References
    ----------
    Wu et al., arXiv 1902.07153, eq. 8. For what SELAR's authors call SGC see :class:`StackedSGC`.

    Examples
    --------
    >>> path = Adjacency.from_coo([0, 1], [1, 2], (3, 3))
    >>> SGC(4, 3)(path, torch.ones(3, 4)).shape
    torch.Size([3, 3])
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
        check_widths("SGC", d_in=d_in, d_out=d_out, n_layers=n_layers)
        if d_hidden is not None:
            raise ConfigError(
                f"SGC: expected no d_hidden, got {d_hidden}. It has one linear map: leave it out, "
                f"or take StackedSGC."
            )
        self.n_hops = n_layers
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(d_in, d_out)))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def propagate(self, layers: list[Messages], h: Tensor) -> Tensor:
        """Â^K h W + b."""
        return product(layers, h, self.weight) + self.bias


class StackedSGC(Convolving, LayeredEncoder):
    r"""What SELAR's authors call SGC: layers Â^2 (X W + b), ReLU between.

    Not simplified graph convolution: it is not linear, and a layer is two hops. Parameters and
    errors are those of :class:`GCN`.

    References
    ----------
    SELAR, arXiv 2007.08294, its authors' code; Wu et al., arXiv 1902.07153, for one layer.
    """

    hops_each = 2

    def build(self, widths: list[int]) -> None:
        """PyTorch's default for linear layers."""
        self.weights, self.biases = linear_matrices(widths), linear_biases(widths)

    def layer(self, k: int, hops: list[Messages], h: Tensor) -> Tensor:
        """Â^2 (h W + b)."""
        return summed(hops, torch.addmm(self.biases[k], h, self.weights[k]))


class GIN(LayeredEncoder):
    r"""Graph isomorphism network: layers W_2 ReLU(W_1 (x_i + sum_j x_j) + b_1) + b_2, ReLU between.

    The weight of a node itself is 1 (epsilon = 0, not learned), and there is no batch
    normalisation. Parameters and errors are those of :class:`GCN`; a layer's inner width is the
    one it gives out.

    References
    ----------
    Xu et al., arXiv 1810.00826, eq. 4.1.
    """

    def build(self, widths: list[int]) -> None:
        """PyTorch's default for linear layers."""
        self.weights_in, self.biases_in = linear_matrices(widths), linear_biases(widths)
        given = widths[1:]
        self.weights_out = nn.ParameterList(uniform_parameter(b, b, fan_in=b) for b in given)
        self.biases_out = nn.ParameterList(uniform_parameter(b, fan_in=b) for b in given)

    def layer(self, k: int, hops: list[Messages], h: Tensor) -> Tensor:
        """Sum, linear, ReLU, linear."""
        inner = torch.relu(product(hops, h, self.weights_in[k]) + self.biases_in[k])
        return torch.addmm(self.biases_out[k], inner, self.weights_out[k])


class SAGE(LayeredEncoder):
    r"""GraphSAGE with mean aggregation: layers W_self x_i + W_neigh mean_j x_j + b, ReLU between.

    The mean goes over the sources of a node's incoming edges, each with the edge's weight; it is
    zero where there are none. Parameters and errors are those of :class:`GCN`.

    References
    ----------
    Hamilton et al., arXiv 1706.02216, algorithm 1 with the concatenation written as two maps, and
    without the scaling to unit length.
    """

    def prepare(self, g: Adjacency | Homogeneous, adj: Adjacency, edge_weight: Tensor) -> Messages:
        """Messages of the mean; a node's own has weight zero."""
        del g
        whole = ops.segment_sum(adj.T, edge_weight)
        whole = whole.masked_fill(whole == 0, 1)  # of no weights, or of zeros
        share = edge_weight / ops.gather_dst(adj, whole)
        return Messages(adj.with_loops.T, with_loops(share, adj.n_src, loop=0.0))

    def build(self, widths: list[int]) -> None:
        """W by Glorot's rule, b zero."""
        self.weights_self, self.weights_neigh = glorot_matrices(widths), glorot_matrices(widths)
        self.biases = zero_biases(widths)

    def layer(self, k: int, hops: list[Messages], h: Tensor) -> Tensor:
        """W_self h + W_neigh mean + b."""
        own = torch.addmm(self.biases[k], hops[0].own(h), self.weights_self[k])
        return own + product(hops, h, self.weights_neigh[k])


def glorot_matrices(widths: list[int]) -> nn.ParameterList:
    """(a, b) for each two consecutive widths, uniform in +-sqrt(6 / (a + b))."""
    pairs = zip(widths, widths[1:], strict=False)
    return nn.ParameterList(nn.init.xavier_uniform_(torch.empty(a, b)) for a, b in pairs)


def zero_biases(widths: list[int]) -> nn.ParameterList:
    """A zero vector for each layer."""
    return nn.ParameterList(torch.zeros(b) for b in widths[1:])


def linear_matrices(widths: list[int]) -> nn.ParameterList:
    """(a, b) for each two consecutive widths, as PyTorch fills a linear layer."""
    pairs = zip(widths, widths[1:], strict=False)
    return nn.ParameterList(uniform_parameter(a, b, fan_in=a) for a, b in pairs)


def linear_biases(widths: list[int]) -> nn.ParameterList:
    """A vector for each layer, as PyTorch fills a linear layer."""
    pairs = zip(widths, widths[1:], strict=False)
    return nn.ParameterList(uniform_parameter(b, fan_in=a) for a, b in pairs)
