r"""Gradient through K steps of gradient descent, many tasks at once, in the memory of one step.

Task b begins at the initialisation theta under conditions s_b and descends its own inner loss,

    phi_0 = theta,   phi_{k+1} = phi_k - lr c(g_k),   g_k = d L_k(phi_k, s) / d phi,

where c clips a task's gradient to a norm. With lambda = d outer / d phi_K and sigma = d outer / ds
taken at the end, going back through step k is

    v = c'(g_k)^T lambda,    lambda <- lambda - lr H v,    sigma <- sigma - lr (d g_k / ds)^T v,

H the Hessian of L_k at phi_k. Only phi_0..phi_K are kept: at each step the graph of one gradient
is made anew, used for one Hessian-vector product, and dropped.

Source: Finn, Abbeel and Levine, arXiv 1703.03400, for the template; Pearlmutter (Neural
Computation 6, 1994) for the products.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from dglmeta.errors import ConfigError
from dglmeta.meta.functional import Params, detach, gradient, leaves, sgd_step

__all__ = [
    "UnrolledGradient",
    "clip_gradients",
    "descend_tasks",
    "one_per_task",
    "unrolled_gradient",
]

InnerLoss = Callable[[Params, Params, int], Tensor]
"""phi, conditions, k -> () sum over tasks of the k-th inner loss."""
OuterLoss = Callable[[Params, Params], Tensor]
"""phi, conditions -> () sum over tasks of the outer loss."""


class UnrolledGradient(NamedTuple):
    """Result of :func:`unrolled_gradient`."""

    start: Params
    """d outer / d phi_0, a leading axis of tasks as in the start; their sum is d / d theta."""
    conditions: Params
    """d outer / d conditions, by name."""
    loss: Tensor
    """() outer loss."""
    adapted: Params
    """phi_K."""


def unrolled_gradient(
    inner: InnerLoss,
    outer: OuterLoss,
    start: Mapping[str, Tensor],
    conditions: Mapping[str, Tensor],
    *,
    steps: int,
    lr: float,
    clip: float | None = None,
    mask: Collection[str] | None = None,
    order: int = 2,
    constant_conditions: bool = False,
    constant_clip: bool = False,
    kept: int = 0,
) -> UnrolledGradient:
    """Gradient of the outer loss after ``steps`` inner steps, in where they begin and under what.

    Parameters
    ----------
    inner, outer : callable
        Sums over tasks that share nothing: task b's part depends on row b of every parameter.
        ``inner(phi, conditions, k)`` must be the same function whenever it is called with one k.
    start : dict of name to tensor
        phi_0, each with a leading axis of tasks; not written. See :func:`one_per_task`.
    conditions : dict of name to tensor
        What the losses depend on besides, constant while phi descends; may be empty.
    steps, lr : int, float
        Inner steps >= 0 and their size > 0.
    clip : float, optional
        Bound of the norm of each task's gradient.
    mask : collection of str, optional
        Names that adapt; all when absent.
    order : {1, 2}
        1 takes the inner gradients for constants: lambda and sigma as they are at the end.
    constant_conditions : bool
        Take the inner gradients for constants with respect to the conditions alone.
    constant_clip : bool
        Take the factor of clipping for a constant.
    kept : int
        Last inner steps whose graphs are kept for the way back instead of being made anew.

    Raises
    ------
    ConfigError
        If ``order`` is neither 1 nor 2, ``steps`` is negative, or the mask names no parameter.

    Notes
    -----
    Cost: ``steps`` forward and backward passes, and as many again with a backward pass through
    the backward pass. Memory does not grow with ``steps`` but for phi itself, and for the graphs
    of ``kept`` steps, which are then not made twice.

    Examples
    --------
    One step halves w, so the outer loss is (w / 2)^2 and its gradient w / 2.

    >>> square = lambda p, s, k=0: (p["w"] ** 2).sum()
    >>> unrolled_gradient(square, square, {"w": torch.ones(1)}, {}, steps=1, lr=0.25).start
    {'w': tensor([0.5000])}
    """
    if order not in (1, 2):
        raise ConfigError(f"unrolled_gradient: expected order 1 or 2, got {order}. 2 is exact.")
    if steps < 0:
        raise ConfigError(f"unrolled_gradient: expected steps >= 0, got {steps}. Give 0 or more.")
    conditions = detach(conditions)
    trail = [detach(start)]
    graphs: dict[int, _InnerGradient] = {}
    for k in range(steps):
        if order == 2 and k >= steps - kept:
            graphs[k] = _InnerGradient(inner, trail[k], conditions, k, mask)
            trail.append(graphs[k].descend(lr, clip))
        else:
            trail.append(descend_tasks(inner, trail[k], conditions, k, lr=lr, clip=clip, mask=mask))
    last, under = leaves(trail[-1]), leaves(conditions)
    loss = outer(last, under)
    both = gradient(loss, {**_named("phi", last), **_named("s", under)})
    lam, sigma = _of("phi", both), _of("s", both)
    for k in reversed(range(steps if order == 2 else 0)):
        at = graphs.pop(k, None) or _InnerGradient(inner, trail[k], conditions, k, mask)
        v = _through_clip({n: lam[n] for n in at.g}, detach(at.g), clip, constant_clip)
        pulled, pulled_s = at.pull(v, with_conditions=not constant_conditions)
        lam = {n: x - lr * pulled[n] for n, x in lam.items()}
        sigma = {n: x - lr * pulled_s[n] for n, x in sigma.items()} if pulled_s else sigma
    return UnrolledGradient(lam, sigma, loss.detach(), trail[-1])


def descend_tasks(
    inner: InnerLoss,
    phi: Mapping[str, Tensor],
    conditions: Mapping[str, Tensor],
    k: int,
    *,
    lr: float,
    clip: float | None = None,
    mask: Collection[str] | None = None,
) -> Params:
    """Phi after the k-th inner step of every task, without a graph; arguments as above."""
    at = leaves(phi)
    moved = _moved(at, mask)
    g = clip_gradients(gradient(inner(at, dict(conditions), k), moved), clip)
    return {**detach(phi), **sgd_step(detach(moved), g, lr)}


def one_per_task(params: Mapping[str, Tensor], n_tasks: int) -> Params:
    """The same parameters for each of n tasks: a leading axis, no copies."""
    return {name: p.detach().expand(n_tasks, *p.shape) for name, p in params.items()}


def clip_gradients(gradients: Mapping[str, Tensor], clip: float | None) -> Params:
    """Each task's gradient, scaled down to norm ``clip`` where its norm is larger."""
    if clip is None:
        return dict(gradients)
    factor = (clip / _norms(gradients)).clamp(max=1.0)
    return {n: _rows(factor, g) * g for n, g in gradients.items()}


