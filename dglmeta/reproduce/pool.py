"""Training many runs, one after another or in processes beside each other."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from dglmeta.errors import ConfigError
from dglmeta.reproduce.runs import Run, Runner

__all__ = ["execute"]

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def execute(
    runs: Sequence[tuple[Run, bool]],
    root: Path,
    runner: Runner,
    *,
    jobs: int,
    done: Callable[[Run, BaseException | None], None],
) -> None:
    """Train, in order; one that fails does not stop the others.

    Parameters
    ----------
    runs : sequence of (Run, bool)
        And whether to resume it.
    root : path
        The folder of all runs.
    runner : Runner
    jobs : int
        Processes, each of one thread; 1 trains in this process, with all its threads, which may
        round sums otherwise.
    done : callable
        ``done(run, error)`` after each, in this process; ``error`` is None if it went well.
    """
    if jobs > 1:
        _in_processes(runs, root, runner, jobs, done)
        return
    for run, resume in runs:
        error = None
        try:
            _attempt(runner, run, root / run.path, resume)
        except Exception as failure:  # whatever it is, the others do not depend on it
            error = failure
        done(run, error)


def _attempt(runner: Runner, run: Run, folder: Path, resume: bool) -> None:
    """Train, unless another process does."""
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"reproduce: expected {run.path} to itself, got a folder that another process "
                f"trains in. Wait for it and give the command again."
            ) from error
        runner(run, folder, resume)


def _in_processes(
    runs: Sequence[tuple[Run, bool]],
    root: Path,
    runner: Runner,
    jobs: int,
    done: Callable[[Run, BaseException | None], None],
) -> None:
    left = deque(runs)
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")
    with _one_thread_each():
        while left:  # a new pool after a process has died
            with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_begin_worker) as pool:
                try:
                    _feed(pool, left, root, runner, jobs, done)
                except BaseException:  # Ctrl-C most likely: what they train can be resumed
                    for child in set(multiprocessing.active_children()) - others:
                        child.terminate()
                    raise


def _feed(
    pool: ProcessPoolExecutor,
    left: deque[tuple[Run, bool]],
    root: Path,
    runner: Runner,
    jobs: int,
    done: Callable[[Run, BaseException | None], None],
) -> None:
    """Keep ``jobs`` runs going until none is left, or until a process dies."""
    going: dict[Future[None], Run] = {}
    whole = True
    while (left and whole) or going:
        while left and whole and len(going) < jobs:
            run, resume = left[0]
            try:
                going[pool.submit(_attempt, runner, run, root / run.path, resume)] = run
                left.popleft()
            except BrokenProcessPool:
                whole = False
        for future in wait(going, return_when=FIRST_COMPLETED).done:
            error = future.exception()
            whole = whole and not isinstance(error, BrokenProcessPool)
            done(going.pop(future), error)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """The environment that processes started meanwhile take over."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin_worker() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    sys.stderr = _Quiet(sys.stderr)
    tqdm.set_lock(threading.RLock())  # its own would outlive a process that is ended


class _Quiet:
    """A stream that shows no progress bars, for those of several processes overwrite each other."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return False
