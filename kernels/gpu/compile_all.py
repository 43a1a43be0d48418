"""``python -m dglmeta.kernels.gpu.compile_all``: whether all sources compile, with all their types.

With nvcc, and with NVRTC where CuPy finds it: that one compiles what users run, and needs no GPU.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from dglmeta.kernels.gpu.device import FOLDER, read_source

__all__ = ["compilers", "main", "source_names", "type_choices"]

ARCHITECTURE = "sm_90"
AT_ONCE = 2
INTEGERS = ("int", "long long")
TYPES = {
    "INDEX": INTEGERS,
    "A_INDEX": INTEGERS,
    "PLACE": INTEGERS,
    "KEY": ("unsigned int", "unsigned long long"),
    "NUMBER": ("long long", "double"),
    "REAL": ("float", "double"),
}

Compile = Callable[[str, dict[str, str]], str]
"""What a compiler says of a source with some macros defined: nothing if all is well."""


def main() -> int:
    """Compile all of them and name those that fail, or of which the compiler warns."""
    found = compilers()
    if not found:
        sys.stdout.write("cuda: no nvcc and no NVRTC, sources not compiled\n")
        return 0
    jobs = [(name, types) for name in source_names() for types in type_choices(name)]
    n_failed = 0
    for compiler, compile_one in found.items():
        with ThreadPoolExecutor(AT_ONCE) as threads:
            messages = threads.map(compile_one, *zip(*jobs, strict=True))
            for (name, types), message in zip(jobs, messages, strict=True):
                if message:
                    n_failed += 1
                    sys.stdout.write(f"cuda: {compiler}: {name}.cu, {types}\n{message}\n")
        n_sources = len(source_names())
        sys.stdout.write(f"cuda: {compiler}: {n_sources} sources in {len(jobs)} forms\n")
    return 1 if n_failed else 0


def source_names() -> list[str]:
    """Names of the sources, as :func:`dglmeta.kernels.gpu.device.launch` takes them."""
    return sorted(path.stem for path in FOLDER.glob("*.cu"))


def type_choices(name: str) -> Iterator[dict[str, str]]:
    """Every choice of the types that a source leaves open."""
    code = re.sub(r"^\s*#.*$", "", read_source(name), flags=re.MULTILINE)
    used = {macro: types for macro, types in TYPES.items() if re.search(rf"\b{macro}\b", code)}
    for types in product(*used.values()):
        yield dict(zip(used, types, strict=True))


def compilers() -> dict[str, Compile]:
    """Those that are there, by name."""
    found: dict[str, Compile] = {}
    if shutil.which("nvcc"):
        found["nvcc"] = _by_nvcc
    if _has_nvrtc():
        found["NVRTC"] = _by_nvrtc
    return found


def _by_nvcc(name: str, types: dict[str, str]) -> str:
    defined = [f"-D{macro}={text}" for macro, text in types.items()]
    command = ["nvcc", "--ptx", f"-arch={ARCHITECTURE}", "--std=c++17", *defined]
    with tempfile.TemporaryDirectory() as folder:
        ptx = Path(folder, "ptx")
        command += ["-o", str(ptx), str(FOLDER / f"{name}.cu")]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout + done.stderr or misread(ptx.read_text())


def _by_nvrtc(name: str, types: dict[str, str]) -> str:
    from cupy.cuda import nvrtc

    defined = [f"-D{macro}={text}" for macro, text in types.items()]
    options = ["--std=c++17", f"--gpu-architecture={ARCHITECTURE}", *defined]
    program = nvrtc.createProgram(read_source(name), f"{name}.cu", [], [])
    try:
        nvrtc.compileProgram(program, options)
        return misread(nvrtc.getPTX(program).decode())
    except nvrtc.NVRTCError:
        return str(nvrtc.getProgramLog(program))
    finally:
        nvrtc.destroyProgram(program)


def misread(ptx: str) -> str:
    """What is wrong with compiled code: a pointer that a kernel was given, read as shared memory.

    The compilers of CUDA 13.0 did so to pointers in one struct with others to shared memory.
    """
    given = set(re.findall(r"ld\.param\.u64\s+(%rd\d+)", ptx))
    taken = set(re.findall(r"cvta\.to\.shared\.u64\s+\S+\s+(%rd\d+)", ptx))
    if given & taken:
        return f"{len(given & taken)} pointers of kernels are taken to lead into shared memory"
    return ""


def _has_nvrtc() -> bool:
    try:
        from cupy.cuda import nvrtc

        nvrtc.getVersion()
    except Exception:  # CuPy's finder of libraries has errors of its own
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main())
