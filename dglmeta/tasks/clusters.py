"""Nodes put into clusters by their features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError
from dglmeta.graph import HeteroCSR

__all__ = ["cluster_rows", "gather_features"]

Ids = npt.NDArray[np.int64]

FEATURES = "feat"
"""Name of the node features that are clustered."""

MOST_ROWS_WHOLE = 20_000
"""More rows of features than this are clustered in mini-batches."""


def gather_features(hg: HeteroCSR) -> tuple[npt.NDArray[np.float32], Ids]:
    """Features of all nodes that have some, and the nodes they belong to.

    Parameters
    ----------
    hg : HeteroCSR

    Returns
    -------
    rows : (m, F) float32
    nodes : (m,) int64
        Ids over all node types, in the order of the schema.

    Raises
    ------
    DataError
        If no node type has features, or widths differ, or a feature is not finite.
    """
    blocks: dict[str, npt.NDArray[Any]] = {}
    ids, offset = [], 0
    for node_type, n in hg.n_nodes.items():
        data: Mapping[str, npt.NDArray[Any]] = hg.node_data.get(node_type, {})
        if FEATURES in data:
            blocks[node_type] = np.asarray(data[FEATURES])
            ids.append(np.arange(offset, offset + n))
        offset += n
    shapes = {t: block.shape for t, block in blocks.items()}
    if len({shape[1:] for shape in shapes.values()}) != 1 or any(
        len(shape) != 2 for shape in shapes.values()
    ):
        raise DataError(
            f"ClusteringTask: expected node_data[type][{FEATURES!r}] of shape (n, F), with one F, "
            f"for at least one node type, got {shapes or 'none'}. Give such features, or leave "
            f"this task out."
        )
    rows = np.concatenate([block.astype(np.float32) for block in blocks.values()])
    if not np.isfinite(rows).all():
        raise DataError(
            f"ClusteringTask: expected finite features, got {int((~np.isfinite(rows)).sum()):,} "
            f"numbers that are not. Fill them in first."
        )
    return rows, np.concatenate(ids)


def cluster_rows(rows: npt.NDArray[np.float32], n_clusters: int, seed: int) -> Ids:
    """K-means clusters of rows, (m,) int64; the same for the same seed and any number of cores.

    Parameters
    ----------
    rows : (m, F) float32
        Finite; m >= n_clusters.
    n_clusters, seed : int

    Notes
    -----
    Up to ``MOST_ROWS_WHOLE`` rows Lloyd's algorithm, O(m F K) an iteration; beyond, mini-batches.
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    method = KMeans if len(rows) <= MOST_ROWS_WHOLE else MiniBatchKMeans
    with threadpool_limits(1):  # sums over threads would add up in any order
        found = method(n_clusters, random_state=seed % 2**32, n_init=1).fit_predict(rows)
    return np.asarray(found, np.int64)
