"""Hub nodes, and the edges that tie them to a subgraph."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dglmeta.kernels.cpu.negative import contains

__all__ = ["hub_edges", "top_hubs"]


def top_hubs(degrees: npt.NDArray, n_hubs: int) -> npt.NDArray:
    """Ids of the nodes of highest degree, highest first; of equal ones the lowest id first.

    Parameters
    ----------
    degrees : (n,) numbers
    n_hubs : int >= 0
        More than n gives all.

    Returns
    -------
    hubs : (min(n_hubs, n),) int64

    Notes
    -----
    Cost O(n) and the sorting of those at least as high as the last; bytes: 8 n.

    Examples
    --------
    >>> top_hubs(np.array([3, 9, 3, 1]), 2)
    array([1, 0])
    """
    n_hubs = min(n_hubs, len(degrees))
    if n_hubs == 0:
        return np.zeros(0, np.int64)
    lowest = np.partition(degrees, -n_hubs)[-n_hubs]
    candidates = np.flatnonzero(degrees >= lowest)
    order = np.argsort(-degrees[candidates].astype(np.float64), kind="stable")
    return candidates[order[:n_hubs]]


def hub_edges(
    indptr: npt.NDArray,
    indices: npt.NDArray,
    hubs: npt.NDArray,
    nodes: npt.NDArray,
    n_total: int,
) -> tuple[npt.NDArray, npt.NDArray]:
    """Edges between hubs and a set of nodes, which the hubs join: each pair once in each direction.

    A hub and another node of the set are paired when the graph has an edge between them, whichever
    way it runs. Pairs of two hubs count; a hub is not paired with itself.

    Parameters
    ----------
    indptr : (n_total + 1,) int64
    indices : (n_edges,) int32 or int64
        The whole graph in one numbering; sorted within rows.
    hubs, nodes : (h,), (n,) integers
        In [0, n_total); either may contain members of the other.
    n_total : int

    Returns
    -------
    src, dst : (2 n_pairs,) int64 each
        Distinct, sorted by src and then dst.

    Notes
    -----
    Cost O(degrees of the hubs + n h log degree); bytes: n_total + 17 n h.

    References
    ----------
    arXiv 2007.08294, HintNet. Its authors' program adds only edges towards hubs, and only from the
    last hop; here hubs speak to the whole subgraph and hear from it.

    Examples
    --------
    >>> star = np.array([0, 3, 3, 3, 3]), np.array([1, 2, 3])
    >>> hub_edges(*star, hubs=np.array([0]), nodes=np.array([2]), n_total=4)
    (array([0, 2]), array([2, 0]))
    """
    here = np.zeros(n_total, np.bool_)
    here[nodes] = here[hubs] = True
    nodes, hubs = np.flatnonzero(here), np.unique(hubs)
    # Out of the hubs by walking their rows, into the hubs by looking them up in the others' rows.
    heads = [indices[indptr[hub] : indptr[hub + 1]] for hub in hubs]
    out_src = np.repeat(hubs, [len(head) for head in heads])
    out_dst = np.concatenate([*heads, np.zeros(0, np.int64)])
    in_src, in_dst = np.repeat(nodes, len(hubs)), np.tile(hubs, len(nodes))
    into = contains(indptr, indices, in_src, in_dst)
    one = np.append(out_src[here[out_dst]], in_src[into])
    other = np.append(out_dst[here[out_dst]], in_dst[into])
    apart = one != other
    one, other = one[apart], other[apart]
    keys = np.unique(np.append(one * n_total + other, other * n_total + one))
    return np.divmod(keys, n_total)
