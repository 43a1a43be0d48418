"""CUDA tensors as CuPy arrays and back: the same memory, torch's stream and torch's allocator.

Kernels then run in order with torch's own, nothing waits for the device, and all of it can be
captured in a CUDA graph.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

__all__ = ["TorchStream", "as_array", "as_tensor"]


class TorchStream:
    """``with TorchStream():`` launches and allocates as torch would at this moment."""

    __slots__ = ("_allocator", "_stream")

    def __enter__(self) -> None:
        stream = torch.cuda.current_stream()
        self._stream = _stream(stream.device_index, stream.cuda_stream)
        self._allocator = _cupy().cuda.using_allocator(_torch_allocator().malloc)
        self._stream.__enter__()
        self._allocator.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._allocator.__exit__(*error)
        self._stream.__exit__(*error)


def as_array(x: Tensor) -> Any:
    """The same memory as a CuPy array, copied only where it is not contiguous."""
    if x._is_zerotensor():  # forward mode hands in zeros that have no memory of their own
        return _cupy().zeros(tuple(x.shape), str(x.dtype).removeprefix("torch."))
    return _cupy().from_dlpack(x.detach().contiguous())


def as_tensor(a: Any) -> Tensor:
    """The same memory as a torch tensor."""
    return torch.from_dlpack(a)


@cache
def _cupy() -> Any:
    """Imported when a first tensor comes: this module can be, where there is no CuPy."""
    import cupy

    return cupy


@cache
def _stream(device: int, pointer: int) -> Any:
    """CuPy's name for a stream of torch's; of such there are few."""
    return _cupy().cuda.ExternalStream(pointer, device)


@cache
def _torch_allocator() -> Any:
    def take(size: int, device: int) -> int:
        return torch.cuda.caching_allocator_alloc(size, device) if size else 0

    def give_back(pointer: int, device: int) -> None:
        if pointer:
            torch.cuda.caching_allocator_delete(pointer)

    return _cupy().cuda.PythonFunctionAllocator(take, give_back)
