r"""A graph's signature: what its structure says about how a shared encoder should read it.

One graph convolution, summed up over the nodes into one vector s, and from it the scales gamma and
shifts beta of both layers of an encoder (FiLM), and for some variants shares rho of them:

    modulation   gamma, beta
    gating       rho gamma + (1 - rho),  rho beta + (1 - rho) t
    weights      rho plain + (1 - rho) modulated

Source: Meta-Graph, arXiv 1912.09867, sections 3.3 and 3.4; FiLM: Perez et al., arXiv 1709.07871.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dglmeta.meta import Params
from dglmeta.nn.stacked import TILE, StackedGraphs, tile_product

__all__ = ["VARIANTS", "GraphSignature"]

VARIANTS = ("modulation", "gating", "weights", "two-weights")
"""What a signature does; two-weights is the authors' program's form of weights."""


class GraphSignature(nn.Module):
    """psi: B graphs -> what modulates the encoder of each, as :func:`dglmeta.nn.encode` takes it.

    Parameters
    ----------
    d_in : int
        Width of features.
    widths : (int, int)
        Of the encoder's layers; mu and logstd share the numbers of one half of the second.
    variant : {"modulation", "gating", "weights", "two-weights"}
    d_hidden : int
        Width of the convolution.
    published : bool
        As the authors' program: the sum over nodes, gamma a hyperbolic tangent, shares that do not
        depend on the graph, and a gate of beta to 1. Else the mean over nodes, normalised; gamma
        is 1 plus that, so that nothing is modulated at first; the shares are read off the graph;
        and beta is gated to 0.

    References
    ----------
    Meta-Graph, arXiv 1912.09867. A sum over nodes saturates the tangent in large graphs.
    """

    def __init__(
        self,
        d_in: int,
        widths: tuple[int, int],
        *,
        variant: str = "modulation",
        d_hidden: int = 32,
        published: bool = False,
    ) -> None:
        super().__init__()
        self.variant, self.published = variant, published
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(d_in, d_hidden)))
        self.bias = nn.Parameter(torch.zeros(d_hidden))
        self.norm = nn.Identity() if published else nn.LayerNorm(d_hidden)
        own = (widths[0], widths[1] // 2)
        self.gamma = nn.ModuleList(nn.Linear(d_hidden, width) for width in own)
        self.beta = nn.ModuleList(nn.Linear(d_hidden, width) for width in own)
        self.share = nn.ModuleList()
        self.free_share = nn.ParameterList()
        if variant != "modulation" and published:
            self.free_share.extend(nn.Parameter(torch.zeros(width)) for width in own)
        elif variant != "modulation":
            self.share.extend(nn.Linear(d_hidden, width) for width in own)
        if not published:
            for head in (*self.gamma, *self.beta):
                nn.init.zeros_(head.weight)
                nn.init.zeros_(head.bias)

    def embed(self, graphs: StackedGraphs) -> Tensor:
        """(B, d_hidden): one vector for each graph."""
        maps = torch.cat([self.weight, torch.zeros_like(self.bias)[None], self.bias[None]])
        first = graphs.first_graph
        heard = tile_product(graphs.received, maps.expand(len(graphs.size), -1, -1), first).relu()
        tiles = (heard * graphs.n_receiving[:, None]).view(len(first), TILE, -1).sum(dim=1)
        pooled = tiles.new_zeros(len(graphs.size), tiles.shape[1]).index_add(0, first, tiles)
        return pooled if self.published else self.norm(pooled / graphs.size[:, None])

    def forward(self, graphs: StackedGraphs) -> Params:
        """Scales, shifts and shares of both layers by name, each (B, width)."""
        s = self.embed(graphs)
        gamma = [head(s).tanh() for head in self.gamma]
        if not self.published:
            gamma = [1 + g for g in gamma]
        beta = [head(s).tanh() for head in self.beta]
        shares = [head(s).sigmoid() for head in self.share]
        shares += [free.sigmoid().expand(len(s), -1) for free in self.free_share]
        if self.variant == "gating":
            shift = float(self.published)
            gamma = [rho * g + (1 - rho) for rho, g in zip(shares, gamma, strict=True)]
            beta = [rho * b + (1 - rho) * shift for rho, b in zip(shares, beta, strict=True)]
            shares = []
        return {
            **_by_name("gamma", gamma),
            **_by_name("beta", beta),
            **(_by_name("plain", shares) if shares else {}),
        }


def _by_name(what: str, layers: list[Tensor]) -> Params:
    """The two layers' numbers; the second's for mu and again for logstd."""
    first, second = layers
    return {f"{what}_in": first, f"{what}_out": second.repeat(1, 2)}
