"""Which of a kernel's twins serves an array: that of the device it lies on."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["is_on_device", "namespace", "repeat_each", "to_host", "twin"]


def is_on_device(array: object) -> bool:
    """Whether an array lies on a GPU; CuPy is not imported to find out."""
    return hasattr(array, "__cuda_array_interface__")


def twin(name: str, like: object) -> ModuleType:
    """The module ``dglmeta.kernels.cpu.<name>`` or ``dglmeta.kernels.gpu.<name>``.

    Parameters
    ----------
    name : str
    like : array
        One of those the kernel will be given.
    """
    return _module("gpu" if is_on_device(like) else "cpu", name)


def namespace(like: object) -> Any:
    """NumPy, or the module that makes arrays where this one lies."""
    if not is_on_device(like):
        return np
    from dglmeta.kernels.gpu.device import array_module

    return array_module()


def to_host(array: Any) -> Any:
    """The same numbers in NumPy; waits for the device. A host array is returned as it is."""
    return array.get() if is_on_device(array) else array


def repeat_each(values: Any, counts: Any) -> Any:
    """``np.repeat(values, counts)``, for device arrays too, where CuPy has no such repeat.

    Parameters
    ----------
    values : (n, ...) array
    counts : (n,) integers >= 0
    """
    if not is_on_device(values):
        return np.repeat(values, counts)
    xp = namespace(values)
    ends = xp.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return values[xp.searchsorted(ends, xp.arange(total), side="right")]


@cache
def _module(room: str, name: str) -> ModuleType:
    return import_module(f"dglmeta.kernels.{room}.{name}")