def _through_clip(v: Params, g: Params, clip: float | None, constant: bool) -> Params:
    """c'(g)^T v: where the norm is cut, what lies along g is lost and the rest scaled down."""
    if clip is None:
        return v
    norms = _norms(g)
    factor = (clip / norms).clamp(max=1.0)
    if not constant:
        dots = sum((g[n] * v[n]).flatten(1).sum(1) for n in g)
        along = torch.where(factor < 1, dots / norms**2, torch.zeros_like(norms))
        v = {n: x - _rows(along, x) * g[n] for n, x in v.items()}
    return {n: _rows(factor, x) * x for n, x in v.items()}


def _moved(params: Params, mask: Collection[str] | None) -> Params:
    """The parameters that adapt; one at least."""
    if mask is None:
        return dict(params)
    if not mask or not set(mask) <= set(params):
        raise ConfigError(
            f"descend_tasks: expected a mask of names among {sorted(params)}, got {sorted(mask)}. "
            f"Use the names of named_parameters(), one at least."
        )
    return {n: p for n, p in params.items() if n in mask}


def _norms(gradients: Mapping[str, Tensor]) -> Tensor:
    """(n_tasks,) norm over all parameters; not quite zero."""
    squares = sum(g.flatten(1).square().sum(1) for g in gradients.values())
    return torch.as_tensor(squares).clamp(min=1e-30).sqrt()


def _rows(factor: Tensor, x: Tensor) -> Tensor:
    """A number a task, shaped to multiply x."""
    return factor.view(-1, *[1] * (x.ndim - 1))


class _InnerGradient:
    """g_k with its graph: a point, and products with its derivative."""

    def __init__(
        self,
        inner: InnerLoss,
        phi: Params,
        conditions: Params,
        k: int,
        mask: Collection[str] | None,
    ) -> None:
        self._phi, self._under = leaves(phi), leaves(conditions)
        moved = _moved(self._phi, mask)
        self.g = gradient(inner(self._phi, self._under, k), moved, create_graph=True)

    def descend(self, lr: float, clip: float | None) -> Params:
        """Phi after the step."""
        phi, g = detach(self._phi), clip_gradients(detach(self.g), clip)
        return {**phi, **sgd_step({n: phi[n] for n in g}, g, lr)}

    def pull(self, v: Params, *, with_conditions: bool) -> tuple[Params, Params]:
        """(dg / d phi)^T v and (dg / ds)^T v, the latter if wanted; once."""
        reached = _named("phi", self._phi)
        if with_conditions:
            reached |= _named("s", self._under)
        names = [n for n in self.g if self.g[n].requires_grad]
        found = torch.autograd.grad(
            [self.g[n] for n in names],
            list(reached.values()),
            [v[n] for n in names],
            materialize_grads=True,
        )
        pulled = dict(zip(reached, found, strict=True))
        return _of("phi", pulled), _of("s", pulled)


def _named(prefix: str, tensors: Mapping[str, Tensor]) -> Params:
    return {f"{prefix}.{n}": t for n, t in tensors.items()}


def _of(prefix: str, tensors: Mapping[str, Tensor]) -> Params:
    return {
        n.removeprefix(f"{prefix}."): t for n, t in tensors.items() if n.startswith(f"{prefix}.")
    }
