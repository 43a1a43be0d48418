"""Host arrays brought to the device together, from any thread, while it computes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from dglmeta.kernels.gpu.device import array_module

__all__ = ["Transfer"]

ALIGNMENT = 256
"""Bytes between the beginnings of arrays in one piece of memory, as CuPy aligns its own."""


class Transfer:
    """Brings arrays to the device, and for the stream, that are current where this is made.

    Arrays go in one copy through pinned memory, on a stream of their own, and have arrived when the
    call returns: the thread that calls waits, the device does not. They share one piece of memory,
    which lives as long as any of them.
    """

    def __init__(self) -> None:
        self._xp = array_module()
        cuda = getattr(self._xp, "cuda", None)
        self._streams: Any = None  # where there is no device but an emulated one, no streams
        if cuda is not None:
            self._device = cuda.Device()
            self._streams = cuda.get_current_stream(), cuda.Stream(non_blocking=True)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Compute and allocate, in whichever thread, on the device and stream this is for."""
        if self._streams is None:
            yield
            return
        with self._device, self._streams[0]:
            yield

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        """Copies of host arrays, of any shapes and dtypes; call it in its scope."""
        if not arrays:
            return []
        sizes = [-(-a.nbytes // ALIGNMENT) * ALIGNMENT for a in arrays]
        starts = np.cumsum([0, *sizes]).tolist()
        host = self._pinned(max(starts[-1], ALIGNMENT))
        for a, start in zip(arrays, starts, strict=False):
            _part(host, start, a)[...] = a
        brought = self._copy(host)
        return [_part(brought, start, a) for a, start in zip(arrays, starts, strict=False)]

    def _pinned(self, n_bytes: int) -> Any:
        if self._streams is None:
            return np.empty(n_bytes, np.uint8)
        return np.frombuffer(self._xp.cuda.alloc_pinned_memory(n_bytes), np.uint8, n_bytes)

    def _copy(self, host: Any) -> Any:
        if self._streams is None:
            return self._xp.asarray(host)
        # Memory comes from the pool of the stream that will use it, where work on what was there
        # before may still wait its turn: the copy goes after that.
        user, own = self._streams
        brought = self._xp.empty(len(host), np.uint8)
        own.wait_event(user.record())
        brought.set(host, stream=own)
        own.synchronize()
        return brought


def _part(memory: Any, start: int, like: Any) -> Any:
    """The array of the same shape and dtype that begins at a byte."""
    return memory[start : start + like.nbytes].view(like.dtype).reshape(like.shape)
