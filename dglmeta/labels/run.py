"""Label stores generated: by one process or many, and after any crash the same bytes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Literal, overload

from dglmeta.errors import ConfigError, LabelStoreError
from dglmeta.graph import HeteroCSR, MetaPath, as_csr
from dglmeta.graph.device import device_name, require_cuda
from dglmeta.kernels.cpu.pool import get_num_threads, set_num_threads
from dglmeta.labels.block import Part, Task, make_part
from dglmeta.labels.estimate import LabelPlan, estimate_labels
from dglmeta.labels.manifest import (
    Manifest,
    making_folder,
    read_manifest,
    read_progress,
    record_part,
)
from dglmeta.labels.plan import PART_ROWS, Block, Request, cut_blocks, need_budget
from dglmeta.labels.steps import save_steps
from dglmeta.labels.store import LabelStore, find_broken

__all__ = ["generate"]

MOST_BREAKS = 3
"""Pools that may break in a row without a block done: a block that kills every worker."""

Progress = Callable[[int, int], object]
Pools = Generator[Executor | None, None, None]

logger = logging.getLogger(__name__)


@overload
def generate(
    hg: Any,
    metapaths: Sequence[MetaPath | str] | MetaPath | str,
    out: str | Path,
    *,
    positives: int | None = ...,
    negative_ratio: float = ...,
    seed: int = ...,
    part_rows: int = ...,
    budget_bytes: int | None = ...,
    executor: Executor | None = ...,
    workers: int | None = ...,
    resume: bool = ...,
    progress: Progress | None = ...,
    device: str = ...,
    dry_run: Literal[False] = ...,
) -> LabelStore: ...


@overload
def generate(
    hg: Any,
    metapaths: Sequence[MetaPath | str] | MetaPath | str,
    out: str | Path,
    *,
    positives: int | None = ...,
    negative_ratio: float = ...,
    seed: int = ...,
    part_rows: int = ...,
    budget_bytes: int | None = ...,
    executor: Executor | None = ...,
    workers: int | None = ...,
    resume: bool = ...,
    progress: Progress | None = ...,
    device: str = ...,
    dry_run: Literal[True],
) -> LabelPlan: ...


def generate(
    hg: Any,
    metapaths: Sequence[MetaPath | str] | MetaPath | str,
    out: str | Path,
    *,
    positives: int | None = None,
    negative_ratio: float = 1.0,
    seed: int = 0,
    part_rows: int = PART_ROWS,
    budget_bytes: int | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    device: str = "cpu",
    dry_run: bool = False,
) -> LabelStore | LabelPlan:
    """Write the pairs some meta-paths join, and pairs they do not join, to a folder.

    Labels must not know held-out edges: give the training graph. A node's pair with itself is a
    pair like any other.

    Parameters
    ----------
    hg : HeteroCSR or DGLGraph
    metapaths : sequence of MetaPath or str, or one
    out : path
        A new or empty folder; with ``resume`` also one where this was begun. It gets
        ``manifest.json`` and ``metapath=<k>/part-<block>.parquet`` with columns ``src``, ``dst``,
        ``count`` (path instances, 0 for negatives) and ``label`` (1 or 0), rows in random order.
    positives : int, optional
        Draw so many for each meta-path, uniformly with replacement from all distinct pairs it
        joins. When absent, every such pair is written once.
    negative_ratio : float
        Negatives for each positive, drawn uniformly with replacement from all pairs the meta-path
        does not join.
    seed : int
        The same graph, meta-path, numbers and seed give the same bytes, whoever computes them.
    part_rows : int
        Labels of a part, about: the unit of work, and of what is lost in a crash.
    budget_bytes : int, optional
        Refuse if a process would need more than this beside the graph given.
    executor : concurrent.futures.Executor, optional
        Makes the parts: threads, processes, or a cluster's, such as Dask's
        ``Client.get_executor()``. All must reach ``out`` by the same path. When a worker's death
        breaks it, the rest is made in this process.
    workers : int, optional
        Instead of ``executor``: so many processes of our own, begun anew when one dies. A script
        that asks for them needs the usual ``if __name__ == "__main__":``.
    resume : bool
        Keep the parts in ``out`` that are whole and make the others.
    progress : callable, optional
        ``progress(done, total)``, in parts, at the start and after every part.
    device : {"cpu", "cuda"}
        Where labels are drawn: the same ones. Each worker holds a copy of the graph there.
    dry_run : bool
        Write nothing; return what is to be expected.

    Returns
    -------
    store : LabelStore, or LabelPlan for a dry run

    Raises
    ------
    SchemaError
        If the graph lacks a type a path names.
    ConfigError
        If a number is out of range, or both ``executor`` and ``workers`` are given.
    DataError
        If a meta-path joins nothing.
    BudgetError
        If the budget is too small, or negatives are too rare to be found by trying.
    DeviceError
        If the device is not there.
    LabelStoreError
        If ``out`` holds something else, labels of another graph or request or of a newer dglmeta,
        or cannot be written. What is whole stays, for ``resume``.

    Notes
    -----
    Workers map the graph from ``out`` while they work; they get numbers and paths, never arrays,
    and import no torch. A part is written whole or not at all, the manifest last.

    Examples
    --------
    >>> import dglmeta as dm
    >>> hg = dm.load_dataset("toy").csr
    >>> plan = dm.labels.generate(hg, "user-item-user", "labels", positives=100, dry_run=True)
    >>> plan.rows.value
    200
    """
    hg = as_csr(hg).host
    if device_name(device) == "cuda":
        require_cuda()
    if executor is not None and workers is not None:
        raise ConfigError("labels: expected executor or workers, got both. Give one of them.")
    if workers is not None and workers < 1:
        raise ConfigError(f"labels: expected workers >= 1, got {workers}. Leave it out for none.")
    paths = [metapaths] if isinstance(metapaths, (str, MetaPath)) else metapaths
    request = Request.read(hg, paths, positives, negative_ratio, seed, part_rows)
    needed = need_budget(hg, request, budget_bytes)
    if dry_run:
        return estimate_labels(hg, request, needed)
    folder = Path(out).resolve()
    done: list[Part] = []
    try:
        manifest, done = _begin(hg, request, folder, resume)
        whole = {(part.metapath, part.number) for part in done}
        left = [block for block in manifest.blocks if (block.metapath, block.number) not in whole]
        if left:
            steps = making_folder(folder) / "steps"
            save_steps(hg, request.metapaths, steps)
            tasks = {b: Task(str(folder), str(steps), request, b, device) for b in left}
            pools = _given_pool(executor) if workers is None else _own_pools(workers)
            with closing(pools):
                _make_parts(tasks, pools, len(manifest.blocks), done, folder, progress)
        if left or not manifest.parts:
            for abandoned in folder.glob("metapath=*/.*.tmp"):  # by workers that were killed
                abandoned.unlink(missing_ok=True)
            manifest.finish(folder, done)
    except OSError as error:
        raise LabelStoreError(
            f"{folder}: expected to write a label store there, got {error}. The {len(done)} parts "
            f"that are done are kept: make room or mend it, and go on with resume=True (--resume)."
        ) from error
    shutil.rmtree(making_folder(folder), ignore_errors=True)
    return LabelStore(folder)


def _begin(
    hg: HeteroCSR, request: Request, folder: Path, resume: bool
) -> tuple[Manifest, list[Part]]:
    """What is to be made in the folder, and the parts in it that are whole."""
    finished, begun = read_manifest(folder), read_progress(folder)
    if finished is not None:
        manifest, parts = finished, list(finished.parts)
    elif begun is not None:
        manifest, parts = begun
    else:
        if folder.is_dir() and any(folder.iterdir()):
            raise LabelStoreError(
                f"{folder}: expected a new or empty folder, or one with a label store, got one "
                f"with other files. Choose another."
            )
        manifest, parts = Manifest.of(hg, request, cut_blocks(hg, request)), []
        manifest.plan(folder)
        return manifest, parts
    manifest.check_graph(folder, hg)
    manifest.check_request(folder, request)
    if not resume:
        raise LabelStoreError(
            f"{folder}: expected a new or empty folder, got one where these labels were begun. "
            f"Go on with resume=True (--resume), or choose another."
        )
    latest = {(part.metapath, part.number): part for part in parts}
    broken = {fault.file for fault in find_broken(folder, list(latest.values()))}
    return manifest, [p for p in latest.values() if p.file(folder) not in broken]


def _make_parts(
    tasks: dict[Block, Task],
    pools: Pools,
    total: int,
    done: list[Part],
    folder: Path,
    progress: Progress | None,
) -> None:
    """Make all parts, going on with the next pool when one breaks; ``done`` grows as they come."""

    def note(part: Part) -> None:
        record_part(folder, part)
        done.append(part)
        if progress is not None:
            progress(len(done), total)

    making_folder(folder).mkdir(parents=True, exist_ok=True)
    if progress is not None:
        progress(len(done), total)
    left, n_breaks = dict(tasks), 0
    for pool in pools:
        n_before = len(left)
        try:
            _run(left, pool, note)
            return
        except BrokenExecutor as error:
            n_breaks = n_breaks + 1 if len(left) == n_before else 1
            if n_breaks == MOST_BREAKS:
                raise LabelStoreError(
                    f"{folder}: expected workers to live, got {n_breaks} pools in a row that broke "
                    f"({error}), perhaps for want of memory. Use fewer workers, then go on with "
                    f"resume=True (--resume)."
                ) from error
            logger.warning("a worker died; %d parts are made again or anew", len(left))


def _run(left: dict[Block, Task], pool: Executor | None, note: Callable[[Part], None]) -> None:
    """Make the parts that are left, taking each from ``left`` when it is done."""
    if pool is None:
        for block, task in list(left.items()):
            note(make_part(task))
            del left[block]
        return
    futures = {}
    try:
        for block, task in left.items():
            futures[pool.submit(make_part, task)] = block
        for future in as_completed(futures):
            note(future.result())
            del left[futures[future]]
    finally:
        for future in futures:
            future.cancel()


def _given_pool(executor: Executor | None) -> Pools:
    """The executor given; where it breaks, this process."""
    yield executor
    yield None


def _own_pools(workers: int) -> Pools:
    """Process pools, one after the other; each is shut down when the next is asked for."""
    threads = max(get_num_threads() // workers, 1)
    while True:
        # Spawned: they inherit no threads and no locks, and import only what they need.
        with ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=partial(_begin_worker, threads),
        ) as pool:
            yield pool


def _begin_worker(threads: int) -> None:
    """Share the cores among workers, and end with the process that began them."""
    set_num_threads(threads)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
