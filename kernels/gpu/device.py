"""Where GPU kernels run: CuPy's arrays, and our CUDA sources, compiled when first needed.

A source is ``kernels/gpu/<name>.cu``; its kernels are ``extern "C"`` and take their types from
macros, such as REAL and INDEX, so one text serves every dtype. CuPy compiles it with NVRTC, about a
second each, and keeps the result in its own cache on disk.

All of this goes through a :class:`Device`, so that the tests can put a stand-in here which runs the
same sources on the host (``tests/emulator``). Nothing is computed at import, and CuPy is imported
when the first array is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

__all__ = [
    "WARP",
    "Device",
    "array_module",
    "blocks_for",
    "free_bytes",
    "kernel_names",
    "launch",
    "multiprocessors",
    "read_source",
    "running_on",
    "type_name",
    "why_not",
]

WARP = 32
"""Threads that run in step."""

FOLDER = Path(__file__).parent

TYPE_NAMES = {
    "bool": "bool",
    "int32": "int",
    "int64": "long long",
    "uint32": "unsigned int",
    "uint64": "unsigned long long",
    "float32": "float",
    "float64": "double",
}


class Device(Protocol):
    """What runs kernels: a namespace of arrays, and a way to launch."""

    xp: Any
    """Arrays and their functions, as CuPy has them."""
    n_multiprocessors: int
    free_bytes: int
    """Device memory that can still be taken."""

    def why_not(self) -> str | None:
        """What keeps kernels from running here, or None."""

    def launch(
        self,
        source: str,
        kernel: str,
        n_blocks: int,
        n_threads: int,
        args: tuple[Any, ...],
        macros: tuple[tuple[str, str], ...],
        shared_bytes: int,
    ) -> None:
        """Run a kernel of a source, compiled with some macros, on the current stream."""


class CudaDevice:
    """CuPy's current device and stream."""

    @property
    def xp(self) -> Any:
        """CuPy."""
        import cupy

        return cupy

    def why_not(self) -> str | None:
        """No CuPy, no driver or no GPU."""
        try:
            import cupy
        except ImportError as error:
            return f"no CuPy ({error})"
        try:
            n_devices = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            return f"CuPy {cupy.__version__} and no usable driver ({error})"
        return None if n_devices else "no GPU"

    @property
    def n_multiprocessors(self) -> int:
        """Of the current device."""
        return _n_multiprocessors(int(self.xp.cuda.runtime.getDevice()))

    @property
    def free_bytes(self) -> int:
        """What the driver has left, and what CuPy's pool holds and does not use."""
        free, _ = self.xp.cuda.runtime.memGetInfo()
        return int(free + self.xp.get_default_memory_pool().free_bytes())

    def launch(
        self,
        source: str,
        kernel: str,
        n_blocks: int,
        n_threads: int,
        args: tuple[Any, ...],
        macros: tuple[tuple[str, str], ...],
        shared_bytes: int,
    ) -> None:
        """Launch; returns at once."""
        function = _function(int(self.xp.cuda.runtime.getDevice()), source, kernel, macros)
        if shared_bytes > function.max_dynamic_shared_size_bytes:
            function.max_dynamic_shared_size_bytes = shared_bytes
        function((n_blocks,), (n_threads,), args, shared_mem=shared_bytes)


_running: Device = CudaDevice()


@contextmanager
def running_on(device: Device) -> Iterator[None]:
    """Run kernels elsewhere inside a ``with`` block; process-wide, for tests."""
    global _running
    before, _running = _running, device
    try:
        yield
    finally:
        _running = before


def array_module() -> Any:
    """The module that makes this device's arrays: CuPy."""
    return _running.xp


def multiprocessors() -> int:
    """How many multiprocessors the device has."""
    return _running.n_multiprocessors


def free_bytes() -> int:
    """How much device memory can still be taken."""
    return _running.free_bytes


def why_not() -> str | None:
    """What keeps kernels from running, such as no CuPy or no GPU; None where they do."""
    return _running.why_not()


def type_name(dtype: Any) -> str:
    """What CUDA C++ calls a dtype."""
    return TYPE_NAMES[np.dtype(dtype).name]


def blocks_for(n: int, n_threads: int) -> int:
    """Blocks of so many threads that give each of n items a thread."""
    return -(-n // n_threads)


def launch(
    source: str,
    kernel: str,
    n_blocks: int,
    n_threads: int,
    *args: Any,
    shared_bytes: int = 0,
    **macros: Any,
) -> None:
    """Run one kernel on the current stream, without waiting for it.

    Parameters
    ----------
    source, kernel : str
        File ``kernels/gpu/<source>.cu``, and the name of a kernel in it.
    n_blocks, n_threads : int
        No block launches nothing.
    *args
        Device arrays, contiguous, as pointers; None as a null pointer; Python integers and booleans
        as ``long long``; NumPy scalars as they are.
    shared_bytes : int
        Dynamic shared memory a block.
    **macros
        Defined for the compiler: a dtype by the name CUDA has for it, anything else as it is.
    """
    if n_blocks == 0:
        return
    defined = tuple(
        (name, str(value) if isinstance(value, int | str) else type_name(value))
        for name, value in sorted(macros.items())
    )
    passed = tuple(_argument(a) for a in args)
    _running.launch(source, kernel, n_blocks, n_threads, passed, defined, shared_bytes)


def _argument(a: Any) -> Any:
    if a is None:
        return np.uint64(0)
    if isinstance(a, int):
        return np.int64(a)
    return a


@cache
def read_source(name: str) -> str:
    """The text of ``kernels/gpu/<name>.cu`` with the headers it includes put in, each once.

    Put in rather than left to the compiler, because CuPy's cache would not see a header change.
    """
    seen: set[str] = set()

    def expand(path: Path) -> str:
        def included(match: re.Match[str]) -> str:
            header = match[1]
            if header in seen:
                return ""
            seen.add(header)
            return expand(FOLDER / header)

        return re.sub(
            r'^#include "(.+)"$', included, path.read_text(encoding="utf-8"), flags=re.MULTILINE
        )

    return expand(FOLDER / f"{name}.cu")


def kernel_names(source: str) -> list[str]:
    """Names of the kernels in a source."""
    return re.findall(
        r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(", read_source(source)
    )


@cache
def _function(device: int, source: str, kernel: str, macros: tuple[tuple[str, str], ...]) -> Any:
    return _module(device, source, macros).get_function(kernel)


@cache
def _module(device: int, source: str, macros: tuple[tuple[str, str], ...]) -> Any:
    import cupy

    options = ("--std=c++17", *(f"-D{name}={value}" for name, value in macros))
    return cupy.RawModule(code=read_source(source), options=options)


@cache
def _n_multiprocessors(device: int) -> int:
    import cupy

    return int(cupy.cuda.Device(device).attributes["MultiProcessorCount"])
