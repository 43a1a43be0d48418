"""Several few-shot graphs as one batch, and the losses of pairs of their nodes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import softplus

from dglmeta.graph import Adjacency
from dglmeta.kernels.cpu.negative import contains
from dglmeta.nn.stacked import StackedGraphs, stack_graphs
from dglmeta.nn.vgae import bounded, kl_divergence
from dglmeta.tasks.graphs.few_shot import FewShotGraph

__all__ = ["FewShotBatch", "LocatedPairs", "Pairs", "evidence_loss", "pair_logits"]

Ids = npt.NDArray[np.int64]


class Pairs(NamedTuple):
    """Labelled pairs of nodes, each within a graph of a batch."""

    ends: Tensor
    """(2, n) int64: node of either end, numbered through the batch."""
    sign: Tensor
    """(n,) 1 for a positive, -1 for a negative."""
    share: Tensor
    """(n,) what each counts in its graph's loss: one over the pairs of its graph and sign."""
    noise: Tensor | None = None
    """(n_nodes, d) standard normal numbers; None for the means themselves."""

    def at(self, graphs: StackedGraphs) -> LocatedPairs:
        """The same pairs by the node states of their ends; without noise, alike ones put together.

        Where few nodes differ most pairs are alike: a quarter is left of those of FIRSTMM with a
        tenth of its edges.
        """
        device = graphs.received.device
        rows = graphs.row[self.ends]  # (2, n)
        if self.noise is not None:
            noise = self.noise[self.ends.flatten()]
            return LocatedPairs(*(t.to(device) for t in (rows, self.sign, self.share, noise)))
        u, v = np.sort(rows.numpy(), axis=0)
        key = (u * len(graphs.n_nodes) + v) * 2 + (self.sign.numpy() > 0)
        key, which = np.unique(key, return_inverse=True)
        share = np.bincount(which, self.share.numpy())
        pair, positive = np.divmod(key, 2)
        ends = np.stack(np.divmod(pair, len(graphs.n_nodes)))
        return LocatedPairs(
            torch.from_numpy(ends).to(device),
            torch.from_numpy(2.0 * positive - 1).to(device, self.share.dtype),
            torch.from_numpy(share).to(device, self.share.dtype),
        )


class LocatedPairs(NamedTuple):
    """Labelled pairs of node states."""

    rows: Tensor
    """(2, n) int64: row of the state of either end."""
    sign: Tensor
    """(n,) as in :class:`Pairs`."""
    share: Tensor
    """(n,) what each counts in its graph's loss."""
    noise: Tensor | None = None
    """(2 n, d) standard normal numbers, of the first ends and then the second."""


