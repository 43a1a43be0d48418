"""Errors of what an auto-encoder tells: features by cosines, edges of drawn pairs, divergence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.ops.backend import bridge_to

__all__ = [
    "FORMS",
    "enhanced_scaled_cosine",
    "enhanced_scaled_cosine_error",
    "gaussian_kl",
    "sampled_edge_bce",
    "scaled_cosine",
    "scaled_cosine_error",
]

FORMS = ("focal", "log")
"""Readings of the enhanced error, for which there is no formula in print."""

SMALL = 1e-8
"""Added inside the logarithm, so that opposite rows have a finite error."""


def scaled_cosine(cosine: Tensor, gamma: float) -> Tensor:
    """Errors (1 - cos)^gamma of rows by their cosines, same shape, in [0, 2^gamma].

    Parameters
    ----------
    cosine : tensor
        In [-1, 1], up to rounding.
    gamma : float
        At least 1; the greater, the less rows count that are almost right.

    Raises
    ------
    ConfigError
        If gamma is below 1, where the gradient has no bound.

    References
    ----------
    GraphMAE, arXiv 2205.10803, equation 2; in HGCVAE, arXiv 2310.11102.

    Examples
    --------
    >>> scaled_cosine(torch.tensor([1.0, 0.5, -1.0]), gamma=2)
    tensor([0.0000, 0.2500, 4.0000])
    """
    _check_gamma("scaled_cosine", gamma)
    return _gap(cosine).pow(gamma)


def enhanced_scaled_cosine(cosine: Tensor, gamma: float, form: str = "focal") -> Tensor:
    """Errors that weigh easy rows down still more, by the cosines of rows; same shape, at least 0.

    Parameters
    ----------
    cosine : tensor
        In [-1, 1], up to rounding.
    gamma : float
        At least 1.
    form : {"focal", "log"}
        -(1 - p)^gamma log(p + 1e-8) with p = (1 + cos) / 2, in nats; or
        (1 - cos)^gamma log(1 + (1 - cos)).

    Raises
    ------
    ConfigError
        If gamma is below 1, or there is no such form.

    References
    ----------
    HGCVAE, arXiv 2310.11102, which tells of a logarithm as in the focal loss, arXiv 1708.02002, but
    no formula: both forms are readings of it, and "focal" is a default chosen here.

    Examples
    --------
    >>> enhanced_scaled_cosine(torch.tensor([0.5, 0.0]), gamma=1)
    tensor([0.0719, 0.3466])
    >>> enhanced_scaled_cosine(torch.tensor([1.0, 0.0]), gamma=1, form="log")
    tensor([0.0000, 0.6931])
    """
    _check_gamma("enhanced_scaled_cosine", gamma)
    if form not in FORMS:
        raise ConfigError(
            f"enhanced_scaled_cosine: expected a form of {list(FORMS)}, got {form!r}. Choose one "
            f"of these."
        )
    gap = _gap(cosine)
    if form == "log":
        return gap.pow(gamma) * gap.log1p()
    miss = gap / 2  # 1 - p
    return miss.pow(gamma) * -(1 - miss + SMALL).clamp(max=1).log()


def scaled_cosine_error(x_hat: Tensor, x: Tensor, gamma: float) -> Tensor:
    """(n,) errors (1 - cos)^gamma of told rows; 0, without gradient, where a row is zero.

    Parameters
    ----------
    x_hat, x : (n, d) float
        What features are taken for, and what they are.
    gamma : float
        See :func:`scaled_cosine`.

    Raises
    ------
    ConfigError
        If gamma is below 1.
    DataError
        If shapes differ.

    Examples
    --------
    >>> x = torch.tensor([[3.0, 0.0], [0.0, 0.0]])
    >>> scaled_cosine_error(torch.ones(2, 2), x, gamma=1)
    tensor([0.2929, 0.0000])
    """
    return _of_rows(x_hat, x, lambda cosine: scaled_cosine(cosine, gamma))


def enhanced_scaled_cosine_error(
    x_hat: Tensor, x: Tensor, gamma: float, form: str = "focal"
) -> Tensor:
    """(n,) errors of told rows by :func:`enhanced_scaled_cosine`; 0 where a row is zero.

    Parameters, errors and the guard are those of :func:`scaled_cosine_error`, and ``form``.
    """
    return _of_rows(x_hat, x, lambda cosine: enhanced_scaled_cosine(cosine, gamma, form))


def sampled_edge_bce(z: Tensor, adj: Adjacency, n_edges: int, generator: torch.Generator) -> Tensor:
    """Mean binary cross-entropy of drawn edges and of as many pairs that are none, a scalar.

    Logits are z_i . z_j. Never is anything as large as N x N.

    Parameters
    ----------
    z : (N, d) float
        Embeddings.
    adj : Adjacency
        (N, N). Its edges are drawn with replacement.
    n_edges : int
        At least 1.
    generator : torch.Generator

    Returns
    -------
    loss : scalar
        In nats: half the mean over edges and half that over the other pairs.

    Raises
    ------
    ConfigError
        If n_edges is below 1.
    DataError
        If the adjacency is not of the N nodes, or has no edges.

    Notes
    -----
    The other pairs are uniform; each is looked for among the edges by bisection, O(log degree), and
    drawn again, once, if it is one or joins a node to itself. What is one still is left out: where
    a share s of all pairs are edges, about s^2 of the n. Device generators draw on their device.

    References
    ----------
    The expectation of log p(A | Z) in HGCVAE, arXiv 2310.11102, estimated; Kipf and Welling, arXiv
    1611.07308, weigh all pairs.

    Examples
    --------
    >>> adj = Adjacency.from_coo([0, 1, 2], [1, 2, 0], (3, 3))
    >>> sampled_edge_bce(torch.zeros(3, 2), adj, 99, torch.Generator().manual_seed(0))
    tensor(0.6931)
    """
    _check_edges(z, adj, n_edges)
    lists = adj.to(z.device.type)
    tensor = bridge_to(lists).tensor
    indptr, indices = tensor(lists.indptr), tensor(lists.indices)
    n = len(z)

    def draw(below: int, *shape: int) -> Tensor:
        device = generator.device
        return torch.randint(below, shape, generator=generator, device=device).to(z.device)

    at = draw(lists.n_edges, n_edges)
    joined = _logits(z, torch.searchsorted(indptr, at, right=True) - 1, indices[at])
    pairs, again = draw(n, 2, n_edges), draw(n, 2, n_edges)
    pairs = torch.where(_no_negatives(indptr, indices, pairs), again, pairs)
    kept = ~_no_negatives(indptr, indices, pairs)
    apart = softplus(_logits(z, *pairs)) * kept
    return (softplus(-joined).mean() + apart.sum() / kept.sum().clamp(min=1)) / 2


def gaussian_kl(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """(d,) KL divergence of N(mu, sigma^2) from N(0, 1) in each dimension, mean over nodes, nats.

    A dimension near 0 tells nothing of the nodes: its posterior has collapsed to the prior.

    Parameters
    ----------
    mu, log_sigma : (n, d) float
        The log is taken as it is; bound it before.

    References
    ----------
    Kingma and Welling, arXiv 1312.6114, appendix B.

    Examples
    --------
    >>> gaussian_kl(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))
    tensor([0.5000, 0.0000])
    """
    twice = 2 * log_sigma
    return 0.5 * (mu * mu + twice.expm1() - twice).mean(dim=0)


def _gap(cosine: Tensor) -> Tensor:
    """1 - cos, in [0, 2] whatever the rounding."""
    return (1 - cosine).clamp(0, 2)


def _of_rows(x_hat: Tensor, x: Tensor, error: Callable[[Tensor], Tensor]) -> Tensor:
    """Errors by the cosines of rows, 0 where one is zero."""
    if x_hat.ndim != 2 or x_hat.shape != x.shape:
        raise DataError(
            f"scaled_cosine_error: expected two tensors (n, d), got {tuple(x_hat.shape)} and "
            f"{tuple(x.shape)}. Give a row told for each row of features."
        )
    told, real = (x_hat * x_hat).sum(1), (x * x).sum(1)
    some = (told > 0) & (real > 0)
    scale = told.where(some, 1).rsqrt() * real.where(some, 1).rsqrt()
    return error((x_hat * x).sum(1) * scale).where(some, 0)


def _logits(z: Tensor, src: Tensor, dst: Tensor) -> Tensor:
    return (z.index_select(0, src) * z.index_select(0, dst)).sum(1)


def _no_negatives(indptr: Tensor, indices: Tensor, pairs: Tensor) -> Tensor:
    """(n,) whether pairs (2, n) are edges, by bisection in sorted rows, or a node with itself."""
    src, dst = pairs
    low, end = indptr[src], indptr[src + 1]
    high = end
    for _ in range(int((indptr[1:] - indptr[:-1]).max()).bit_length()):
        middle = (low + high) // 2
        before = (low < high) & (indices[middle.clamp(max=len(indices) - 1)] < dst)
        low, high = torch.where(before, middle + 1, low), torch.where(before, high, middle)
    met = indices[low.clamp(max=len(indices) - 1)] == dst
    found: Tensor = ((low < end) & met) | (src == dst)
    return found


def _check_gamma(where: str, gamma: float) -> None:
    if not gamma >= 1:
        raise ConfigError(f"{where}: expected gamma >= 1, got {gamma}. 1 to 3 is usual.")


def _check_edges(z: Any, adj: Adjacency, n_edges: int) -> None:
    if n_edges < 1:
        raise ConfigError(
            f"sampled_edge_bce: expected n_edges >= 1, got {n_edges}. Draw at least one."
        )
    if z.ndim != 2 or adj.shape != (len(z), len(z)) or not adj.n_edges:
        raise DataError(
            f"sampled_edge_bce: expected embeddings (N, d) and edges between the N, got "
            f"{tuple(z.shape)} and {adj!r}. Give a meta-path from one node type to itself."
        )
