"""Heterogeneous graph attention: over the neighbours along each meta-path, then over the paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dglmeta.errors import ConfigError, DataError, SchemaError
from dglmeta.graph import Adjacency, Homogeneous, MetaPath, Schema
from dglmeta.graph.convert import as_csr
from dglmeta.nn.encoder import Encoder, Features, Graph, check_widths, one_tensor
from dglmeta.nn.path_attention import ATTENTIONS, Neighbourhood, PathLevel, neighbourhood

__all__ = ["HAN", "PathMessages"]


class PathMessages(NamedTuple):
    """Whom each node attends to along each meta-path; nodes are numbered type after type."""

    types: tuple[int, ...]
    """Number in the encoder's schema of each node type, in the order of the graph."""
    n_nodes: tuple[int, ...]
    """Nodes of each type, in the same order."""
    near: tuple[Neighbourhood, ...]
    """One a meta-path, within its node type."""
    wanted: tuple[bool, ...]
    """Whether any embedding is wanted of each type, in the same order."""
    rows: Tensor | None = None
    """(n,) int64: the embeddings wanted, as rows among those of the wanted types; None for all."""


class HAN(Encoder):
    r"""Heterogeneous graph attention network.

    Along each meta-path every node attends to its neighbours by K heads, side by side,

        h_i = M_type x_i,   z_i^path = || over k of ELU( sum_j a_ij^k h_j^k ),
        a_i^k = softmax over j of LeakyReLU( a_path^k . [h_i^k || h_j^k] ),

    with j over the nodes that at least one instance of the path joins to i, and i itself. Then the
    paths of a node type are weighted, alike for all its nodes:

        w_path = mean over i of q . tanh(W z_i^path + b),   z = sum softmax(w)_path z^path.

    A node type that has no meta-path gets ELU(M_type x).

    Parameters
    ----------
    schema : Schema
    metapaths : sequence of MetaPath or str
        Each ends at the node type where it starts. Types of nodes may have several, or none.
    d_in, d_out : int
        Widths of the node features, which is the same for all types, and of the embeddings.
    n_heads : int
        Heads of the attention over neighbours; divides ``d_out``. The paper has 8 of width 8.
    d_semantic : int
        Length of q.
    n_layers : int
        Layers, each with parameters of its own. The paper has one.
    attention : {"pairs", "instances", "auto"}
        What is attended along: see :func:`dglmeta.nn.path_attention.neighbourhood`.

    Raises
    ------
    SchemaError
        If a meta-path does not fit the schema, ends at another node type, or is given twice.
    ConfigError
        If there is no meta-path, a width or number is below 1, or the heads do not divide
        ``d_out``.

    Notes
    -----
    Neighbourhoods are computed once for each HeteroCSR and path and kept as long as the graph is;
    as pairs they hold every one that the path joins, see :func:`dglmeta.estimate_product`, and a
    step costs O(their number * d_out). Dropout is left to the caller.

    References
    ----------
    Wang et al., arXiv 1903.07293, eq. 1 to 9. The authors' program projects features anew for
    every path; here as in eq. 1 once for every node type.

    Examples
    --------
    >>> from dglmeta.data import toy
    >>> hg = toy().csr
    >>> encoder = HAN(hg.schema, ["user-item-user", "item-user-item", "item-tag-item"], 3, 4)
    >>> x = {name: torch.ones(n, 3) for name, n in hg.n_nodes.items()}
    >>> {name: tuple(z.shape) for name, z in encoder(hg, x).items()}
    {'user': (8, 4), 'item': (8, 4), 'tag': (4, 4)}
    >>> encoder.semantic_weights(hg, x)["user-[rated]-item-[~rated]-user"]
    1.0
    """

    def __init__(
        self,
        schema: Schema,
        metapaths: Sequence[MetaPath | str],
        d_in: int,
        d_out: int,
        *,
        n_heads: int = 1,
        d_semantic: int = 128,
        n_layers: int = 1,
        attention: str = "pairs",
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            raise ConfigError(
                f"HAN: expected attention among {list(ATTENTIONS)}, got {attention!r}."
            )
        widths = {"d_in": d_in, "d_out": d_out, "n_heads": n_heads, "d_semantic": d_semantic}
        check_widths("HAN", **widths, n_layers=n_layers)
        if d_out % n_heads:
            raise ConfigError(
                f"HAN: expected n_heads to divide d_out={d_out}, got {n_heads}. Change either."
            )
        self.node_types = schema.node_types
        self.metapaths = _closed_paths(schema, metapaths)
        self.n_hops, self.d_out, self.attention = n_layers, d_out, attention
        path_types = [schema.node_types.index(path.source) for path in self.metapaths]
        self.stack = nn.ModuleList(
            PathLevel(len(schema.node_types), path_types, width, d_out, n_heads, d_semantic)
            for width in (d_in, *[d_out] * (n_layers - 1))
        )

    def messages(self, g: Graph, edge_weight: Tensor | None = None) -> PathMessages:
        """The neighbourhoods along the meta-paths, where the encoder's parameters lie.

        Parameters
        ----------
        g : HeteroCSR or DGLGraph
            Of the encoder's node types, in any order.
        edge_weight : tensor, optional
            Not looked at: whether a path joins two nodes is found from all edges of ``g``. An edge
            that a batch must not see has to be missing from ``g``, or be of a type that no
            meta-path walks.

        Raises
        ------
        SchemaError
            If the graph has other node types, or lacks an edge type that a meta-path walks.
        DataError
            If it is not a heterograph.
        """
        del edge_weight
        if isinstance(g, Adjacency | Homogeneous):
            raise DataError(
                f"HAN: expected a HeteroCSR or a DGLGraph, got {type(g).__name__}. Give the graph "
                f"with its types: meta-paths walk along them."
            )
        hg = as_csr(g).host
        if set(hg.schema.node_types) != set(self.node_types):
            raise SchemaError(
                f"HAN: expected a graph with the node types {list(self.node_types)}, got "
                f"{list(hg.schema.node_types)}. Make the encoder from this graph's schema."
            )
        device = next(self.parameters()).device.type
        return PathMessages(
            tuple(self.node_types.index(name) for name in hg.schema.node_types),
            tuple(hg.n_nodes[name] for name in hg.schema.node_types),
            tuple(neighbourhood(hg, p, self.attention).to(device) for p in self.metapaths),
            (True,) * len(self.node_types),
        )

    def layers(self, messages: PathMessages, nodes: Tensor) -> list[PathMessages]:
        """The same messages, marked with the nodes whose embeddings are wanted.

        The weight of a path is a mean over all nodes of a type, so every layer computes them all,
        but nothing of a type that none of ``nodes`` is of: types do not hear of each other.
        """
        n_each = torch.tensor(messages.n_nodes, device=nodes.device)
        kind = torch.bucketize(nodes, n_each.cumsum(0), right=True)
        wanted = torch.bincount(kind, minlength=len(n_each)) > 0
        left_out = (n_each * ~wanted).cumsum(0)  # rows of the types up to each
        rows = nodes - left_out[kind]
        marked = messages._replace(wanted=tuple(wanted.tolist()), rows=rows)
        return [marked] * self.n_hops

    def propagate(self, layers: list[PathMessages], h: Tensor) -> Tensor:
        """(n, d_out) embeddings of the nodes that are wanted, from the features of all nodes."""
        z, _ = self._run(layers[-1], h)
        rows = layers[-1].rows
        return z if rows is None else z[rows]

    def semantic_weights(self, g: list[PathMessages] | Graph, x: Features) -> dict[str, float]:
        """Weight of each meta-path in the last layer; those of a node type sum to one.

        Parameters
        ----------
        g : HeteroCSR or DGLGraph, or what ``layers`` made of one
            Of node types that none of the wanted nodes is of, the paths are left out.
        x : (N, d_in) tensor, or dict of node type to (n, d_in)
            Node features.
        """
        messages = g[-1] if isinstance(g, list) else self.messages(g)
        with torch.no_grad():
            _, beta = self._run(messages, one_tensor(g, x))
        return {str(self.metapaths[k]): float(weight) for k, weight in sorted(beta.items())}

    def _run(self, messages: PathMessages, h: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """Embeddings of the wanted types, and the last layer's weight of each meta-path."""
        if len(h) != sum(messages.n_nodes):
            raise DataError(
                f"HAN: expected features of {sum(messages.n_nodes)} nodes, got {tuple(h.shape)}. "
                f"Give a row for every node, type after type."
            )
        every = zip(messages.types, h.split(messages.n_nodes), messages.wanted, strict=True)
        of_type = {number: part for number, part, wanted in every if wanted}
        beta: dict[int, Tensor] = {}
        for level in self.stack:
            for number, part in of_type.items():
                of_type[number], weights = level(messages.near, number, part)
                beta.update(weights)
        parts = list(of_type.values()) or [h.new_zeros(0, self.d_out)]
        return torch.cat(parts), beta


def _closed_paths(schema: Schema, metapaths: Sequence[MetaPath | str]) -> tuple[MetaPath, ...]:
    """The meta-paths, each from a node type back to it, none twice."""
    if not metapaths or isinstance(metapaths, str):
        raise ConfigError(
            f"HAN: expected a list of at least one meta-path, got {metapaths!r}. "
            f"Name those from a node type back to it."
        )
    paths = [
        MetaPath.parse(p, schema) if isinstance(p, str) else p.validate(schema) for p in metapaths
    ]
    for k, path in enumerate(paths):
        if path.source != path.target:
            raise SchemaError(
                f"HAN: expected meta-paths that end at the node type they start from, got "
                f"'{path}' from {path.source!r} to {path.target!r}. Walk it there and back."
            )
        if path in paths[:k]:
            raise SchemaError(f"HAN: expected each meta-path once, got '{path}' again. Drop it.")
    return tuple(paths)
