"""The CUDA sources and the host code that names them; nothing here needs a GPU."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from dglmeta.kernels.gpu import compile_all
from dglmeta.kernels.gpu.device import FOLDER, kernel_names, read_source

ROOT = Path(__file__).resolve().parents[1]
SOURCES = compile_all.source_names()
CODE = sorted(path for path in FOLDER.glob("*.py") if path.name != "device.py")


@pytest.mark.parametrize("source", SOURCES)
def test_the_kernels_of_every_source_are_found(source: str) -> None:
    text = read_source(source)
    names = kernel_names(source)
    assert names
    assert len(set(names)) == len(names)
    code = re.sub(r"//.*", "", text)
    assert code.count("__global__") == len(names) == len(re.findall(r'extern "C"', code))
    assert '#include "' not in text


def launches(path: Path) -> list[tuple[str, str]]:
    """Sources and kernels that a file names where it launches; every choice of a conditional."""

    def texts(node: ast.expr) -> list[str]:
        if isinstance(node, ast.IfExp):
            return [*texts(node.body), *texts(node.orelse)]
        return [node.value] if isinstance(node, ast.Constant) else []

    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "launch"
    ]
    return [(s, k) for call in calls for s in texts(call.args[0]) for k in texts(call.args[1])]


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.stem)
def test_every_launch_names_a_kernel_that_exists(path: Path) -> None:
    for source, kernel in launches(path):
        assert source in SOURCES, source
        assert kernel in kernel_names(source), (source, kernel)


def test_every_source_is_launched_by_someone() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in CODE)
    assert [source for source in SOURCES if f'"{source}"' not in text] == []


def test_the_package_ships_sources_and_headers() -> None:
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    shipped = re.search(r'"dglmeta\.kernels\.gpu": \[(.+)\]', setup)
    assert shipped is not None
    suffixes = {path.suffix for path in FOLDER.iterdir() if path.is_file()} - {".py"}
    assert {f'"*{suffix}"' for suffix in suffixes} == set(shipped[1].split(", "))


def test_types_that_a_source_leaves_open_are_all_tried() -> None:
    walks = list(compile_all.type_choices("walk"))
    assert walks == [{"INDEX": "int"}, {"INDEX": "long long"}]
    assert len(list(compile_all.type_choices("spmm"))) == 4


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_compiles_as_cupy_compiles_it(source: str) -> None:
    compile_one = compile_all.compilers().get("NVRTC")
    if compile_one is None:
        pytest.skip("needs CuPy and NVRTC")
    for types in compile_all.type_choices(source):
        assert compile_one(source, types) == ""


def test_where_there_is_no_compiler_that_is_said(monkeypatch, capsys) -> None:
    monkeypatch.setattr(compile_all, "compilers", dict)
    assert compile_all.main() == 0
    assert capsys.readouterr().out == "cuda: no nvcc and no NVRTC, sources not compiled\n"


def test_a_source_that_does_not_compile_is_named(monkeypatch, capsys) -> None:
    refuse = {"nvcc": lambda name, types: "error" if name == "walk" else ""}
    monkeypatch.setattr(compile_all, "compilers", lambda: refuse)
    assert compile_all.main() == 1
    assert "cuda: nvcc: walk.cu, {'INDEX': 'int'}\nerror" in capsys.readouterr().out


def test_a_pointer_taken_for_shared_memory_is_seen() -> None:
    ptx = """
    ld.param.u64 	%rd87, [count_marks_param_5];
    ld.param.u64 	%rd88, [count_marks_param_6];
    { .reg .b64 %tmp;
      cvta.to.shared.u64 	%tmp, %rd87;
      cvt.u32.u64 	%r2, %tmp; }
    """
    assert "1 pointers of kernels" in compile_all.misread(ptx)
    assert compile_all.misread(ptx.replace("shared", "global")) == ""
