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
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from dglmeta.errors import ConfigError
from dglmeta.reproduce.runs import Run, Runner

__all__ = ["execute"]

Group = Sequence[tuple[Run, bool]]
"""Runs that are trained together, and whether to resume each."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def execute(
    runs: Group,
    root: Path,
    runner: Runner,
    *,
    jobs: int,
    done: Callable[[Run, BaseException | None], None],
) -> None:
    """Train, in order; one that fails does not stop the others.

    Runs of one cell that stand side by side are trained together if their system gains by it.

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
    groups = _groups(runs, runner, jobs)
    if jobs > 1:
        _in_processes(groups, root, runner, jobs, done)
        return
    for group in groups:
        errors = _attempt(runner, group, root)
        for (run, _), error in zip(group, errors, strict=True):
            done(run, error)


def _groups(runs: Group, runner: Runner, jobs: int) -> Sequence[Group]:
    """Runs that are trained together: those of one cell, where system and runner can do that.

    No more at once than leaves a share to every process.
    """
    groups: list[list[tuple[Run, bool]]] = []
    for run, resume in runs:
        first = groups[-1][0][0] if groups else None
        alike = first is not None and _kind(first) == _kind(run) and hasattr(runner, "together")
        at_once = run.system(run.config).runs_at_once if alike else 1
        if alike and len(groups[-1]) < min(at_once, -(-len(runs) // jobs)):
            groups[-1].append((run, resume))
        else:
            groups.append([(run, resume)])
    return groups


def _kind(run: Run) -> tuple[Any, ...]:
    return run.system, run.config, run.data


def _attempt(runner: Runner, group: Group, root: Path) -> list[BaseException | None]:
    """Train what no other process does; what each failed by, or None."""
    errors: list[BaseException | None] = [None] * len(group)
    with ExitStack() as locks:
        mine = []
        for place, (run, resume) in enumerate(group):
            try:
                locks.enter_context(_lock(run, root / run.path))
                mine.append((place, (run, root / run.path, resume)))
            except (ConfigError, OSError) as failure:
                errors[place] = failure
        try:
            if len(mine) > 1:
                found = runner.together([given for _, given in mine])  # type: ignore[attr-defined]
                for (place, _), error in zip(mine, found, strict=True):
                    errors[place] = error
            elif mine:
                runner(*mine[0][1])
        except Exception as failure:  # whatever it is, other groups do not depend on it
            for place, _ in mine:
                errors[place] = failure
    return errors


@contextmanager
def _lock(run: Run, folder: Path) -> Iterator[None]:
    """Keep other processes from training in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"reproduce: expected {run.path} to itself, got a folder that another process "
                f"trains in. Wait for it and give the command again."
            ) from error
        yield


def _in_processes(
    groups: Sequence[Group],
    root: Path,
    runner: Runner,
    jobs: int,
    done: Callable[[Run, BaseException | None], None],
) -> None:
    left = deque(groups)
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
    left: deque[Group],
    root: Path,
    runner: Runner,
    jobs: int,
    done: Callable[[Run, BaseException | None], None],
) -> None:
    """Keep ``jobs`` groups going until none is left, or until a process dies."""
    going: dict[Future[list[BaseException | None]], Group] = {}
    whole = True
    while (left and whole) or going:
        while left and whole and len(going) < jobs:
            try:
                going[pool.submit(_attempt, runner, left[0], root)] = left[0]
                left.popleft()
            except BrokenProcessPool:
                whole = False
        for future in wait(going, return_when=FIRST_COMPLETED).done:
            error, group = future.exception(), going.pop(future)
            whole = whole and not isinstance(error, BrokenProcessPool)
            errors = [error] * len(group) if error is not None else future.result()
            for (run, _), failure in zip(group, errors, strict=True):
                done(run, failure)


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
