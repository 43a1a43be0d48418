"""Models as pure functions of an explicit dict of parameters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dglmeta.errors import ConfigError

__all__ = [
    "Linearization",
    "Params",
    "adam_step_sizes",
    "as_function",
    "descend",
    "detach",
    "gradient",
    "leaves",
    "parameters_of",
    "scale",
    "sgd_step",
]

Params = dict[str, Tensor]
"""Parameters by name, as ``nn.Module.named_parameters`` names them."""


def parameters_of(module: nn.Module) -> Params:
    """The module's own parameters by name; they stay the module's, nothing is copied."""
    return dict(module.named_parameters())


def as_function(module: nn.Module) -> Callable[..., Any]:
    """The module as a pure function ``apply(params, *args, **kwargs)``.

    Examples
    --------
    >>> linear = nn.Linear(2, 1, bias=False)
    >>> apply = as_function(linear)
    >>> apply({"weight": torch.ones(1, 2)}, torch.tensor([3.0, 4.0]))
    tensor([7.])
    """

    def apply(params: Mapping[str, Tensor], *args: Any, **kwargs: Any) -> Any:
        return torch.func.functional_call(module, dict(params), args, kwargs)

    return apply


def descend(
    optimizer: torch.optim.Optimizer, module: nn.Module, gradients: Mapping[str, Tensor]
) -> None:
    """One step of a torch optimiser along gradients computed elsewhere; changes the module."""
    for name, parameter in module.named_parameters():
        parameter.grad = gradients[name]
    optimizer.step()


def detach(params: Mapping[str, Tensor]) -> Params:
    """The same values outside any autograd graph, sharing memory."""
    return {name: p.detach() for name, p in params.items()}


def leaves(params: Mapping[str, Tensor]) -> Params:
    """The same values as new leaves of an autograd graph, sharing memory."""
    return {name: p.detach().requires_grad_() for name, p in params.items()}


def gradient(
    output: Tensor,
    params: Mapping[str, Tensor],
    cotangent: Tensor | None = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> Params:
    """(d output / d params)^T cotangent, by name; zeros where a parameter has no part in it.

    Parameters
    ----------
    output : tensor
        Computed from ``params``; () when ``cotangent`` is absent.
    params : dict of name to tensor
        Leaves of the graph, as :func:`leaves` makes them.
    cotangent : tensor, optional
        Of the shape of ``output``.
    create_graph, retain_graph : bool
        As in ``torch.autograd.grad``.
    """
    gradients = torch.autograd.grad(
        output,
        list(params.values()),
        cotangent,
        create_graph=create_graph,
        retain_graph=retain_graph,
        materialize_grads=True,
    )
    return dict(zip(params, gradients, strict=True))


class Linearization:
    """A function of parameters at one point: its value there, and products with its Jacobian J.

    Made by one forward pass, which is kept as long as this is and serves any number of products.

    Parameters
    ----------
    f : callable
        ``f(params)``, one tensor.
    params : dict of name to tensor
        The point; not written.

    Attributes
    ----------
    leaves : dict of name to tensor
        The point, as leaves of the graph of ``output``.
    output : tensor
        f(params), with its graph.
    value : tensor
        f(params), as a constant.
    """

    def __init__(self, f: Callable[[Params], Tensor], params: Mapping[str, Tensor]) -> None:
        self.leaves = leaves(params)
        self.output = f(self.leaves)
        self.value = self.output.detach()

    def pullback(self, cotangent: Tensor) -> Params:
        """J^T cotangent: the gradient in the parameters."""
        return gradient(self.output, self.leaves, cotangent, retain_graph=True)

    def pullback_and_pushforward(
        self, cotangent: Tensor, names: Collection[str] | None = None
    ) -> tuple[Params, Callable[[Mapping[str, Tensor]], Tensor]]:
        """J^T cotangent, and the map from a direction in the parameters to J direction (once).

        With ``names`` only these parameters are looked at, as if the others were constants.

        The pullback u -> J^T u is linear, so J direction is the gradient in u of
        <J^T u, direction>: a backward pass through the backward pass just done. Forward mode would
        run through f again: 2.6 ms against 1.3 measured, for a GCN of fifteen thousand nodes.
        """
        u = cotangent.detach().requires_grad_()
        looked_at = {n: p for n, p in self.leaves.items() if names is None or n in names}
        pulled = gradient(self.output, looked_at, u, create_graph=True)

        def pushforward(direction: Mapping[str, Tensor]) -> Tensor:
            names = [name for name, g in pulled.items() if g.requires_grad]
            (product,) = torch.autograd.grad(
                [pulled[name] for name in names],
                u,
                [direction[name] for name in names],
                materialize_grads=True,
            )
            return product

        return detach(pulled), pushforward


def sgd_step(
    params: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    lr: float | Mapping[str, Tensor],
    mask: Collection[str] | None = None,
) -> Params:
    """One step of gradient descent, w - lr g, as new tensors.

    Parameters
    ----------
    params, gradients : dict of name to tensor
        A gradient may carry extra leading axes, such as folds; so does then the result.
    lr : float, or dict of name to tensor
        Step size, > 0; or one for every entry of every parameter, a diagonal preconditioner.
    mask : collection of str, optional
        Names that move; the others are passed through as they are. All when absent.

    Raises
    ------
    ConfigError
        If the mask names a parameter that does not exist.
    """
    unknown = sorted(set(mask or ()) - set(params))
    if unknown:
        raise ConfigError(
            f"sgd_step: expected mask names among {sorted(params)}, got {unknown}. "
            f"Use the names of named_parameters()."
        )
    sizes = lr if isinstance(lr, Mapping) else dict.fromkeys(params, lr)
    return {
        name: _less(p, gradients[name], sizes[name]) if mask is None or name in mask else p
        for name, p in params.items()
    }


def _less(p: Tensor, gradient: Tensor, size: float | Tensor) -> Tensor:
    """The step p - size * gradient; in one pass where the size is a number."""
    if isinstance(size, Tensor):
        return p - size * gradient
    return torch.sub(p, gradient, alpha=size)


def scale(vectors: Mapping[str, Tensor], by: float | Mapping[str, Tensor]) -> Params:
    """Every tensor times a number, or times the tensor of the same name, entry by entry."""
    if isinstance(by, Mapping):
        return {name: by[name] * v for name, v in vectors.items()}
    return {name: by * v for name, v in vectors.items()}


def adam_step_sizes(
    optimizer: torch.optim.Optimizer, module: nn.Module
) -> dict[str, Tensor] | None:
    """The step size Adam would use now for each entry: lr / (sqrt(second moment) + eps).

    None before its first step, when there are no moments yet.

    References
    ----------
    Kingma and Ba, arXiv 1412.6980, Algorithm 1, with the first moment left out.
    """
    names = {p: name for name, p in module.named_parameters()}
    sizes = {}
    for group in optimizer.param_groups:
        for p in group["params"]:
            state = optimizer.state.get(p)
            if not state:
                return None
            correction = 1 - group["betas"][1] ** _read_step(state["step"])
            root = (state["exp_avg_sq"] / correction).sqrt_()
            sizes[names[p]] = group["lr"] / root.add_(group["eps"])
    return sizes


def _read_step(step: Tensor) -> float | Tensor:
    """Adam's count of steps; left on a GPU, so that nothing waits for it."""
    return step if step.is_cuda else float(step)
