"""Row blocks of a kernel spread over threads of our own.

Kernels are serial Numba functions that release the GIL, ``worker(begin, end, *args)``, and the
blocks of rows are shared out here. Numba's own parallel loops are not used: their layers abort when
two Python threads enter at once, or kill a process forked afterwards. Here any number of Python
threads may call kernels at once, before and after a fork. Every row belongs to one block and is
computed in one fixed order, so results are the same bits for any number of threads.
"""

from __future__ import annotations

import logging
import os
from bisect import bisect_left
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy.typing as npt
from numba.core import event

__all__ = ["balanced_blocks", "get_num_threads", "row_blocks", "run_blocks", "set_num_threads"]

SERIAL_BELOW_NS = 150_000
"""Work too small to be worth waking threads, which takes some 40 microseconds."""

BLOCKS_PER_THREAD = 4
"""Enough that a thread that falls behind leaves its later blocks to the others."""


class _Compiling(event.Listener):
    """Says, when the first kernel is compiled, why that call takes longer than all later ones."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: event.Event) -> None:
        """Numba begins to compile a function, not having found it in its cache."""
        function = event.data["dispatcher"].py_func
        if not self.said and function.__module__.startswith("dglmeta.kernels"):
            self.said = True
            logging.getLogger("dglmeta").info(
                "compiling kernels, once: about half a second each; later runs find them cached"
            )

    def on_end(self, event: event.Event) -> None:
        """Nothing more to say."""


event.register("numba:compile", _Compiling())


class _Threads:
    """The process-wide choice of a number of threads, and the pool that serves it."""

    def __init__(self) -> None:
        self.chosen: int | None = None
        self.pool: tuple[int, int, ThreadPoolExecutor | None] = (0, 0, None)

    def executor(self) -> ThreadPoolExecutor:
        """The pool of this process; a new one after a fork or when the number changed.

        Replaced in one assignment and never shut down: callers still using the old pool keep it
        alive, and its threads end once the last of them has let go.
        """
        pid, n_threads = os.getpid(), get_num_threads()
        owner, size, pool = self.pool
        if pool is None or owner != pid or size != n_threads:
            pool = ThreadPoolExecutor(n_threads, thread_name_prefix="dglmeta")
            self.pool = (pid, n_threads, pool)
        return pool


_threads = _Threads()


def set_num_threads(n_threads: int | None) -> None:
    """Choose how many threads a kernel may use, in the whole process.

    Parameters
    ----------
    n_threads : int >= 1, or None
        None returns to the default of ``get_num_threads``.

    Raises
    ------
    ValueError
        If it is not a positive integer.
    """
    _threads.chosen = None if n_threads is None else _positive("set_num_threads", n_threads)


def get_num_threads() -> int:
    """How many threads a kernel may use.

    The number set by ``set_num_threads``; else the environment variable ``DGLMETA_NUM_THREADS``;
    else the number of cores this process may run on.

    Raises
    ------
    ValueError
        If the environment variable is not a positive integer.
    """
    if _threads.chosen is None:
        named = os.environ.get("DGLMETA_NUM_THREADS")
        _threads.chosen = _positive("DGLMETA_NUM_THREADS", named) if named else _usable_cores()
    return _threads.chosen


def balanced_blocks(offsets: npt.NDArray | range, n_blocks: int) -> list[int]:
    """Bounds of consecutive row blocks with about equal work, a row costing its entries plus one.

    Parameters
    ----------
    offsets : (n_rows + 1,) integers, non-decreasing
        An ``indptr``, or any running total of work before each row; a range for equal rows.
    n_blocks : int >= 1

    Returns
    -------
    bounds : list of int
        From 0 to n_rows, strictly increasing (equal only for no rows); block b is the rows
        ``bounds[b]:bounds[b + 1]``. Fewer blocks than asked for when single rows are heavy.

    Notes
    -----
    Cost O(n_blocks log n_rows).

    Examples
    --------
    >>> import numpy as np
    >>> balanced_blocks(np.array([0, 9, 9, 10, 12, 19]), 2)
    [0, 3, 5]
    """
    n_rows = len(offsets) - 1
    first = int(offsets[0])
    total = int(offsets[-1]) - first + n_rows
    cuts = {
        bisect_left(
            range(n_rows), first + total * b // n_blocks, key=lambda row: int(offsets[row]) + row
        )
        for b in range(1, n_blocks)
    }
    return [0, *sorted(cuts - {0, n_rows}), n_rows]


def row_blocks(offsets: npt.NDArray | range, work_ns: float) -> Sequence[int]:
    """``balanced_blocks`` in the number that pays: one block where threads would only cost.

    Parameters
    ----------
    offsets : (n_rows + 1,) integers
        As for ``balanced_blocks``.
    work_ns : float
        Rough time of the whole on one thread, in nanoseconds.
    """
    if work_ns < SERIAL_BELOW_NS or get_num_threads() == 1:
        return (0, len(offsets) - 1)
    return balanced_blocks(offsets, BLOCKS_PER_THREAD * get_num_threads())


def run_blocks(worker: Callable[..., object], bounds: Sequence[int], *args: Any) -> None:
    """Call ``worker(begin, end, *args)`` for every block, on several threads if there are several.

    The calling thread takes blocks too, and never waits for a helper that has not begun. Workers
    must not submit work themselves. Safe from several Python threads at once.

    Parameters
    ----------
    worker : callable
        Releases the GIL and writes to the rows ``begin:end`` of its outputs only.
    bounds : sequence of int
        From ``balanced_blocks`` or ``row_blocks``.
    *args : any
        Passed on to each call.

    Raises
    ------
    Exception
        The first a worker raised, once no block is running any more.
    """
    n_blocks = len(bounds) - 1
    if n_blocks == 1:
        worker(bounds[0], bounds[1], *args)
        return
    blocks = iter(list(zip(bounds[:-1], bounds[1:], strict=True)))

    def take_blocks() -> None:
        for begin, end in blocks:
            worker(begin, end, *args)

    pool = _threads.executor()
    n_helpers = min(get_num_threads(), n_blocks) - 1
    helpers = [pool.submit(take_blocks) for _ in range(n_helpers)]
    try:
        take_blocks()
    finally:
        begun = [helper for helper in helpers if not helper.cancel()]
        wait(begun)
    for helper in begun:
        helper.result()


def _usable_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows do not have it
        return os.cpu_count() or 1


def _positive(where: str, value: object) -> int:
    try:
        number = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise ValueError(f"{where}: expected a positive number of threads, got {value!r}. Give 1.")
    return int(number)
