"""``python -m dglmeta.bench [GROUP]``: kernels against the rivals that are installed.

A group is part of a file's or a case's name: spgemm, neighbors, "medium". Every row of the table is
a case, every column an engine; below the times stands dglmeta's share of the quickest rival's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from dglmeta.errors import ConfigError

HERE = Path(__file__).parent
OURS = "dglmeta"
NOTHING_SELECTED = 5  # pytest's exit code


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks of a group and print them side by side."""
    parser = argparse.ArgumentParser(prog="dglmeta bench", description=__doc__)
    parser.add_argument("group", nargs="?", default="", help="part of a file's or a case's name")
    parser.add_argument("--json", type=Path, help="write the raw measurements there")
    arguments = parser.parse_args(argv)
    return run(arguments.group, arguments.json)


def run(group: str = "", raw: Path | None = None) -> int:
    """Time a group's cases with pytest-benchmark, print the table, and say how pytest ended.

    Parameters
    ----------
    group : str
        As for pytest's ``-k``; empty for everything.
    raw : Path, optional
        Where to leave the measurements as JSON.

    Raises
    ------
    ConfigError
        If pytest-benchmark is not installed, or there is no such group.
    """
    if find_spec("pytest_benchmark") is None:
        raise ConfigError(
            "bench: expected pytest-benchmark, it is not installed. "
            "Type: pip install 'dglmeta[bench]'"
        )
    with tempfile.TemporaryDirectory() as folder:
        measured = Path(folder) / "measured.json"
        command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider"]
        command += ["-W", "ignore::pytest_benchmark.logger.PytestBenchmarkWarning"]
        command += ["-o", "python_files=bench_*.py", "-o", "python_functions=bench_*"]
        command += [
            "--import-mode=importlib",
            "--benchmark-disable-gc",
            f"--benchmark-json={measured}",
        ]
        code = subprocess.call([*command, "-k", group, "--rootdir", str(HERE), str(HERE)])
        if code == NOTHING_SELECTED:
            raise ConfigError(
                f"bench: expected part of a benchmark's name, got {group!r}. "
                f"Give one of {', '.join(groups())}, or nothing for all."
            )
        if measured.exists() and measured.stat().st_size:
            kept = what_counts(json.loads(measured.read_text()), group)
            print(table(kept["benchmarks"]))
            if raw is not None:
                raw.write_text(json.dumps(kept, indent=1) + "\n")
    return code


def what_counts(measured: dict, group: str) -> dict:
    """Of what pytest-benchmark writes: machine, commit, command, and the times of every round."""
    machine, commit = measured["machine_info"], measured["commit_info"]
    rows = []
    for row in measured["benchmarks"]:
        seconds = [float(f"{t:.4g}") for t in row["stats"]["data"]]
        stats = {"median": row["stats"]["median"], "min": row["stats"]["min"], "data": seconds}
        kept = {name: row[name] for name in ("group", "name", "params", "extra_info")}
        rows.append({**kept, "stats": stats})
    return {
        "machine": f"{machine['cpu'].get('brand_raw')}, {os.cpu_count()} cores",
        "python": machine["python_version"],
        "commit": commit.get("id"),
        "command": f"dglmeta bench {group!r}",
        "benchmarks": rows,
    }


def groups() -> list[str]:
    """Names of the files of benchmarks, ``spgemm`` for ``kernels/bench_spgemm.py``."""
    return sorted(file.stem.removeprefix("bench_") for file in HERE.glob("*/bench_*.py"))


def by_case(rows: list[dict]) -> dict[str, dict[str, dict]]:
    """Measurements of pytest-benchmark as case -> engine -> row."""
    cases: dict[str, dict[str, dict]] = {}
    for row in rows:
        engine = str((row["params"] or {}).get("engine", row["name"]))
        cases.setdefault(str(row["group"]), {})[engine] = row
    return cases


def table(rows: list[dict]) -> str:
    """Median milliseconds and MiB of growth of every engine, a line each, case after case."""
    lines = []
    for case, engines in by_case(rows).items():
        lines.append(case)
        for engine, row in sorted(engines.items(), key=lambda e: e[1]["stats"]["median"]):
            peak = row["extra_info"].get("peak_mib")
            grown = "" if peak is None else f"{peak:10,.0f} MiB"
            lines.append(f"  {engine:<28}{1e3 * row['stats']['median']:12,.3f} ms{grown}")
        rivals = [r["stats"]["median"] for name, r in engines.items() if not name.startswith(OURS)]
        if OURS in engines and rivals:
            ratio = engines[OURS]["stats"]["median"] / min(rivals)
            lines.append(f"  -> {ratio:.2f} of the quickest rival's time")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
