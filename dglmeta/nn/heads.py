"""Heads: from node embeddings to logits."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["ClassHead", "PairHeads", "uniform_parameter"]


class PairHeads(nn.Module):
    r"""One head a task for node pairs: logit = Phi_t(z_u) . Phi_t(z_v), Phi_t a two-layer MLP.

    The heads are stacked, so that all tasks are scored by two batched products.

    Parameters
    ----------
    n_tasks : int
        Number of tasks T'.
    d : int
        Width of the embeddings.
    hidden : int
        Width of the MLP's hidden layer.

    References
    ----------
    SELAR, arXiv 2007.08294, section 3.1.
    """

    def __init__(self, n_tasks: int, d: int, hidden: int = 100) -> None:
        super().__init__()
        self.weight_in = uniform_parameter(n_tasks, d, hidden, fan_in=d)
        self.bias_in = uniform_parameter(n_tasks, 1, hidden, fan_in=d)
        self.weight_out = uniform_parameter(n_tasks, hidden, d, fan_in=hidden)
        self.bias_out = uniform_parameter(n_tasks, 1, d, fan_in=hidden)

    def forward(self, z: Tensor, src: Tensor, dst: Tensor) -> Tensor:
        """Logits of pairs of the first ``T`` tasks.

        Parameters
        ----------
        z : (N, d)
            Node embeddings.
        src, dst : (T, B) int64
            Row t holds the pairs of task t; T may be less than the number of heads.

        Returns
        -------
        logits : (T, B)
        """
        ends = self.project(z[torch.cat([src, dst], dim=1)])  # (T, 2 B, d)
        left, right = ends.split(src.shape[1], dim=1)
        return (left * right).sum(-1)

    def project(self, z: Tensor) -> Tensor:
        """Phi_t of embeddings (T, n, d), for the first T tasks; a pair's logit is a product."""
        n_tasks = len(z)
        weight_in, bias_in = self.weight_in[:n_tasks], self.bias_in[:n_tasks]
        weight_out, bias_out = self.weight_out[:n_tasks], self.bias_out[:n_tasks]
        hidden = torch.relu(torch.baddbmm(bias_in, z, weight_in))  # (T, n, hidden)
        return torch.baddbmm(bias_out, hidden, weight_out)


class ClassHead(nn.Module):
    """From embeddings to the logits of classes: linear, ReLU, linear.

    Parameters
    ----------
    d : int
        Width of the embeddings.
    n_classes : int
    of_pairs : bool
        Whether a sample is a pair (u, v), seen as |z_u - z_v|, and not a node.
    hidden : int
        Width of the hidden layer; 0 makes the head linear.
    """

    def __init__(
        self, d: int, n_classes: int, *, of_pairs: bool = False, hidden: int = 100
    ) -> None:
        super().__init__()
        self.of_pairs = of_pairs
        if hidden:
            layers = [nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, n_classes)]
        else:
            layers = [nn.Linear(d, n_classes)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, src: Tensor, dst: Tensor) -> Tensor:
        """(n, classes) logits of the nodes ``src`` of z (N, d), or of pairs with ``dst``."""
        h = (z[src] - z[dst]).abs() if self.of_pairs else z[src]
        logits: Tensor = self.layers(h)
        return logits


def uniform_parameter(*shape: int, fan_in: int) -> nn.Parameter:
    """PyTorch's default for a linear layer: uniform in +-1/sqrt(fan_in)."""
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
