"""Arrays that stay as they are while a model trains, as tensors beside its logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Constants"]


class Constants:
    """Named arrays, and the tensors made of them for each device and dtype, once.

    Examples
    --------
    >>> kept = Constants(label=np.array([1, 0]), weight=np.array([0.5, 2.0]))
    >>> kept.beside(torch.zeros(3))
    {'label': tensor([1, 0]), 'weight': tensor([0.5000, 2.0000])}
    """

    def __init__(self, **arrays: npt.NDArray[Any]) -> None:
        self._arrays = arrays
        self._made: dict[tuple[torch.device, torch.dtype], dict[str, Tensor]] = {}

    def beside(self, x: Tensor) -> dict[str, Tensor]:
        """The arrays on the device of ``x``; those of real numbers in its dtype."""
        key = x.device, x.dtype
        if key not in self._made:
            self._made[key] = {name: _beside(x, array) for name, array in self._arrays.items()}
        return self._made[key]


def _beside(x: Tensor, array: npt.NDArray[Any]) -> Tensor:
    dtype = x.dtype if np.issubdtype(array.dtype, np.floating) else None
    return torch.tensor(array, device=x.device, dtype=dtype)
