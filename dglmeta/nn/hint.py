"""Hints: a small attention network an auxiliary task, and how much each sample is helped by it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from dglmeta import ops
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.graph.adjacency import id_dtype
from dglmeta.nn.encoder import Messages, check_widths
from dglmeta.nn.gat import NEGATIVE_SLOPE, without_silent
from dglmeta.nn.heads import uniform_parameter

__all__ = ["HintHop", "HintMixer", "HintNets", "HintPlan", "mix"]

MAX_LOSS = 10.0  # a descriptor's losses are cut here, as V's are


class HintHop(NamedTuple):
    """One sum of messages in all tasks at once.

    A row is a node as some task sees it, and so is a column; both are grouped by task.
    """

    adjacency: Adjacency
    receivers: Tensor
    """(n_rows,) int64: column of each row's own node."""
    n_receivers: list[int]
    """Rows of each task."""
    n_senders: list[int]
    """Columns of each task."""

    def to(self, device: str) -> HintHop:
        """The same on another device."""
        there = self.adjacency.to(device), self.receivers.to(device)
        return HintHop(*there, self.n_receivers, self.n_senders)


class HintPlan(NamedTuple):
    """Which messages give the hint embeddings of some nodes, in two hops."""

    nodes: Tensor
    """(n,) int64: whose embeddings the first hop's columns are."""
    hops: tuple[HintHop, HintHop]
    """The second one's rows are the distinct nodes asked for, task by task."""
    places: Tensor
    """(m_1 + ... + m_T,) or (T, m) int64: row of each node as it was asked for."""

    def among(self) -> tuple[HintPlan, Tensor]:
        """The same plan over only the nodes it reads, renumbered from 0, and which those are."""
        needed, places = torch.unique(self.nodes, return_inverse=True)
        return self._replace(nodes=places), needed

    def to(self, device: str) -> HintPlan:
        """The same plan on another device."""
        first, second = self.hops
        hops = first.to(device), second.to(device)
        return HintPlan(self.nodes.to(device), hops, self.places.to(device))


class HintNets(nn.Module):
    r"""H_t for T tasks: each its own two-layer GAT d -> d -> d, of one head, with a ReLU between.

    The networks run as one attention a hop, on the graph of T copies; copy t has only the nodes
    within two hops of those that task t asks for. The hint logit of a pair is the dot product of
    its ends' hint embeddings.

    Parameters
    ----------
    n_tasks : int
        Number T of auxiliary tasks.
    d : int
        Width of the embeddings.

    Raises
    ------
    ConfigError
        If either is below 1.

    References
    ----------
    SELAR, arXiv 2007.08294, section 3.3; its inputs are the embeddings of the encoder, as in the
    authors' program, and its graph has hubs (:func:`dglmeta.add_hubs`).

    Examples
    --------
    >>> from dglmeta.nn import GAT
    >>> path = Adjacency.from_coo([0, 1], [1, 2], (3, 3))
    >>> plan = HintNets.plan(GAT(4, 4).messages(path), torch.tensor([[2, 0], [1, 1]]))
    >>> HintNets(2, 4)(torch.ones(3, 4), plan).shape
    torch.Size([2, 2, 4])
    """

    def __init__(self, n_tasks: int, d: int) -> None:
        super().__init__()
        check_widths("HintNets", n_tasks=n_tasks, d=d)
        self.weights, self.attending, self.attended = (
            nn.ParameterList(glorot(n_tasks, a, d) for _ in range(2)) for a in (d, 1, 1)
        )
        self.biases = nn.ParameterList(torch.zeros(n_tasks, d) for _ in range(2))

    @staticmethod
    def plan(messages: Messages, nodes: list[Tensor] | Tensor) -> HintPlan:
        """What hint embeddings of each task's nodes are computed from; on the host.

        Parameters
        ----------
        messages : Messages
            Over all N nodes. Those of weight zero are left out, save a node's own; other weights
            do not matter.
        nodes : T tensors (m_t,) int64, or one (T, m)
            Nodes whose hint embeddings task t wants; a repeated one costs nothing.

        Raises
        ------
        DataError
            If the messages are not over all nodes.

        Notes
        -----
        Cost O(T N + messages within two hops of the nodes), the first term a byte each.
        """
        n_rows, n = messages.adjacency.shape
        if n_rows != n or messages.receivers is not None:
            raise DataError(
                f"HintNets.plan: expected messages between all nodes, got those that {n_rows} of "
                f"{n} receive. Give encoder.messages(graph)."
            )
        weight = messages.weight[: messages.adjacency.n_edges - n].cpu()  # loops, the last, stay
        adj = without_silent(messages.adjacency.host, weight)
        asked = torch.cat([ids.cpu() + t * n for t, ids in enumerate(nodes)])
        wanted, places = torch.unique(asked, return_inverse=True)
        second, senders = _hop(adj, wanted.numpy(), len(nodes))
        first, senders = _hop(adj, senders, len(nodes))
        if isinstance(nodes, Tensor):
            places = places.view(nodes.shape)
        return HintPlan(torch.from_numpy(senders % n), (first, second), places)

    def forward(self, x: Tensor, plan: HintPlan) -> Tensor:
        """Hint embeddings of the nodes that the plan was made for.

        Parameters
        ----------
        x : (N, d)
            The encoder's embeddings.
        plan : HintPlan

        Returns
        -------
        hints : (m_1 + ... + m_T, d), or (T, m, d)
            Task after task, in the order the nodes were given; the latter where they came in one
            tensor.
        """
        h = x.index_select(0, plan.nodes)
        for k, hop in enumerate(plan.hops):
            h = self._layer(k, hop, torch.relu(h) if k else h)
        return h.index_select(0, plan.places.flatten()).view(*plan.places.shape, -1)

    def _layer(self, k: int, hop: HintHop, h: Tensor) -> Tensor:
        """Attention over h, then W and b: cheaper than W first, as fewer receive than send."""
        w = self.weights[k]
        ends = torch.cat([self.attending[k], self.attended[k]], dim=1)  # (T, 2, d)
        own, sent = by_task(h, hop.n_senders, w @ ends.mT).unbind(1)  # scores
        own = own.index_select(0, hop.receivers)
        y = ops.attention(hop.adjacency, own, sent, h, negative_slope=NEGATIVE_SLOPE)
        return by_task(y, hop.n_receivers, w, self.biases[k])


