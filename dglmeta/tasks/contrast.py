"""Contrast between embeddings of the same nodes: InfoNCE, whose negatives are of two sources.

A negative of a node like the anchor is a false one: :func:`info_nce` leaves out those of a guard,
as :func:`dglmeta.tasks.top_path_neighbours` makes one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.kernels.twins import namespace, repeat_each
from dglmeta.ops.backend import bridge_to

__all__ = ["info_nce", "progressive_negatives"]

BUDGET_BYTES = 1 << 22
"""Bytes of similarities held at a time: as many as stay in a cache."""

LOG_2 = math.log(2)

FAR = 50.0
"""Where log(1 + exp(x)) is x to the last digit."""


def info_nce(
    anchor: Tensor,
    positive: Tensor,
    negatives: Tensor,
    *,
    temperature: float,
    guard: Adjacency | None = None,
    negative_ids: Tensor | npt.NDArray[np.integer[Any]] | None = None,
    budget_bytes: int = BUDGET_BYTES,
) -> Tensor:
    """(n,) losses -log(e(a_i, p_i) / (e(a_i, p_i) + sum_q e(a_i, n_q))), e(x, y) = exp(cos / tau).

    Parameters
    ----------
    anchor, positive : (n, d) float
        Two embeddings of each of the nodes 0 to n - 1.
    negatives : (Q, d) float
        Embeddings that those of any node are told from.
    temperature : float
        tau, above 0.
    guard : Adjacency, optional
        (n, N), see :func:`top_path_neighbours`: row i holds the nodes that are no negatives of i.
    negative_ids : (Q,) integers, optional
        Nodes the negatives are of, in any order, a node any number of times; nodes from n on are
        nobody's own. A node is no negative of itself. Without ids all are negatives of all.
    budget_bytes : int
        Bound of the similarities held at a time. At least those of one negative with all nodes
        are.

    Returns
    -------
    loss : (n,), like anchor
        In nats, no reduction; zero for a node without a negative. A row of zeros has cosine 0 with
        all, and no gradient.

    Raises
    ------
    ConfigError
        If the temperature is not above 0, or there is a guard but no ids.
    DataError
        If shapes do not fit, or an id is negative or beyond the guard's columns.

    Notes
    -----
    O(n Q d); similarities are computed block by block of negatives, and again in the backward pass,
    which takes half the time of ``torch.utils.checkpoint`` here. Peak beside inputs and gradients:
    ``budget_bytes``, and a few times as much for what a guard leaves out. Ids that are
    consecutive take the least time. Differentiable once.

    References
    ----------
    van den Oord et al., arXiv 1807.03748, equation 4; in HGCVAE, arXiv 2310.11102. The guard and
    its form are defaults chosen here, after HeCo, arXiv 2105.09111.

    Examples
    --------
    >>> z = torch.eye(3)
    >>> info_nce(z, z, z, temperature=1.0, negative_ids=torch.arange(3))
    tensor([0.5514, 0.5514, 0.5514])
    """
    _check(anchor, positive, negatives, temperature)
    u, v = _unit_rows(anchor), _unit_rows(negatives)
    ids = negative_ids if negative_ids is None else torch.as_tensor(negative_ids, device=u.device)
    left_out = _left_out(guard, ids, anchor, negatives)
    size = max(budget_bytes // max(anchor.element_size() * len(anchor), 1), 1)
    in_bits = _LogSum.apply(u / (temperature * LOG_2), v, left_out, size)  # type: ignore[no-untyped-call]
    others: Tensor = in_bits * LOG_2
    same = (u * _unit_rows(positive)).sum(1) / temperature
    return torch.nn.functional.softplus(others - same, threshold=FAR)


def progressive_negatives(
    early: Tensor, late: Tensor, share: float, rng: np.random.Generator
) -> Tensor:
    """(Q, d) negatives: round(share * Q) of the late rows, at random, and the other early ones.

    Parameters
    ----------
    early, late : (Q, d) float
        Of each negative what is easy to tell apart, an embedding corrupted by dropout, and what is
        hard, a draw from its variational distribution.
    share : float
        In [0, 1]: 0 where training begins, growing while it goes on.
    rng : numpy.random.Generator
        Chooses which are late, all subsets alike.

    Raises
    ------
    ConfigError
        If the share is not in [0, 1].
    DataError
        If early and late differ in shape.

    References
    ----------
    HGCVAE, arXiv 2310.11102, which leaves the schedule open. A count, not a chance a negative, is a
    default chosen here.

    Examples
    --------
    >>> early, late = torch.zeros(8, 1), torch.ones(8, 1)
    >>> int(progressive_negatives(early, late, 0.25, np.random.default_rng(0)).sum())
    2
    """
    if not 0 <= share <= 1:
        raise ConfigError(
            f"progressive_negatives: expected a share in [0, 1], got {share}. Bound the schedule."
        )
    if early.shape != late.shape:
        raise DataError(
            f"progressive_negatives: expected early and late embeddings of one shape, got "
            f"{tuple(early.shape)} and {tuple(late.shape)}. Embed the same nodes."
        )
    n = len(early)
    is_late = torch.from_numpy(rng.permutation(n) < round(share * n))
    return torch.where(is_late.to(early.device)[:, None], late, early)


class _LeftOut(NamedTuple):
    """Which anchors each negative is not compared with."""

    ids: Tensor | None
    """(Q,) node of each negative."""
    consecutive: bool
    """Whether they rise by 1."""
    guarded: Adjacency | None
    """(N, n): for each node the anchors it is no negative of."""

    def places(self, rows: slice, n: int) -> list[Tensor]:
        """Places of the pairs left out in a block (rows, n), counted row by row."""
        if self.ids is None:
            return []
        ids = self.ids[rows]
        own = (ids + torch.arange(0, len(ids) * n, n, device=ids.device))[ids < n]
        if self.guarded is None:
            return [own]
        to = bridge_to(self.guarded)
        indptr, anchors = _some_rows(self.guarded, to.array(ids), self.consecutive)
        begins = namespace(indptr).arange(len(ids)) * n
        return [own, to.tensor(repeat_each(begins, np.diff(indptr)) + anchors)]


def _some_rows(adj: Adjacency, ids: Any, consecutive: bool) -> tuple[Any, Any]:
    """Where the rows of some nodes begin, from any number up, and what they hold."""
    if not consecutive:
        part, _ = adj.rows(ids)
        return part.indptr, part.indices
    first = int(ids[0])
    indptr = adj.indptr[first : first + len(ids) + 1]
    return indptr, adj.indices[int(indptr[0]) : int(indptr[-1])]


class _LogSum(torch.autograd.Function):
    """(n,) log2 of the sums over negatives q of 2^(u_i . v_q), without those left out.

    Powers of 2, as on a CPU torch's exp takes ten to fifty times as long for numbers below -87,
    such as -inf, and exp2 does not.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, v: Tensor, left_out: _LeftOut, size: int) -> Tensor:
        """Block by block of negatives, which are the rows of a block."""
        total = u.new_full((len(u),), -torch.inf)
        lowest = torch.finfo(u.dtype).min  # in the place of -inf, which less itself is no number
        for _, block in _blocks(u, v, left_out, size):
            top = block.amax(0).clamp_(min=lowest)
            total = torch.logaddexp2(total, block.sub_(top).exp2_().sum(0).log2_() + top)
        ctx.save_for_backward(u, v, total)
        ctx.left_out, ctx.size = left_out, size
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Each negative's share of the sum, from similarities computed once more."""
        u, v, total = ctx.saved_tensors
        total = total.masked_fill(total == -torch.inf, torch.inf)  # shares of nothing are 0
        of_u, of_v = torch.zeros_like(u), torch.empty_like(v)
        for rows, block in _blocks(u, v, ctx.left_out, ctx.size):
            share = block.sub_(total).exp2_().mul_(gradient)
            torch.mm(share, u, out=of_v[rows])
            of_u.addmm_(share.T, v[rows])
        return of_u, of_v, None, None


