"""The network that learns how much each training sample counts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dglmeta.nn.heads import uniform_parameter

__all__ = ["SampleWeighter", "describe"]

MAX_LOSS = 10.0  # a descriptor's loss is cut here, so that one wild sample cannot saturate V


class SampleWeighter(nn.Module):
    r"""V: a sample's descriptor [loss ; one-hot of its task ; label] -> weight in (0, 1).

    Task 0 is the primary task and has the all-zero one-hot; tasks 1..T are auxiliary.

    Parameters
    ----------
    n_auxiliary : int
        Number T of auxiliary tasks.
    hidden : int
        Width of the hidden layer.
    equal : bool
        Begin with the same weight for every sample, 1/2, so that training starts as without V;
        the last layer is zero. As published it is random, and so is the first weighting.

    References
    ----------
    SELAR, arXiv 2007.08294, eq. 5; the network follows Meta-Weight-Net, arXiv 1902.07379.
    """

    def __init__(self, n_auxiliary: int, hidden: int = 1000, *, equal: bool = False) -> None:
        super().__init__()
        self.n_auxiliary = n_auxiliary
        # Stored (in, out), so that no product in the backward pass reads across rows: 1.7 ms a
        # forward and backward pass of 768 samples, where nn.Linear takes 3.5.
        self.weight_in = uniform_parameter(n_auxiliary + 2, hidden, fan_in=n_auxiliary + 2)
        self.bias_in = uniform_parameter(hidden, fan_in=n_auxiliary + 2)
        self.weight_out = uniform_parameter(hidden, 1, fan_in=hidden)
        self.bias_out = uniform_parameter(1, fan_in=hidden)
        if equal:
            nn.init.zeros_(self.weight_out)
            nn.init.zeros_(self.bias_out)

    def describe(self, losses: Tensor, labels: Tensor, tasks: Tensor) -> Tensor:
        """Descriptors (..., T + 2) of samples: loss, one-hot of the task, label.

        Parameters
        ----------
        losses, labels : (...)
            Losses are taken as constants.
        tasks : (...) int64
            Task of each sample, 0 the primary one; broadcast against the losses.
        """
        return describe(self.n_auxiliary, tasks, [losses], labels)

    def forward(self, descriptors: Tensor) -> Tensor:
        """Weights (...) of descriptors (..., T + 2)."""
        flat = descriptors.flatten(0, -2)  # (n, T + 2)
        hidden = torch.addmm(self.bias_in, flat, self.weight_in).relu_()
        v = torch.addmm(self.bias_out, hidden, self.weight_out).sigmoid()
        return v.view(descriptors.shape[:-1])


def describe(n_auxiliary: int, tasks: Tensor, losses: list[Tensor], labels: Tensor) -> Tensor:
    """(..., len(losses) + T + 1): losses as constants and cut, one-hot of the task, label.

    The primary task is the all-zero one-hot.
    """
    one_hot = torch.eye(n_auxiliary + 1, dtype=losses[0].dtype, device=losses[0].device)[:, 1:]
    which = one_hot[tasks].expand(*losses[0].shape, n_auxiliary)
    cut = [loss.detach().clamp(max=MAX_LOSS)[..., None] for loss in losses]
    return torch.cat([*cut, which, labels[..., None].to(losses[0])], dim=-1)
