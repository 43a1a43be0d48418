"""What encoders made of layers share: widths, the ReLU between, and the order of two products."""

from __future__ import annotations

import abc
from typing import ClassVar

import torch
from torch import Tensor

from dglmeta import ops
from dglmeta.nn.encoder import Encoder, Messages, check_widths

__all__ = ["LayeredEncoder", "product"]


class LayeredEncoder(Encoder):
    """Layers with a ReLU between; a subclass says in ``build`` and ``layer`` what one is.

    Parameters
    ----------
    d_in, d_out : int
        Widths of the node features and of the output embeddings.
    d_hidden : int, optional
        Width between layers; ``d_out`` when absent.
    n_layers : int
        Number of layers, >= 1.
    both_ways : bool
        Let messages run against the edges of a heterograph too, as they must when each relation
        is stored in one direction only.

    Raises
    ------
    ConfigError
        If a width or the number of layers is below 1.
    """

    hops_each: ClassVar[int] = 1
    """How many times a layer sums messages."""

    def __init__(
        self,
        d_in: int,
        d_out: int,
        *,
        d_hidden: int | None = None,
        n_layers: int = 2,
        both_ways: bool = False,
    ) -> None:
        super().__init__(both_ways=both_ways)
        where = type(self).__name__
        check_widths(where, d_in=d_in, d_out=d_out, d_hidden=d_hidden, n_layers=n_layers)
        self.n_layers, self.n_hops = n_layers, n_layers * self.hops_each
        between = d_hidden if d_hidden is not None else d_out
        self.build([d_in, *[between] * (n_layers - 1), d_out])

    @abc.abstractmethod
    def build(self, widths: list[int]) -> None:
        """Make the parameters of layers from ``widths[k]`` to ``widths[k + 1]``."""

    @abc.abstractmethod
    def layer(self, k: int, hops: list[Messages], h: Tensor) -> Tensor:
        """What layer k makes of h, with the messages of its hops."""

    def propagate(self, layers: list[Messages], h: Tensor) -> Tensor:
        """Layer after layer."""
        for k in range(self.n_layers):
            hops = layers[k * self.hops_each : (k + 1) * self.hops_each]
            h = self.layer(k, hops, torch.relu(h) if k else h)
        return h


def product(hops: list[Messages], h: Tensor, w: Tensor) -> Tensor:
    """A_K ... A_1 h W, the dense product where that needs fewer multiplications."""
    if dense_first(hops, *w.shape):
        return summed(hops, h @ w)
    return summed(hops, h) @ w


def summed(hops: list[Messages], h: Tensor) -> Tensor:
    """A_K ... A_1 h."""
    for hop in hops:
        h = ops.spmm(hop.adjacency, h, hop.weight)
    return h


def dense_first(hops: list[Messages], d_in: int, d_out: int) -> bool:
    """Whether a linear map costs no more before the sums than after."""
    n_edges = sum(hop.adjacency.n_edges for hop in hops)
    senders, receivers = hops[0].adjacency.n_dst, hops[-1].adjacency.n_src
    before, after = (
        senders * d_in * d_out + n_edges * d_out,
        n_edges * d_in + receivers * d_in * d_out,
    )
    return before <= after
