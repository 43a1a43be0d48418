"""Is this installation sound? Versions, threads, GPU, and a short self-test."""

from __future__ import annotations

import importlib.util
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

__all__ = ["Examination", "examine"]

PACKAGES = ("dglmeta", "torch", "dgl", "numpy", "scipy", "numba", "pyarrow", "pymetis")


@dataclass(frozen=True)
class Examination:
    """What was found.

    Parameters
    ----------
    facts : dict
        Versions, threads, GPU and self-test, ready for JSON.
    advice : tuple of str
        One line for everything that is wrong, with what to type.
    """

    facts: dict[str, Any]
    advice: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether the self-test passed."""
        return bool(self.facts["self_test"]["passed"])

    def __str__(self) -> str:
        facts = {name: value for name, value in self.facts.items() if name != "advice"}
        width = max(len(name) for name in facts)
        lines = [f"{name:<{width}}  {_plain(value)}" for name, value in facts.items()]
        return "\n".join(lines + [f"! {line}" for line in self.advice])


def examine() -> Examination:
    """Look at versions and hardware, and run a self-test of about two seconds.

    Never fails: whatever is broken becomes a fact and a line of advice.
    """
    facts: dict[str, Any] = {"python": platform.python_version()}
    facts |= {name: _version(name) for name in PACKAGES}
    advice = [
        f"{name} is not installed: pip install {name}" for name in PACKAGES if not facts[name]
    ]
    facts["cpus"] = _usable_cpus()
    try:
        facts |= _torch_facts()
        facts["graphbolt"] = _graphbolt()
        begun = time.perf_counter()
        _self_test("cpu")
        if facts["gpu"] and facts["gpu_kernels"] == "ready":
            _self_test("cuda")
        seconds = round(time.perf_counter() - begun, 3)
        facts["self_test"] = {"passed": True, "seconds": seconds}
    except Exception as error:  # an unsound installation fails in any way it likes
        told = " ".join(str(error).split())
        facts["self_test"] = {"passed": False, "error": f"{type(error).__name__}: {told}"}
        advice.append("the self-test failed: pip install --force-reinstall dglmeta")
    advice += _wheels_apart(facts)
    return Examination({**facts, "advice": advice}, tuple(advice))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _usable_cpus() -> int | None:
    """CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _torch_facts() -> dict[str, Any]:
    """Threads and GPU, as torch and the kernels see them."""
    import torch

    from dglmeta.kernels.cpu.pool import get_num_threads

    return {
        "torch_threads": torch.get_num_threads(),
        "kernel_threads": get_num_threads(),
        "torch_cuda": torch.version.cuda,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        **_cupy_facts(),
    }


def _cupy_facts() -> dict[str, Any]:
    """CuPy, the CUDA it is built for, and whether kernels run on a GPU or what is missing."""
    from dglmeta.kernels.gpu.device import why_not

    facts: dict[str, Any] = {"cupy": None, "cupy_cuda": None}
    if importlib.util.find_spec("cupy") is not None:
        import cupy

        version = cupy.cuda.runtime.runtimeGetVersion()
        facts = {"cupy": cupy.__version__, "cupy_cuda": f"{version // 1000}.{version % 1000 // 10}"}
    return {**facts, "gpu_kernels": why_not() or "ready"}


def _graphbolt() -> str:
    """Whether DGL came with a GraphBolt, whose library is built for one exact torch."""
    from dglmeta._dgl import load_dgl

    module = getattr(load_dgl(), "graphbolt", None)
    if module is None:
        return "none in this DGL"
    placeholder = not getattr(module, "__file__", None)
    return "left out, as it does not fit this torch" if placeholder else "loaded"


def _wheels_apart(facts: dict[str, Any]) -> Iterator[str]:
    """Advice where packages that must be built for each other are not."""
    cuda = facts.get("torch_cuda")
    if cuda and not facts["gpu"]:
        yield f"torch is built for CUDA {cuda} and finds no GPU: if there is one, see nvidia-smi"
    elif cuda and not facts["cupy"]:
        yield f"CuPy is missing beside CUDA {cuda}: pip install cupy-cuda{_major(cuda)}x"
    elif cuda and _major(cuda) != _major(facts["cupy_cuda"]):
        wrong, right = (f"cupy-cuda{_major(c)}x" for c in (facts["cupy_cuda"], cuda))
        yield (
            f"CuPy is built for CUDA {facts['cupy_cuda']} and torch for {cuda}: "
            f"pip uninstall {wrong}, then pip install {right}"
        )


def _major(version: str) -> str:
    return version.partition(".")[0]


def _self_test(device: str) -> None:
    """Compare a kernel and its derivative with dense algebra, through a DGL graph."""
    import numpy as np
    import torch

    from dglmeta import ops
    from dglmeta._dgl import load_dgl
    from dglmeta.graph import HeteroCSR

    rng = np.random.default_rng(0)
    src, dst = rng.integers(50, size=(2, 300))
    graph = load_dgl().graph((torch.from_numpy(src), torch.from_numpy(dst)), num_nodes=50)
    adj = HeteroCSR.from_dgl(graph).adjacency("_E").to(device)
    dense = torch.from_numpy(adj.to_scipy().toarray()).double().to(device)
    x = torch.from_numpy(rng.standard_normal((50, 4))).to(device)
    gradient = torch.func.grad(lambda x: ops.spmm(adj, x).square().sum())(x)
    if not torch.allclose(gradient, 2 * dense.T @ (dense @ x)):
        raise ArithmeticError("the gradient of spmm differs from dense algebra")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
