"""What an import costs and what it brings along, seen from a new process."""

from __future__ import annotations

import subprocess
import sys

import pytest


def in_new_process(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_importing_dglmeta_takes_well_under_a_second() -> None:
    code = "from time import perf_counter as t; t0 = t(); import dglmeta; print(t() - t0)"
    assert min(float(in_new_process(code)) for _ in range(3)) < 0.3


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("dglmeta", ("torch", "dgl", "numba", "numpy", "scipy")),
        ("dglmeta.graph", ("torch", "dgl")),
        ("dglmeta.paths", ("torch", "dgl")),
        ("dglmeta.labels", ("torch", "dgl")),
        ("dglmeta.data", ("torch", "dgl")),
        ("dglmeta.kernels.cpu", ("torch", "dgl")),
        ("dglmeta.ops", ("dgl",)),
        ("dglmeta.nn", ("dgl",)),
    ],
)
def test_an_import_leaves_alone(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(sorted(set({heavy!r}) & set(sys.modules)))"
    assert in_new_process(code) == "[]"
