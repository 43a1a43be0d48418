"""Where a graph's arrays may lie, and what must be there for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dglmeta.errors import DeviceError

__all__ = ["check_room", "copy_to_cuda", "device_name", "require_cuda"]

INSTALL = "pip install 'dglmeta[gpu]', or [gpu-cuda12]: dglmeta doctor says what fits"


def device_name(device: object) -> str:
    """One of "cpu" and "cuda", from what a user or torch calls a device.

    Raises
    ------
    DeviceError
        If it is neither.
    """
    name = str(device).partition(":")[0]
    if name not in ("cpu", "cuda"):
        raise DeviceError(f"device: expected 'cpu' or 'cuda', got {str(device)!r}. Name one.")
    return name


def require_cuda() -> None:
    """Raise DeviceError, saying what to do, unless CuPy is installed and sees a GPU."""
    from dglmeta.kernels.gpu.device import why_not

    reason = why_not()
    if reason is not None:
        raise DeviceError(
            f"device: expected CuPy with a CUDA GPU for 'cuda', got {reason}. Use 'cpu', or "
            f"{INSTALL}."
        )


def copy_to_cuda(arrays: Iterable[Any]) -> list[Any]:
    """Copies of host arrays on the current GPU; None stays None.

    Raises
    ------
    DeviceError
        If there is no GPU, or no room on it for all of them.
    """
    arrays = list(arrays)
    check_room(arrays)
    from dglmeta.kernels.gpu.device import array_module

    return [None if a is None else array_module().asarray(a) for a in arrays]


def check_room(arrays: Iterable[Any]) -> None:
    """Raise DeviceError unless there is a GPU with room for copies of all of some arrays."""
    require_cuda()
    from dglmeta.kernels.gpu.device import free_bytes

    needed, free = sum(a.nbytes for a in arrays if a is not None), free_bytes()
    if needed > free:
        raise DeviceError(
            f"device: expected {needed / 2**30:.1f} GiB of free GPU memory, got "
            f"{free / 2**30:.1f}. Leave the graph on the host: NeighborLoader samples it there "
            f"and brings only the blocks to the GPU."
        )
