"""How calls are timed: warmed up, on inputs that no cache still holds, many times.

The sets of inputs take turns, and between two calls a buffer larger than the last-level cache is
overwritten. Marks lie on the stream, so that what Python needs to launch is hidden by that writing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np

__all__ = ["Clock", "DeviceClock", "Times", "WallClock", "time_calls"]

LEAST = 5
"""Calls timed however long they take."""

SWEPT = 4
"""Caches' worth of bytes overwritten between calls."""

Sets = Sequence[tuple[Any, ...]]


class Times(NamedTuple):
    """Milliseconds of n calls."""

    median_ms: float
    p10: float
    p90: float
    n: int


class Clock(Protocol):
    """What tells the time between two marks."""

    def mark(self) -> Any:
        """A point in time."""

    def milliseconds(self, start: Any, end: Any) -> float:
        """From one mark to another, once both have passed."""

    def wait(self) -> None:
        """Until all that was asked for is done."""

    def sweep(self) -> None:
        """Leave nothing of the inputs in a cache."""


class DeviceClock:
    """Events on CuPy's current stream."""

    def __init__(self, xp: Any) -> None:
        self._cuda = xp.cuda
        cache = xp.cuda.runtime.getDeviceProperties(xp.cuda.runtime.getDevice())["l2CacheSize"]
        self._buffer = xp.empty(SWEPT * cache, "uint8")

    def mark(self) -> Any:
        event = self._cuda.Event()
        event.record()
        return event

    def milliseconds(self, start: Any, end: Any) -> float:
        return self._cuda.get_elapsed_time(start, end)

    def wait(self) -> None:
        self._cuda.runtime.deviceSynchronize()

    def sweep(self) -> None:
        self._buffer.fill(1)


class WallClock:
    """The host's time, read when the device has nothing left to do."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self.wait = wait

    def mark(self) -> float:
        self.wait()
        return perf_counter()

    def milliseconds(self, start: float, end: float) -> float:
        return 1e3 * (end - start)

    def sweep(self) -> None:
        """Nothing: these calls take far more than a cache holds."""


def time_calls(
    clock: Clock, call: Callable[..., Any], sets: Sets, most: int = 30, limit_ms: float = 1500
) -> Times:
    """Time a call that was made before, on each set of inputs in turn.

    At most ``most`` times, and fewer, but for ``LEAST``, where that would take longer than
    ``limit_ms``.
    """
    n = most
    if most > LEAST:
        estimate = _samples(clock, call, sets, 1)[0]
        n = int(min(most, max(LEAST, limit_ms / max(estimate, 1e-6))))
    samples = _samples(clock, call, sets, n)
    p10, median, p90 = np.percentile(samples, (10, 50, 90))
    return Times(float(median), float(p10), float(p90), n)


def _samples(clock: Clock, call: Callable[..., Any], sets: Sets, n: int) -> list[float]:
    marks = []
    for k in range(n):
        clock.sweep()
        start = clock.mark()
        result = call(*sets[k % len(sets)])
        marks.append((start, clock.mark()))
        del result  # or the next call would need memory beside it
    clock.wait()
    return [clock.milliseconds(*pair) for pair in marks]
