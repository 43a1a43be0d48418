"""Whoever makes a store, and whatever happens meanwhile, its bytes are the same."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dglmeta import load_dataset
from dglmeta.errors import BudgetError, ConfigError, DataError, LabelStoreError
from dglmeta.graph import HeteroCSR
from dglmeta.labels import LabelStore, generate
from dglmeta.labels import run as run_module
from dglmeta.labels.manifest import making_folder

PATHS = ("user-item-user", "user-item-tag-item")
ASKED = {"positives": 400, "part_rows": 90, "seed": 3}  # nine parts for each meta-path
N_PARTS = 18


class StopError(Exception):
    """Raised by a progress callback in place of a crash."""


def stop_after(n):
    def progress(done, total):
        assert total == N_PARTS
        if done == n:
            raise StopError

    return progress


@pytest.fixture(scope="module")
def expected(hg, tmp_path_factory, content):
    """sha256 of every file of the store that one process makes."""
    folder = tmp_path_factory.mktemp("labels") / "store"
    generate(hg, PATHS, folder, **ASKED)
    return content(folder)


@pytest.fixture
def store(hg, tmp_path):
    """A whole store, to be spoiled."""
    return generate(hg, PATHS, tmp_path / "store", **ASKED)


def changed(folder, since):
    """Names of the parts written after a time."""
    return {p.name for p in folder.glob("*/*.parquet") if p.stat().st_mtime_ns > since}


# The same bytes


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_same_bytes_for_any_number_of_kernel_threads(
    hg, tmp_path, expected, content, threads, n_threads
):
    threads(n_threads)
    generate(hg, PATHS, tmp_path / "store", **ASKED)
    assert content(tmp_path / "store") == expected


def test_the_same_bytes_from_a_pool_of_threads(hg, tmp_path, expected, content):
    with ThreadPoolExecutor(2) as pool:
        generate(hg, PATHS, tmp_path / "store", executor=pool, **ASKED)
    assert content(tmp_path / "store") == expected


@pytest.mark.dist
def test_the_same_bytes_from_two_processes_one_of_which_is_killed(
    hg, tmp_path, expected, content, caplog
):
    killed = []

    def kill_one(done, total):
        if done and not killed:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    generate(hg, PATHS, tmp_path / "store", workers=2, progress=kill_one, **ASKED)
    assert "a worker died" in caplog.text
    assert content(tmp_path / "store") == expected


@pytest.mark.dist
def test_what_a_broken_executor_leaves_is_made_here(hg, tmp_path, expected, content):
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        pool.submit(os._exit, 1)
        generate(hg, PATHS, tmp_path / "store", executor=pool, **ASKED)
    assert content(tmp_path / "store") == expected


@pytest.mark.dist
def test_the_same_bytes_from_a_dask_cluster(hg, tmp_path, expected, content):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        store = generate(
            hg, PATHS, tmp_path / "store", executor=client.get_executor(pure=False), **ASKED
        )
    assert store.verify() == ()
    assert content(tmp_path / "store") == expected


SCRIPT = """
import os, signal, sys, multiprocessing
from dglmeta.graph import HeteroCSR
from dglmeta.labels import generate

def die(done, total):
    if done >= 3:
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    hg = HeteroCSR.open(sys.argv[1])
    generate(hg, {paths!r}, sys.argv[2], workers=2, progress=die, **{asked!r})
