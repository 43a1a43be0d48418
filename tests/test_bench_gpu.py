"""The harness of the GPU benchmarks, by a clock that only counts: no GPU is needed."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

from dglmeta.bench.gpu import __main__ as program
from dglmeta.bench.gpu.bench import Bench, table
from dglmeta.bench.gpu.data import expect
from dglmeta.bench.gpu.timing import LEAST, time_calls


class CountingClock:
    """Each call takes as long as it says, in milliseconds; the swept caches are counted."""

    def __init__(self) -> None:
        self.now, self.n_swept, self.waited = 0.0, 0, False

    def call_taking(self, *durations: float):
        left = list(durations)

        def call(*_: object) -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return call

    def mark(self) -> float:
        self.waited = False
        return self.now

    def milliseconds(self, start: float, end: float) -> float:
        assert self.waited, "read before the device was done"
        return end - start

    def wait(self) -> None:
        self.waited = True

    def sweep(self) -> None:
        self.n_swept += 1
        self.now += 1000.0  # outside of the marks


@pytest.fixture
def clock() -> CountingClock:
    return CountingClock()


@pytest.fixture
def bench(clock: CountingClock) -> Bench:
    made = Bench(np, None, "cpu", clock)
    made.group = "group"
    made.__dict__["copy_gb_per_s"] = 100.0
    return made


def test_sets_of_inputs_take_turns_and_caches_are_swept_between(clock: CountingClock) -> None:
    seen: list[int] = []

    def call(which: int) -> None:
        seen.append(which)
        clock.now += 1.0

    times = time_calls(clock, call, [(0,), (1,), (2,)], most=7)
    assert seen == [0, *([0, 1, 2] * 3)[:7]]  # the first is the estimate
    assert times.n == 7
    assert times.median_ms == pytest.approx(1.0)
    assert clock.n_swept == len(seen)


def test_the_median_and_both_tenths_are_of_the_timed_calls_only(clock: CountingClock) -> None:
    call = clock.call_taking(99.0, *range(1, 12))
    times = time_calls(clock, call, [()], most=11)
    assert times == pytest.approx((6.0, 2.0, 10.0, 11))


def test_slow_calls_are_timed_less_often_but_some_times(clock: CountingClock) -> None:
    assert time_calls(clock, clock.call_taking(100.0), [()], most=30, limit_ms=1000).n == 10
    assert time_calls(clock, clock.call_taking(1e5), [()], most=30, limit_ms=1000).n == LEAST
    assert time_calls(clock, clock.call_taking(1e5), [()], most=2, limit_ms=1000).n == 2


def test_bytes_become_a_rate_and_a_share_of_a_copy(bench: Bench, clock: CountingClock) -> None:
    bench.time("case", "dglmeta", clock.call_taking(2.0), n_bytes=1e8)
    (row,) = bench.rows
    assert row["gb_per_s"] == pytest.approx(50.0)
    assert row["of_copy"] == pytest.approx(0.5)
    assert (row["group"], row["case"], row["who"]) == ("group", "case", "dglmeta")


def test_a_failing_rival_leaves_its_error_and_ours_is_raised(bench: Bench) -> None:
    def fail() -> None:
        raise MemoryError("out of it\nby far")

    bench.time("case", "rival", fail)
    assert bench.rows[0]["error"] == "MemoryError: out of it"
    with pytest.raises(MemoryError):
        bench.time("case", "dglmeta", fail)
    assert "MemoryError" in table(bench.rows)


def test_a_wrong_result_is_not_timed(bench: Bench) -> None:
    bench.time("case", "rival", lambda: np.array([1.0, np.nan]), check=expect(np.ones(2)))
    assert bench.rows[0]["error"].startswith("ArithmeticError: result 0 is off")
    with pytest.raises(ArithmeticError, match="result 1 is off"):
        expect([np.ones(2), np.ones(2)])([np.ones(2), np.array([1.0, 1.1])])
    expect(np.ones(2))(np.ones((2, 1), np.float32))


def test_the_table_orders_by_time_and_tells_our_share(bench: Bench, clock: CountingClock) -> None:
    for who, ms in (("slow", 4.0), ("dglmeta", 1.0), ("quick", 2.0), ("dglmeta, kernel", 3.0)):
        bench.time("case", who, clock.call_taking(ms), grown_mib=12.0)
    lines = table(bench.rows).splitlines()
    assert lines[0] == "group: case"
    assert [line.split(" ")[2] for line in lines[1:]] == [
        "dglmeta", "quick", "dglmeta,", "slow", "->",
    ]  # fmt: skip
    assert "12 MiB" in lines[1]
    assert "0.50 of the quickest rival's time" in lines[-1]


@pytest.mark.parametrize("name", program.GROUPS)
def test_every_group_imports_without_a_gpu(name: str) -> None:
    assert callable(import_module(f"dglmeta.bench.gpu.groups.{name}").run)


def test_a_failed_group_is_told_and_the_next_one_runs(bench, monkeypatch, tmp_path, capsys) -> None:
    def broken(bench: Bench) -> None:
        bench.rows.append({"group": "spmm", "case": "case", "who": "x", "median_ms": 1.0,
                           "p10": 1.0, "p90": 1.0})  # fmt: skip
        raise ArithmeticError("wrong")

    groups = {"spmm": broken, "sddmm": lambda bench: None}
    find = lambda name: SimpleNamespace(run=groups[name.rpartition(".")[2]])  # noqa: E731
    monkeypatch.setattr(program, "import_module", find)
    path = tmp_path / "rows.json"
    report = program.Report({"commit": "c"}, path)
    for name in groups:
        report.add(bench, program.run_group(bench, name))
    written = json.loads(path.read_text())
    assert set(written["failures"]) == {"spmm"}
    assert "ArithmeticError: wrong" in written["failures"]["spmm"]
    assert [row["group"] for row in written["rows"]] == ["spmm"]
    assert "spmm: case" in capsys.readouterr().out


def test_groups_measured_before_may_be_kept(bench: Bench, tmp_path) -> None:
    path = tmp_path / "rows.json"
    held = {"rows": [{"group": "spmm"}, {"group": "pairs"}], "failures": {"pairs": "text"}}
    path.write_text(json.dumps(held))
    report = program.Report({}, path)
    report.keep_others(["pairs"])
    report.add(bench, None)
    assert json.loads(path.read_text()) == {"failures": {}, "rows": [{"group": "spmm"}]}


def test_after_a_device_error_the_rest_goes_to_a_new_process(monkeypatch, tmp_path) -> None:
    called = []
    monkeypatch.setattr(program.subprocess, "call", lambda command: called.append(command) or 0)
    given = argparse.Namespace(quick=True, json=tmp_path / "rows.json")
    assert program.run_elsewhere(["pairs"], given) == 0
    assert called[0][1:] == [
        "-m", "dglmeta.bench.gpu", "pairs", "--quick", "--add", "--json", str(given.json),
    ]  # fmt: skip


def test_a_group_that_does_not_exist_is_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        program.main(["no-such-group"])
    assert "expected groups among copy, spmm" in capsys.readouterr().err


def test_sanitizers_without_the_tool_check_nothing(monkeypatch, capsys) -> None:
    from dglmeta.bench.gpu import sanitize

    monkeypatch.setattr(sanitize.shutil, "which", lambda name: None)
    assert sanitize.main([]) == 0
    assert "nothing checked" in capsys.readouterr().out


def test_the_copy_is_measured_like_the_rest(clock: CountingClock) -> None:
    bench = Bench(np, None, "cpu", clock, quick=True)
    bench.xp = SimpleNamespace(
        random=np.random, empty_like=np.empty_like, copyto=clock.call_taking(2.0)
    )
    assert program.run_group(bench, "copy") is None
    (row,) = bench.rows
    assert row["gb_per_s"] == pytest.approx(2 * (1 << 26) / 2e-3 / 1e9)
    assert row["of_copy"] == pytest.approx(1.0)


def test_what_a_sanitizer_found_is_told_before_the_tests(tmp_path) -> None:
    from dglmeta.bench.gpu.sanitize import summary

    log = tmp_path / "log"
    hazards = [f"========= hazard {k}" for k in range(300)]
    noise = ["", "Error in sys.excepthook:", "1 failed", "=========     Host Frame: python"]
    log.write_text("\n".join([*hazards[:150], *noise, *hazards[150:]]))
    lines = summary(log, most=100).splitlines()
    assert lines[:98] == hazards[:98]
    assert lines[98:] == ["... 200 lines more", *hazards[-2:], "1 failed"]
