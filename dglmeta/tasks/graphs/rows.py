"""The graphs of a data set as one table of nodes and edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.data.graph_dataset import LINK, NODE, GraphDataset
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency, GraphBatch
from dglmeta.tasks.graphs.few_shot import degree_profile
from dglmeta.tasks.graphs.spans import check_numbers, spans

__all__ = [
    "ROW_FEATURES",
    "SCALINGS",
    "Degrees",
    "GraphRows",
    "both_ways",
    "graph_rows",
]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

ROW_FEATURES = ("attributes", "feat", "degrees")
"""Of a node: what the data set has under the first two names; its degree profile."""

SCALINGS = ("standard", "rows", "none")
"""Columns of mean 0 and deviation 1 over the training nodes; rows of sum 1; as they are."""


class Degrees(NamedTuple):
    """Columns of the features that hold the degree profile, and how it is scaled there."""

    columns: slice
    centre: Doubles
    unit: Doubles


@dataclass(frozen=True, eq=False)
class GraphRows:
    """The B graphs of a data set with their nodes in one numbering, N of them."""

    node_ptr: Ids
    """(B + 1,): graph b has the nodes ``node_ptr[b]`` up to ``node_ptr[b + 1]``."""
    x: Floats
    """(N, d): features, scaled; the degrees among them, if any, are those of the whole graphs."""
    edges: Ids
    """(m, 2): undirected edges u < v, graph after graph, ascending."""
    edge_ptr: Ids
    """(B + 1,): the same as ``node_ptr`` for the edges."""
    node_label: Ids | None = None
    """(N,): class of each node."""
    graph_label: Ids | None = None
    """(B,): class of each graph."""
    degrees: Degrees | None = None
    """Where degrees are; an encoder reads those in the edges that it hears, and of no other."""

    def __len__(self) -> int:
        """Number of graphs."""
        return len(self.node_ptr) - 1

    def classes(self, of: str) -> Ids:
        """Class of each of the "graphs" (B,), or of the "nodes" (N,).

        Raises
        ------
        DataError
            If the data set has none.
        """
        label = self.graph_label if of == "graphs" else self.node_label
        if label is None:
            raise DataError(
                f"GraphRows: expected classes of the {of}, got a data set without. Leave the task "
                f"out that asks for them."
            )
        return label

    @cached_property
    def n_nodes(self) -> Ids:
        """(B,): nodes of each graph."""
        return np.diff(self.node_ptr)

    @cached_property
    def n_edges(self) -> Ids:
        """(B,): undirected edges of each graph."""
        return np.diff(self.edge_ptr)

    @cached_property
    def graph_of_node(self) -> Ids:
        """(N,): graph of each node."""
        return np.repeat(np.arange(len(self)), self.n_nodes)

    @cached_property
    def graph_of_edge(self) -> Ids:
        """(m,): graph of each undirected edge."""
        return np.repeat(np.arange(len(self)), self.n_edges)

    @cached_property
    def links(self) -> Adjacency:
        """(N, N): every edge in both directions, no loops; ids are positions."""
        return both_ways(self.edges, len(self.x), loops=False)


def graph_rows(
    ds: GraphDataset, features: Sequence[str], *, scaling: str = "standard", train: Ids
) -> GraphRows:
    """All graphs of a data set as one table.

    Parameters
    ----------
    ds : GraphDataset
    features : sequence of str
        Of :data:`ROW_FEATURES`, side by side in this order.
    scaling : str
        One of :data:`SCALINGS`. ``"standard"``: each column less its mean over the nodes of the
        training graphs, divided by their deviation; a column in which these are all alike becomes
        zero. ``"rows"``: each row divided by its sum, sums below 1 counted as 1; not of degrees.
    train : (n,) integers
        Numbers of the training graphs; read by ``"standard"`` only.

    Raises
    ------
    ConfigError
        If a feature or scaling is unknown, they do not go together, or there is no feature.
    DataError
        If the data set lacks a feature, or a training graph is not one of its.

    Examples
    --------
    >>> from dglmeta.data import toy_graphs
    >>> rows = graph_rows(toy_graphs(), ["feat", "degrees"], scaling="none", train=np.arange(8))
    >>> len(rows), rows.x.shape, rows.edges.shape
    (12, (518, 8), (1863, 2))
    """
    _check_choices(features, scaling)
    batch = GraphBatch.from_graphs([graph.host for graph in ds.graphs])
    node_ptr, adj = batch.node_ptr[NODE], batch.graph.adjacencies[LINK]
    data = batch.graph.node_data.get(NODE, {})
    blocks = [_feature(ds.name, name, data, adj) for name in features]
    x = np.column_stack(blocks).astype(np.float64)
    u, v = (end.astype(np.int64) for end in adj.coo())
    edges = np.stack([u, v], axis=1)[u < v]
    centre, unit = _scale(x, scaling, node_ptr, train)
    return GraphRows(
        node_ptr,
        ((x - centre) / unit).astype(np.float32),
        edges,
        np.searchsorted(edges[:, 0], node_ptr),
        data.get("label"),
        ds.labels,
        _degrees(features, blocks, centre, unit),
    )


def both_ways(edges: Ids, n: int, *, loops: bool) -> Adjacency:
    """(n, n): edges in both directions; ids are positions."""
    u, v = edges.T
    own = np.arange(n if loops else 0)
    adj = Adjacency.from_coo(np.concatenate([u, v, own]), np.concatenate([v, u, own]), (n, n))
    return Adjacency(adj.indptr, adj.indices, None, n)


def _check_choices(features: Sequence[str], scaling: str) -> None:
    unknown = [name for name in features if name not in ROW_FEATURES]
    if unknown or not features:
        raise ConfigError(
            f"graph_rows: expected features of {', '.join(ROW_FEATURES)}, got "
            f"{', '.join(unknown) or 'none'}. Name some of these."
        )
    if scaling not in SCALINGS:
        raise ConfigError(
            f"graph_rows: expected a scaling of {', '.join(SCALINGS)}, got {scaling!r}. Choose one."
        )
    if scaling == "rows" and "degrees" in features:
        raise ConfigError(
            "graph_rows: expected features of the data set where rows are scaled, got degrees. "
            "Name attributes or feat."
        )


def _feature(where: str, name: str, data: Mapping[str, Array], adj: Adjacency) -> Array:
    """(N, d) one block of features."""
    if name == "degrees":
        return degree_profile(adj)
    if name not in data:
        there = [known for known in ROW_FEATURES if known in data or known == "degrees"]
        raise DataError(
            f"{where}: expected nodes with the feature {name!r}, got nodes with "
            f"{', '.join(there)}. Name some of these."
        )
    return data[name]


def _scale(
    x: Doubles, scaling: str, node_ptr: Ids, train: npt.ArrayLike
) -> tuple[Doubles, Doubles]:
    """What to take off the features and divide them by: (1 or d,) and (1 or d,) or (N, 1)."""
    if scaling == "none":
        return np.zeros(x.shape[1]), np.ones(x.shape[1])
    if scaling == "rows":
        return np.zeros(x.shape[1]), x.sum(axis=1, keepdims=True).clip(1)
    train = check_numbers("graph_rows", train, len(node_ptr) - 1)
    seen = x[spans(node_ptr[train], np.diff(node_ptr)[train])]
    alike = seen.min(axis=0) == seen.max(axis=0)
    return seen.mean(axis=0), np.where(alike, np.inf, seen.std(axis=0))


def _degrees(
    features: Sequence[str], blocks: Sequence[Array], centre: Doubles, unit: Doubles
) -> Degrees | None:
    """Where degrees stand, if they do."""
    if "degrees" not in features:
        return None
    at = list(features).index("degrees")
    first = sum(block.shape[1] for block in blocks[:at])
    columns = slice(first, first + blocks[at].shape[1])
    return Degrees(columns, centre[columns], unit[columns])
