"""Adam on the parameters of many models, each with its own learning rate."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from dglmeta.kernels.gpu.device import blocks_for, launch

__all__ = ["adam"]

THREADS = 256
STRETCH = 4 * THREADS
"""Numbers of one model that a block moves."""


def adam(
    parameter: Any,
    gradient: Any,
    moment: Any,
    square: Any,
    rate: Any,
    step: int,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> None:
    """Move parameters and their moments in place: ``p -= r m' / (sqrt(v') + eps)``.

    As :func:`dglmeta.kernels.cpu.adam.adam`, up to rounding; ``rate`` lies on the device, so that
    nothing waits. One launch, which reads each array once; no memory.
    """
    n_models, n = parameter.shape
    number = np.dtype(parameter.dtype).type
    root = number(1 / sqrt(1 - betas[1] ** step))
    factors = (root, *map(number, (*betas, *(1 - b for b in betas), eps, weight_decay)))
    n_each = blocks_for(n, STRETCH)
    launch(
        "adam", "move_numbers", n_models * n_each, THREADS,
        parameter, gradient, moment, square, rate, np.float64(1 - betas[0] ** step), *factors,
        n, n_each, REAL=parameter.dtype, STRETCH=STRETCH,
    )  # fmt: skip
