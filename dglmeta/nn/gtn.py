"""Graph transformer networks: meta-paths chosen by softmax, and never multiplied out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Literal, get_args
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dglmeta import ops
from dglmeta.errors import ConfigError, DataError, DeviceError, SchemaError
from dglmeta.graph import Adjacency, Homogeneous, MetaPath, Schema
from dglmeta.graph.schema import Step
from dglmeta.nn.encoder import Encoder, Messages, check_widths, with_loops
from dglmeta.nn.sparse_product import SparseProduct

__all__ = ["GTN"]

Form = Literal["chain", "product"]

_kinds: WeakKeyDictionary[Adjacency | Homogeneous, dict[Any, Tensor]] = WeakKeyDictionary()
"""Numbers of the types of messages, by how types are counted and where the numbers lie.

Kept as long as the graph is, since a step that is replayed on a GPU may not copy them there."""


class GTN(Encoder):
    r"""Graph transformer network: each channel averages over a soft choice of meta-paths.

    Factor k of channel c is ``A_ck = sum_t a_ckt A_t + a_ckI I``, where A_t are the messages of
    edge type t and a_ck is a softmax over all types and the identity. The channel's adjacency is
    ``H_c = A_c0 A_c1 .. A_cL`` with L = ``n_layers``; the embedding is a linear map of the
    channels' ``ReLU(D_c^-1 H_c X W)``, side by side, with D_c the row sums of H_c.

    Parameters
    ----------
    schema : Schema or int
        The edge types to choose from, each direction for itself where ``both_ways``: a graph may
        number or lack them as it likes. Or only how many there are, each direction counted: then
        they are told apart by their number in ``Homogeneous.edge_types``.
    d_in, d_out : int
        Widths of the node features and of the output embeddings.
    d_hidden : int, optional
        Width of a channel; ``d_out`` when absent.
    n_channels : int
        Number of soft choices, >= 1.
    n_layers : int
        Number of products of adjacencies, >= 1: meta-paths have up to n_layers + 1 steps.
    both_ways : bool
        Let messages run against the edges of a heterograph too, as edge types of their own.
    form : {"chain", "product"}
        "chain": ``A_c0 (A_c1 (.. X W))`` from right to left, and so the row sums, with ones for
        X W. Differentiable as ops are.
        "product": H_c itself, by sparse products from left to right. For comparison: on the host
        only, first derivatives only, and as large as the products are.

    Raises
    ------
    ConfigError
        If a width or a number is below 1, or the form is neither of the two.

    Notes
    -----
    The paper divides by row sums after every product. ``D^-1 (D'^-1 A) B`` with D the row sums of
    ``(D'^-1 A) B`` is ``D_AB^-1 A B``: a factor of a row cancels, so only the last division counts.
    The diagonal is not deleted before that, as the authors' code does, for it would have to be
    known; nor is I added to H_c, which has it already through the identity in every factor.
    A weight of an edge multiplies its entry in A_t; loops keep weight 1.

    References
    ----------
    Yun et al., Graph Transformer Networks, arXiv 1911.06455, eq. 3 to 5.

    Examples
    --------
    >>> from dglmeta.graph import HeteroCSR
    >>> hg = HeteroCSR.from_edges({("a", "to", "b"): ([0, 1], [0, 0])}, {"a": 2, "b": 1})
    >>> model = GTN(hg.schema, 4, 3, both_ways=True)
    >>> tuple(model(hg, torch.ones(3, 4)).shape), tuple(model.selection().shape)
    ((3, 3), (2, 3, 3))
    """

    def __init__(
        self,
        schema: Schema | int,
        d_in: int,
        d_out: int,
        *,
        d_hidden: int | None = None,
        n_channels: int = 2,
        n_layers: int = 2,
        both_ways: bool = False,
        form: Form = "chain",
    ) -> None:
        super().__init__(both_ways=both_ways)
        self.steps: tuple[Step, ...] | None = None
        if isinstance(schema, Schema):
            self.steps = _steps(schema, both_ways)
            schema = len(self.steps)
        self.n_edge_types = schema
        width = d_out if d_hidden is None else d_hidden
        numbers = {"n_channels": n_channels, "n_layers": n_layers}
        check_widths(
            "GTN", n_edge_types=self.n_edge_types, d_in=d_in, d_out=d_out, d_hidden=width, **numbers
        )
        if form not in get_args(Form):
            raise ConfigError(
                f"GTN: expected form 'chain' or 'product', got {form!r}. Write one of the two."
            )
        self.form, self.n_hops, self.n_channels = form, n_layers + 1, n_channels
        choices = torch.empty(n_channels, self.n_hops, self.n_edge_types + 1)
        self.scores = nn.Parameter(nn.init.normal_(choices, std=0.01))
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(d_in, width)))
        self.out = nn.Linear(n_channels * width, d_out)

    def selection(self) -> Tensor:
        """(n_channels, n_layers + 1, n_edge_types + 1): share of each type, the identity last."""
        return torch.softmax(self.scores, dim=-1)

    def metapaths(self, top: int = 3) -> list[list[tuple[str, float]]]:
        """Of each channel the meta-paths with the largest coefficients in H_c, in falling order.

        A path runs as messages do, from the sender to the node that is embedded. Chains that differ
        only in where they stay count as one path; "itself" is the chain that always stays. Other
        coefficients, those of chains whose types do not meet, multiply zero.

        Parameters
        ----------
        top : int
            Paths a channel, where it has as many.

        Raises
        ------
        ConfigError
            If the encoder was not given a schema to name the types by.

        Notes
        -----
        Cost: the number of meta-paths of up to n_layers + 1 steps.
        """
        if self.steps is None:
            raise ConfigError(
                f"GTN.metapaths: expected an encoder made with a schema, got one made with the "
                f"number {self.n_edge_types}. Give GTN the schema, or read selection()."
            )
        best = []
        for factors in self.selection().tolist():
            found: dict[tuple[Step, ...], float] = {(): 1.0}
            for shares in reversed(factors):  # a message passes the last factor first
                found = _lengthened(found, self.steps, shares)
            largest = sorted(found, key=found.__getitem__, reverse=True)[:top]
            best.append([(str(MetaPath(p)) if p else "itself", found[p]) for p in largest])
        return best

    def prepare(self, g: Adjacency | Homogeneous, adj: Adjacency, edge_weight: Tensor) -> Messages:
        """Messages along every edge with its weight and the number of its type, loops last."""
        known, key = _kinds.setdefault(g, {}), (self.steps or self.n_edge_types, edge_weight.device)
        if key not in known:
            numbers = np.append(self._numbers(g), np.full(adj.n_src, self.n_edge_types))
            known[key] = torch.from_numpy(numbers).to(edge_weight.device)
        weight = with_loops(edge_weight, adj.n_src)
        return Messages(adj.with_loops.T, weight, edge_type=known[key])

    def propagate(self, layers: list[Messages], h: Tensor) -> Tensor:
        """Row-normalised H_c h W of every channel, and the linear map of them all."""
        factors = self.selection().flip(1).unbind(1)  # in the order of hops, each (C, types + 1)
        average = _by_hops if self.form == "chain" else _by_product
        channels = average(layers, factors, h @ self.weight)  # each (n, d)
        weights = self.out.weight.unflatten(1, (self.n_channels, -1)).unbind(1)
        out: Tensor = self.out.bias
        for mean, weight in zip(channels, weights, strict=True):  # one at a time saves memory
            out = out + torch.relu(mean) @ weight.T
        return out

    def _numbers(self, g: Adjacency | Homogeneous) -> npt.NDArray[np.int64]:
        """(n_edges,) by edge id: number of the edge's type among those chosen from."""
        if isinstance(g, Adjacency):
            if self.n_edge_types == 1:
                return np.zeros(g.n_edges, np.int64)
            raise DataError(
                f"GTN: expected a graph that tells its {self.n_edge_types} edge types apart, got "
                f"an Adjacency. Give a Homogeneous, HeteroCSR or DGLGraph."
            )
        if self.steps is None:
            if g.n_edge_types == self.n_edge_types:
                return g.edge_types
            raise DataError(
                f"GTN: expected a graph of {self.n_edge_types} edge types, each direction counted, "
                f"got {g.n_edge_types}. Set both_ways alike, or give GTN the schema."
            )
        number = {step: k for k, step in enumerate(self.steps)}
        unknown = [step for step in g.edge_offsets if Step(*step) not in number]
        if unknown:
            (source, relation, target), forward = unknown[0]
            raise SchemaError(
                f"GTN: expected edge types of the schema it was given, got "
                f"{(source, relation, target)} walked {'along' if forward else 'against'} its "
                f"direction. Give the graph's schema, and both_ways as the graph was made."
            )
        return np.array([number[Step(*step)] for step in g.edge_offsets], np.int64)[g.edge_types]


def _steps(schema: Schema, both_ways: bool) -> tuple[Step, ...]:
    """Types with direction, as ``HeteroCSR.homogeneous`` numbers them."""
    directions = (True, False) if both_ways else (True,)
    return tuple(Step(e, forward) for e in schema.edge_types for forward in directions)


def _lengthened(
    found: dict[tuple[Step, ...], float], steps: tuple[Step, ...], shares: list[float]
) -> dict[tuple[Step, ...], float]:
    """Paths with their coefficients, after one more factor."""
    longer: dict[tuple[Step, ...], float] = defaultdict(float)
    for path, coefficient in found.items():
        longer[path] += coefficient * shares[-1]
        for step, share in zip(steps, shares, strict=False):
            if not path or path[-1].target == step.source:
                longer[*path, step] += coefficient * share
    return longer


def _edge_weights(messages: Messages, shares: Tensor) -> Tensor:
    """(C, n_edges) entries of a factor A_ck by edge id, from its shares (C, types + 1).

    One row a channel: of the ways to read a short table this has the cheapest adjoint.
    """
    return shares.index_select(1, messages.edge_type) * messages.weight


def _by_hops(layers: list[Messages], factors: tuple[Tensor, ...], x: Tensor) -> Iterator[Tensor]:
    """(n, d) row-normalised H_c x of one channel c after another, from right to left.

    The row sums H_c 1 come first, in hops of their own: they then go into the weights of the last
    factor, which are fewer than embeddings.
    """
    adjacencies = [messages.adjacency for messages in layers]
    of_channels = [_edge_weights(m, f) for m, f in zip(layers, factors, strict=True)]
    for first, *others in zip(*of_channels, strict=True):
        mass = ops.segment_sum(adjacencies[0], first).unsqueeze(-1)  # (n, 1)
        for adj, weight in zip(adjacencies[1:], others, strict=True):
            mass = ops.spmm(adj, mass, weight)
        weights = [first, *others]
        weights[-1] = weights[-1] * ops.gather_src(adjacencies[-1], _inverse(mass.squeeze(-1)))
        h = x
        for adj, weight in zip(adjacencies, weights, strict=True):
            h = ops.spmm(adj, h, weight)
        yield h


def _inverse(mass: Tensor) -> Tensor:
    """1 / mass; where that is zero, so is all it multiplies, and any number will do."""
    return mass.masked_fill(mass == 0, 1.0).reciprocal()


def _by_product(layers: list[Messages], factors: tuple[Tensor, ...], x: Tensor) -> Iterator[Tensor]:
    """(n, d) row-normalised H_c x of one channel after another, each H_c made first."""
    if layers[0].adjacency.device != "cpu":
        raise DeviceError(
            "GTN: expected a graph on the CPU with form='product', got one on a GPU. "
            "Use form='chain'."
        )
    patterns, entries = [], []
    for messages, shares in zip(reversed(layers), reversed(factors), strict=True):
        pattern, entry = _without_parallel(messages.adjacency)
        weights = _edge_weights(messages, shares)
        patterns.append(pattern)
        entries.append(
            weights.new_zeros(len(weights), pattern.n_edges).index_add(1, entry, weights)
        )
    for values in zip(*entries, strict=True):
        adj, product = patterns[0], values[0]
        for b, b_values in zip(patterns[1:], values[1:], strict=True):
            product, adj = SparseProduct.apply(adj, product, b, b_values)
        mass = ops.segment_sum(adj, product)
        yield ops.spmm(adj, x, product) * _inverse(mass).unsqueeze(-1)


def _without_parallel(adj: Adjacency) -> tuple[Adjacency, Tensor]:
    """The distinct entries, numbered by position, and (n_edges,) by edge id the entry of each."""
    rows = np.repeat(np.arange(adj.n_src), adj.out_degrees)
    first = np.ones(adj.n_edges, bool)
    first[1:] = (np.diff(rows) != 0) | (np.diff(adj.indices) != 0)
    entry = np.empty(adj.n_edges, np.int64)
    entry[slice(None) if adj.edge_ids is None else adj.edge_ids] = np.cumsum(first) - 1
    indptr = np.append(0, np.cumsum(first))[adj.indptr]
    return Adjacency(indptr, adj.indices[first], None, adj.n_dst), torch.from_numpy(entry)