def _blocks(u: Tensor, v: Tensor, left_out: _LeftOut, size: int) -> Iterator[tuple[slice, Tensor]]:
    """Rows of v and their products with u, -inf where left out; in one buffer, in turn."""
    buffer = u.new_empty(min(size, len(v)), len(u))
    for first in range(0, len(v), size):
        rows = slice(first, min(first + size, len(v)))
        block = torch.mm(v[rows], u.T, out=buffer[: rows.stop - first])
        for places in left_out.places(rows, len(u)):
            block.view(-1).index_fill_(0, places, -torch.inf)
        yield rows, block


def _unit_rows(x: Tensor) -> Tensor:
    """Rows of length 1; those of zeros stay, and have no gradient."""
    square = (x * x).sum(1, keepdim=True)
    some = square > 0
    return x * (square.where(some, 1.0).rsqrt() * some)


def _left_out(
    guard: Adjacency | None, ids: Tensor | None, anchor: Tensor, negatives: Tensor
) -> _LeftOut:
    if ids is None:
        if guard is not None:
            raise ConfigError(
                "info_nce: expected negative_ids with a guard, got None. Tell whose they are."
            )
        return _LeftOut(None, False, None)
    n, q = len(anchor), len(negatives)
    n_nodes = torch.iinfo(torch.int64).max if guard is None else guard.n_dst
    if guard is not None and guard.n_src != n:
        raise DataError(
            f"info_nce: expected a guard of the {n} anchors, got one of {guard.n_src}. Take those "
            f"rows of it."
        )
    host = ids.detach().cpu().numpy()
    if host.shape != (q,) or (q and not 0 <= host.min() <= host.max() < n_nodes):
        raise DataError(
            f"info_nce: expected negative_ids ({q},) of nodes in [0, {n_nodes}), got shape "
            f"{host.shape}, {host.min(initial=0)} to {host.max(initial=0)}. Give the node of each "
            f"negative."
        )
    guarded = None if guard is None else guard.to(anchor.device.type).T
    return _LeftOut(ids, bool((np.diff(host) == 1).all()), guarded)


def _check(anchor: Tensor, positive: Tensor, negatives: Tensor, temperature: float) -> None:
    if not temperature > 0:
        raise ConfigError(
            f"info_nce: expected a temperature above 0, got {temperature}. 0.5 to 0.9 is usual."
        )
    shapes = [tuple(x.shape) for x in (anchor, positive, negatives)]
    if anchor.ndim != 2 or shapes[0] != shapes[1] or shapes[2][1:] != shapes[0][1:]:
        raise DataError(
            f"info_nce: expected anchors and positives (n, d) and negatives (Q, d), got {shapes}. "
            f"Project all of them alike."
        )
