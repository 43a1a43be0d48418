"""Ways to draw uniform pairs of a meta-path: for each source, by trying, from the product."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, NoReturn

import numpy as np

from dglmeta.errors import BudgetError, DataError
from dglmeta.graph import HeteroCSR
from dglmeta.kernels.cpu.negative import random_numbers, sample_negatives
from dglmeta.kernels.cpu.path_draw import EDGES_A_TRY, NONE, UNDECIDED
from dglmeta.kernels.cpu.path_try import MOST_PATHS
from dglmeta.kernels.rng import derive_seed, random_array
from dglmeta.kernels.twins import is_on_device, namespace, to_host, twin
from dglmeta.paths.chain import Array
from dglmeta.paths.connected import are_connected, random_pairs
from dglmeta.paths.product import metapath_product
from dglmeta.paths.route import Route, route_along

__all__ = ["Pairs", "by_source", "draw_from_product", "draw_sources", "is_small", "try_pairs"]

Pairs = tuple[Array, Array]

TRIES_AT_ONCE = 1 << 18
"""Bounds the memory of a round of trying."""

SAMPLE = 1000
"""Sources looked at to learn how many are joined to something."""

TRIES_A_PAIR = 1_000
"""Beyond this, and a first million, a pair counts as too rare to be found by trying."""

TRIES_EXPECTED = 1.5
"""For a pair, when the halves of a path are balanced."""

PRODUCT_PATHS_A_PAIR = 50
"""Where a product has no more paths than this for each pair asked for, building it is quicker."""

RANK, POSITION, NUMBER = 1, 2, 3
"""Labels of the random streams drawn here, for ``derive_seed``."""


def by_source(
    where: str, route: Route, sources: Array, per_source: int, seed: int, *, joined: bool
) -> tuple[Array, Array]:
    """``per_source`` targets for each source that has any.

    Returns
    -------
    has_any : (n,) bool
        Which sources.
    targets : (n_has_any, per_source) int64

    Raises
    ------
    BudgetError
        If the targets of some sources are too rare.
    """
    # Of the graph alone: where walks meet decides what is drawn, and blocks of sources must agree.
    middle = route.meet(None, 1, None, TRIES_EXPECTED * per_source).middle

    def draw(rows: Array, most_edges: int) -> tuple[Array, Array]:
        chains = route.forward, route.backward, route.n_nodes, route.onward
        limits = {"joined": joined, "most_edges": most_edges}
        kernels = twin("path_draw", rows)
        targets, n_tries = kernels.draw_targets(*chains, rows, per_source, seed, middle, **limits)
        return targets, n_tries

    budget = TRIES_A_PAIR * EDGES_A_TRY * per_source
    targets, n_tries = draw(sources, budget)
    undecided = np.flatnonzero((targets == UNDECIDED).any(axis=1))
    if len(undecided):
        hard = sources[undecided]
        n_edges = sum(len(indices) for indices in route.forward.indices)
        to_list = np.minimum(route.n_paths(hard), n_edges)
        if float(to_list.sum(dtype=np.float64)) > budget * len(sources):
            n_found = int(np.count_nonzero(targets[undecided] >= 0))
            n_tried = int(n_tries[undecided].sum())
            # One more of each, as none found yet does not mean that there are none.
            share = (n_found + 1) / (n_tried + 1)
            _refuse(where, len(hard) * per_source, n_found, n_tried, share, joined)
        targets[undecided], _ = draw(hard, int(to_list.max()))
    has_any = (targets != NONE).all(axis=1)
    return has_any, targets[has_any]


def draw_sources(
    where: str,
    route: Route,
    candidates: Array,
    n: int,
    per_source: int,
    seed: int,
    joined: bool,
) -> tuple[Array, Array]:
    """Up to n sources, uniform without replacement from those with any targets, and the targets.

    Every candidate has a random rank, and those of lowest rank are taken.
    """
    rank = _random_bits(derive_seed(seed, RANK), candidates)
    share = _share_with_paths(route, candidates) if joined else 1.0
    kept, targets = [candidates[:0]], [namespace(rank).empty((0, per_source), np.int64)]
    n_kept = n_seen = 0
    while n_kept < n and n_seen < len(candidates):
        missing = n - n_kept
        upto = min(n_seen + int((missing + 3 * missing**0.5) / share) + 1, len(candidates))
        next_ones = candidates[_lowest(rank, upto)[n_seen:]]
        has_any, drawn = by_source(where, route, next_ones, per_source, seed, joined=joined)
        kept.append(next_ones[has_any])
        targets.append(drawn)
        n_kept, n_seen = n_kept + len(drawn), upto
        share = (n_kept + 1) / (n_seen + 1)
    sources, drawn = np.concatenate(kept)[:n], np.concatenate(targets)[:n]
    order = np.argsort(sources)
    return sources[order], drawn[order]


def _random_bits(seed: int, rows: Array) -> Array:
    """(n,) uint64, where the rows lie."""
    if not is_on_device(rows):
        return random_array(seed, 0, rows)
    from dglmeta.kernels.gpu import rng

    bits: Array = rng.random_array(seed, 0, rows)
    return bits


def _share_with_paths(route: Route, candidates: Array) -> float:
    """About how many of the sources are joined to something, from some of them."""
    some = candidates[:: len(candidates) // SAMPLE + 1]
    return (int(np.count_nonzero(route.n_paths(some))) + 1) / (len(some) + 1)


def _lowest(rank: Array, n: int) -> Array:
    """Positions of the n lowest ranks, in their order."""
    share = (n + 5 * np.sqrt(n) + 5) / max(len(rank), 1)
    if share < 1:  # sort a few more than needed, not all
        few = np.flatnonzero(rank <= np.uint64(int(share * 2**64)))
        if len(few) >= n:
            return few[np.argsort(rank[few])[:n]]
    return np.argsort(rank)[:n]


class _Tries(NamedTuple):
    src: Array
    dst: Array
    fits: Array


def try_pairs(
    where: str, route: Route, sources: Array, n: int, seed: int, *, joined: bool
) -> Pairs:
    """The first n pairs that fit of a sequence of tries, however many are tried at once.

    To find joined pairs paths are tried or, where they outnumber pairs of nodes, pairs of nodes.

    Raises
    ------
    BudgetError
        If too few of the tries fit.
    """
    none = sources[:0]
    n_pairs = len(sources) * route.n_nodes[-1]
    if joined:
        n_paths = route.n_paths(sources)
        total = float(n_paths.sum(dtype=np.float64))
        if total == 0:
            _refuse_none(where, route)
        if total < min(MOST_PATHS, n_pairs):
            before = namespace(n_paths).zeros(len(n_paths) + 1, np.int64)
            np.cumsum(n_paths, out=before[1:])
            tries = _tries_of_paths(route, sources, before, seed)
            return _collect(where, n, tries, none, total / n_pairs, joined)

    def tries_of_pairs(begin: int, end: int) -> _Tries:
        row, dst = random_pairs(seed, begin, end, len(sources), route.n_nodes[-1], like=sources)
        src = sources[row]
        return _Tries(src, dst, are_connected(route, src, dst) == joined)

    return _collect(where, n, tries_of_pairs, none, 1.0, joined)


def _tries_of_paths(
    route: Route, sources: Array, before: Array, seed: int
) -> Callable[[int, int], _Tries]:
    """Tries of uniformly drawn paths, ``before[s]`` of which start before source s."""
    chains, n_paths = (route.forward, route.backward, route.n_nodes, route.onward), int(before[-1])
    kernels, middle = twin("path_try", sources), 1
    if len(route.path) > 2 or not route.is_on_device:
        middle = route.meet(route.backward.indices[0], 1, route.forward.indices[-1], 1).middle

    def tries_of_paths(begin: int, end: int) -> _Tries:
        draw = twin("negative", sources).random_numbers
        numbers = draw(derive_seed(seed, NUMBER), begin, end, n_paths)
        if route.is_on_device:  # where numbers need not rise
            return _Tries(*kernels.try_paths(*chains, sources, before, numbers, middle))
        order = np.argsort(numbers)
        in_order = kernels.try_paths(*chains, sources, before, numbers[order], middle)
        tries = _Tries(*(np.empty_like(part) for part in in_order))
        for part, part_in_order in zip(tries, in_order, strict=True):
            part[order] = part_in_order
        return tries

    return tries_of_paths


def _collect(
    where: str,
    n: int,
    tries: Callable[[int, int], _Tries],
    none: Array,
    size: float,
    joined: bool,
) -> Pairs:
    """The first n tries that fit, of ``size`` times as many as there are pairs of nodes."""
    found: list[Pairs] = [(none, none)]
    n_found = n_tried = 0
    while n_found < n:
        if n_tried > 1_000_000 + TRIES_A_PAIR * n:
            _refuse(where, n, n_found, n_tried, size * n_found / n_tried, joined)
        tries_a_pair = (n_tried + 1) / (n_found + 1)
        n_more = min(int(1.1 * (n - n_found) * tries_a_pair) + 16, TRIES_AT_ONCE)
        src, dst, fits = tries(n_tried, n_tried + n_more)
        fitting = np.flatnonzero(fits)
        found.append((src[fitting], dst[fitting]))
        n_tried += n_more
        n_found += len(fitting)
    src, dst = (np.concatenate(ends)[:n] for ends in zip(*found, strict=True))
    return src, dst


def is_small(route: Route, sources: Array, n: int) -> bool:
    """Whether the product's rows for some sources are quicker built than n pairs are tried."""
    most = PRODUCT_PATHS_A_PAIR * n
    # An estimate first: to count all paths, every edge of the graph may have to be passed.
    if route.edges_to_list(sources) > 10 * most:
        return False
    return float(route.n_paths(sources).sum(dtype=np.float64)) <= most


