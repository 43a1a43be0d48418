"""Many candidate losses at once, values and slopes, and the steps of many models."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dglmeta.bench.gpu.bench import N_SETS, Bench
from dglmeta.bench.gpu.data import expect, normal, normal_sets, put, tensor
from dglmeta.kernels.cpu import adam as host_adam
from dglmeta.kernels.cpu import expression as host
from dglmeta.kernels.gpu import adam as device_adam
from dglmeta.kernels.gpu import expression as device
from dglmeta.tasks.expression import (
    NAMED_LOSSES,
    compile_expressions,
    expression_values,
    named_loss,
)

N_MODELS, N_NODES, N_CLASSES = 128, 1000, 10
N_NUMBERS = 10_000
SETTINGS = 1, (0.9, 0.999), 1e-8, 5e-4
RATE = 0.01


def run(bench: Bench) -> None:
    values_and_slopes(bench)
    steps(bench)


def values_and_slopes(bench: Bench) -> None:
    names = [*NAMED_LOSSES]
    losses = [named_loss(names[k % len(names)]) for k in range(N_MODELS)]
    rng = np.random.default_rng(0)
    y = np.eye(N_CLASSES, dtype=np.float32)[rng.integers(0, N_CLASSES, N_NODES)]
    given = *compile_expressions(losses), y, y.sum(0)
    programs, constants, labels, counts = (put(bench, a) for a in given)
    shape = N_MODELS, N_NODES, N_CLASSES
    sets = [(u,) for (u,) in normal_sets(bench, shape)]
    expected = host.evaluate_expressions(given[0], given[1], _host(sets[0][0]), y, given[3])

    def ours(u: Any) -> Any:
        return device.evaluate_expressions(programs, constants, u, labels, counts)

    def composed(u: Tensor) -> tuple[Tensor, Tensor]:
        u = u.detach().requires_grad_()
        label, n = tensor(labels), tensor(counts)
        pairs = zip(losses, u, strict=True)
        value = torch.stack(
            [expression_values(loss, z, label, n).expand_as(z) for loss, z in pairs]
        )
        return value.detach(), torch.autograd.grad(value.sum(), u)[0]

    case = f"{N_MODELS} losses, {N_NODES} nodes, {N_CLASSES} classes"
    options = {"n_bytes": 3 * 4 * np.prod(shape), "check": expect(list(expected))}
    bench.time(case, "dglmeta", ours, sets, **options)
    bench.time(
        case, "torch, a loss at a time", composed, [(tensor(u),) for (u,) in sets], **options
    )


def steps(bench: Bench) -> None:
    shape = N_MODELS, N_NUMBERS
    rate = put(bench, np.full(N_MODELS, RATE))
    sets = [tuple(abs(normal(bench, 10 * k + i, *shape)) for i in range(4)) for k in range(N_SETS)]
    arrays = [_host(a) for a in sets[0]]
    host_adam.adam(*arrays, np.full(N_MODELS, RATE), *SETTINGS)
    first = [a.copy() for a in sets[0]]
    device_adam.adam(*first, rate, *SETTINGS)
    expect(arrays)(first)
    rivals = [_fused(*map(tensor, numbers[:2])) for numbers in sets]
    case = f"Adam, {N_MODELS} models of {N_NUMBERS} numbers"
    n_bytes = 7 * 4 * np.prod(shape)
    ours = partial(_moved, rate)
    bench.time(case, "dglmeta, a rate a model", ours, sets, n_bytes=n_bytes)
    bench.time(case, "torch, fused, one rate", lambda one: one.step(), [(r,) for r in rivals],
               n_bytes=n_bytes)  # fmt: skip


def _moved(rate: Any, *arrays: Any) -> None:
    device_adam.adam(*arrays, rate, *SETTINGS)


def _fused(p: Tensor, gradient: Tensor) -> torch.optim.Adam:
    p = p.clone().requires_grad_()
    p.grad = gradient
    return torch.optim.Adam([p], lr=RATE, weight_decay=SETTINGS[3], fused=True)


def _host(array: Any) -> Any:
    return np.array(array.get() if hasattr(array, "get") else array)
