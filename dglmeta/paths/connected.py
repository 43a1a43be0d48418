"""Whether a meta-path joins given pairs of nodes, and how often, without its product."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError
from dglmeta.graph import HeteroCSR, MetaPath, as_csr
from dglmeta.kernels.cpu.path_try import MOST_PATHS
from dglmeta.kernels.rng import derive_seed
from dglmeta.kernels.twins import namespace, twin
from dglmeta.paths.chain import Array, check_ids, read_metapath
from dglmeta.paths.frontier import array_of, beside
from dglmeta.paths.route import Route, route_along

__all__ = [
    "Density",
    "are_connected",
    "count_instances",
    "estimate_density",
    "metapath_connected",
    "random_pairs",
]

TURN_GAIN = 0.8
"""Pairs are taken by target only where that is expected to cost less than this share."""

SOURCE, TARGET = 10, 11
"""Labels of the random streams of the ends of random pairs, for ``derive_seed``."""


class Density(NamedTuple):
    """Share of all pairs of nodes that a meta-path joins."""

    share: float
    error: float
    """Standard error of the share."""


def metapath_connected(
    hg: Any, metapath: MetaPath | str, src: npt.ArrayLike, dst: npt.ArrayLike
) -> npt.NDArray[np.bool_]:
    """Whether at least one instance of a meta-path joins each pair.

    Parameters
    ----------
    hg : HeteroCSR or DGLGraph
    metapath : MetaPath or str
    src, dst : (n,) integers
        Ids of the path's source and target node type.

    Returns
    -------
    connected : (n,) bool
        Where the graph lies.

    Raises
    ------
    SchemaError
        If the graph lacks a type the path names.
    DataError
        If an id is out of range, or ``src`` and ``dst`` differ in length.

    Notes
    -----
    The path is cut in two. What its first half reaches from a source is marked once for all pairs
    of that source; the second half is searched back from each target until a mark is met. Where to
    cut, and which end to mark from, is chosen by the expected number of edges. Cost O(edges
    followed); bytes: 16 a pair and, for each thread, some 8 a node of the types passed, however
    many pairs the whole product has. Needs both directions of every step, which the graph keeps.

    Examples
    --------
    >>> from dglmeta import HeteroCSR
    >>> rated = ("user", "rated", "item")
    >>> hg = HeteroCSR.from_edges({rated: ([0, 1, 2], [0, 0, 1])}, {"user": 3, "item": 2})
    >>> metapath_connected(hg, "user-item-user", [0, 0], [1, 2])
    array([ True, False])
    """
    hg = as_csr(hg)
    path = read_metapath(hg, metapath)
    source = check_ids("metapath_connected", src, hg.n_nodes[path.source], path.source)
    target = check_ids("metapath_connected", dst, hg.n_nodes[path.target], path.target)
    if len(source) != len(target):
        raise DataError(
            f"metapath_connected: expected as many sources as targets, got {len(source)} and "
            f"{len(target)}. Give one of each per pair."
        )
    return are_connected(route_along(hg, path), beside(hg, source), beside(hg, target))


def estimate_density(hg: Any, metapath: MetaPath | str, n: int = 10_000, seed: int = 0) -> Density:
    """The share of all pairs of nodes that a meta-path joins, from a uniform sample of pairs.

    Parameters
    ----------
    hg : HeteroCSR or DGLGraph
    metapath : MetaPath or str
    n : int
        Number of pairs looked at, at least 1.
    seed : int

    Returns
    -------
    density : Density
        Times the number of all pairs, the expected size of the product.

    Raises
    ------
    SchemaError
        If the graph lacks a type the path names.

    Examples
    --------
    >>> from dglmeta import HeteroCSR
    >>> rated = ("user", "rated", "item")
    >>> hg = HeteroCSR.from_edges({rated: ([0, 1, 2], [0, 0, 1])}, {"user": 3, "item": 2})
    >>> density = estimate_density(hg, "user-item-user")
    >>> abs(density.share - 5 / 9) < 4 * density.error
    True
    """
    hg = as_csr(hg)
    route = route_along(hg, read_metapath(hg, metapath))
    n_sources, n_targets = route.n_nodes[0], route.n_nodes[-1]
    if n_sources == 0 or n_targets == 0:
        return Density(0.0, 0.0)
    src, dst = random_pairs(seed, 0, n, n_sources, n_targets, like=array_of(hg))
    share = int(np.count_nonzero(are_connected(route, src, dst))) / n
    return Density(share, float(np.sqrt(share * (1 - share) / n)))


def random_pairs(
    seed: int, begin: int, end: int, n_sources: int, n_targets: int, like: Array | None = None
) -> tuple[Array, Array]:
    """Numbers ``begin..end-1`` of a sequence of uniform pairs of a source and a target.

    They lie where the array ``like`` does.
    """
    kernels = twin("negative", like)
    src = kernels.random_numbers(derive_seed(seed, SOURCE), begin, end, n_sources)
    return src, kernels.random_numbers(derive_seed(seed, TARGET), begin, end, n_targets)


def are_connected(route: Route, src: Array, dst: Array) -> Array:
    """(n,) bool: whether the route joins each pair of valid ids."""
    if len(route.path) == 1:
        step = route.forward.indptr[0], route.forward.indices[0]
        return twin("negative", src).contains(*step, src, dst)
    if len(src) == 0:
        return src != dst
    taken = _taken(route, src, dst)
    kernels = twin("membership", src)
    return kernels.connected_pairs(*taken.chains, taken.src, taken.dst, taken.middle, taken.pair_ns)


def count_instances(hg: HeteroCSR, path: MetaPath, src: Array, dst: Array) -> Array:
    """(n,) int64: how many instances of the path join each pair; memory as for membership.

    Where the graph lies.

    Raises
    ------
    DataError
        If so many instances leave a source that a number might not fit into int64.
    """
    route, src, dst = route_along(hg, path), beside(hg, src), beside(hg, dst)
    if _most_paths(route) >= MOST_PATHS and _largest(route.n_paths(src)) >= MOST_PATHS:
        raise DataError(
            f"count_instances: expected fewer than 2**61 instances of '{path}' from a node, got "
            f"more. Take a shorter meta-path."
        )
    if len(src) == 0:
        return src
    taken = _taken(route, src, dst)
    return twin("membership", src).count_pairs(
        *taken.chains, taken.src, taken.dst, taken.middle, taken.pair_ns
    )


def _most_paths(route: Route) -> float:
    """A bound on the paths from any node: the largest degrees multiplied."""
    return float(np.prod([float(_largest(np.diff(p))) for p in route.forward.indptr]))


def _largest(numbers: Array) -> int:
    return int(numbers.max()) if len(numbers) else 0


class _Taken(NamedTuple):
    """Pairs as the kernels take them: from the sources, or turned round and from the targets."""

    chains: tuple[Any, Any, tuple[int, ...]]
    src: Array
    dst: Array
    middle: int
    pair_ns: float


def _taken(route: Route, src: Array, dst: Array) -> _Taken:
    """The cheaper of taking pairs by source and by target; the answers are the same.

    On a device two steps take no marks, which alone would make one end better than the other.
    """
    if route.is_on_device and len(route.path) <= 2:
        return _Taken((route.forward, route.backward, route.n_nodes), src, dst, 1, 0.0)
    n_sources, n_targets = _n_distinct(src, route.n_nodes[0]), _n_distinct(dst, route.n_nodes[-1])
    meeting = route.meet(src, n_sources, dst, len(src))
    turned = route.reversed()
    turned_meeting = turned.meet(dst, n_targets, src, len(src))
    if turned_meeting.edges < TURN_GAIN * meeting.edges:
        route, src, dst, meeting = turned, dst, src, turned_meeting
    chains = route.forward, route.backward, route.n_nodes
    return _Taken(chains, src, dst, meeting.middle, meeting.edges / max(len(src), 1))


def _n_distinct(ids: Array, n: int) -> int:
    if 8 * len(ids) < n:
        return len(np.unique(ids))
    seen = namespace(ids).zeros(n, bool)
    seen[ids] = True
    return int(np.count_nonzero(seen))
