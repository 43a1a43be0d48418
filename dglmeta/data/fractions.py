"""Shares of train, valid and test."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError

__all__ = ["FRACTIONS", "check_fractions", "part_ends"]

FRACTIONS = (0.6, 0.2, 0.2)
"""Shares of train, valid and test."""


def check_fractions(where: str, fractions: tuple[float, ...]) -> None:
    """Refuse shares that are not three positive numbers of sum 1, with a ConfigError."""
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ConfigError(
            f"{where}: expected three positive fractions of sum 1, got {tuple(fractions)}. "
            f"Give the shares of train, valid and test."
        )


def part_ends(n: int, fractions: tuple[float, ...]) -> npt.NDArray[np.int64]:
    """Where train and valid end among ``n`` rows; valid and test are rounded down."""
    n_valid, n_test = int(fractions[1] * n), int(fractions[2] * n)
    return np.array([n - n_valid - n_test, n - n_test])