class FewShotBatch:
    """Several graphs side by side, as encoders with parameters for each of them read it.

    Parameters
    ----------
    graphs : sequence of FewShotGraph
        At least one; all with as many features.
    dtype : torch.dtype
    noise : int
        Width of the reparameterisation's noise that draws come with; 0 for none.
    loops : bool
        Whether a node beside itself may be drawn as a negative.
    device : str
        Where encoders read it, "cpu" or "cuda"; pairs are drawn on the host.
    """

    def __init__(
        self,
        graphs: Sequence[FewShotGraph],
        *,
        dtype: torch.dtype = torch.float32,
        noise: int = 0,
        loops: bool = False,
        device: str = "cpu",
    ) -> None:
        self.graphs, self.dtype, self.noise, self.loops = list(graphs), dtype, noise, loops
        self.device = device
        self.n_nodes = np.array([g.n_nodes for g in graphs])
        self.node_ptr = np.concatenate([[0], np.cumsum(self.n_nodes)])
        self._folds: dict[int, StackedGraphs] = {}

    def __len__(self) -> int:
        """Number of graphs."""
        return len(self.graphs)

    @property
    def n_folds(self) -> int:
        """Most folds of a graph's training edges; graphs with fewer go round sooner."""
        return max(g.n_folds for g in self.graphs)

    @cached_property
    def whole(self) -> StackedGraphs:
        """Messages over all training edges."""
        return stack_graphs([g.states for g in self.graphs], self.dtype).to(self.device)

    def fold(self, k: int) -> StackedGraphs:
        """Messages over the training edges outside fold ``k``, counted round and round."""
        k %= self.n_folds
        if k not in self._folds:
            states = [g.fold_states[k % g.n_folds] for g in self.graphs]
            self._folds[k] = stack_graphs(states, self.dtype).to(self.device)
        return self._folds[k]

    def draw_training(self, k: int, rng: np.random.Generator) -> Pairs:
        """Training edges of fold ``k``, each beside two pairs drawn anew: what an inner loss asks.

        Two, that is as many as an edge has directions. They are uniform over the pairs of the
        graph that no training edge joins.
        """
        k %= self.n_folds
        return self._draw([g.asked(k % g.n_folds) for g in self.graphs], 2, rng)

    def draw_validation(self, rng: np.random.Generator) -> Pairs:
        """Validation edges, each beside a pair drawn anew: what an outer loss asks."""
        return self._draw([g.split.valid for g in self.graphs], 1, rng)

    def _draw(self, edges: list[Ids], n_negatives: int, rng: np.random.Generator) -> Pairs:
        wanted = np.array([n_negatives * len(e) for e in edges])
        ends = [e + begin for e, begin in zip(edges, self.node_ptr, strict=False)]
        ends.append(self.draw_unknown(np.repeat(np.arange(len(self)), wanted), rng))
        n_each = np.array([len(e) for e in edges])
        share = np.repeat(1 / np.concatenate([n_each, wanted]), np.concatenate([n_each, wanted]))
        sign = np.repeat([1.0, -1.0], [n_each.sum(), wanted.sum()])
        return Pairs(
            torch.from_numpy(np.ascontiguousarray(np.concatenate(ends).T)),
            torch.from_numpy(sign).to(self.dtype),
            torch.from_numpy(share).to(self.dtype),
            self._draw_noise(rng) if self.noise else None,
        )

    def _draw_noise(self, rng: np.random.Generator) -> Tensor:
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        shape = int(self.node_ptr[-1]), self.noise
        return torch.randn(shape, generator=generator, dtype=self.dtype)

    def draw_unknown(self, graph: Ids, rng: np.random.Generator) -> Ids:
        """(n, 2): for each graph number, a uniform pair of its nodes that no training edge joins.

        Both ends are different, unless loops may be; pairs are drawn again until that is so.
        """
        known = self._known
        pairs = np.empty((len(graph), 2), np.int64)
        todo = np.arange(len(graph))
        while len(todo):
            here = graph[todo]
            offset = (rng.random((2, len(todo))) * self.n_nodes[here]).astype(np.int64)
            u, v = self.node_ptr[here] + offset
            pairs[todo, 0], pairs[todo, 1] = u, v
            todo = todo[contains(known.indptr, known.indices, u, v)]
        return pairs

    @cached_property
    def _known(self) -> Adjacency:
        """What is not to be drawn, block-diagonal: training edges and, as a rule, loops."""
        blocks = [g.known if self.loops else g.known.with_loops for g in self.graphs]
        degrees = np.concatenate([b.out_degrees for b in blocks])
        columns = [b.indices + begin for b, begin in zip(blocks, self.node_ptr, strict=False)]
        indptr = np.concatenate([[0], np.cumsum(degrees)])
        return Adjacency(indptr, np.concatenate(columns), None, int(self.node_ptr[-1]))


def pair_logits(
    latent: Tensor, graphs: StackedGraphs, pairs: Pairs | LocatedPairs, *, minus: int = 0
) -> Tensor:
    """(n,) logits z_u . z_v, with z = mu, or mu + exp(logstd) noise where there is noise.

    Parameters
    ----------
    latent : (n_rows, 2 d)
        [mu, logstd] of each node state.
    graphs : StackedGraphs
    pairs : Pairs or LocatedPairs
        The latter where they are used several times.
    minus : int
        Last coordinates of z whose products are subtracted. With 0 a node's logit with itself, and
        of alike nodes with each other, is never below 0.
    """
    located = pairs.at(graphs) if isinstance(pairs, Pairs) else pairs
    d = latent.shape[1] // 2
    rows = located.rows.flatten()
    if located.noise is None:
        z = latent[:, :d].index_select(0, rows)
    else:
        mu, logstd = latent.index_select(0, rows).chunk(2, dim=1)
        z = mu + bounded(logstd).exp() * located.noise
    u, v = z.view(2, -1, d)
    products = u * v
    logits: Tensor = products.sum(dim=1)
    return logits - 2 * products[:, d - minus :].sum(dim=1) if minus else logits


def evidence_loss(
    latent: Tensor, graphs: StackedGraphs, pairs: Pairs | LocatedPairs, *, minus: int = 0
) -> Tensor:
    """() sum over graphs of the negative evidence bound: mean -log p(pair) + KL / N.

    Positives and negatives have a mean each; ``minus`` as for :func:`pair_logits`.

    References
    ----------
    Kipf and Welling, arXiv 1611.07308, eq. 3. The divergence is a mean over a graph's nodes, and
    divided by their number once more, as in their program and in that of Meta-Graph.
    """
    located = pairs.at(graphs) if isinstance(pairs, Pairs) else pairs
    logits = pair_logits(latent, graphs, located, minus=minus)
    fit = torch.dot(located.share, softplus(-located.sign * logits))
    return fit + torch.dot(graphs.kl_share, kl_divergence(latent))
