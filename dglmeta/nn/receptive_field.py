"""What two layers read to answer for some nodes, made once for all models and epochs."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from scipy.sparse import csr_array, issparse
from torch import Tensor

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.nn.encoder import Encoder, Messages
from dglmeta.nn.gat import GAT
from dglmeta.nn.gnn import GCN, SAGE
from dglmeta.nn.shared_product import Matrix, SharedHop, SharedProduct, cheapest, thrifty

__all__ = ["KINDS", "FieldParts", "ReceptiveField", "check_kind"]

KINDS: dict[str, type[GCN | GAT | SAGE]] = {"GCN": GCN, "GAT": GAT, "SAGE": SAGE}
"""The encoder whose messages each kind of model hears."""


class ReceptiveField:
    r"""All that a two-layer model reads to compute its outputs at some nodes.

    These are the rows wanted, the hidden nodes they hear from (themselves among them), and the
    features of those these hear from in turn. What does not depend on parameters, as the product
    Â X at the hidden nodes, is computed once.

    Parameters
    ----------
    adj : Adjacency
        Square, over all N nodes; messages run along its edges.
    x : (N, d) tensor or SciPy sparse matrix
        Node features.
    rows : (n_rows,) int64 tensor
        The nodes whose outputs are wanted, in this order; at least one.
    dtype : torch.dtype
        Of the models' parameters.
    device : str
        Where the models lie, "cpu" or "cuda". What is given here lies on the host, and is copied.

    Raises
    ------
    DataError
        If the features are not of the adjacency's nodes, or a row is no node.

    Notes
    -----
    Cost of ``parts``: one product of the messages with x, O(n_edges d) at most. Whether a matrix is
    kept sparse or dense, and whether Â X is kept as one matrix or as two, is chosen by the number
    of entries that a product passes over; see
    ``SPARSE_ENTRY`` in :mod:`dglmeta.nn.shared_product`.

    Examples
    --------
    >>> path = Adjacency.from_coo([0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2], (4, 4))
    >>> field = ReceptiveField(path, torch.eye(4), torch.tensor([0]))
    >>> field.n_hidden
    2
    >>> received, = field.parts("GCN").products
    >>> received(torch.ones(1, 4, 1)).squeeze()
    tensor([0.9082, 1.0749])
    """

    def __init__(
        self,
        adj: Adjacency,
        x: Tensor | csr_array,
        rows: Tensor,
        *,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> None:
        _check(adj, x, rows)
        self.adjacency, self.rows, self.dtype, self.device = adj, rows, dtype, device
        self.d_in = int(x.shape[1])
        self._x = thrifty(csr_array(x) if issparse(x) else x.double().numpy())
        self._parts: dict[str, FieldParts] = {}
        self.hidden = _messages("SAGE", adj).to(rows).among()[1]

    @property
    def n_rows(self) -> int:
        """Number of rows wanted."""
        return len(self.rows)

    @property
    def n_hidden(self) -> int:
        """Number of nodes whose hidden state is computed."""
        return len(self.hidden)

    def parts(self, kind: str) -> FieldParts:
        """The products and hops of one kind of model, kept.

        Raises
        ------
        ConfigError
            If the kind is not one of GCN, GAT and SAGE.
        """
        check_kind("ReceptiveField", kind)
        if kind not in self._parts:
            self._parts[kind] = self._make(kind)
        return self._parts[kind]

    def _make(self, kind: str) -> FieldParts:
        every = _messages(kind, self.adjacency)
        last = self._hop(every.to(self.rows).among()[0])
        first, senders = every.to(self.hidden).among()
        x = self._x[senders.numpy()]
        if kind == "GAT":
            products = (self._product([x]),)
            return FieldParts(products, self._hop(first), last)
        received = self._product(cheapest(_matrix(first), x))
        if kind == "GCN":
            return FieldParts((received,), None, last)
        own = self._product([self._x[self.hidden.numpy()]])
        return FieldParts((own, received), None, last)

    def _hop(self, messages: Messages) -> SharedHop:
        receivers = cast(Tensor, messages.receivers)  # there are, of messages to some nodes
        weight = messages.weight.to(self.dtype)
        return SharedHop(messages.adjacency, weight, receivers, self.device)

    def _product(self, factors: list[Matrix]) -> SharedProduct:
        return SharedProduct(factors, self.dtype, self.device)


class FieldParts(NamedTuple):
    """What one kind of model reads of a field."""

    products: tuple[SharedProduct, ...]
    """Of the features: what hidden nodes receive (GCN), what they are and receive (SAGE), or what
    is sent to them (GAT)."""
    first: SharedHop | None
    """To the hidden nodes, where that depends on parameters (GAT)."""
    last: SharedHop
    """From the hidden nodes to the rows wanted."""


def _messages(kind: str, adj: Adjacency) -> Messages:
    with torch.device("meta"):  # its parameters are not read, and so none are drawn
        encoder: Encoder = KINDS[kind](1, 1)
    return encoder.messages(adj, torch.ones(adj.n_edges, dtype=torch.float64))


def _matrix(messages: Messages) -> csr_array:
    return messages.adjacency.to_scipy(messages.weight.numpy())


def check_kind(where: str, kind: str) -> None:
    """Refuse a kind of model that there is not.

    Raises
    ------
    ConfigError
        Naming those there are.
    """
    if kind not in KINDS:
        raise ConfigError(f"{where}: expected a kind among {[*KINDS]}, got {kind!r}. Name one.")


def _check(adj: Adjacency, x: Tensor | csr_array, rows: Tensor) -> None:
    n = adj.n_src
    if adj.shape != (n, n) or len(x.shape) != 2 or x.shape[0] != n:
        raise DataError(
            f"ReceptiveField: expected a square adjacency and features (N, d) of its nodes, got "
            f"shapes {adj.shape} and {tuple(x.shape)}. Give each node its row."
        )
    whole = rows.dtype == torch.int64 and rows.ndim == 1 and len(rows) > 0
    if not whole or int(rows.min()) < 0 or int(rows.max()) >= n:
        raise DataError(
            f"ReceptiveField: expected rows as int64 node ids in [0, {n}), at least one, got "
            f"{rows.dtype} of shape {tuple(rows.shape)}. Give the nodes whose outputs are wanted."
        )
