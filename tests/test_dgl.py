"""Importing DGL: the installed one for real, other releases as small fakes in a new process."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from dglmeta._dgl import NO_SHIM, load_dgl

LOAD = """
import logging, sys
logging.basicConfig(level=logging.INFO)
from dglmeta._dgl import DglImportError, load_dgl
try:
    print(type(load_dgl().graphbolt).__name__)
except DglImportError as error:
    print(error)
"""
NEEDS_GRAPHBOLT = "from . import graphbolt\n"
BROKEN = "raise FileNotFoundError('no library')"


def in_new_process(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` with ``folder`` as home and first on the import path."""
    plain = {k: v for k, v in os.environ.items() if k not in ("DGLBACKEND", NO_SHIM)}
    environment = {**plain, "HOME": str(folder), "PYTHONPATH": str(folder), **variables}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=True
    )


def fake_package(folder: Path, name: str, code: str = "") -> Path:
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text(code)
    return package


def fake_dgl(folder: Path, *, built_for: str, graphbolt: str) -> None:
    """A DGL that imports GraphBolt, with a library for one torch, as release 2.1 does."""
    inner = fake_package(fake_package(folder, "dgl", NEEDS_GRAPHBOLT), "graphbolt", graphbolt)
    (inner / f"libgraphbolt_pytorch_{built_for}.so").touch()


def test_the_installed_dgl_passes_messages() -> None:
    dgl = load_dgl()
    graph = dgl.heterograph({("user", "rated", "item"): ([0, 1, 1], [1, 0, 1])})
    graph.nodes["user"].data["h"] = torch.tensor([[1.0], [2.0]])
    graph.update_all(dgl.function.copy_u("h", "m"), dgl.function.sum("m", "out"), etype="rated")
    assert graph.nodes["item"].data["out"].tolist() == [[2.0], [3.0]]


def test_loading_dgl_says_nothing_and_writes_nothing_into_the_home(tmp_path: Path) -> None:
    done = in_new_process("from dglmeta._dgl import load_dgl; load_dgl()", tmp_path)
    assert done.stdout + done.stderr == ""
    assert not list(tmp_path.iterdir())


def test_a_placeholder_stands_in_where_graphbolt_was_built_for_another_torch(
    tmp_path: Path,
) -> None:
    fake_dgl(tmp_path, built_for="2.2.1", graphbolt=BROKEN)
    done = in_new_process(LOAD, tmp_path)
    assert done.stdout.strip() == "_Placeholder"
    assert NO_SHIM in done.stderr


def test_a_placeholder_stands_in_where_torchdata_lacks_datapipes(tmp_path: Path) -> None:
    installed = version("torch").partition("+")[0]
    fake_dgl(tmp_path, built_for=installed, graphbolt=BROKEN)
    fake_package(tmp_path, "torchdata")
    assert in_new_process(LOAD, tmp_path).stdout.strip() == "_Placeholder"


def test_a_graphbolt_that_fits_is_left_alone(tmp_path: Path) -> None:
    installed = version("torch").partition("+")[0]
    fake_dgl(tmp_path, built_for=installed, graphbolt="")
    fake_package(fake_package(tmp_path, "torchdata"), "datapipes")
    done = in_new_process(LOAD, tmp_path)
    assert done.stdout.strip() == "module"
    assert done.stderr == ""


def test_the_placeholder_tells_why_it_has_nothing(tmp_path: Path) -> None:
    fake_dgl(tmp_path, built_for="2.2.1", graphbolt=BROKEN)
    code = """
from dglmeta._dgl import load_dgl
try:
    load_dgl().graphbolt.FusedCSCSamplingGraph
except AttributeError as error:
    print(error)
"""
    answer = in_new_process(code, tmp_path).stdout
    assert "dgl.graphbolt.FusedCSCSamplingGraph: GraphBolt cannot load" in answer


def test_the_switch_shows_dgls_own_error_and_how_to_undo_it(tmp_path: Path) -> None:
    fake_dgl(tmp_path, built_for="2.2.1", graphbolt=BROKEN)
    answer = in_new_process(LOAD, tmp_path, **{NO_SHIM: "1"}).stdout
    assert "FileNotFoundError: no library" in answer
    assert f"Unset {NO_SHIM}" in answer


def test_an_absent_dgl_is_an_error_that_says_what_to_type(tmp_path: Path) -> None:
    answer = in_new_process("import sys; sys.modules['dgl'] = None" + LOAD, tmp_path).stdout
    assert "Type: pip install dgl" in answer


@pytest.mark.parametrize(
    ("failure", "remedy"),
    [
        ("import pandas_that_is_not_there", "Type: pip install pandas_that_is_not_there"),
        ("raise OSError('libdgl.so: bad')", "Type: pip install --force-reinstall dgl"),
    ],
)
def test_a_dgl_that_fails_to_import_says_what_to_type(
    tmp_path: Path, failure: str, remedy: str
) -> None:
    fake_package(tmp_path, "dgl", failure)
    assert remedy in in_new_process(LOAD, tmp_path).stdout
