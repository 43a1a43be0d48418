"""A training step as one CUDA graph: launched whole, instead of kernel by kernel."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Replay"]

WARM_UP = 3
"""Calls before capture: kernels are compiled, and libraries and optimisers set up, by then."""


class Replay:
    """A function of CUDA tensors, captured after a few calls and from then on replayed.

    A small step is a few hundred kernels of a few microseconds each, and takes the host longer to
    launch than the device to run; replayed, it is one launch.

    Parameters
    ----------
    function : callable
        ``function(*tensors)`` returns nothing and changes in place what it does not read from its
        tensors, such as parameters. It must not wait for the device, and do the same whatever is in
        the tensors.

    Notes
    -----
    Tensors of other shapes than those captured are computed in the ordinary way. Parameters may be
    written between calls, but not replaced by others. Bytes: those of all that the function
    allocates, kept as long as this is.

    References
    ----------
    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function
        self._n_calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []

    def __call__(self, *tensors: Tensor) -> None:
        """Compute, or replay."""
        self._n_calls += 1
        if self._graph is None and self._n_calls > WARM_UP:
            self._capture(tensors)
        if self._graph is None or [t.shape for t in tensors] != [t.shape for t in self._inputs]:
            self.function(*tensors)
            return
        for place, tensor in zip(self._inputs, tensors, strict=True):
            place.copy_(tensor, non_blocking=True)
        self._graph.replay()

    def _capture(self, tensors: tuple[Tensor, ...]) -> None:
        """Record the launches of one call; nothing is computed."""
        self._inputs = [t.clone() for t in tensors]
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.function(*self._inputs)
        self._graph = graph
