"""Uniform draws from the pairs a meta-path joins, and from those it does not join.

Neither builds the product. A walk along the path would not do: it prefers pairs with many
instances. Here instances are drawn uniformly and a pair with c of them is kept with probability
1/c; or, where there are more instances than pairs of nodes, pairs of nodes are drawn uniformly and
kept if they are joined. Both leave every distinct joined pair equally likely.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dglmeta.errors import BudgetError, ConfigError, DataError
from dglmeta.graph import HeteroCSR, MetaPath, as_csr
from dglmeta.paths.chain import Array, Sparse, chain_of, read_metapath
from dglmeta.paths.connected import count_instances, metapath_connected
from dglmeta.paths.stream import product_blocks

__all__ = ["sample_metapath_pairs", "sample_unconnected_pairs"]

Pairs = tuple[Array, Array]

TRIES_AT_ONCE = 1 << 18
"""Bounds the memory of a round of rejection sampling."""

TRIES_A_PAIR = 1_000
"""Beyond this, and a first million, a pair counts as too rare to be found by trying."""


def sample_metapath_pairs(
    hg: Any, metapath: MetaPath | str, n: int, seed: int = 0, per_source: int | None = None
) -> Pairs:
    """Pairs drawn uniformly, with replacement, from all distinct pairs a meta-path joins.

    Parameters
    ----------
    hg : HeteroCSR or DGLGraph
    metapath : MetaPath or str
    n : int
        Number of pairs.
    seed : int
        The same seed gives the same pairs, whatever the number of threads.
    per_source : int, optional
        Draw ``n // per_source`` distinct sources, uniformly from those joined to something, and
        this many targets for each, uniformly from its distinct ones. Pairs come by rising source.

    Returns
    -------
    src, dst : (n,) int64 each

    Raises
    ------
    SchemaError
        If the graph lacks a type the path names.
    ConfigError
        If n is negative or no multiple of ``per_source``.
    DataError
        If the path joins no pair, or fewer sources than ``n // per_source``.
    BudgetError
        If pairs are too rare among instances and among all pairs of nodes to be found by trying.

    Notes
    -----
    Bytes: 8 an edge for every step, and blocks of bounded size. Tries a pair: the smaller of the
    mean number of instances a pair and one over the density of the product; each expands the row
    of its source.

    Examples
    --------
    >>> from dglmeta import HeteroCSR
    >>> rated = ("user", "rated", "item")
    >>> hg = HeteroCSR.from_edges({rated: ([0, 1, 2], [0, 0, 1])}, {"user": 3, "item": 2})
    >>> src, dst = sample_metapath_pairs(hg, "user-item-user", 1000)
    >>> sorted(set(zip(src.tolist(), dst.tolist())))
    [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)]
    """
    hg = as_csr(hg)
    path = read_metapath(hg, metapath)
    where = "sample_metapath_pairs"
    _check_number(where, n)
    rng = np.random.default_rng(seed)
    if per_source is not None:
        return _targets_by_source(hg, path, n, per_source, rng)
    chain = chain_of(hg, path, "count")
    if not _completions(chain).any():
        raise DataError(
            f"{where}: expected '{path}' to join at least one pair, got none. "
            f"Check the path, or that its edge types have edges."
        )
    numbered = _number_instances(chain)
    n_node_pairs = hg.n_nodes[path.source] * hg.n_nodes[path.target]
    if numbered is None or numbered.total > n_node_pairs:
        return _collect(
            where,
            n,
            lambda m: _any_pairs(hg, path, m, rng),
            lambda src, dst: metapath_connected(hg, path, src, dst),
        )
    return _collect(
        where,
        n,
        lambda m: _instances(numbered, rng.integers(0, numbered.total, m)),
        lambda src, dst: rng.random(len(src)) * count_instances(hg, path, src, dst) < 1,
    )


def sample_unconnected_pairs(hg: Any, metapath: MetaPath | str, n: int, seed: int = 0) -> Pairs:
    """Pairs drawn uniformly, with replacement, from all pairs a meta-path does not join.

    Parameters
    ----------
    hg : HeteroCSR or DGLGraph
    metapath : MetaPath or str
    n : int
        Number of pairs.
    seed : int
        The same seed gives the same pairs, whatever the number of threads.

    Returns
    -------
    src, dst : (n,) int64 each

    Raises
    ------
    SchemaError
        If the graph lacks a type the path names.
    ConfigError
        If n is negative.
    DataError
        If the path's source or target type has no nodes.
    BudgetError
        If such pairs are too rare to be found by trying.

    Notes
    -----
    Tries a pair: one over the share of pairs not joined; each expands the row of its source.

    Examples
    --------
    >>> from dglmeta import HeteroCSR
    >>> rated = ("user", "rated", "item")
    >>> hg = HeteroCSR.from_edges({rated: ([0, 1, 2], [0, 0, 1])}, {"user": 3, "item": 2})
    >>> src, dst = sample_unconnected_pairs(hg, "user-item-user", 1000)
    >>> sorted(set(zip(src.tolist(), dst.tolist())))
    [(0, 2), (1, 2), (2, 0), (2, 1)]
    """
    hg = as_csr(hg)
    path = read_metapath(hg, metapath)
    where = "sample_unconnected_pairs"
    _check_number(where, n)
    for node_type in (path.source, path.target):
        if hg.n_nodes[node_type] == 0:
            raise DataError(
                f"{where}: expected nodes of type {node_type!r}, got none. '{path}' needs some."
            )
    rng = np.random.default_rng(seed)
    return _collect(
        where,
        n,
        lambda m: _any_pairs(hg, path, m, rng),
        lambda src, dst: ~metapath_connected(hg, path, src, dst),
    )


def _check_number(where: str, n: int) -> None:
    if n < 0:
        raise ConfigError(f"{where}: expected n >= 0 pairs, got {n}. Ask for some.")


def _any_pairs(hg: HeteroCSR, path: MetaPath, n: int, rng: np.random.Generator) -> Pairs:
    """Uniform pairs of a source and a target node."""
    return (
        rng.integers(0, hg.n_nodes[path.source], n),
        rng.integers(0, hg.n_nodes[path.target], n),
    )


def _collect(
    where: str, n: int, propose: Callable[[int], Pairs], accept: Callable[[Array, Array], Array]
) -> Pairs:
    """The first n proposed pairs that are accepted."""
    accepted: list[Pairs] = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    n_found = n_tried = 0
    while n_found < n:
        tries_a_pair = (n_tried + 1) / (n_found + 1)
        n_tries = min(int(1.1 * (n - n_found) * tries_a_pair) + 16, TRIES_AT_ONCE)
        src, dst = propose(n_tries)
        good = accept(src, dst)
        accepted.append((src[good], dst[good]))
        n_tried += n_tries
        n_found += int(good.sum())
        if n_found < n and n_tried > 1_000_000 + TRIES_A_PAIR * n:
            raise BudgetError(
                f"{where}: expected to find {n:,} pairs by trying, got {n_found:,} in "
                f"{n_tried:,} tries. Ask for fewer, choose another meta-path, or list the pairs "
                f"with metapath_product, for some rows at a time."
            )
    src, dst = (np.concatenate(ends)[:n] for ends in zip(*accepted, strict=True))
    return src, dst


class _Instances(NamedTuple):
    """All instances of a path, numbered in the order of their first node, then their edges."""

    chain: list[Sparse]
    first: Array
    """(n_source + 1,) int64: number of the first instance that starts at each node."""
    before: list[Array]
    """For each step, (n_edges + 1,) int64: instances of the rest of the path over earlier edges."""

    @property
    def total(self) -> int:
        return int(self.first[-1])


def _number_instances(chain: list[Sparse]) -> _Instances | None:
    """Number the instances; None if some number would not fit into an int64."""
    onward = np.ones(chain[-1].n_cols, np.int64)
    before: list[Array] = []
    for step in reversed(chain):
        weight = onward[step.indices]
        if weight.sum(dtype=np.float64) > 2**62:
            return None
        before.insert(0, np.append(0, np.cumsum(weight)))
        onward = np.diff(before[0][step.indptr])
    return _Instances(chain, np.append(0, np.cumsum(onward)), before)


def _instances(numbered: _Instances, numbers: Array) -> Pairs:
    """First and last nodes of the instances with these numbers."""
    node = source = np.searchsorted(numbered.first, numbers, side="right") - 1
    number = numbers - numbered.first[source]
    for step, before in zip(numbered.chain, numbered.before, strict=True):
        number = number + before[step.indptr[node]]
        edge = np.searchsorted(before, number, side="right") - 1
        number = number - before[edge]
        node = step.indices[edge]
    return source.astype(np.int64), node.astype(np.int64)


def _completions(chain: list[Sparse]) -> Array:
    """(n_source,) bool: whether the path can be walked from this node to its end."""
    onward = np.ones(chain[-1].n_cols, bool)
    for step in reversed(chain):
        ways = np.append(0, np.cumsum(onward[step.indices]))
        onward = np.diff(ways[step.indptr]) > 0
    return onward


def _targets_by_source(
    hg: HeteroCSR, path: MetaPath, n: int, per_source: int, rng: np.random.Generator
) -> Pairs:
    """Some sources, and for each some of its distinct targets."""
    where = "sample_metapath_pairs"
    if per_source < 1 or n % per_source:
        raise ConfigError(
            f"{where}: expected n to be a multiple of per_source >= 1, got n={n} and "
            f"per_source={per_source}. Ask for n = sources * per_source pairs."
        )
    chain = chain_of(hg, path, "reach")
    candidates = np.flatnonzero(_completions(chain))
    n_sources = n // per_source
    if n_sources > len(candidates):
        raise DataError(
            f"{where}: expected '{path}' to join at least {n_sources} sources to something, got "
            f"{len(candidates)}. Ask for at most {len(candidates) * per_source} pairs."
        )
    sources = np.sort(rng.choice(candidates, n_sources, replace=False))
    targets = [np.zeros(0, np.int64)]
    for _, block in product_blocks(chain_of(hg, path, "reach", sources), "reach", sort=False):
        begin, degrees = block.indptr[:-1, None], np.diff(block.indptr)[:, None]
        position = begin + rng.integers(0, degrees, (block.n_rows, per_source))
        targets.append(block.indices[position.ravel()])
    return np.repeat(sources, per_source), np.concatenate(targets).astype(np.int64)
