"""A heterograph as one simple undirected graph: what degrees, ranks and distances are in."""

from __future__ import annotations

from typing import Any

import numpy as np

from dglmeta.graph import Adjacency, as_csr

__all__ = ["as_undirected"]


def as_undirected(hg: Any) -> Adjacency:
    """Which nodes are neighbours, whatever the relation and its direction.

    Two nodes joined by several edges, of one type or many, are neighbours once, so that it does not
    matter whether a graph stores its reverse edges as types of their own. Self loops are left out.

    Parameters
    ----------
    hg : HeteroCSR or DGLGraph

    Returns
    -------
    graph : Adjacency
        Symmetric, over the nodes of all types in the order of the schema; on the host.

    Notes
    -----
    Cost O(nodes + edges), the counting sorts of ``HeteroCSR.homogeneous``.

    Examples
    --------
    >>> from dglmeta import HeteroCSR
    >>> edges = {("a", "x", "b"): ([0, 1, 1], [0, 0, 0]), ("b", "y", "a"): ([0], [0])}
    >>> as_undirected(HeteroCSR.from_edges(edges, {"a": 2, "b": 1})).to_scipy().toarray()
    array([[0, 0, 1],
           [0, 0, 1],
           [1, 1, 0]])
    """
    every = as_csr(hg).host.homogeneous(both_ways=True).adjacency
    n = every.n_src
    row, column = np.repeat(np.arange(n), every.out_degrees), every.indices
    kept = row != column
    kept[1:] &= (row[1:] != row[:-1]) | (column[1:] != column[:-1])
    indptr = np.append(0, np.cumsum(np.bincount(row[kept], minlength=n)))
    return Adjacency(indptr, column[kept], None, n)
