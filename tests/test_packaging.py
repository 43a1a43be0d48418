"""The wheel, built and installed away from the source tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
INSTALLED_AS = {"dglmeta": "dglmeta", "kernels": "dglmeta/kernels", "bench": "dglmeta/bench"}


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline from a copy so that nothing is left in the source tree."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in INSTALLED_AS:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, source / folder, ignore=ignore)
    for file in ROOT.iterdir():
        if file.is_file() and not file.name.startswith("."):
            shutil.copy(file, source)
    offline = ("--no-index", "--no-deps", "--no-build-isolation")
    run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", out, source, cwd=out)
    return next(out.glob("dglmeta-*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with only the wheel, and this one's third-party packages lent to it."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    offline = ("--no-index", "--no-deps")
    run(sys.executable, "-m", "pip", "--python", python, "install", *offline, wheel, cwd=folder)
    site = next(folder.glob("lib/python*/site-packages"))
    # A path file inside a lent folder is not read, so this checkout stays out of sight.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_the_wheel_holds_every_source_file_under_its_installed_name(wheel: Path) -> None:
    expected = {
        f"{name}/{file.relative_to(ROOT / folder).as_posix()}"
        for folder, name in INSTALLED_AS.items()
        for pattern in (
            *("**/*.py", "**/*.cu", "**/*.cuh", "**/*.toml"),
            *("**/*.jinja", "**/py.typed"),
        )
        for file in (ROOT / folder).glob(pattern)
    }
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.parametrize("module", ["dglmeta", "dglmeta.kernels.cpu", "dglmeta.bench"])
def test_an_installed_wheel_imports_from_an_empty_folder(
    module: str, environment: Path, tmp_path: Path
) -> None:
    code = f"import {module}; print({module}.__file__)"
    imported = Path(run(environment / "bin" / "python", "-c", code, cwd=tmp_path))
    assert imported.is_relative_to(environment)


def test_every_kernel_module_imports_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    modules = [
        ".".join(("dglmeta", *file.relative_to(ROOT).with_suffix("").parts))
        for file in (ROOT / "kernels").rglob("*.py")
        if file.name != "__init__.py" and "gpu" not in file.parts
    ]
    run(environment / "bin" / "python", "-c", f"import {', '.join(modules)}", cwd=tmp_path)


def test_the_command_is_installed(environment: Path) -> None:
    assert (environment / "bin" / "dglmeta").exists()
