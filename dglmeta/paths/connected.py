"""Whether a meta-path joins given pairs of nodes, without the product over all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError
from dglmeta.graph import HeteroCSR, MetaPath, as_csr
from dglmeta.kernels.cpu.negative import contains
from dglmeta.paths.chain import Array, Mode, Sparse, chain_of, check_ids, read_metapath
from dglmeta.paths.product import to_scipy
from dglmeta.paths.stream import product_blocks

__all__ = ["count_instances", "metapath_connected"]


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

    Raises
    ------
    SchemaError
        If the graph lacks a type the path names.
    DataError
        If an id is out of range, or ``src`` and ``dst`` differ in length.

    Notes
    -----
    Only the rows of the distinct sources are expanded, in blocks of bounded size: cost O(their
    flops), bytes: some tens of MiB, whatever the size of the whole product.

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
    connected = np.empty(len(source), bool)
    for pairs, block, row in _blocks_of_pairs(hg, path, "reach", source):
        connected[pairs] = contains(block.indptr, block.indices, row, target[pairs])
    return connected


def count_instances(hg: HeteroCSR, path: MetaPath, src: Array, dst: Array) -> Array:
    """(n,) int64: how many instances of the path join each pair; memory as above."""
    counts = np.empty(len(src), np.int64)
    for pairs, block, row in _blocks_of_pairs(hg, path, "count", src):
        counts[pairs] = to_scipy(block)[row, dst[pairs]]
    return counts


class _PairsOfBlock(NamedTuple):
    pairs: Array
    block: Sparse
    row: Array


def _blocks_of_pairs(
    hg: HeteroCSR, path: MetaPath, mode: Mode, src: Array
) -> Iterator[_PairsOfBlock]:
    """Blocks of the product's rows, the pairs whose sources they hold, and those pairs' rows."""
    sources, row = np.unique(src, return_inverse=True)
    by_row = np.argsort(row, kind="stable")
    sorted_row = row[by_row]
    for first, block in product_blocks(chain_of(hg, path, mode, sources), mode):
        begin, end = np.searchsorted(sorted_row, [first, first + block.n_rows])
        pairs = by_row[begin:end]
        yield _PairsOfBlock(pairs, block, row[pairs] - first)
