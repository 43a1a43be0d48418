"""Many graphs out of one: what lies around nodes drawn at random."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.data.formats.npz import read_amazon_computers
from dglmeta.data.graph_dataset import GraphDataset
from dglmeta.data.undirected import LINK, NODE, SCHEMA
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency, HeteroCSR
from dglmeta.paths.undirected import as_undirected

__all__ = ["ego_networks", "k_core", "read_amazon_computers_egos"]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

DTYPES = {"feat": np.float32, "label": np.int64}


def read_amazon_computers_egos(
    folder: str | Path,
    *,
    n_graphs: int = 40,
    cap: int = 300,
    disjoint: bool = True,
    seed: int = 0,
) -> GraphDataset:
    """Ego networks of Amazon's computers with features and labels. See :func:`ego_networks`.

    They share no node unless ``disjoint`` is False: then the test edges of one are known in others.

    Parameters
    ----------
    folder : path
        Of the file that :func:`dglmeta.data.read_amazon_computers` reads.
    n_graphs, cap, disjoint, seed
        As in :func:`ego_networks`.
    """
    ds = read_amazon_computers(folder)
    split = ds.node_split
    label = np.zeros(ds.csr.n_nodes[NODE], np.int64)
    for part in (split.train, split.valid, split.test) if split is not None else ():
        label[part.node] = part.label
    data = {NODE: {**ds.csr.node_data[NODE], "label": label}}
    hg = replace(ds.csr, node_data=data)
    return ego_networks(hg, n_graphs=n_graphs, cap=cap, disjoint=disjoint, seed=seed)


def ego_networks(
    hg: HeteroCSR,
    *,
    n_graphs: int,
    k: int = 5,
    hops: int = 2,
    cap: int | None = None,
    min_nodes: int = 100,
    max_nodes: int = 20_000,
    disjoint: bool = False,
    seed: int = 0,
) -> GraphDataset:
    """A multi-graph data set from one graph: its k-core, and in it the nodes around random ones.

    The graph counts as undirected and simple, whatever its types. Centres are drawn at random
    without replacement, and those with too few or too many nodes around them are passed over.

    Parameters
    ----------
    hg : HeteroCSR
    n_graphs : int
    k : int
        Neighbours a node keeps in the core; 0 for the whole graph.
    hops : int
        How far from its centre an ego network reaches, at least 1.
    cap : int, optional
        Most nodes of an ego network, its centre counted. A hop is taken whole while there is room;
        of the first for which there is not, as many nodes as there is room for, uniformly, and the
        next hop starts from those.
    min_nodes, max_nodes : int
        Sizes to keep, after the cap.
    disjoint : bool
        Keep an ego network off the nodes of those before it. Otherwise they overlap, and edges of
        a graph held out to test are, with the features of their ends, in graphs trained on.
    seed : int
        Same seed, same graphs.

    Returns
    -------
    ds : GraphDataset
        All edges of the core between an ego network's nodes, in rising order of ``"id"``, the
        number of a node in ``hg`` over all types. Graphs are named by the id of their centre. Node
        data that all node types have in one form is kept.

    Raises
    ------
    ConfigError
        If a number is out of range.
    DataError
        If the core is empty, or there are not enough centres.

    Notes
    -----
    The core costs O(n_nodes + n_edges), an ego network what its nodes' edges cost.

    Examples
    --------
    >>> from dglmeta.data.graph_dataset import undirected
    >>> ring = undirected(50, range(50), [*range(1, 50), 0])
    >>> ds = ego_networks(ring, n_graphs=3, k=2, hops=4, min_nodes=5)
    >>> [graph.n_nodes["node"] for graph in ds.graphs]
    [9, 9, 9]
    >>> ego_networks(ring, n_graphs=3)
    Traceback (most recent call last):
    ...
    dglmeta.errors.DataError: ego_networks: expected a graph with a 5-core, got one whose is empty.
    Its largest core is for k = 2: give k <= 2.
    """
    _check(n_graphs, k, hops, cap, min_nodes, max_nodes)
    whole = as_undirected(hg)
    inside = np.flatnonzero(k_core(whole, k))
    if len(inside) == 0:
        best = _largest_k(whole)
        raise DataError(
            f"ego_networks: expected a graph with a {k}-core, got one whose is empty. "
            f"Its largest core is for k = {best}: give k <= {best}."
        )
    core = _induced(whole, inside)
    rows = {name: values[inside] for name, values in _common_rows(hg).items()}
    rng = np.random.default_rng(seed)
    free = np.ones(len(inside), bool)
    sizes, graphs, names = [], [], []
    for centre in rng.permutation(len(inside)).tolist():
        nodes = _around(core, centre, hops, len(inside) if cap is None else cap, free, rng)
        sizes.append(len(nodes))
        if not min_nodes <= len(nodes) <= max_nodes:
            continue
        data = {name: _as_expected(name, values[nodes]) for name, values in rows.items()}
        data["id"] = inside[nodes]
        graphs.append(
            HeteroCSR(SCHEMA, {NODE: len(nodes)}, {LINK: _induced(core, nodes)}, {NODE: data})
        )
        names.append(str(inside[centre]))
        if len(graphs) == n_graphs:
            return GraphDataset("egos", tuple(graphs), tuple(names))
        free[nodes] = not disjoint
    raise DataError(
        f"ego_networks: expected {n_graphs} nodes with {min_nodes} to {max_nodes} nodes around "
        f"them in the {k}-core, got {len(graphs)} among {len(inside)} with {min(sizes)} to "
        f"{max(sizes)} nodes. Give a smaller n_graphs or k, or other limits."
    )


def k_core(adj: Adjacency, k: int) -> Mask:
    """Nodes of the largest subgraph in which every node has at least ``k`` neighbours.

    Parameters
    ----------
    adj : Adjacency
        Symmetric, without loops and parallel edges.
    k : int

    Returns
    -------
    inside : (n,) bool

    Notes
    -----
    Cost O(n_nodes + n_edges): a node leaves once, and its neighbours are counted down once.

    Examples
    --------
    >>> from dglmeta.data.undirected import LINK, undirected
    >>> triangle_and_tail = undirected(4, [0, 1, 2, 2], [1, 2, 0, 3])
    >>> k_core(triangle_and_tail.adjacency(LINK), 2)
    array([ True,  True,  True, False])
    """
    return _peel(adj, k, adj.out_degrees, np.ones(adj.n_src, bool))


def _peel(adj: Adjacency, k: int, degree: Ids, inside: Mask) -> Mask:
    """What is left of ``inside``, where nodes have these degrees; both are written."""
    leaving = np.flatnonzero(inside & (degree < k))
    while len(leaving):
        inside[leaving] = False
        around = adj.rows(leaving)[0].indices
        np.subtract.at(degree, around, 1)
        near = np.unique(around)
        leaving = near[inside[near] & (degree[near] < k)]
    return inside


def _largest_k(adj: Adjacency) -> int:
    """The largest k for which the k-core is not empty; 0 for a graph without edges."""
    degree, inside, k = adj.out_degrees, np.ones(adj.n_src, bool), 0
    while inside.any():
        k = max(k + 1, int(degree[inside].min()))
        inside = _peel(adj, k, degree, inside)
        if inside.any():
            best = k
    return best if adj.n_edges else 0


def _around(
    core: Adjacency,
    centre: int,
    hops: int,
    cap: int,
    free: Mask,
    rng: np.random.Generator,
) -> Ids:
    """Up to ``cap`` nodes around a node, those that are free, in rising order."""
    nodes = last = np.array([centre] if free[centre] else [], np.int64)
    for _ in range(hops):
        near = np.setdiff1d(core.rows(last)[0].indices, nodes)
        near, room = near[free[near]], cap - len(nodes)
        last = near if len(near) <= room else rng.choice(near, room, replace=False)
        nodes = np.concatenate([nodes, last])
    return np.sort(nodes)


def _induced(adj: Adjacency, nodes: Ids) -> Adjacency:
    """The edges between some nodes, given in rising order, which are numbered in that order."""
    part = adj.rows(nodes)[0]
    number = np.full(adj.n_dst, -1, part.indices.dtype)
    number[nodes] = np.arange(len(nodes))
    column = number[part.indices]
    n_before = np.append(0, np.cumsum(column >= 0))
    return Adjacency(n_before[part.indptr], column[column >= 0], None, len(nodes))


def _common_rows(hg: HeteroCSR) -> dict[str, Array]:
    """Node data that all node types have with rows of one form, type after type."""
    tables = [hg.node_data.get(t, {}) for t in hg.schema.node_types]
    forms = [{(name, x.shape[1:], x.dtype) for name, x in table.items()} for table in tables]
    names = sorted(name for name, _, _ in set.intersection(*forms))
    return {name: np.concatenate([table[name] for table in tables]) for name in names}


def _as_expected(name: str, values: Array) -> Array:
    return values.astype(DTYPES[name], copy=False) if name in DTYPES else values


def _check(n_graphs: int, k: int, hops: int, cap: int | None, least: int, most: int) -> None:
    if min(n_graphs, hops, least) < 1 or k < 0 or most < least:
        raise ConfigError(
            f"ego_networks: expected n_graphs, hops and min_nodes >= 1, k >= 0 and max_nodes >= "
            f"min_nodes, got {n_graphs}, {hops}, {least}, {k} and {most}. Change them."
        )
    if cap is not None and cap < least:
        raise ConfigError(
            f"ego_networks: expected cap >= min_nodes = {least}, got {cap}. Raise it, or lower "
            f"min_nodes."
        )
