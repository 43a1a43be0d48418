"""A meta-path as a chain of sparse matrices, one a step, and the products of neighbours in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.kernels.twins import is_on_device, namespace, repeat_each, twin

__all__ = [
    "Mode",
    "Order",
    "Sparse",
    "chain_of",
    "check_ids",
    "check_mode",
    "identity",
    "multiply",
    "multiply_in_mask",
    "read_metapath",
    "take_rows",
]

Array = npt.NDArray[Any]
Mode = Literal["reach", "count", "walk"]
Order = int | tuple["Order", "Order"]
"""A bracketing of the steps 0..L-1: the number of a step, or the two halves of a product."""

MODES = ("reach", "count", "walk")


class Sparse(NamedTuple):
    """Rows of a sparse matrix; entries in the same place add up."""

    indptr: Array
    """(n_rows + 1,) int64."""
    indices: Array
    """(nnz,) int32 or int64: columns."""
    values: Array | None
    """(nnz,) int64 or float64; None is all ones."""
    n_cols: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.indptr) - 1


def read_metapath(hg: HeteroCSR, metapath: MetaPath | str) -> MetaPath:
    """The meta-path meant by an object or its text form, checked against the graph's schema.

    Raises
    ------
    SchemaError
        If the graph lacks a type it names.
    """
    if isinstance(metapath, str):
        return MetaPath.parse(metapath, hg.schema)
    return metapath.validate(hg.schema)


def check_mode(where: str, mode: str) -> None:
    """Raise ConfigError unless ``mode`` is one of the three."""
    if mode not in MODES:
        raise ConfigError(
            f"{where}: expected mode 'reach', 'count' or 'walk', got {mode!r}. Name one of them."
        )


def check_ids(where: str, ids: npt.ArrayLike, n: int, node_type: str) -> Array:
    """Node ids as a flat int64 array.

    Raises
    ------
    DataError
        If they are not integers in [0, n).
    """
    array = ids if is_on_device(ids) else np.asarray(ids)
    if array.size == 0:
        return namespace(array).zeros(0, np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise DataError(
            f"{where}: expected {node_type!r} ids as a flat integer array, got {array.dtype} of "
            f"shape {array.shape}. Convert them first."
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= n:
        raise DataError(
            f"{where}: expected {node_type!r} ids in [0, {n}), got {low if low < 0 else high}. "
            f"Correct the id, or take the graph it belongs to."
        )
    return array.astype(np.int64, copy=False)


def chain_of(hg: HeteroCSR, path: MetaPath, mode: Mode, rows: Array | None = None) -> list[Sparse]:
    """The matrices whose product belongs to the path, one a step, the first cut to ``rows``.

    They hold the number of edges; in mode "walk" the probability of each edge when a walker
    leaves a node by a uniformly drawn one.
    """
    chain = []
    for step in path.steps:
        adj = hg.step_adjacency(*step)
        values = None
        if mode == "walk":
            degrees = adj.out_degrees
            values = repeat_each(1 / np.maximum(degrees, 1), degrees)
        chain.append(Sparse(adj.indptr, adj.indices, values, adj.n_dst))
    if rows is not None:
        chain[0] = take_rows(chain[0], rows)
    return chain


def take_rows(matrix: Sparse, rows: Array) -> Sparse:
    """The matrix of these rows, in their order; rows may repeat."""
    first, last = matrix.indptr[rows], matrix.indptr[rows + 1]
    xp = namespace(matrix.indptr)
    indptr = xp.zeros(len(rows) + 1, np.int64)
    np.cumsum(last - first, out=indptr[1:])
    position = xp.arange(int(indptr[-1])) + repeat_each(first - indptr[:-1], last - first)
    values = None if matrix.values is None else matrix.values[position]
    return Sparse(indptr, matrix.indices[position], values, matrix.n_cols)


def identity(n: int, like: Array) -> Sparse:
    """Multiplying by it changes nothing but that entries in the same place become one.

    It lies where ``like`` lies.
    """
    xp = namespace(like)
    return Sparse(xp.arange(n + 1), xp.arange(n, dtype=np.int32), None, n)


def multiply(a: Sparse, b: Sparse, mode: Mode, *, sort: bool) -> Sparse:
    """The product of two neighbours, without entries in the same place.

    Raises
    ------
    DataError
        If a number of path instances does not fit into 63 bits.
    """
    spgemm = twin("spgemm", a.indptr)
    if mode == "reach":
        structures = a.indptr, a.indices, b.indptr, b.indices
        structure = spgemm.multiply_reach(*structures, b.n_cols, sort=sort)
        return Sparse(*structure, None, b.n_cols)
    with _counts_in_range():
        return Sparse(*spgemm.multiply_values(*a[:3], *b[:3], b.n_cols, sort=sort), b.n_cols)


def multiply_in_mask(a: Sparse, b: Sparse, mask: Sparse, mode: Mode) -> Sparse:
    """What the product has in the places of a mask, in the order of these.

    Raises
    ------
    DataError
        As for :func:`multiply`.
    """
    with _counts_in_range():
        spgemm = twin("spgemm_masked", a.indptr)
        *structure, values = spgemm.multiply_masked(*a[:3], *b[:3], *mask[:2], b.n_cols)
    return Sparse(*structure, None if mode == "reach" else values, b.n_cols)


@contextmanager
def _counts_in_range() -> Iterator[None]:
    """Say of an overflow what it means for a meta-path."""
    try:
        yield
    except OverflowError as error:
        raise DataError(
            "metapath_product: expected fewer than 2**63 path instances from a node, got more. "
            "Use mode='walk' or 'reach', or a shorter meta-path."
        ) from error
