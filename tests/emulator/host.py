"""Runs the CUDA sources on the host, so that GPU kernels are tested where there is no GPU.

``cuda_on_host.h`` gives a C++ compiler what it lacks of CUDA; arrays are NumPy's. What runs is the
text that runs on a GPU, thread by thread, with the same host code around it.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dglmeta.kernels.gpu.device import kernel_names, read_source

__all__ = ["HostDevice", "compiler"]

HERE = Path(__file__).parent
HEADER = HERE / "cuda_on_host.h"
FLAGS = ("-std=c++17", "-O1", "-fPIC", "-w", "-fno-strict-aliasing", "-ffp-contract=off")
LINK = ("-shared", "-Wl,-Bsymbolic")


_spec = importlib.util.spec_from_file_location("emulated_arrays", HERE / "arrays.py")
_arrays = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_arrays)
DeviceArray = _arrays.DeviceArray


def compiler() -> str | None:
    """A C++ compiler, if there is one."""
    return shutil.which("g++") or shutil.which("c++")


class HostDevice:
    """A stand-in for a GPU; see :class:`dglmeta.kernels.gpu.device.Device`."""

    xp = _arrays.Namespace()
    n_multiprocessors = 2
    free_bytes = 1 << 30

    def why_not(self) -> None:
        """Nothing does."""

    def launch(
        self,
        source: str,
        kernel: str,
        n_blocks: int,
        n_threads: int,
        args: tuple[Any, ...],
        macros: tuple[tuple[str, str], ...],
        shared_bytes: int,
    ) -> None:
        """Run to the end."""
        assert 0 < n_threads <= 1024, (kernel, n_threads)
        assert 0 < n_blocks < 2**31, (kernel, n_blocks)
        assert shared_bytes <= 227 << 10, (kernel, shared_bytes)
        held, sizes = [], []
        for a in args:
            if isinstance(a, np.ndarray):
                assert isinstance(a, DeviceArray), f"{kernel}: an array of the host"
                assert a.flags.c_contiguous, f"{kernel}: an array that is not contiguous"
                held.append(ctypes.c_void_p(a.ctypes.data))
                sizes.append(8)
            else:
                assert isinstance(a, np.generic), f"{kernel}: argument {a!r}"
                held.append(ctypes.create_string_buffer(a.tobytes(), a.nbytes))
                sizes.append(a.nbytes)
        pointers = (ctypes.c_void_p * len(held))(*(ctypes.addressof(h) for h in held))
        error = getattr(library(source, macros), f"run_{kernel}")(
            n_blocks, n_threads, ctypes.c_size_t(shared_bytes), pointers, len(held),
            (ctypes.c_int * len(sizes))(*sizes),
        )  # fmt: skip
        assert error == 0, (
            f"{kernel}: takes {error - 1000} arguments, got {len(args)}"
            if error >= 1000
            else f"{kernel}: argument {error} has another size"
        )


@cache
def library(source: str, macros: tuple[tuple[str, str], ...]) -> ctypes.CDLL:
    """A source compiled for the host, kept in the temporary folder for later runs."""
    runs = "\n".join(
        f'extern "C" int run_{k}(unsigned blocks, unsigned threads, size_t shared, void** args, '
        f"int n, const int* sizes) {{ return emulator::launch(&{k}, blocks, threads, shared, args, "
        f"n, sizes); }}"
        for k in kernel_names(source)
    )
    defined = "".join(f"#define {name} {value}\n" for name, value in macros)
    text = f'#include "{HEADER.name}"\n{defined}{read_source(source)}\n{runs}\n'
    header = compiled_header()
    built = header / f"{source}-{_digest(text)}.so"
    if not built.exists():
        with tempfile.TemporaryDirectory(dir=header) as work:
            code, out = Path(work) / f"{source}.cpp", Path(work) / "out.so"
            code.write_text(text)
            _compile(*FLAGS, f"-I{header}", *LINK, "-o", out, code)
            out.replace(built)
    return ctypes.CDLL(str(built))


@cache
def compiled_header() -> Path:
    """A folder with the header, compiled in advance: it is half of the work for a source."""
    text = HEADER.read_text()
    folder = Path(tempfile.gettempdir()) / f"dglmeta-emulator-{_digest(text)}"
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            begun = Path(work) / "header"
            begun.mkdir()
            (begun / HEADER.name).write_text(text)
            _compile(*FLAGS, "-x", "c++-header", begun / HEADER.name)
            with suppress(OSError):  # another process was quicker
                begun.rename(folder)
    return folder


def _compile(*arguments: object) -> None:
    command = [compiler() or "g++", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments[-1]}: {done.stderr[:4000]}"


def _digest(text: str) -> str:
    return hashlib.sha256((text + str(FLAGS)).encode()).hexdigest()[:24]