"""


@pytest.mark.dist
def test_a_killed_driver_takes_its_workers_along_and_the_rest_is_resumed(
    hg, tmp_path, expected, content
):
    hg.save(tmp_path / "graph")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(paths=PATHS, asked=ASKED))
    folder = tmp_path / "store"
    command = [sys.executable, str(script), str(tmp_path / "graph"), str(folder)]
    driver = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert driver.returncode == -signal.SIGKILL
    workers = [int(pid) for pid in driver.stdout.split()]
    assert len(workers) == 2
    wait_for(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in workers))
    with pytest.raises(LabelStoreError, match=r"got one with 3 of 18 parts. Finish it with resume"):
        LabelStore(folder)
    generate(hg, PATHS, folder, resume=True, **ASKED)
    assert content(folder) == expected


def wait_for(condition, timeout_s=20.0):
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.05)


@pytest.mark.parametrize("n_done", [0, 1, 17, 18])
def test_a_run_that_stops_anywhere_is_resumed_without_redoing(
    hg, tmp_path, expected, content, n_done
):
    folder = tmp_path / "store"
    with pytest.raises(StopError):
        generate(hg, PATHS, folder, progress=stop_after(n_done), **ASKED)
    assert not (folder / "manifest.json").exists()
    with (making_folder(folder) / "parts.jsonl").open("a") as journal:
        journal.write('{"metapath": 0, "num')  # killed within a line
    seen = []
    generate(
        hg, PATHS, folder, resume=True, progress=lambda done, total: seen.append(done), **ASKED
    )
    assert seen == (list(range(n_done, N_PARTS + 1)) if n_done < N_PARTS else [])
    assert content(folder) == expected


def test_a_part_spoiled_before_the_end_is_made_again(hg, tmp_path, expected, content):
    folder = tmp_path / "store"
    with pytest.raises(StopError):
        generate(hg, PATHS, folder, progress=stop_after(5), **ASKED)
    (folder / "metapath=0" / "part-00002.parquet").write_bytes(b"spoiled")
    (folder / "metapath=0" / ".part-00007.parquet.123.tmp").write_bytes(b"half a part")
    seen = []
    generate(
        hg, PATHS, folder, resume=True, progress=lambda done, total: seen.append(done), **ASKED
    )
    assert seen[0] == 4
    assert content(folder) == expected


def test_exactly_the_broken_parts_of_a_whole_store_are_made_again(hg, store, expected, content):
    deleted, corrupted = (store.folder / f"metapath=1/part-0000{b}.parquet" for b in (4, 6))
    deleted.unlink()
    data = corrupted.read_bytes()
    corrupted.write_bytes(data[:-20] + bytes(20))
    assert {fault.file for fault in store.verify()} == {deleted, corrupted}
    since = time.time_ns()
    again = generate(hg, PATHS, store.folder, resume=True, **ASKED)
    assert changed(store.folder, since) == {deleted.name, corrupted.name}
    assert again.verify() == ()
    assert content(store.folder) == expected


def test_a_whole_store_is_resumed_without_a_write(hg, store, monkeypatch):
    monkeypatch.setattr(run_module, "make_part", lambda task: pytest.fail("made a part"))
    since = time.time_ns()
    assert generate(hg, PATHS, store.folder, resume=True, **ASKED).n_rows == (800, 800)
    assert all(p.stat().st_mtime_ns < since for p in store.folder.rglob("*"))


def test_another_seed_gives_other_labels(hg, tmp_path, expected, content):
    generate(hg, PATHS, tmp_path / "store", **(ASKED | {"seed": 4}))
    assert not set(content(tmp_path / "store").values()) & set(expected.values())


def test_the_order_and_company_of_metapaths_do_not_matter(hg, tmp_path, expected, content):
    generate(hg, PATHS[1], tmp_path / "store", **ASKED)
    parts = content(tmp_path / "store" / "metapath=0")
    assert parts == {
        name.removeprefix("metapath=1/"): digest
        for name, digest in expected.items()
        if name.startswith("metapath=1/")
    }


def test_all_positives_of_a_path_whoever_lists_them(hg, tmp_path, content, instances):
    store = generate(hg, PATHS, tmp_path / "one", negative_ratio=0.5, part_rows=50)
    with ThreadPoolExecutor(2) as pool:
        asked = {"negative_ratio": 0.5, "part_rows": 50, "executor": pool}
        generate(hg, PATHS, tmp_path / "two", **asked)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    for k, path in enumerate(store.metapaths):
        counts, labels = instances(hg, path), store.read(k)
        tally = np.zeros_like(counts)
        np.add.at(tally, (labels.src[labels.label == 1], labels.dst[labels.label == 1]), 1)
        np.testing.assert_array_equal(tally, counts > 0)
        np.testing.assert_array_equal(labels.count, counts[labels.src, labels.dst])
        n_negatives = len(labels.label) - tally.sum()
        assert abs(n_negatives - tally.sum() / 2) <= len(store.manifest.parts)


def test_the_five_metapaths_of_lastfm_have_the_published_numbers_of_pairs(data_dir, tmp_path):
    ds = load_dataset("lastfm", root=data_dir)
    store = generate(ds.csr, ds.metapaths, tmp_path / "store", negative_ratio=0)
    assert store.n_positives == (22_940, 21_992, 18_998, 2_157_880, 357_415)
    assert store.n_rows == store.n_positives


# What goes wrong is said, and nothing is lost


def small_disk(folder):
    """Mount a file system of a few pages; skip where that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")


