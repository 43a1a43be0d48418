"""Settings and fixtures every test shares."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# Timings of examples vary with the load of the machine, so no example has a deadline.
EXAMPLES = int(os.environ.get("DGLMETA_EXAMPLES", settings.default.max_examples))
settings.register_profile("default", deadline=None, max_examples=EXAMPLES)
settings.register_profile("ci", deadline=None, max_examples=EXAMPLES, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Keep torch to one thread: on small graphs others only wait, long on a busy machine."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with the public data sets; a test that asks for it is skipped where there is none."""
    named = os.environ.get("DGLMETA_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the public data sets, and {folder} is not there; set DGLMETA_DATA")
    return folder


DEVICES = ["cpu", "emulated", pytest.param("gpu", marks=pytest.mark.gpu)]
"""Where a kernel's twins run: Numba, the CUDA sources on the host, CuPy on a GPU."""


class Twin:
    """The kernels of one device, taking and giving NumPy arrays.

    ``twin("spmm").spmm(...)`` runs ``dglmeta.kernels.<cpu or gpu>.spmm.spmm``.
    """

    def __init__(self, device: str, xp: Any) -> None:
        self.device, self.xp = device, xp

    def __call__(self, module: str) -> Any:
        return _Wrapped(self.module(module), self)

    def module(self, name: str) -> Any:
        """The kernels of a file as they are, for arrays of the device."""
        room = "cpu" if self.device == "cpu" else "gpu"
        return import_module(f"dglmeta.kernels.{room}.{name}")

    def put(self, value: Any) -> Any:
        """The same value with its arrays on the device; copies, so that nothing given is written.

        Chains are linked anew, as they hold addresses.
        """
        if isinstance(value, np.ndarray):
            return self.xp.array(value)
        if type(value).__name__ == "Chain" and self.device != "cpu":
            steps = zip(map(self.put, value.indptr), map(self.put, value.indices), strict=True)
            return import_module("dglmeta.kernels.gpu.chain").link(list(steps))
        return _rebuilt(value, self.put)

    def get(self, value: Any) -> Any:
        """The same value with its arrays in NumPy."""
        if hasattr(value, "__cuda_array_interface__"):
            return value.get()
        return _rebuilt(value, self.get)


class _Wrapped:
    def __init__(self, module: Any, twin: Twin) -> None:
        self._module, self._twin = module, twin

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._module, name)
        if not callable(function):
            return function
        put, get = self._twin.put, self._twin.get

        def call(*args: Any, **kwargs: Any) -> Any:
            return get(function(*map(put, args), **{k: put(v) for k, v in kwargs.items()}))

        return call


def _rebuilt(value: Any, each: Callable[[Any], Any]) -> Any:
    """A tuple, named tuple or list of what ``each`` makes of its parts; anything else as it is."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(each, value))
    if isinstance(value, tuple | list):
        return type(value)(map(each, value))
    return value


@pytest.fixture(scope="session")
def host_device() -> Any:
    """A stand-in for a GPU that runs the CUDA sources on the host, where there is a compiler."""
    spec = importlib.util.spec_from_file_location("emulator", ROOT / "tests/emulator/host.py")
    emulator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(emulator)
    if emulator.compiler() is None:
        pytest.skip("needs a C++ compiler to run CUDA sources on the host")
    return emulator.HostDevice()


@pytest.fixture(scope="module", params=DEVICES)
def twin(request: pytest.FixtureRequest) -> Iterator[Twin]:
    """The kernels of every device in turn."""
    if request.param == "emulated":
        from dglmeta.kernels.gpu.device import running_on

        device = request.getfixturevalue("host_device")
        with running_on(device):
            yield Twin("emulated", device.xp)
        return
    if request.param == "gpu":
        yield Twin("gpu", request.getfixturevalue("cupy"))
        return
    yield Twin("cpu", np)


@pytest.fixture(scope="module", params=DEVICES[1:])
def cuda(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The array module of the device that ``.to("cuda")`` copies to: emulated, and a real one."""
    if request.param == "gpu":
        yield request.getfixturevalue("cupy")
        return
    from dglmeta.kernels.gpu.device import running_on

    device = request.getfixturevalue("host_device")
    with running_on(device):
        yield device.xp


@pytest.fixture(params=["emulated", pytest.param("gpu", marks=pytest.mark.gpu)])
def on_cuda(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The torch device that goes with ``adj.to("cuda")``; emulated, that is the CPU."""
    if request.param == "gpu":
        request.getfixturevalue("cupy")
        yield "cuda"
        return
    import torch

    from dglmeta.kernels.gpu.device import running_on
    from dglmeta.ops import backend

    device = request.getfixturevalue("host_device")
    bridge = backend.Bridge(
        "cpu",
        backend.kernels_of("gpu"),
        lambda x: device.xp.asarray(x.contiguous().numpy(force=True)),
        lambda a: torch.from_numpy(a.get()),
        backend.nullcontext,
    )
    monkeypatch.setitem(backend.BRIDGES, "cuda", lambda: bridge)
    with running_on(device):
        yield "cpu"


@pytest.fixture(scope="session")
def cupy() -> Any:
    """CuPy with a device, or a skipped test."""
    module = pytest.importorskip("cupy", reason="needs CuPy and a CUDA device")
    try:
        found = module.cuda.runtime.getDeviceCount()
    except module.cuda.runtime.CUDARuntimeError:
        found = 0
    if not found:
        pytest.skip("needs a CUDA device")
    if os.environ.get("DGLMETA_NO_POOL"):  # every array its own allocation, for memory checkers
        module.cuda.set_allocator(None)
    return module


@pytest.fixture
def complaint(capsys):
    """Run a command that must fail; its one line on stderr."""
    from dglmeta.cli import main

    def run(*argv):
        code = main([str(a) for a in argv])
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert err.startswith("dglmeta: ")
        assert err.count("\n") == 1
        return err

    return run
