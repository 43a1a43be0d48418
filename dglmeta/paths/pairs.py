"""Uniform draws from the pairs a meta-path joins, and from those it does not join.

Neither needs the product. A walk along the path would not do: it prefers pairs with many instances.
Here every distinct pair is equally likely: an instance is drawn uniformly and kept only if it is
the first of those that join its ends; or, where instances outnumber pairs of nodes, pairs of nodes
are drawn and kept if they are joined; or, where little is reached, all of it is listed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import HeteroCSR, MetaPath, as_csr
from dglmeta.kernels.twins import namespace
from dglmeta.paths.chain import Array, check_ids, read_metapath
from dglmeta.paths.draw import (
    Pairs,
    by_source,
    draw_from_product,
    draw_sources,
    is_small,
    try_pairs,
)
from dglmeta.paths.frontier import array_of, beside
from dglmeta.paths.route import Route, route_along

__all__ = ["sample_metapath_pairs", "sample_unconnected_pairs"]


def sample_metapath_pairs(
    hg: Any,
    metapath: MetaPath | str,
    n: int | None = None,
    seed: int = 0,
    per_source: int | None = None,
    *,
    sources: npt.ArrayLike | None = None,
) -> Pairs:
    """Pairs drawn uniformly, with replacement, from all distinct pairs a meta-path joins.

    Parameters
    ----------
    hg : HeteroCSR or DGLGraph
    metapath : MetaPath or str
    n : int, optional
        Number of pairs, in all. It may only be left out together with ``per_source``.
    seed : int
        The same seed gives the same pairs, whatever the number of threads.
    per_source : int, optional
        This many targets for each source, uniform over its distinct ones: for ``n // per_source``
        distinct sources drawn uniformly from those joined to something, by rising source; or,
        without n, for every source joined to something, in the order of ``sources``. A source's
        targets depend on the seed, per_source, the graph and itself alone, so that any cut of the
        sources into blocks gives the same pairs.
    sources : (n_sources,) integers, optional
        Only pairs with these distinct sources; all sources by default.

    Returns
    -------
    src, dst : (n,) int64 each
        Where the graph lies; a graph on a GPU is drawn from there, and gives the same pairs.

    Raises
    ------
    SchemaError
        If the graph lacks a type the path names.
    ConfigError
        If n is negative, no multiple of ``per_source``, or missing without it; or if a source is
        named twice.
    DataError
        If the path joins no pair, or fewer sources than ``n // per_source``; if a source is out of
        range.
    BudgetError
        If pairs are too rare among instances and among all pairs of nodes to be found by trying.

    Notes
    -----
    Tries a pair: the smaller of the mean number of instances a pair and one over the density of the
    product; each costs a search that stops where the two halves of a path first meet. A source that
    would take more tries than its row of the product has paths gets its row listed. Bytes: 16 a
    pair drawn, 8 a node of the types passed, and, for each thread, some 8 a node reached; a product
    is built only if it has few paths for each pair asked for.

    Examples
    --------
    >>> from dglmeta import HeteroCSR
    >>> rated = ("user", "rated", "item")
    >>> hg = HeteroCSR.from_edges({rated: ([0, 1, 2], [0, 0, 1])}, {"user": 3, "item": 2})
    >>> src, dst = sample_metapath_pairs(hg, "user-item-user", 1000)
    >>> sorted(set(zip(src.tolist(), dst.tolist())))
    [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)]
    >>> src, dst = sample_metapath_pairs(hg, "user-item-user", per_source=2)
    >>> src.tolist()
    [0, 0, 1, 1, 2, 2]
    """
    return _sample("sample_metapath_pairs", hg, metapath, n, seed, per_source, sources, joined=True)


def sample_unconnected_pairs(
    hg: Any,
    metapath: MetaPath | str,
    n: int | None = None,
    seed: int = 0,
    per_source: int | None = None,
    *,
    sources: npt.ArrayLike | None = None,
) -> Pairs:
    """Pairs drawn uniformly, with replacement, from all pairs a meta-path does not join.

    Parameters
    ----------
    hg, metapath, n, seed, per_source, sources
        As for :func:`sample_metapath_pairs`, with "not joined" in place of "joined". Every pair
        returned was verified.

    Returns
    -------
    src, dst : (n,) int64 each
        As there.

    Raises
    ------
    SchemaError, ConfigError
        As for :func:`sample_metapath_pairs`.
    DataError
        If the path's source or target type has no nodes, or with ``per_source`` too few sources
        have a node they are not joined to; if a source is out of range.
    BudgetError
        If such pairs are too rare to be found by trying; it says how many pairs are joined.

    Notes
    -----
    Tries a pair: one over the share of pairs not joined. Otherwise as for
    :func:`sample_metapath_pairs`.

    Examples
    --------
    >>> from dglmeta import HeteroCSR
    >>> rated = ("user", "rated", "item")
    >>> hg = HeteroCSR.from_edges({rated: ([0, 1, 2], [0, 0, 1])}, {"user": 3, "item": 2})
    >>> src, dst = sample_unconnected_pairs(hg, "user-item-user", 1000)
    >>> sorted(set(zip(src.tolist(), dst.tolist())))
    [(0, 2), (1, 2), (2, 0), (2, 1)]
    """
    where = "sample_unconnected_pairs"
    return _sample(where, hg, metapath, n, seed, per_source, sources, joined=False)


def _sample(
    where: str,
    hg: Any,
    metapath: MetaPath | str,
    n: int | None,
    seed: int,
    per_source: int | None,
    sources: npt.ArrayLike | None,
    *,
    joined: bool,
) -> Pairs:
    hg = as_csr(hg)
    route = route_along(hg, read_metapath(hg, metapath))
    _check_numbers(where, n, per_source)
    candidates = _candidates(where, hg, route, sources)
    if not joined:
        _check_nodes(where, route)
    if per_source is None:
        n = n or 0
        if n and is_small(route, candidates, n):
            return draw_from_product(where, hg, route, candidates, n, seed, joined=joined)
        return try_pairs(where, route, candidates, n, seed, joined=joined)
    if n is None:
        has_any, targets = by_source(where, route, candidates, per_source, seed, joined=joined)
        return np.repeat(candidates[has_any], per_source), targets.ravel()
    n_sources = n // per_source
    some, targets = draw_sources(where, route, candidates, n_sources, per_source, seed, joined)
    if len(some) < n_sources:
        kind = "join" if joined else "leave unjoined"
        raise DataError(
            f"{where}: expected '{route.path}' to {kind} at least {n_sources} sources to "
            f"something, got {len(some)}. Ask for at most {len(some) * per_source} pairs."
        )
    return np.repeat(some, per_source), targets.ravel()


def _check_numbers(where: str, n: int | None, per_source: int | None) -> None:
    if n is None and per_source is None:
        raise ConfigError(f"{where}: expected n or per_source, got neither. Say how many pairs.")
    if n is not None and n < 0:
        raise ConfigError(f"{where}: expected n >= 0 pairs, got {n}. Ask for some.")
    if per_source is not None and (per_source < 1 or (n or 0) % per_source):
        raise ConfigError(
            f"{where}: expected n to be a multiple of per_source >= 1, got n={n} and "
            f"per_source={per_source}. Ask for n = sources * per_source pairs, or leave n out."
        )


def _candidates(where: str, hg: HeteroCSR, route: Route, sources: npt.ArrayLike | None) -> Array:
    """The sources to draw from, int64, where the graph lies."""
    n_nodes = route.n_nodes[0]
    if sources is None:
        every: Array = namespace(array_of(hg)).arange(n_nodes)
        return every
    ids = check_ids(where, sources, n_nodes, route.path.source)
    if np.any(ids[1:] <= ids[:-1]) and len(np.unique(ids)) < len(ids):
        raise ConfigError(
            f"{where}: expected distinct sources, got {len(ids)} of which "
            f"{len(np.unique(ids))} differ. Name each once."
        )
    return beside(hg, ids)


def _check_nodes(where: str, route: Route) -> None:
    for node_type, n_nodes in (
        (route.path.source, route.n_nodes[0]),
        (route.path.target, route.n_nodes[-1]),
    ):
        if n_nodes == 0:
            raise DataError(
                f"{where}: expected nodes of type {node_type!r}, got none. "
                f"'{route.path}' needs some."
            )
