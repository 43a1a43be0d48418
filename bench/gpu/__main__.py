"""``python -m dglmeta.bench.gpu [GROUP ...]``: kernels on this machine's CUDA device.

Every group prints a table: cases, those compared with milliseconds at the median and from the 10th
to the 90th percentile, and how near the bytes that must move come to what a copy moves.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import traceback
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

from dglmeta.bench.gpu.bench import Bench, table
from dglmeta.bench.gpu.machine import commit, describe
from dglmeta.bench.gpu.timing import DeviceClock

GROUPS = (
    "copy", "spmm", "sddmm", "softmax", "attention", "blocks", "losses", "selar", "products",
    "pairs", "neighbors",
)  # fmt: skip
"""In the order in which they run; those that need the large graph come late."""


def main(argv: list[str] | None = None) -> int:
    """Run some groups, or all; 1 if one of our own kernels failed in any."""
    parser = argparse.ArgumentParser(
        prog="python -m dglmeta.bench.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--quick", action="store_true", help="the small graph, few repeats")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements there")
    parser.add_argument("--add", action="store_true", help="keep what FILE holds of other groups")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.groups) - set(GROUPS)
    if unknown:
        parser.error(f"expected groups among {', '.join(GROUPS)}, got {', '.join(unknown)}")
    import cupy
    import cupyx.scipy.sparse

    bench = Bench(cupy, cupyx.scipy.sparse, "cuda", DeviceClock(cupy), arguments.quick)
    groups = [name for name in GROUPS if name in (arguments.groups or GROUPS)]
    said = describe(cupy)
    print(", ".join(f"{name} {value}" for name, value in said.items()))
    header = {"machine": said, "commit": commit(), "command": command(groups, arguments.quick)}
    report = Report(header, arguments.json)
    if arguments.add:
        report.keep_others(groups)
    while groups:
        report.add(bench, run_group(bench, groups.pop(0)))
        if not answers(bench) and groups:
            # A device error stays with its process: the other groups need a new one.
            return run_elsewhere(groups, arguments) or 1
    return 1 if report.failures else 0


def run_group(bench: Bench, name: str) -> str | None:
    """Measure a group and print its table; what went wrong, if something did."""
    bench.group, begin, failure = name, perf_counter(), None
    n_before = len(bench.rows)
    try:
        import_module(f"dglmeta.bench.gpu.groups.{name}").run(bench)
    except Exception:
        failure = traceback.format_exc()
        print(failure)
    print(table(bench.rows[n_before:]))
    print(f"{name}: {perf_counter() - begin:.1f} s{', FAILED' if failure else ''}\n", flush=True)
    return failure


def answers(bench: Bench) -> bool:
    """Whether the device still computes."""
    try:
        bench.free()
        return int(bench.xp.arange(3).sum()) == 3
    except Exception:
        return False


def run_elsewhere(groups: list[str], arguments: argparse.Namespace) -> int:
    """The exit code of some groups in a process of their own, which adds to the same file."""
    options = ["--quick"] * arguments.quick
    if arguments.json is not None:
        options += ["--add", "--json", str(arguments.json)]
    module = [sys.executable, "-m", "dglmeta.bench.gpu"]
    return subprocess.call([*module, *groups, *options])


def command(groups: list[str], quick: bool) -> str:
    """How to measure the same again."""
    named = [] if tuple(groups) == GROUPS else groups
    return " ".join(["python -m dglmeta.bench.gpu", *named, *["--quick"] * quick])


class Report:
    """The measurements in a file, written anew after every group, so that a cut run leaves some.

    Parameters
    ----------
    header : dict
        Machine, commit and command.
    path : Path or None
        None writes nothing.
    """

    def __init__(self, header: dict[str, Any], path: Path | None) -> None:
        self.failures: dict[str, str] = {}
        self._header, self._path = header, path
        self._rows: list[dict[str, Any]] = []

    def keep_others(self, groups: list[str]) -> None:
        """Keep what the file holds of groups other than these."""
        if self._path is not None and self._path.exists():
            held = json.loads(self._path.read_text(encoding="utf-8"))
            self._rows = [row for row in held["rows"] if row["group"] not in groups]
            self.failures = {k: v for k, v in held["failures"].items() if k not in groups}

    def add(self, bench: Bench, failure: str | None) -> None:
        """The rows so far, and how the last group failed if it did."""
        if failure is not None:
            self.failures[bench.group] = failure
        if self._path is not None:
            rows = [*self._rows, *bench.rows]
            written = {**self._header, "failures": self.failures, "rows": rows}
            self._path.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
