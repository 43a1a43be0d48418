"""``python -m dglmeta.bench.gpu.sanitize``: the kernels' tests under NVIDIA's compute-sanitizer.

memcheck finds accesses out of bounds; for it every array is an allocation of its own. racecheck
finds races in shared memory, synccheck barriers that not all threads reach. The small inputs of the
tests do; the tools run side by side, as each mostly waits for its own host code.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

__all__ = ["TOOLS", "main"]

TOOLS = ("memcheck", "racecheck", "synccheck")
FOUND_ERRORS = 9
"""Exit code of a tool that found something."""
STOPPED = 124


def main(argv: list[str] | None = None) -> int:
    """Run some tools, or memcheck and racecheck; 0 if none found anything."""
    parser = argparse.ArgumentParser(
        prog="python -m dglmeta.bench.gpu.sanitize",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=", ".join(TOOLS))
    parser.add_argument("--tests", default="tests/kernels", help="a folder or file of tests")
    parser.add_argument("-k", default="not large", dest="chosen", help="as pytest's -k")
    parser.add_argument("--examples", type=int, default=5, help="hypothesis' a test")
    parser.add_argument("--seconds", type=int, default=90, help="after which a tool is stopped")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.tools) - set(TOOLS)
    if unknown:
        parser.error(f"expected tools among {', '.join(TOOLS)}, got {', '.join(unknown)}")
    if shutil.which("compute-sanitizer") is None:
        print("sanitize: no compute-sanitizer, nothing checked")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        logs = {tool: Path(folder, tool) for tool in arguments.tools or TOOLS[:2]}
        running = {tool: start(tool, arguments, log) for tool, log in logs.items()}
        until = monotonic() + arguments.seconds
        codes = {tool: finish(process, until) for tool, process in running.items()}
        for tool, code in codes.items():
            print(f"--- {tool}: exit code {code}\n{summary(logs[tool])}")
    return max(codes.values())


def start(tool: str, arguments: argparse.Namespace, log: Path) -> subprocess.Popen[bytes]:
    """The tests under a tool; what both say goes to the log."""
    command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", str(FOUND_ERRORS)]
    command += ["--print-limit", "20", sys.executable, "-m", "pytest", arguments.tests]
    command += ["-m", "gpu", "-k", arguments.chosen, "-q", "-x", "-p", "no:cacheprovider"]
    command += ["-W", "default"]  # what a tool slows down may warn
    environment = {**os.environ, "DGLMETA_EXAMPLES": str(arguments.examples), "CI": "1"}
    if tool == "memcheck":
        environment["DGLMETA_NO_POOL"] = "1"
    with log.open("wb") as out:
        return subprocess.Popen(
            command, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )


def finish(process: subprocess.Popen[bytes], until: float) -> int:
    """The exit code; that of a tool which had to be stopped, with its tests, is ``STOPPED``."""
    try:
        return process.wait(max(0.0, until - monotonic()))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return STOPPED


def summary(log: Path, most: int = 200, last: int = 12) -> str:
    """The first lines of the tool, and the last of the tests."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    of_tool = [line for line in lines if line.startswith("=====") and "Host Frame" not in line]
    of_tests = [line for line in lines if not line.startswith("=====") and "excepthook" not in line]
    cut = [f"... {len(of_tool) - most} lines more"] if len(of_tool) > most else []
    return "\n".join([*of_tool[: most - 2], *cut, *of_tool[most - 2 :][-2:], *of_tests[-last:]])


if __name__ == "__main__":
    raise SystemExit(main())
