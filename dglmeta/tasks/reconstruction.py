"""Errors of what an auto-encoder tells: features by cosines, and the divergence of a posterior."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from dglmeta.errors import ConfigError, DataError

__all__ = [
    "FORMS",
    "enhanced_scaled_cosine",
    "enhanced_scaled_cosine_error",
    "gaussian_kl",
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
    >>> import torch
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
    >>> import torch
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
    >>> import torch
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
    >>> import torch
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


def _check_gamma(where: str, gamma: float) -> None:
    if not gamma >= 1:
        raise ConfigError(f"{where}: expected gamma >= 1, got {gamma}. 1 to 3 is usual.")
