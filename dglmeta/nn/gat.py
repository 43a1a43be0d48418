"""The graph attention network, over one adjacency of all nodes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dglmeta import ops
from dglmeta.graph import Adjacency, Homogeneous
from dglmeta.nn.encoder import Messages, check_widths, with_loops
from dglmeta.nn.layered import LayeredEncoder, dense_first

__all__ = ["GAT", "without_silent"]

NEGATIVE_SLOPE = 0.2


class GAT(LayeredEncoder):
    r"""Graph attention network: layers sum_j a_ij W x_j + b over j and i itself, ReLU between.

    a_ij is the softmax over j of leaky_relu(p . W x_i + q . W x_j) with slope 0.2. Heads are
    concatenated between layers and averaged at the last. There is no dropout. An edge of weight
    zero is taken out; any other weight is ignored.

    Parameters
    ----------
    d_in, d_out : int
        Widths of the node features and of the output embeddings.
    d_hidden : int, optional
        Width that each head has between layers; ``d_out`` when absent.
    n_layers : int
        Number of layers, >= 1.
    n_heads : int
        Number of heads in each layer, >= 1.
    both_ways : bool
        As for :class:`GCN`.

    Raises
    ------
    ConfigError
        If a width, the number of layers or of heads is below 1.

    References
    ----------
    Velickovic et al., arXiv 1710.10903, eq. 3 to 6.

    Examples
    --------
    >>> path = Adjacency.from_coo([0, 1], [1, 2], (3, 3))
    >>> GAT(4, 3, n_heads=2)(path, torch.ones(3, 4)).shape
    torch.Size([3, 3])
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        *,
        d_hidden: int | None = None,
        n_layers: int = 2,
        n_heads: int = 1,
        both_ways: bool = False,
    ) -> None:
        check_widths("GAT", n_heads=n_heads)
        self.n_heads = n_heads  # first, as ``build`` reads it
        super().__init__(d_in, d_out, d_hidden=d_hidden, n_layers=n_layers, both_ways=both_ways)

    def prepare(self, g: Adjacency | Homogeneous, adj: Adjacency, edge_weight: Tensor) -> Messages:
        """Messages of weight one, those taken out not among them; on a GPU there, of weight zero.

        To drop them takes arrays of a size known only from the weights, for which a GPU would wait.
        """
        del g
        weight = with_loops(edge_weight, adj.n_src)
        if adj.device == "cpu":
            sent = without_silent(adj.with_loops.T, weight)
            return Messages(sent, weight.new_ones(sent.n_edges))
        return Messages(adj.with_loops.T, (weight != 0).to(weight.dtype))

    def build(self, widths: list[int]) -> None:
        """W, p and q by Glorot's rule, b zero."""
        given, n_heads = widths[1:], self.n_heads
        taken = [widths[0], *(n_heads * b for b in given[:-1])]
        self.weights, self.attending, self.attended = (
            nn.ParameterList(nn.init.xavier_uniform_(torch.empty(a, b)) for a, b in shapes)
            for shapes in (
                [(a, n_heads * b) for a, b in zip(taken, given, strict=True)],
                [(n_heads, b) for b in given],
                [(n_heads, b) for b in given],
            )
        )
        self.biases = nn.ParameterList(torch.zeros(b) for b in [*taken[1:], given[-1]])

    def layer(self, k: int, hops: list[Messages], h: Tensor) -> Tensor:
        """Attention over W h; or over h and then W, where one head makes that cheaper."""
        (hop,), w, b = hops, self.weights[k], self.biases[k]
        by_head = w.unflatten(1, (self.n_heads, -1))  # (d_in, heads, d)
        # p . W h as h (W^T p): no product of the size of W h where that is not wanted.
        p, q = ((by_head * a[k]).sum(-1) for a in (self.attending, self.attended))  # (d_in, heads)
        scores = hop.own(h @ p), h @ q
        if self.n_heads == 1 and not dense_first(hops, *w.shape):
            own, sent = (s.squeeze(1) for s in scores)
            return torch.addmm(b, attend(hop, own, sent, h), w)
        y = attend(hop, *scores, (h @ w).unflatten(1, (self.n_heads, -1)))  # (n, heads, d)
        return (y.flatten(1) if k < self.n_layers - 1 else y.mean(1)) + b


def attend(hop: Messages, score_own: Tensor, score_sent: Tensor, x: Tensor) -> Tensor:
    """Each receiver's attention to the x of its senders.

    Parameters
    ----------
    score_own, score_sent : (n_receivers, ...) and (n_senders, ...)
        What either end adds to the score of a message, with or without an axis of heads.
    x : (n_senders, ..., d)
    """
    adj = hop.adjacency
    if adj.device == "cpu":
        return ops.attention(adj, score_own, score_sent, x, negative_slope=NEGATIVE_SLOPE)
    return masked_attention(hop, score_own, score_sent, x)


def masked_attention(hop: Messages, score_own: Tensor, score_sent: Tensor, x: Tensor) -> Tensor:
    """The same, deaf to messages of weight zero; arrays of the size of the edges are made."""
    adj = hop.adjacency
    scores = ops.gather_src(adj, score_own) + ops.gather_dst(adj, score_sent)
    silent = (hop.weight == 0).view(-1, *[1] * (scores.ndim - 1))
    scores = torch.nn.functional.leaky_relu(scores, NEGATIVE_SLOPE)
    return ops.spmm(adj, x, ops.edge_softmax(adj, scores.masked_fill(silent, -torch.inf)))


def without_silent(adj: Adjacency, weight: Tensor) -> Adjacency:
    """The adjacency without its edges of weight zero, the others renumbered in their order."""
    silent = (weight == 0).nonzero().squeeze(1)
    return adj.without(silent.numpy()) if len(silent) else adj
