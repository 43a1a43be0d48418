"""Is this installation sound? Versions, threads, GPU, and a short self-test."""

from __future__ import annotations

import importlib.util
import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from dglmeta.errors import DglmetaError
from dglmeta.train import describe_environment

__all__ = ["Examination", "examine"]


@dataclass(frozen=True)
class Examination:
    """What was found.

    Parameters
    ----------
    facts : dict
        Versions, threads, GPU, self-test, ready for JSON.
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
        width = max(len(name) for name in self.facts)
        lines = [f"{name:<{width}}  {_plain(value)}" for name, value in self.facts.items()]
        return "\n".join(lines + [f"! {line}" for line in self.advice])


def examine() -> Examination:
    """Look at versions and hardware, and run a two-second self-test."""
    import torch

    from dglmeta.kernels.cpu.pool import get_num_threads

    advice = []
    environment = describe_environment()
    facts: dict[str, Any] = {
        **environment["versions"],
        "torch_cuda": torch.version.cuda,
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "kernel_threads": get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cupy": importlib.util.find_spec("cupy") is not None,
    }
    if torch.version.cuda and not facts["cupy"]:
        major = torch.version.cuda.split(".")[0]
        advice.append(f"torch has CUDA {torch.version.cuda}, CuPy is missing: "
                      f"pip install cupy-cuda{major}x")  # fmt: skip
    try:
        facts["self_test"] = {"passed": True, "seconds": _self_test()}
    except (DglmetaError, ImportError, AssertionError, ArithmeticError) as error:
        facts["self_test"] = {"passed": False, "error": f"{type(error).__name__}: {error}"}
        advice.append("the self-test failed; reinstall: pip install --force-reinstall dglmeta")
    return Examination(facts, tuple(advice))


def _self_test() -> float:
    """Compare a kernel and its derivative with dense algebra, through a DGL graph."""
    import torch

    from dglmeta import ops
    from dglmeta._dgl import load_dgl
    from dglmeta.graph import HeteroCSR

    begun = time.perf_counter()
    rng = np.random.default_rng(0)
    src, dst = rng.integers(50, size=(2, 300))
    graph = load_dgl().graph((torch.from_numpy(src), torch.from_numpy(dst)), num_nodes=50)
    adj = HeteroCSR.from_dgl(graph).adjacency("_E")
    dense = torch.from_numpy(adj.to_scipy().toarray()).double()
    x = torch.randn(50, 4, dtype=torch.float64)
    gradient = torch.func.grad(lambda x: ops.spmm(adj, x).square().sum())(x)
    if not torch.allclose(gradient, 2 * dense.T @ (dense @ x)):
        raise ArithmeticError("the gradient of spmm differs from dense algebra")
    return round(time.perf_counter() - begun, 3)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return "none" if value is None else str(value)
