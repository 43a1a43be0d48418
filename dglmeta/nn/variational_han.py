r"""A masked variational auto-encoder of nodes, with attention along meta-paths on both sides.

Some nodes' features are hidden; a HAN reads the rest and gives each node a normal posterior,

    H = HAN(X masked),   mu = H W_mu + b_mu,   log sigma = H W_s + b_s,   z = mu + sigma * eps,

and another HAN reads z, the hidden nodes' rows hidden again, and says what their features were.

Source: arXiv 2310.11102; what it leaves open is chosen after GraphMAE and HGMAE and is a setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from dglmeta.errors import DataError
from dglmeta.nn.encoder import check_widths
from dglmeta.nn.path_attention import Neighbourhood, PathLevel

__all__ = ["Hidden", "Posterior", "VariationalHAN"]

MAX_LOG_SIGMA = 10.0
"""Bound of the absolute log of a standard deviation."""

EPSILON = 1e-10
"""Added to variances."""

FIRST_LOG_SIGMA = -2.0
"""Where it begins: noise of the size of mu would drown what the first steps could learn from."""


class Posterior(NamedTuple):
    """A normal distribution a node."""

    mu: Tensor
    """(n, d)."""
    log_sigma: Tensor
    """(n, d)."""

    def draw(self, noise: Tensor) -> Tensor:
        """Mu + sigma * noise, (n, d)."""
        return self.mu + self.log_sigma.exp() * noise


class Hidden(NamedTuple):
    """Nodes whose features are to be told."""

    nodes: Tensor
    """(k,) int64, in rising order."""
    tokens: Tensor
    """Those of them whose row is replaced by the token."""
    swapped: Tensor
    """Those whose row is replaced by that of another node."""
    others: Tensor
    """The other nodes, as many."""


class VariationalHAN(nn.Module):
    """Encoder, decoder and what hides features; see the module.

    Parameters
    ----------
    n_paths : int
        Meta-paths, from the node type back to it.
    n_nodes, d_in : int
        Nodes, and width of their features; 0 for nodes that are told by their identity alone. Then
        every node has an embedding of width ``d`` in place of a one-hot row.
    d : int
        Width of embeddings.
    n_heads, n_layers, d_semantic : int
        Of the encoder, as for :class:`dglmeta.nn.HAN`. The decoder has one layer and one head.
    feature_dropout : float
        Of what the encoder's layers read, in training.
    normalise : bool
        Whether columns of H get mean 0 and variance 1 over all nodes. Means over thousands of
        neighbours along a meta-path hardly differ from node to node.

    Notes
    -----
    With identity features nothing of n x n is made: the decoder's rows y_i are told apart by their
    products with the embeddings E, and the length of E y_i is sqrt(y_i^T (E^T E) y_i).
    """

    def __init__(
        self,
        n_paths: int,
        n_nodes: int,
        d_in: int,
        d: int,
        *,
        n_heads: int = 4,
        n_layers: int = 1,
        d_semantic: int = 128,
        feature_dropout: float = 0.0,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        check_widths("VariationalHAN", n_paths=n_paths, n_nodes=n_nodes, d=d, n_layers=n_layers)
        self.feature_dropout, self.normalise = feature_dropout, normalise
        self.identity = nn.Parameter(torch.randn(n_nodes, d) / d**0.5) if d_in == 0 else None
        width, paths = d_in or d, [0] * n_paths
        self.token = nn.Parameter(torch.zeros(width))
        self.encoder = nn.ModuleList(
            PathLevel(1, paths, w, d, n_heads, d_semantic) for w in (width, *[d] * (n_layers - 1))
        )
        self.mu, self.log_sigma = nn.Linear(d, d), nn.Linear(d, d)
        nn.init.zeros_(self.log_sigma.weight)
        nn.init.constant_(self.log_sigma.bias, FIRST_LOG_SIGMA)
        self.to_decoder = nn.Linear(d, d, bias=False)
        self.decoder = PathLevel(1, paths, d, width, 1, d_semantic)
        self.contrast = nn.Sequential(nn.Linear(d, d), nn.ELU(), nn.Linear(d, d))
        for part in self.contrast:
            if isinstance(part, nn.Linear):
                nn.init.xavier_normal_(part.weight, gain=1.414)

    def rows(self, x: Tensor | None) -> Tensor:
        """(n, width): the features, or what stands for each node.

        Raises
        ------
        DataError
            If features are missing, or given to nodes told by identity.
        """
        if (x is None) != (self.identity is not None):
            raise DataError(
                f"VariationalHAN: expected {'no ' * (x is not None)}features, got "
                f"{'none' if x is None else tuple(x.shape)}. Make it with d_in to match."
            )
        return self.identity if x is None else x

    def encode(
        self, near: Sequence[Neighbourhood], x: Tensor | None, hidden: Hidden | None = None
    ) -> Posterior:
        """The posterior of every node.

        Parameters
        ----------
        near : sequence of Neighbourhood
            One a meta-path, as :func:`dglmeta.nn.path_attention.neighbourhood` gives them.
        x : (n, d_in) tensor, or None for identity
        hidden : Hidden, optional
        """
        h = self.rows(x)
        if hidden is not None:
            h = h.index_copy(0, hidden.tokens, self.token.expand(len(hidden.tokens), -1))
            h = h.index_copy(0, hidden.swapped, self.rows(x)[hidden.others])
        for level in self.encoder:
            h = dropout(h, self.feature_dropout, self.training)
            h, _ = level(near, 0, h)
        if self.normalise:
            h = (h - h.mean(0)) / (h.var(0, correction=0) + EPSILON).sqrt()
        log_sigma = self.log_sigma(h).clamp(-MAX_LOG_SIGMA, MAX_LOG_SIGMA)
        return Posterior(self.mu(h), log_sigma)

    def semantic_weights(self, near: Sequence[Neighbourhood], x: Tensor | None) -> list[float]:
        """Weight of each meta-path in the encoder's last layer, sum 1."""
        with torch.no_grad():
            h, beta = self.rows(x), {}
            for level in self.encoder:
                h, beta = level(near, 0, h)
        return [float(beta[k]) for k in range(len(near))]

    def decode(self, near: Sequence[Neighbourhood], z: Tensor, hidden: Hidden) -> Tensor:
        """(n, width): what the features are taken for, z of hidden nodes being hidden again."""
        h = self.to_decoder(z)
        h = h.index_fill(0, hidden.nodes, 0.0)
        return self.decoder(near, 0, h)[0]

    def cosines(self, told: Tensor, x: Tensor | None, nodes: Tensor) -> Tensor:
        """(k,) cosines of what some nodes' features are taken for and what they are.

        1 where either has length 0: there is nothing to tell, and no error then.
        """
        y = told[nodes]
        if self.identity is None:
            return _cosine((y * x[nodes]).sum(-1), y.norm(dim=-1), x[nodes].norm(dim=-1))
        gram = self.identity.T @ self.identity
        squared = ((y @ gram) * y).sum(-1)
        some = squared > 0  # the root of 0 has no gradient
        length = torch.where(some, squared, 1.0).sqrt() * some
        return _cosine((y * self.identity[nodes]).sum(-1), length, torch.ones_like(length))


def _cosine(product: Tensor, one: Tensor, other: Tensor) -> Tensor:
    lengths = one * other
    return torch.where(lengths > 0, product / lengths.clamp(min=1e-12), 1.0)
