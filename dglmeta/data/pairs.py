"""The pairs edges join, and pairs that no edge joins."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dglmeta.graph import Adjacency
from dglmeta.kernels.cpu.negative import sample_negatives

__all__ = ["distinct_pairs", "draw_negatives", "sort_distinct"]

Ids = npt.NDArray[np.int64]


def sort_distinct(keys: Ids) -> Ids:
    """The distinct keys, ascending. Several times faster than ``np.unique`` on millions of them."""
    keys = np.sort(keys)
    new = np.ones(len(keys), bool)
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    return keys[new]


def distinct_pairs(adj: Adjacency) -> tuple[Ids, Ids, Ids]:
    """Source, destination and first position of each distinct pair, sorted by the pair.

    Positions are those of the compressed form: ``adj.indices[position]`` is the destination.
    """
    src = np.repeat(np.arange(adj.n_src), adj.out_degrees)
    new = np.ones(adj.n_edges, bool)
    new[1:] = (adj.indices[1:] != adj.indices[:-1]) | (src[1:] != src[:-1])
    first = np.flatnonzero(new)
    return src[first], adj.indices[first].astype(np.int64), first


def draw_negatives(adj: Adjacency, seed: int, *, loops: bool = True) -> Ids:
    """As many non-edges for each source as it has distinct edges, without replacement.

    The negatives of a source are a uniform subset of what it is not joined to: all of it where it
    is joined to more than half of the destinations.

    Parameters
    ----------
    adj : Adjacency
        Shape (n_src, n_dst).
    seed : int
        Same seed, same pairs.
    loops : bool
        Whether a node's pair with itself counts as a non-edge; no where both ends are of one type.

    Returns
    -------
    pairs : (m, 2) int64
        Source and destination, sorted, all distinct.

    Notes
    -----
    Expected cost O(n_edges log n_edges), peak about 60 bytes an edge.

    Examples
    --------
    >>> full_row_and_half_row = Adjacency.from_coo([0, 0, 1], [0, 1, 0], (2, 2))
    >>> draw_negatives(full_row_and_half_row, seed=0)
    array([[1, 1]])
    """
    wanted, free = _counts(adj, loops)
    wanted = np.minimum(wanted, free)
    # Redrawing what was drawn before is quick while at least half of the free pairs remain.
    crowded = 2 * wanted > free
    rng = np.random.default_rng(seed)
    keys = _draw_sparse(adj, np.where(crowded, 0, wanted), rng, loops)
    picks = [_pick(adj, int(u), int(wanted[u]), rng, loops) for u in np.flatnonzero(crowded)]
    keys = np.sort(np.concatenate([keys, *picks]))
    return np.stack(np.divmod(keys, max(adj.n_dst, 1)), axis=1)


def _counts(adj: Adjacency, loops: bool) -> tuple[Ids, Ids]:
    """(n_src,) distinct edges of each source, and (n_src,) distinct non-edges."""
    src, dst = distinct_pairs(adj)[:2]
    n_distinct = np.bincount(src, minlength=adj.n_src)
    free = adj.n_dst - n_distinct
    if not loops:
        free -= ~np.isin(np.arange(adj.n_src), src[src == dst])
    return n_distinct, free


def _draw_sparse(adj: Adjacency, wanted: Ids, rng: np.random.Generator, loops: bool) -> Ids:
    """Keys ``src * n_dst + dst``: repeats are redrawn until every source has what it wants."""
    keys = np.zeros(0, np.int64)
    missing = wanted
    while missing.any():
        src = np.repeat(np.arange(adj.n_src), missing)
        seed = int(rng.integers(2**63))
        dst = sample_negatives(
            adj.indptr, adj.indices, src, adj.n_dst, seed, forbid_diagonal=not loops
        )
        keys = sort_distinct(np.concatenate([keys, src * adj.n_dst + dst]))
        missing = wanted - np.bincount(keys // adj.n_dst, minlength=adj.n_src)
    return keys


def _pick(adj: Adjacency, u: int, n: int, rng: np.random.Generator, loops: bool) -> Ids:
    """Keys of ``n`` non-edges of one source, chosen from the list of them all."""
    free = np.ones(adj.n_dst, bool)
    free[adj.indices[adj.indptr[u] : adj.indptr[u + 1]]] = False
    if not loops:
        free[u] = False
    return u * adj.n_dst + rng.permutation(np.flatnonzero(free))[:n]
