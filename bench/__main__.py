"""``python -m dglmeta.bench [GROUP]``: kernels against the rivals that are installed.

A group is part of a file's or a case's name: spgemm, neighbors, "medium". Every row of the table is
a case, every column an engine; below the times stands dglmeta's share of the quickest rival's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
OURS = "dglmeta"


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks of a group and print them side by side."""
    import pytest

    parser = argparse.ArgumentParser(prog="dglmeta bench", description=__doc__)
    parser.add_argument("group", nargs="?", default="", help="part of a file's or a case's name")
    parser.add_argument("--json", type=Path, help="write the raw measurements there")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        raw = arguments.json or Path(folder) / "raw.json"
        options = ["-q", "-p", "no:cacheprovider", "-o", "python_files=bench_*.py"]
        options += ["-o", "python_functions=bench_*", "--benchmark-disable-gc"]
        options += [f"--benchmark-json={raw}", "--benchmark-columns=median,rounds"]
        options += ["--import-mode=importlib", "--rootdir", str(HERE), "-k", arguments.group]
        code = int(pytest.main([*options, str(HERE)]))
        if raw.exists() and raw.stat().st_size:
            print(table(json.loads(raw.read_text())["benchmarks"]))
    return code


def table(rows: list[dict]) -> str:
    """Median milliseconds and MiB of growth of every engine, a line a case."""
    cases: dict[str, dict[str, dict]] = {}
    for row in rows:
        engine = str((row["params"] or {}).get("engine", row["name"]))
        cases.setdefault(str(row["group"]), {})[engine] = row
    lines = []
    for case, engines in cases.items():
        lines.append(case)
        for engine, row in sorted(engines.items(), key=lambda e: e[1]["stats"]["median"]):
            peak = row["extra_info"].get("peak_mib")
            grown = "" if peak is None else f"{peak:10,.0f} MiB"
            lines.append(f"  {engine:<28}{1e3 * row['stats']['median']:12,.3f} ms{grown}")
        rivals = [r["stats"]["median"] for name, r in engines.items() if name != OURS]
        if OURS in engines and rivals:
            ratio = engines[OURS]["stats"]["median"] / min(rivals)
            lines.append(f"  -> {ratio:.2f} of the quickest rival's time")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