def mix(learner: Tensor, hint: Tensor, c: Tensor) -> Tensor:
    """Logits c learner + (1 - c) hint: mixed before the sigmoid, not as probabilities."""
    return c * learner + (1 - c) * hint


class HintMixer(nn.Module):
    r"""V_H: a sample's [learner's loss ; hint's loss ; one-hot of its task ; label] -> c in (0, 1).

    c is the share of the learner's own logit (:func:`mix`).

    Parameters
    ----------
    n_auxiliary : int
        Number T of auxiliary tasks, 1..T; task 0, the primary one, has the all-zero one-hot.
    hidden : int
        Width of the hidden layer.

    References
    ----------
    SELAR, arXiv 2007.08294, eq. 8; attenuation as in the authors' program.
    """

    def __init__(self, n_auxiliary: int, hidden: int = 1000) -> None:
        super().__init__()
        self.n_auxiliary = n_auxiliary
        width = n_auxiliary + 3
        self.weight_in = uniform_parameter(width, hidden, fan_in=width)  # (in, out), as V's are
        self.bias_in = uniform_parameter(hidden, fan_in=width)
        self.weight_out = uniform_parameter(hidden, 1, fan_in=hidden)
        self.bias_out = uniform_parameter(1, fan_in=hidden)

    def describe(self, learner: Tensor, hint: Tensor, labels: Tensor, tasks: Tensor) -> Tensor:
        """Descriptors (n, T + 3) of samples.

        Parameters
        ----------
        learner, hint : (n,)
            Losses of the two logits, taken as constants.
        labels : (n,)
        tasks : (n,) int64
            In [0, T].
        """
        losses = torch.stack([learner, hint], dim=1).detach().clamp(max=MAX_LOSS)
        numbers = torch.arange(1, self.n_auxiliary + 1, device=tasks.device)
        one_hot = (tasks[:, None] == numbers).to(losses)
        return torch.cat([losses, one_hot, labels[:, None].to(losses)], dim=1)

    def forward(self, descriptors: Tensor, gamma: float = 1.0) -> Tensor:
        """The shares c ** gamma (n,) of descriptors (n, T + 3).

        Parameters
        ----------
        gamma : float
            In (0, 1]: the smaller, the less hint.

        Raises
        ------
        ConfigError
            If it is not.
        """
        if not 0 < gamma <= 1:
            raise ConfigError(
                f"HintMixer: expected gamma in (0, 1], got {gamma}. 1 is no attenuation."
            )
        hidden = torch.addmm(self.bias_in, descriptors, self.weight_in).relu()
        s = torch.addmm(self.bias_out, hidden, self.weight_out).squeeze(1)
        return (gamma * logsigmoid(s)).exp()


def by_task(h: Tensor, sizes: list[int], w: Tensor, b: Tensor | None = None) -> Tensor:
    """Rows grouped by task, each times the matrix of its task: (n, a), (T, a, b) to (n, b)."""
    groups = zip(h.split(sizes), w.unbind(), strict=True)
    if b is None:
        return torch.cat([rows @ matrix for rows, matrix in groups])
    added = zip(groups, b.unbind(), strict=True)
    return torch.cat([torch.addmm(bias, rows, matrix) for (rows, matrix), bias in added])


def glorot(n_tasks: int, a: int, b: int) -> nn.Parameter:
    """(T, a, b), uniform in +-sqrt(6 / (a + b))."""
    bound = (6 / (a + b)) ** 0.5
    return nn.Parameter(torch.empty(n_tasks, a, b).uniform_(-bound, bound))


def _hop(adj: Adjacency, receivers: np.ndarray, n_tasks: int) -> tuple[HintHop, np.ndarray]:
    """Messages to some nodes of T copies of a graph, and the nodes that they come from.

    Node i of copy t has the number ``t * n + i``.
    """
    n = adj.n_dst
    task = receivers // n
    part, _ = adj.rows(receivers - task * n)
    kind = id_dtype(n_tasks * n)
    shift = np.repeat((task * n).astype(kind), part.out_degrees)
    placed = Adjacency(part.indptr, part.indices.astype(kind) + shift, None, n_tasks * n)
    part, senders = placed.without_empty_columns()
    own = torch.from_numpy(np.searchsorted(senders, receivers))
    sizes = (np.bincount(ids // n, minlength=n_tasks).tolist() for ids in (receivers, senders))
    return HintHop(part, own, *sizes), senders
