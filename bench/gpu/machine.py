"""What a measurement has to say about where it was made."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["commit", "describe"]


def describe(xp: Any) -> dict[str, Any]:
    """Device, driver and versions; no name of the machine."""
    import numpy as np
    import torch

    runtime = xp.cuda.runtime
    device = runtime.getDeviceProperties(runtime.getDevice())
    return {
        "device": device["name"].decode(),
        "memory_gib": round(device["totalGlobalMem"] / 2**30, 1),
        "l2_mib": device["l2CacheSize"] / 2**20,
        "multiprocessors": device["multiProcessorCount"],
        "driver": _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "cuda_driver": runtime.driverGetVersion(),
        "cuda_runtime": runtime.runtimeGetVersion(),
        "cupy": xp.__version__,
        "torch": torch.__version__,
        "torch_geometric": _version("torch_geometric"),
        "numpy": np.__version__,
        "cores": os.cpu_count(),
    }


def commit() -> str | None:
    """The commit measured, where git knows."""
    return _output("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty")


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
