"""Row blocks cover every row once, from any thread and after a fork."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu import pool
from dglmeta.kernels.cpu.segment import segment_sum
from dglmeta.kernels.cpu.spmm import spmm


@given(degrees=st.lists(st.integers(0, 50), max_size=30), n_blocks=st.integers(1, 9))
def test_balanced_blocks_cover_every_row_once(degrees, n_blocks):
    bounds = pool.balanced_blocks(np.cumsum([0, *degrees]), n_blocks)
    assert bounds[0] == 0
    assert bounds[-1] == len(degrees)
    assert all(np.diff(bounds) > 0) or len(degrees) == 0
    assert len(bounds) - 1 <= max(n_blocks, 1)


@given(degrees=st.lists(st.integers(0, 50), min_size=1, max_size=30), n_blocks=st.integers(1, 9))
def test_no_block_exceeds_its_share_by_more_than_one_row(degrees, n_blocks):
    bounds = pool.balanced_blocks(np.cumsum([0, *degrees]), n_blocks)
    costs = np.array(degrees) + 1
    for begin, end in zip(bounds[:-1], bounds[1:], strict=True):
        assert costs[begin : end - 1].sum() <= costs.sum() / n_blocks + 1


def test_small_work_stays_in_one_block():
    assert list(pool.row_blocks(range(101), work_ns=1000)) == [0, 100]


def test_blocks_run_each_row_once_whatever_the_threads(in_threads):
    for n_threads in (1, 2, 3):
        seen = np.zeros(1000, int)

        def worker(begin, end, seen=seen):
            seen[begin:end] += 1

        in_threads(n_threads, lambda worker=worker: pool.run_blocks(worker, range(0, 1001, 10)))
        assert (seen == 1).all()


def test_an_error_in_a_block_arrives_after_all_blocks_have_ended(in_threads):
    running = []

    def worker(begin, end):
        running.append(begin)
        time.sleep(0.01)
        running.remove(begin)
        if begin == 0:
            raise RuntimeError("block 0")

    with pytest.raises(RuntimeError, match="block 0"):
        in_threads(2, lambda: pool.run_blocks(worker, range(5)))
    assert running == []


def test_the_environment_sets_the_threads_and_bad_numbers_are_refused(monkeypatch):
    pool.set_num_threads(None)
    monkeypatch.setenv("DGLMETA_NUM_THREADS", "3")
    assert pool.get_num_threads() == 3
    pool.set_num_threads(None)
    monkeypatch.setenv("DGLMETA_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="DGLMETA_NUM_THREADS: expected a positive .* got 'many'"):
        pool.get_num_threads()
    with pytest.raises(ValueError, match="got 0"):
        pool.set_num_threads(0)
    monkeypatch.delenv("DGLMETA_NUM_THREADS")
    assert pool.get_num_threads() >= 1


def test_four_python_threads_may_call_kernels_at_once(large, in_threads):
    x = np.random.default_rng(1).random((large.n_cols, 1, 8))
    expected = spmm(*large[:3], None, x)
    agree = []

    def call():
        for _ in range(10):
            agree.append(np.array_equal(spmm(*large[:3], None, x), expected))

    def all_at_once():
        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(timeout=60)

    in_threads(2, all_at_once)
    assert agree == [True] * 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kernels_work_in_a_forked_child():
    # In a fresh interpreter: forking this one, with torch's threads in it, is asking for trouble.
    script = """
import os, signal
import numpy as np
from dglmeta.kernels.cpu import pool
from dglmeta.kernels.cpu.segment import segment_sum
pool.set_num_threads(2)
pool.SERIAL_BELOW_NS = 0
indptr, values = np.arange(0, 4001, 4), np.ones((4000, 2))
before = segment_sum(indptr, None, values)
child = os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(0 if np.array_equal(segment_sum(indptr, None, values), before) else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    run = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert run.returncode == 0


def test_compiling_is_said_once_and_only_where_nothing_is_cached(tmp_path):
    script = """
import logging
import numpy as np
logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
from dglmeta.kernels.cpu.segment import expand, segment_sum
expand(np.array([0, 1]), None, np.ones((1, 1)))
segment_sum(np.array([0, 1]), None, np.ones((1, 1)))
"""
    runs = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            check=True,
            text=True,
        )
        for _ in range(2)
    ]
    assert [run.stderr.count("dglmeta: compiling kernels, once") for run in runs] == [1, 0]


def test_the_first_call_of_a_cached_kernel_takes_less_than_a_second():
    script = """
import time
import numpy as np
from dglmeta.kernels.cpu.segment import segment_sum
begin = time.perf_counter()
segment_sum(np.array([0, 1]), None, np.ones((1, 1)))
print(time.perf_counter() - begin)
"""
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
        for _ in range(2)
    ]
    assert float(runs[1].stdout) < 1.0


def test_large_rows_give_the_same_bits_in_any_number_of_threads(large, in_threads):
    values = np.random.default_rng(2).random((large.n_edges, 3)).astype(np.float32)
    results = [
        in_threads(n, lambda: segment_sum(large.indptr, large.edge_ids, values)) for n in (1, 2, 5)
    ]
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])
    oracle = reference.segment_sum(large.indptr, large.edge_ids, values)
    np.testing.assert_allclose(results[0], oracle, rtol=1e-5)
