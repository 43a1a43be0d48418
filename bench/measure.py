"""Time and memory of one side of a comparison, under pytest-benchmark."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_MKL = Path(sys.prefix) / "lib" / "libmkl_rt.so.3"
if _MKL.exists():  # sparse_dot_mkl does not look into the environment it is installed in
    os.environ.setdefault("MKL_RT", str(_MKL))

STATUS = Path("/proc/self/status")


def measure(benchmark: Any, fn: Callable[[], T], rounds: int = 5) -> T:
    """Time ``fn``, and note how far memory grows at its first call; returns what that gave.

    Parameters
    ----------
    benchmark : fixture of pytest-benchmark
        Gets the times, and the growth in ``extra_info["peak_mib"]`` (Linux only).
    fn : callable
        Prepares nothing: inputs are made before, and conversions that a user would pay are in it.
        What it returns is held by nobody while it is timed.
    rounds : int
        Timed calls after the first.
    """
    result, benchmark.extra_info["peak_mib"] = peak_growth(fn)
    benchmark.pedantic(fn, rounds=rounds, iterations=1)
    return result


def peak_growth(fn: Callable[[], T]) -> tuple[T, float | None]:
    """The result of a call, and by how many MiB the resident set rose above where it stood."""
    if not STATUS.exists():
        return fn(), None
    ctypes.CDLL(None).malloc_trim(0)
    before = _status_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    result = fn()
    return result, round(_status_mib("VmHWM") - before, 1)


def _status_mib(field: str) -> float:
    line = next(row for row in STATUS.read_text().splitlines() if row.startswith(field))
    return int(line.split()[1]) / 1024
