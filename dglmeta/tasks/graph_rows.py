"""The graphs of a data set as one table of nodes and edges, and parts of it as layers read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.data.graph_dataset import LINK, NODE, GraphDataset
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency, GraphBatch
from dglmeta.nn.multi_task import TaskGraphs
from dglmeta.tasks.few_shot import degree_profile

__all__ = [
    "ROW_FEATURES",
    "SCALINGS",
    "GraphRows",
    "graph_rows",
    "layout_edges",
    "layout_rows",
    "task_graphs",
]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

ROW_FEATURES = ("attributes", "feat", "degrees")
"""Of a node: what the data set has under the first two names; its degree profile."""

SCALINGS = ("standard", "rows", "none")
"""Columns of mean 0 and deviation 1 over the training nodes; rows of sum 1; as they are."""


@dataclass(frozen=True, eq=False)
class GraphRows:
    """The B graphs of a data set with their nodes in one numbering, N of them."""

    node_ptr: Ids
    """(B + 1,): graph b has the nodes ``node_ptr[b]`` up to ``node_ptr[b + 1]``."""
    x: Floats
    """(N, d): features, scaled."""
    edges: Ids
    """(m, 2): undirected edges u < v, graph after graph, ascending."""
    edge_ptr: Ids
    """(B + 1,): the same as ``node_ptr`` for the edges."""
    node_label: Ids | None = None
    """(N,): class of each node."""
    graph_label: Ids | None = None
    """(B,): class of each graph."""

    def __len__(self) -> int:
        """Number of graphs."""
        return len(self.node_ptr) - 1

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
        return _both_ways(self.edges, len(self.x), loops=False)


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
        zero. ``"rows"``: each row divided by its sum, sums below 1 counted as 1.
    train : (n,) integers
        Numbers of the training graphs; read by ``"standard"`` only.

    Raises
    ------
    ConfigError
        If a feature or scaling is unknown, or there is no feature.
    DataError
        If the data set lacks a feature, or a training graph is not one of its.

    Notes
    -----
    Degrees are those of the whole graphs: they know of the edges that a task may ask about.

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
    x = np.column_stack([_feature(ds.name, name, data, adj) for name in features])
    u, v = (end.astype(np.int64) for end in adj.coo())
    edges = np.stack([u, v], axis=1)[u < v]
    scaled = _scaled(x.astype(np.float64), scaling, node_ptr, train)
    return GraphRows(
        node_ptr,
        scaled.astype(np.float32),
        edges,
        np.searchsorted(edges[:, 0], node_ptr),
        data.get("label"),
        ds.labels,
    )


def layout_rows(rows: GraphRows, numbers: Ids) -> tuple[Ids, Ids]:
    """Where graphs that stand one after another begin, and which node each of their rows is.

    Parameters
    ----------
    rows : GraphRows
    numbers : (k,) int64
        Graphs in any order; one may come again.

    Returns
    -------
    node_ptr : (k + 1,) int64
        Rows of the graph at position i: ``node_ptr[i]`` up to ``node_ptr[i + 1]``.
    node : (N',) int64
        Node of each row, as ``rows`` numbers it.
    """
    n_each = rows.n_nodes[numbers]
    return pointers(n_each), spans(rows.node_ptr[numbers], n_each)


def layout_edges(rows: GraphRows, numbers: Ids) -> tuple[Ids, Ids]:
    """The undirected edges of graphs that stand one after another.

    Parameters
    ----------
    rows : GraphRows
    numbers : (k,) int64
        As in :func:`layout_rows`.

    Returns
    -------
    edges : (m', 2) int64
        u < v in the numbering of :func:`layout_rows`, ascending.
    position : (m',) int64
        Position in ``numbers`` of the graph of each edge.
    """
    n_each = rows.n_edges[numbers]
    position = np.repeat(np.arange(len(numbers)), n_each)
    shift = pointers(rows.n_nodes[numbers])[:-1] - rows.node_ptr[numbers]
    edges = rows.edges[spans(rows.edge_ptr[numbers], n_each)]
    return edges + shift[position, None], position


def task_graphs(
    rows: GraphRows,
    numbers: Ids,
    edges: Ids,
    task_ptr: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float32,
) -> TaskGraphs:
    """Graphs one after another, with messages over some edges, as an encoder reads them.

    Parameters
    ----------
    rows : GraphRows
    numbers : (k,) int64
        As in :func:`layout_rows`.
    edges : (n, 2) int64
        Undirected edges u != v in the numbering of :func:`layout_rows`, each once. Messages pass
        both ways, and from each node to itself.
    task_ptr : sequence of int, optional
        Rows at which tasks begin, and the number of rows; by default there is one task.
    dtype : torch.dtype
        float32 or float64.
    """
    _, node = layout_rows(rows, numbers)
    heard, messages, weight = hear(rows.x[node], edges, dtype)
    return TaskGraphs(heard, messages, weight, tuple(task_ptr or (0, len(node))))


def hear(x: Floats, edges: Ids, dtype: torch.dtype) -> tuple[Tensor, Adjacency, Tensor]:
    """Â X, the pattern of Â = D^-1/2 (A + I) D^-1/2, and its values by position.

    ``edges`` (n, 2) are undirected, u != v, each once; ``dtype`` is that of what is returned.
    """
    real = torch.empty(0, dtype=dtype).numpy().dtype
    adj = _both_ways(edges, len(x), loops=True)
    n_heard = adj.out_degrees
    root = 1 / np.sqrt(n_heard)
    weight = (np.repeat(root, n_heard) * root[adj.indices]).astype(real)
    heard = adj.to_scipy(weight) @ x.astype(real, copy=False)
    return torch.from_numpy(heard), adj, torch.from_numpy(weight)


def pointers(n_each: Ids) -> Ids:
    """(k + 1,): where each of k spans begins when they stand one after another."""
    ptr = np.zeros(len(n_each) + 1, np.int64)
    np.cumsum(n_each, out=ptr[1:])
    return ptr


def spans(begin: Ids, n_each: Ids) -> Ids:
    """The numbers ``begin[i]`` up to ``begin[i] + n_each[i]``, for every i in turn."""
    ptr = pointers(n_each)
    return np.arange(ptr[-1]) + np.repeat(begin - ptr[:-1], n_each)


def check_numbers(where: str, numbers: npt.ArrayLike, n: int) -> Ids:
    """Numbers of graphs as int64, at least one, all of them below n."""
    ids = np.asarray(numbers)
    kind = ids.ndim == 1 and np.issubdtype(ids.dtype, np.integer) and len(ids) > 0
    if not kind or ids.min() < 0 or ids.max() >= n:
        got = f"{ids.min()} to {ids.max()}" if kind else f"{ids.dtype} of shape {ids.shape}"
        raise DataError(
            f"{where}: expected numbers of graphs, 0 to {n - 1}, got {got}. Correct them."
        )
    return ids.astype(np.int64, copy=False)


def _both_ways(edges: Ids, n: int, *, loops: bool) -> Adjacency:
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


def _scaled(x: Doubles, scaling: str, node_ptr: Ids, train: npt.ArrayLike) -> Doubles:
    """(N, d) features, scaled."""
    if scaling == "none":
        return x
    centre, unit = np.zeros(1), x.sum(axis=1, keepdims=True).clip(1)
    if scaling == "standard":
        train = check_numbers("graph_rows", train, len(node_ptr) - 1)
        seen = x[spans(node_ptr[train], np.diff(node_ptr)[train])]
        alike = seen.min(axis=0) == seen.max(axis=0)
        centre, unit = seen.mean(axis=0), np.where(alike, np.inf, seen.std(axis=0))
    scaled: Doubles = (x - centre) / unit
    return scaled
