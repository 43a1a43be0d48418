r"""A variational graph auto-encoder whose weights differ from graph to graph.

Many graphs lie side by side, each with parameters of its own; parameters therefore carry a leading
axis of graphs. A layer modulated by (gamma, beta) is

    L(X) = Â (gamma * (X W) + beta) + b = (Â X) (W diag gamma) + (Â 1) beta^T + b,

so Â X and Â 1 of the first layer are computed once a graph, modulation costs nothing a node, and a
forward pass multiplies by Â once. H = ReLU(L1(X)); mu and logstd are halves of one layer on H.

Source: Kipf and Welling, arXiv 1611.07308; modulation before aggregation as in Meta-Graph,
arXiv 1912.09867, section 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dglmeta import ops
from dglmeta.nn.stacked import TILE, StackedGraphs, tile_product

__all__ = ["VGAE", "bounded", "encode", "kl_divergence"]

MAX_LOGSTD = 10.0
"""Bound of the absolute log of a standard deviation."""


class VGAE(nn.Module):
    """Two graph convolutions from features to [mu, logstd]; see :func:`encode`.

    Parameters
    ----------
    d_in, d_hidden, d : int
        Widths of what the first layer reads, of the hidden layer and of the embedding.
    two_weights : bool
        A matrix of its own for the modulated part of each layer.
    own : bool
        Whether the second layer reads a node's own row beside what it hears.

    References
    ----------
    Kipf and Welling, arXiv 1611.07308. Matrices by Glorot's rule, biases zero.
    """

    def __init__(
        self,
        d_in: int,
        d_hidden: int = 32,
        d: int = 16,
        *,
        two_weights: bool = False,
        own: bool = False,
    ) -> None:
        super().__init__()
        d_out = 2 * d_hidden if own else d_hidden
        self.weight_in, self.bias_in = _glorot(d_in, d_hidden), _zeros(d_hidden)
        self.weight_out, self.bias_out = _glorot(d_out, d, d), _zeros(2 * d)
        if two_weights:
            self.modulated_in, self.modulated_out = _glorot(d_in, d_hidden), _glorot(d_out, d, d)


def encode(
    params: Mapping[str, Tensor], graphs: StackedGraphs, film: Mapping[str, Tensor] | None = None
) -> Tensor:
    """(C2 * TILE, 2 d): mu and logstd of every distinct node state.

    Parameters
    ----------
    params : dict of name to tensor
        Those of a :class:`VGAE`, each with a leading axis of B graphs.
    graphs : StackedGraphs
    film : dict of name to tensor, optional
        What modulates the two layers, as :class:`dglmeta.nn.GraphSignature` gives it: ``gamma_in``,
        ``beta_in``, ``gamma_out``, ``beta_out`` and for some variants ``plain_in``, ``plain_out``,
        each (B, width of the layer). Nothing does when absent or empty.

    Notes
    -----
    With shares p of the plain layer (variant "weights"), a layer is
    ``p * plain + (1 - p) * modulated``: of what two matrices make of X, before aggregation, if
    there are two; else of the results, the first layer's after their ReLU.
    """
    film = film or {}
    first = graphs.first_graph
    hidden = tile_product(graphs.received, _layer(params, film, "in"), first).relu()
    if "plain_in" in film and "modulated_in" not in params:
        share = film["plain_in"][first].repeat_interleave(TILE, 0)  # (C1 * TILE, w)
        plain = tile_product(graphs.received, _layer(params, {}, "in"), first).relu()
        hidden = torch.lerp(hidden, plain, share)
    heard = ops.spmm(graphs.messages, hidden, graphs.weight)  # (C2 * TILE, w)
    own = [] if graphs.own is None else [hidden.index_select(0, graphs.own)]
    heard = torch.cat([heard, *own, graphs.sent], dim=1)
    return tile_product(heard, _layer(params, film, "out"), graphs.second_graph)


def kl_divergence(latent: Tensor) -> Tensor:
    """(n,) KL divergence of N(mu, exp(logstd)^2) from N(0, 1), in nats; latent is (n, 2 d)."""
    mu, logstd = latent.chunk(2, dim=1)
    twice = 2 * bounded(logstd)
    return -0.5 * (1 + twice - mu * mu - twice.exp()).sum(dim=1)


def bounded(logstd: Tensor) -> Tensor:
    """The log of a standard deviation as far as it counts, in [-10, 10]."""
    return logstd.clamp(-MAX_LOGSTD, MAX_LOGSTD)


def _layer(params: Mapping[str, Tensor], film: Mapping[str, Tensor], which: str) -> Tensor:
    """(B, a + 2, b): what a row [Â x, Â 1, 1] is multiplied by in a layer, "in" or "out"."""
    weight, bias = params[f"weight_{which}"], params[f"bias_{which}"]
    if f"gamma_{which}" not in film:
        return torch.cat([weight, torch.zeros_like(bias)[:, None], bias[:, None]], dim=1)
    modulated = params.get(f"modulated_{which}")
    scaled = (weight if modulated is None else modulated) * film[f"gamma_{which}"][:, None]
    beta = film[f"beta_{which}"]
    share = film.get(f"plain_{which}")
    if share is not None and (modulated is not None or which == "out"):
        scaled, beta = torch.lerp(scaled, weight, share[:, None]), (1 - share) * beta
    return torch.cat([scaled, beta[:, None], bias[:, None]], dim=1)


def _glorot(a: int, *widths: int) -> nn.Parameter:
    """(a, sum of widths): a matrix by Glorot's rule for each width, side by side."""
    return nn.Parameter(torch.cat([nn.init.xavier_uniform_(torch.empty(a, b)) for b in widths], 1))


def _zeros(width: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(width))
