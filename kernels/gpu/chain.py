"""A chain of sparse structures on a device as one argument of a kernel, whatever its length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dglmeta.kernels.cpu.chain import Chain
from dglmeta.kernels.gpu.device import array_module

__all__ = ["Chain", "addresses", "link"]


def link(steps: Sequence[tuple[Any, Any]]) -> Chain:
    """The chain of some structures; a copy only of what has not the dtype of a chain.

    As :func:`dglmeta.kernels.cpu.chain.link`, with the table of device addresses on the device.
    """
    xp = array_module()
    dtype = np.result_type(np.int32, *(indices.dtype for _, indices in steps))
    indptr = tuple(xp.ascontiguousarray(a, dtype="int64") for a, _ in steps)
    indices = tuple(xp.ascontiguousarray(a, dtype=dtype) for _, a in steps)
    places = [[_address(a), _address(b)] for a, b in zip(indptr, indices, strict=True)]
    table = xp.asarray(np.array(places, np.uint64).reshape(-1, 2))
    return Chain(indptr, indices, table, dtype.type(0))


def addresses(arrays: Sequence[Any]) -> Any:
    """(n,) uint64: where contiguous arrays lie on the device, for as long as they are kept."""
    return array_module().asarray(np.array([_address(a) for a in arrays], np.uint64))


def _address(array: Any) -> int:
    return int(array.__cuda_array_interface__["data"][0])
