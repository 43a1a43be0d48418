"""Adam on the rows of a matrix that a step uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["RowAdam"]


class RowAdam(torch.optim.Optimizer):
    """Adam that moves only the rows a step is given, and their moments; others cost nothing.

    Moves as :class:`torch.optim.SparseAdam` does, without making sparse tensors of the moments.
    Weight decay is decoupled, as in AdamW, and for rows that move.

    Parameters
    ----------
    parameter : (n, d) Parameter
    lr, betas, eps
        As in torch.
    weight_decay : float
        A step first takes ``lr * weight_decay`` of each row away.

    References
    ----------
    Kingma and Ba, arXiv 1412.6980, algorithm 1.

    Examples
    --------
    >>> p = nn.Parameter(torch.ones(3, 2))
    >>> RowAdam(p, lr=0.1).step(torch.tensor([2]), torch.ones(1, 2))
    >>> [round(x, 3) for x in p[:, 0].tolist()]
    [1.0, 1.0, 0.9]
    """

    def __init__(
        self,
        parameter: nn.Parameter,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            [parameter], {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self, rows: Tensor, gradient: Tensor) -> None:  # type: ignore[override]
        """Move (m,) distinct rows, given their (m, d) gradients."""
        (group,) = self.param_groups
        (p,) = group["params"]
        state = self.state[p]
        if not state:
            state.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        state["step"] += 1
        rate, (b1, b2) = group["lr"], group["betas"]
        m = state["exp_avg"].index_select(0, rows).lerp_(gradient, 1 - b1)
        v = state["exp_avg_sq"].index_select(0, rows).mul_(b2)
        v.addcmul_(gradient, gradient, value=1 - b2)
        state["exp_avg"].index_copy_(0, rows, m)
        state["exp_avg_sq"].index_copy_(0, rows, v)
        size = rate * (1 - b2 ** state["step"]) ** 0.5 / (1 - b1 ** state["step"])
        moved = p.index_select(0, rows).mul_(1 - rate * group["weight_decay"])
        p.index_copy_(0, rows, moved.addcdiv_(m, v.sqrt_().add_(group["eps"]), value=-size))