@pytest.mark.parametrize("room_kib", [8, 48], ids=["for no part", "for some parts"])
def test_a_full_disk_is_said_and_nothing_is_lost(hg, tmp_path, expected, content, room_kib):
    disk = tmp_path / "disk"
    small_disk(disk)
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes((128 - room_kib) << 10))
        folder = disk / "store"
        with pytest.raises(LabelStoreError, match=r"No space left.*make room or mend it.*resume"):
            generate(hg, PATHS, folder, **ASKED)
        kept = list(folder.glob("*/*.parquet"))
        since = time.time_ns()
        assert (len(kept) > 0) == (room_kib > 8)
        assert len(kept) < N_PARTS
        assert not list(folder.glob("*/.*.tmp"))
        ballast.unlink()
        generate(hg, PATHS, folder, resume=True, **ASKED)
        assert not {p.name for p in kept if p.parent.name == "metapath=1"} & changed(folder, since)
        assert content(folder) == expected
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_is_full_in_the_end_leaves_a_store_to_resume(
    hg, tmp_path, expected, content, monkeypatch
):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("dglmeta.labels.manifest.Manifest.finish", full)
        with pytest.raises(LabelStoreError, match="The 18 parts that are done are kept"):
            generate(hg, PATHS, tmp_path / "store", **ASKED)
    generate(hg, PATHS, tmp_path / "store", resume=True, **ASKED)
    assert content(tmp_path / "store") == expected


def test_a_folder_that_cannot_be_written_is_said(hg, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LabelStoreError, match="expected to write a label store there, got"):
        generate(hg, PATHS, tmp_path / "file" / "store", **ASKED)
    read_only = tmp_path / "read-only"
    read_only.mkdir(mode=0o555)
    if not os.access(read_only, os.W_OK):  # an administrator may write to it
        with pytest.raises(LabelStoreError, match="Permission denied"):
            generate(hg, PATHS, read_only / "store", **ASKED)


def test_a_folder_of_something_else_is_left_alone(hg, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    for resume in (False, True):
        with pytest.raises(LabelStoreError, match="got one with other files"):
            generate(hg, PATHS, tmp_path, resume=resume, **ASKED)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_store_is_not_overwritten_unless_resumed(hg, store, content):
    before = content(store.folder)
    with pytest.raises(LabelStoreError, match=r"Go on with resume=True \(--resume\)"):
        generate(hg, PATHS, store.folder, **ASKED)
    assert content(store.folder) == before


def test_labels_of_another_graph_are_not_resumed(hg, other, store, tmp_path, content):
    before = content(store.folder)
    with pytest.raises(LabelStoreError, match="expected labels of the graph in hand"):
        generate(other, PATHS, store.folder, resume=True, **ASKED)
    assert content(store.folder) == before
    with pytest.raises(StopError):
        generate(hg, PATHS, tmp_path / "begun", progress=stop_after(2), **ASKED)
    with pytest.raises(LabelStoreError, match="expected labels of the graph in hand"):
        generate(other, PATHS, tmp_path / "begun", resume=True, **ASKED)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 4}, "expected a store with seed = 4, got one with 3"),
        ({"positives": None}, "expected a store with positives = None, got one with 400"),
        ({"negative_ratio": 2}, "negative_ratio = 2.0, got one with 1.0"),
        ({"part_rows": 91}, "part_rows = 91, got one with 90"),
    ],
)
def test_another_request_is_not_resumed(hg, store, content, change, says):
    before = content(store.folder)
    with pytest.raises(LabelStoreError, match=says):
        generate(hg, PATHS, store.folder, resume=True, **(ASKED | change))
    with pytest.raises(LabelStoreError, match=r"metapaths = \['user-\[rated\]-item'\], got one"):
        generate(hg, "user-item", store.folder, resume=True, **ASKED)
    assert content(store.folder) == before


