"""Adam on the parameters of many models, each with its own learning rate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.pool import row_blocks, run_blocks

__all__ = ["adam"]

CHUNK = 4096
"""Numbers of one model that one thread moves at a time."""


def adam(
    parameter: npt.NDArray,
    gradient: npt.NDArray,
    moment: npt.NDArray,
    square: npt.NDArray,
    rate: npt.NDArray[np.float64],
    step: int,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> None:
    """Move parameters and their moments in place: ``p -= r m' / (sqrt(v') + eps)``.

    With ``g = gradient + weight_decay * p`` the moments become ``m = b1 m + (1 - b1) g`` and
    ``v = b2 v + (1 - b2) g^2``; m' and v' are those over ``1 - b1^step`` and ``1 - b2^step``.

    Parameters
    ----------
    parameter, gradient, moment, square : (B, n) float32 or float64, C-contiguous
        The gradient is left as it is.
    rate : (B,) float64
        Learning rate of each model.
    step : int
        Number of this step, from 1.
    betas, eps, weight_decay
        As in the formulas.

    Notes
    -----
    Cost O(B n), one pass over all four arrays; no memory. The same bits for any number of threads.

    References
    ----------
    Kingma and Ba, arXiv 1412.6980, algorithm 1, with L2 regularisation in the gradient.

    Examples
    --------
    >>> p, m, v = np.ones((2, 1)), np.zeros((2, 1)), np.zeros((2, 1))
    >>> adam(p, np.ones((2, 1)), m, v, np.array([0.1, 0.5]), 1, (0.9, 0.999), 0.0, 0.0)
    >>> p.round(6).tolist()
    [[0.9], [0.5]]
    """
    n_models, n = parameter.shape
    if not parameter.size:
        return
    number = parameter.dtype.type
    size = (rate / (1 - betas[0] ** step)).astype(parameter.dtype)
    root = number(1 / np.sqrt(1 - betas[1] ** step))
    kept = [number(b) for b in betas]
    factors = (*kept, *(number(1 - b) for b in betas), root, number(eps), number(weight_decay))
    chunks = range(n_models * -(-n // CHUNK) + 1)
    blocks = row_blocks(chunks, parameter.size)
    run_blocks(_chunks, blocks, parameter, gradient, moment, square, size, factors)


@njit(cache=True, nogil=True, error_model="numpy")  # else division would not be vectorised
def _chunks(begin, end, parameter, gradient, moment, square, size, factors):
    """Chunk c is part c % n_each of model c // n_each."""
    n_each = -(-parameter.shape[1] // CHUNK)
    for c in range(begin, end):
        b, first = c // n_each, c % n_each * CHUNK
        last = min(first + CHUNK, parameter.shape[1])
        _move(
            parameter[b, first:last], gradient[b, first:last], moment[b, first:last],
            square[b, first:last], size[b], factors,
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _move(parameter, gradient, moment, square, size, factors):
    keep_m, keep_v, add_m, add_v, root, eps, decay = factors
    for i in range(len(parameter)):
        g = gradient[i] + decay * parameter[i]
        m = keep_m * moment[i] + add_m * g
        v = keep_v * square[i] + add_v * (g * g)
        moment[i], square[i] = m, v
        parameter[i] -= size * m / (np.sqrt(v) * root + eps)
