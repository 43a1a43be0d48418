"""Many losses of the same labelled nodes at once, each for a model of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from dglmeta.graph.device import copy_to_cuda
from dglmeta.kernels.twins import to_host, twin
from dglmeta.ops.backend import bridge_of
from dglmeta.tasks.expression.compiled import Expression, compile_expressions

__all__ = ["ManyLosses"]

Mask = npt.NDArray[np.bool_]


class ManyLosses:
    """Means of B expressions over nodes and classes, and their slopes in the logits.

    Parameters
    ----------
    expressions : sequence of B Expression
        At least one.
    label : (n,) int64
        Classes of the nodes.
    n_classes : int
        K.
    device : str
        Where the logits lie, "cpu" or "cuda".

    Notes
    -----
    One kernel call for all, O(B n K length), in float32; waits for the device.

    References
    ----------
    AutoLINC, ICML 2024: the loss is the mean over nodes and classes.

    Examples
    --------
    >>> import torch
    >>> from dglmeta.tasks.expression import parse_expression
    >>> losses = ManyLosses([parse_expression("u * y"), parse_expression("u^2")], np.array([0]), 2)
    >>> mean, slope = losses(torch.ones(2, 1, 2))
    >>> mean, slope
    (array([0.5, 1. ], dtype=float32), tensor([[[0.5000, 0.0000]],
    <BLANKLINE>
            [[1.0000, 1.0000]]]))
    """

    def __init__(
        self,
        expressions: Sequence[Expression],
        label: npt.NDArray[np.int64],
        n_classes: int,
        device: str = "cpu",
    ) -> None:
        self.device = device
        self._programs, self._constants = compile_expressions(expressions)
        one_hot = np.eye(n_classes, dtype=np.float32)[label]
        self._nodes = self._put(one_hot, one_hot.sum(axis=0))
        self._compiled = self._put(self._programs, self._constants)

    def __call__(self, logits: Tensor) -> tuple[npt.NDArray[np.float32], Tensor]:
        """(B,) losses and their (B, n, K) gradients, of logits (B, n, K)."""
        to = bridge_of(self.device)
        with to.stream():
            u = to.array(logits)
            value, slope = twin("expression", u).evaluate_expressions(
                *self._compiled, u, *self._nodes
            )
            with np.errstate(over="ignore", invalid="ignore"):
                mean = to_host(value.mean(axis=(1, 2)))
            return mean, to.tensor(slope / slope[0].size)

    def select(self, stays: Mask) -> ManyLosses:
        """Some of them, by a (B,) mask on the host."""
        part = ManyLosses.__new__(ManyLosses)
        part.device, part._nodes = self.device, self._nodes
        part._programs, part._constants = self._programs[stays], self._constants[stays]
        part._compiled = part._put(part._programs, part._constants)
        return part

    def _put(self, *arrays: Any) -> list[Any]:
        return copy_to_cuda(arrays) if self.device == "cuda" else list(arrays)