def test_a_refused_request_leaves_no_folder(hg, tmp_path):
    with pytest.raises(BudgetError, match="memory budget of 1e\\+03 bytes"):
        generate(hg, PATHS, tmp_path / "store", budget_bytes=1_000, **ASKED)
    empty = HeteroCSR.from_edges({("a", "x", "b"): ([], [])}, {"a": 0, "b": 3})
    with pytest.raises(DataError, match="join at least one pair, got none"):
        generate(empty, "a-b", tmp_path / "store")
    assert not (tmp_path / "store").exists()


MEASURE = """
import sys, tempfile
import numpy as np
from dglmeta.bench.measure import peak_growth
from dglmeta.graph import HeteroCSR
from dglmeta.labels import generate
from dglmeta.labels.plan import Request, need_budget

rng = np.random.default_rng(0)
ends = rng.integers(0, 60_000, 1_000_000), rng.integers(0, 40_000, 1_000_000)
hg = HeteroCSR.from_edges({("user", "rated", "item"): ends}, {"user": 60_000, "item": 40_000})
asked = {"positives": 50_000, "budget_bytes": int(sys.argv[1])}
with tempfile.TemporaryDirectory() as folder:
    store, grown = peak_growth(lambda: generate(hg, "user-item-user", f"{folder}/x", **asked))
print(store.n_rows[0], grown)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux to measure")
def test_memory_stays_within_the_budget():
    budget_mib = 240
    command = [sys.executable, "-c", MEASURE, str(budget_mib << 20)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    n_rows, grown_mib = done.stdout.split()
    assert n_rows == "100000"
    assert float(grown_mib) < budget_mib


def test_a_path_that_joins_everything_has_no_negatives(tmp_path):
    full = HeteroCSR.from_edges({("a", "x", "b"): ([0, 1], [0, 0])}, {"a": 2, "b": 1})
    store = generate(full, "a-b", tmp_path / "store", negative_ratio=0)
    assert store.n_positives == store.n_rows == (2,)


def test_a_pool_that_breaks_again_and_again_is_given_up(hg, tmp_path, monkeypatch):
    class Broken(Executor):
        def submit(self, *args):
            raise BrokenExecutor("all dead")

    monkeypatch.setattr(run_module, "_own_pools", lambda n: (Broken() for _ in iter(int, 1)))
    with pytest.raises(LabelStoreError, match=r"3 pools in a row that broke \(all dead\)"):
        generate(hg, PATHS, tmp_path / "store", workers=2, **ASKED)


def test_an_error_in_a_worker_stops_the_run(hg, tmp_path, monkeypatch):
    def fail(task):
        raise DataError("wrong from the start")

    monkeypatch.setattr(run_module, "make_part", fail)
    with ThreadPoolExecutor(2) as pool, pytest.raises(DataError, match="wrong from the start"):
        generate(hg, PATHS, tmp_path / "store", executor=pool, **ASKED)


@pytest.mark.parametrize("workers", [0, -1])
def test_workers_and_executors_are_checked(hg, tmp_path, workers):
    with pytest.raises(ConfigError, match=f"workers >= 1, got {workers}"):
        generate(hg, PATHS, tmp_path / "store", workers=workers)
    with ThreadPoolExecutor(1) as pool, pytest.raises(ConfigError, match="got both"):
        generate(hg, PATHS, tmp_path / "store", workers=2, executor=pool)


def test_the_journal_is_one_line_a_part(hg, tmp_path):
    with pytest.raises(StopError):
        generate(hg, PATHS, tmp_path / "store", progress=stop_after(2), **ASKED)
    lines = (making_folder(tmp_path / "store") / "parts.jsonl").read_text().split()
    text = "".join(lines)
    assert [json.loads(part)["number"] for part in text.replace("}{", "}\n{").split("\n")] == [0, 1]