def draw_from_product(
    where: str, hg: HeteroCSR, route: Route, sources: Array, n: int, seed: int, *, joined: bool
) -> Pairs:
    """Pairs from the product's rows of some sources, or from the places they leave empty.

    Small as it is, it is built on the host, where its entries come in the same order always.
    """
    if route.is_on_device:
        there = route_along(hg.host, route.path), to_host(sources)
        src, dst = draw_from_product(where, hg.host, *there, n, seed, joined=joined)
        xp = namespace(sources)
        return xp.asarray(src), xp.asarray(dst)
    product = metapath_product(hg, route.path, rows=sources, sort=not joined)
    n_targets = route.n_nodes[-1]
    indptr = product.indptr.astype(np.int64)
    if joined and indptr[-1] == 0:
        _refuse_none(where, route)
    before = indptr if joined else np.arange(len(indptr)) * n_targets - indptr
    if before[-1] == 0:
        _refuse(where, n, 0, len(sources) * n_targets, 0.0, joined)
    place = random_numbers(derive_seed(seed, POSITION), 0, n, int(before[-1]))
    row = np.searchsorted(before, place, side="right") - 1
    if joined:
        dst = product.indices[place].astype(np.int64)
    else:
        dst = sample_negatives(indptr, product.indices, row, n_targets, seed)
    return sources[row], dst


def _refuse_none(where: str, route: Route) -> NoReturn:
    raise DataError(
        f"{where}: expected '{route.path}' to join at least one pair, got none. "
        f"Check the path, or that its edge types have edges."
    )


def _refuse(where: str, n: int, n_found: int, n_tried: int, share: float, joined: bool) -> NoReturn:
    kind, density = ("joined", share) if joined else ("not joined", 1 - share)
    raise BudgetError(
        f"{where}: expected to find {n:,} pairs that are {kind}, got {n_found:,} in {n_tried:,} "
        f"tries: about {density:.4%} of the pairs looked at are joined. Ask for fewer, choose "
        f"another meta-path, or list the pairs with metapath_product, for some rows at a time."
    )
