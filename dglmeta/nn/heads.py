"""Heads: from node embeddings to logits."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["PairHeads"]


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
        n_tasks, n_pairs = src.shape
        ends = z[torch.cat([src, dst], dim=1)]  # (T, 2 B, d)
        weight_in, bias_in = self.weight_in[:n_tasks], self.bias_in[:n_tasks]
        weight_out, bias_out = self.weight_out[:n_tasks], self.bias_out[:n_tasks]
        hidden = torch.relu(torch.baddbmm(bias_in, ends, weight_in))  # (T, 2 B, hidden)
        left, right = torch.baddbmm(bias_out, hidden, weight_out).split(n_pairs, dim=1)
        return (left * right).sum(-1)


def uniform_parameter(*shape: int, fan_in: int) -> nn.Parameter:
    """PyTorch's default for a linear layer: uniform in +-1/sqrt(fan_in)."""
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
