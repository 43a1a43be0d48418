"""Which nodes two rounds of messages cannot tell apart, so that they are computed once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError
from dglmeta.graph.adjacency import Adjacency

__all__ = ["NodeStates", "node_states"]

Array = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

KEYS = 0x7374617465
"""Seed of the random numbers that rows of messages are compared by ("state")."""


class NodeStates(NamedTuple):
    """The distinct inputs of two layers of messages, and whose they are.

    With A the weighted adjacency and X the features, every node's second-layer input is
    ``(A f(A X))[node] = (messages @ f(received))[state[node]]`` for any f that works row by row.
    """

    received: Array
    """(n_first, d) distinct rows of A X."""
    n_receiving: Ids
    """(n_first,) how many nodes have each."""
    messages: Adjacency
    """(n_second, n_first): distinct rows of A, sources of one state put together."""
    weight: Array
    """(n_second_edges,) of ``messages``, in the order of edge ids."""
    n_nodes: Ids
    """(n_second,) how many nodes are in each state."""
    state: Ids
    """(n,) row of ``messages`` for each node."""
    own: Ids | None = None
    """(n_second,) row of ``received`` that the nodes in each state have themselves, if asked."""


def node_states(
    adj: Adjacency, weight: Array, x: npt.NDArray[np.floating], *, own: bool = False
) -> NodeStates:
    """Nodes told apart as far as two rounds of messages do, and no further.

    Where features are few and the graph is sparse most nodes are alike: isolated ones of one
    feature, the ends of lone edges. What a two-layer network computes for them is computed once.

    Parameters
    ----------
    adj : Adjacency
        Shape (n, n): row v has the nodes that v hears, itself where there are loops.
    weight : (n_edges,) float64
        In the order of edge ids.
    x : (n, d)
        Features.
    own : bool
        Tell nodes apart by what they are themselves, too: ``received`` holds rows of [A X, X], and
        a node's second-layer input includes its own row of them.

    Returns
    -------
    states : NodeStates

    Raises
    ------
    DataError
        If the adjacency is not square, or has another number of rows than x.

    Notes
    -----
    The first two rounds of colour refinement (Weisfeiler and Leman, 1968), with weights. Cost
    O(n_edges + n d log n). Rows are compared by their products with two random vectors: 106 random
    bits, so that different ones are taken for equal with a probability below 1e-20; equal ones
    whose sums were rounded differently may stay apart, which costs time only.

    Examples
    --------
    >>> lone = Adjacency.from_coo([0, 1, 2, 3], [0, 1, 2, 3], (4, 4))
    >>> node_states(lone, np.ones(4), np.array([[1.0], [1.0], [0.0], [1.0]])).n_nodes
    array([1, 3])
    """
    if adj.shape != (len(x), len(x)):
        raise DataError(
            f"node_states: expected an adjacency among the {len(x)} nodes of x, got {adj.shape}. "
            f"Give a feature row for each node."
        )
    from scipy.sparse import csr_array

    by_position = weight if adj.edge_ids is None else weight[adj.edge_ids]
    matrix = csr_array((by_position, adj.indices, adj.indptr), shape=adj.shape)
    x = x.astype(np.float64)
    heard = np.asarray(matrix @ x)
    received, first, n_receiving = _distinct(np.hstack([heard, x]) if own else heard)
    shape = len(x), len(received)
    merged = csr_array((by_position, first[adj.indices], adj.indptr), shape=shape, copy=True)
    merged.sum_duplicates()  # in place
    rng = np.random.default_rng(KEYS)
    keys = merged @ rng.uniform(0.5, 1.5, (len(received), 2))
    keys = np.column_stack([keys, first]) if own else keys
    _, representative, state, n_nodes = np.unique(
        keys, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    rows = merged[representative]
    messages = Adjacency(
        rows.indptr.astype(np.int64), rows.indices.astype(np.int32), None, len(received)
    )
    return NodeStates(
        received,
        n_receiving,
        messages,
        rows.data,
        n_nodes,
        state.reshape(-1),
        first[representative] if own else None,
    )


def _distinct(rows: Array) -> tuple[Array, Ids, Ids]:
    """The distinct rows, which of them each row is, and how often each occurs."""
    distinct, which, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return distinct, which.reshape(-1), counts
