"""Many graphs of one kind as a data set: nodes without types, undirected edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.data.dataset import Card, Dataset
from dglmeta.data.undirected import LINK, NODE, SCHEMA, undirected, undirected_parts
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import HeteroCSR

__all__ = [
    "LINK",
    "NODE",
    "GraphDataset",
    "GraphSplit",
    "one_graph",
    "undirected",
    "undirected_parts",
]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]

LEAST_GRAPHS = 3


class GraphSplit(NamedTuple):
    """Numbers of the graphs to learn from, to choose by and to test on."""

    train: Ids
    """(n_train,) int64, ascending."""
    valid: Ids
    """(n_valid,) int64, ascending."""
    test: Ids
    """(n_test,) int64, ascending."""


@dataclass(frozen=True, eq=False)
class GraphDataset:
    """Undirected graphs of one kind, from which to learn what carries over to a new one.

    Parameters
    ----------
    name : str
        What :func:`load_dataset` finds it by.
    graphs : tuple of HeteroCSR
        At least one; each with node type ``NODE`` and edge type ``LINK``, every edge in both
        directions, no loops, no parallel edges. ``node_data["node"]`` holds, in all graphs or in
        none, ``"feat"`` (n, d) float32 and ``"label"`` (n,) int64.
    graph_names : tuple of str
        One a graph, all different.
    labels : (n_graphs,) int64 or None
        Class of each graph, from 0.
    published : GraphSplit or None
        The published split of the graphs, if there is one.
    card : Card

    Raises
    ------
    DataError
        If a graph, feature, name, class or published part is not as above.

    Examples
    --------
    >>> pair = undirected(2, [0], [1])
    >>> ds = GraphDataset("pairs", (pair, pair, pair), ("0", "1", "2"))
    >>> ds.counts
    {'graphs': 3, 'nodes': 6, 'edges': 3, 'features': 0, 'classes': 0}
    >>> ds.leave_one_out(1)
    GraphSplit(train=array([0]), valid=array([2]), test=array([1]))
    """

    name: str
    graphs: tuple[HeteroCSR, ...]
    graph_names: tuple[str, ...]
    labels: Ids | None = None
    published: GraphSplit | None = None
    card: Card = field(default_factory=Card)

    def __post_init__(self) -> None:
        if not self.graphs:
            raise DataError(f"{self.name}: expected at least one graph, got none. Give some.")
        for number, graph in enumerate(self.graphs):
            where = f"{self.name}, graph {number}"
            _check_structure(where, graph)
            _check_rows(where, graph, self.graphs[0])
        _check_names(self.name, self.graph_names, len(self.graphs))
        if self.labels is not None:
            _check_classes(self.name, self.labels, len(self.graphs))
        if self.published is not None:
            _check_split(self.name, self.published, len(self.graphs))

    def __len__(self) -> int:
        """Number of graphs."""
        return len(self.graphs)

    @property
    def n_features(self) -> int:
        """Width of ``"feat"``; 0 where the nodes have no features."""
        feat = _rows(self.graphs[0], "feat")
        return 0 if feat is None else int(feat.shape[1])

    @property
    def counts(self) -> Mapping[str, int]:
        """Graphs, nodes, undirected edges counted once, features, and classes of the graphs."""
        return {
            "graphs": len(self.graphs),
            "nodes": sum(graph.n_nodes[NODE] for graph in self.graphs),
            "edges": sum(graph.adjacencies[LINK].n_edges for graph in self.graphs) // 2,
            "features": self.n_features,
            "classes": 0 if self.labels is None else int(self.labels.max()) + 1,
        }

    def splits(self, seed: int = 0, *, shares: tuple[float, float] = (0.1, 0.1)) -> GraphSplit:
        """The published split, or the graphs dealt at random, 80, 10 and 10 per cent by default.

        Parameters
        ----------
        seed : int
            Same seed, same split; without effect where a split is published.
        shares : (float, float)
            Of valid and test, each in [0, 1), together under 1; without effect where a split is
            published. Numbers of graphs are rounded down, but are one at least.

        Raises
        ------
        ConfigError
            If shares are not as above, or leave no graph to train on.
        DataError
            If there are fewer than 3 graphs.
        """
        _check_shares(self.name, shares)
        if self.published is not None:
            return self.published
        n = self._enough()
        # 0.29 of 100 is 28.999999999999996 in floating point.
        n_valid, n_test = (max(1, int(n * share + 1e-9)) for share in shares)
        if n_valid + n_test >= n:
            raise ConfigError(
                f"{self.name}: expected shares that leave a graph to train on, got {n_valid} to "
                f"choose by and {n_test} to test on of {n}. Make them smaller."
            )
        order = np.random.default_rng(seed).permutation(n)
        ends = [n - n_valid - n_test, n - n_test]
        return GraphSplit(*(np.sort(part) for part in np.split(order, ends)))

    def leave_one_out(self, k: int) -> GraphSplit:
        """Graph ``k`` to test on, the next one (after the last, the first) to choose by.

        Raises
        ------
        ConfigError
            If there is no graph ``k``.
        DataError
            If there are fewer than 3 graphs.
        """
        n = self._enough()
        if not 0 <= k < n:
            raise ConfigError(
                f"{self.name}: expected the number of a graph, 0 to {n - 1}, got {k}. Change it."
            )
        valid = (k + 1) % n
        rest = np.setdiff1d(np.arange(n), [k, valid])
        return GraphSplit(rest, np.array([valid]), np.array([k]))

    def _enough(self) -> int:
        n = len(self.graphs)
        if n < LEAST_GRAPHS:
            raise DataError(
                f"{self.name}: expected at least {LEAST_GRAPHS} graphs, one each to train, choose "
                f"and test with, got {n}. Give more."
            )
        return n


def one_graph(ds: Dataset | GraphDataset) -> Dataset:
    """The same data set, for what works on a single graph only.

    Raises
    ------
    DataError
        If it is one of many graphs.

    Examples
    --------
    >>> from dglmeta.data import toy, toy_graphs
    >>> one_graph(toy()).name
    'toy'
    >>> one_graph(toy_graphs())
    Traceback (most recent call last):
    ...
    dglmeta.errors.DataError: toy-graphs: expected a data set of a single graph, got one of 12. Give
    another.
    """
    if isinstance(ds, GraphDataset):
        raise DataError(
            f"{ds.name}: expected a data set of a single graph, got one of {len(ds)}. Give another."
        )
    return ds


def _rows(graph: HeteroCSR, name: str) -> Array | None:
    return graph.node_data.get(NODE, {}).get(name)


def _check_structure(where: str, graph: HeteroCSR) -> None:
    """Refuse a graph of other types, a loop, a repeat and an edge in one direction only."""
    if graph.schema != SCHEMA:
        raise DataError(
            f"{where}: expected node type {NODE!r} and edge type {LINK}, got "
            f"{list(graph.schema.node_types)} and {list(graph.schema.edge_types)}. Build it with "
            f"`undirected`."
        )
    adj = graph.host.adjacencies[LINK]
    row, column = np.repeat(np.arange(adj.n_src), adj.out_degrees), adj.indices
    repeated = (row[1:] == row[:-1]) & (column[1:] == column[:-1])
    for what, wrong in (("loops", row == column), ("parallel edges", repeated)):
        if wrong.any():
            node = row[: len(wrong)][wrong][0]
            raise DataError(
                f"{where}: expected no {what}, got one at node {node}. Build it with `undirected`."
            )
    if not (np.array_equal(adj.indptr, adj.T.indptr) and np.array_equal(column, adj.T.indices)):
        raise DataError(
            f"{where}: expected every edge in both directions, got one in one only. Build it with "
            f"`undirected`."
        )


def _check_rows(where: str, graph: HeteroCSR, first: HeteroCSR) -> None:
    """Refuse features and labels of another form, or not as in the first graph."""
    for name, dtype, n_axes, form in (
        ("feat", np.float32, 2, "(n, d) float32"),
        ("label", np.int64, 1, "(n,) int64"),
    ):
        values, model = _rows(graph, name), _rows(first, name)
        if (values is None) != (model is None):
            has, lacks = ("the first", "this") if values is None else ("this", "the first")
            raise DataError(
                f"{where}: expected {name!r} in all graphs or in none, got it in {has} and not in "
                f"{lacks}. Give it to all."
            )
        if values is None or model is None:
            continue
        if values.dtype != dtype or values.ndim != n_axes or values.shape[1:] != model.shape[1:]:
            raise DataError(
                f"{where}: expected {name!r} as {form}, rows as in the first graph "
                f"{model.shape[1:]}, got {values.dtype} of shape {values.shape}. Convert it."
            )


def _check_names(where: str, names: tuple[str, ...], n: int) -> None:
    if len(names) != n or len(set(names)) != n:
        raise DataError(
            f"{where}: expected {n} different names of graphs, got {len(names)} of which "
            f"{len(set(names))} differ. Give each graph its own."
        )


def _check_classes(where: str, labels: Ids, n: int) -> None:
    if labels.dtype != np.int64 or labels.shape != (n,) or labels.min() < 0:
        raise DataError(
            f"{where}: expected classes of the {n} graphs as ({n},) int64 >= 0, got "
            f"{labels.dtype} of shape {labels.shape}, least {labels.min(initial=0)}. Number the "
            f"classes from 0."
        )


def _check_shares(where: str, shares: tuple[float, float]) -> None:
    if len(shares) != 2 or not (all(share >= 0 for share in shares) and sum(shares) < 1):
        raise ConfigError(
            f"{where}: expected shares of valid and test, each 0 or more and together under 1, got "
            f"{shares}. Change them."
        )


def _check_split(where: str, split: GraphSplit, n: int) -> None:
    every = np.concatenate(split)
    distinct = len(np.unique(every)) == len(every)
    inside = every.dtype == np.int64 and len(every) > 0 and 0 <= every.min() <= every.max() < n
    if not (distinct and inside and all(len(part) for part in split)):
        sizes = [len(part) for part in split]
        raise DataError(
            f"{where}: expected a published split of int64 numbers 0 to {n - 1} in three parts, "
            f"none empty, no number twice, got parts of {sizes}. Correct it."
        )
