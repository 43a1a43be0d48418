"""A picture of embeddings in the plane, a colour a class."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.data import Dataset, GraphDataset
from dglmeta.errors import DataError
from dglmeta.report.draw import scatter_picture
from dglmeta.tasks.clustering import tsne

__all__ = ["write_picture"]

SEED = 0
MOST = 5000
"""Nodes in a picture; of more, so many at random."""

Embeddings = Mapping[str, npt.NDArray[np.float32]]


def write_picture(path: Path, ds: Dataset | GraphDataset, embeddings: Embeddings) -> None:
    """Draw the embeddings of labelled nodes by t-SNE, a colour a class, as PNG.

    Parameters
    ----------
    path : Path
        Replaced if it is there.
    ds : Dataset
        With labelled nodes.
    embeddings : mapping of node type to (n, d)

    Raises
    ------
    DataError
        If the data has no labelled nodes, they have no embeddings, or the file cannot be written.
    """
    node, label = _labelled(ds)
    node_type = ds.node_split.node_type
    if node_type not in embeddings:
        raise DataError(
            f"picture: expected embeddings of {node_type!r}, got {', '.join(embeddings)}. "
            f"Leave --picture out."
        )
    if len(node) > MOST:
        some = np.random.default_rng(SEED).choice(len(node), MOST, replace=False)
        node, label = node[some], label[some]
    points = tsne(embeddings[node_type][node], SEED)
    drawn = scatter_picture(path.stem, f"{ds.name}: {node_type} by class", points, label)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(drawn.png)
        os.replace(part, path)  # noqa: PTH105 - atomic everywhere
    except OSError as error:
        raise DataError(f"picture: expected to write {path}, got {error}.") from error


def _labelled(ds: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Nodes whose class is known, and the classes."""
    if isinstance(ds, GraphDataset) or ds.node_split is None:
        raise DataError(
            f"picture: expected a data set with labelled nodes, got {ds.name}. Leave --picture out."
        )
    if ds.labels is not None:
        node = np.flatnonzero(ds.labels >= 0)
        return node, ds.labels[node]
    parts = (ds.node_split.train, ds.node_split.valid, ds.node_split.test)
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))  # type: ignore[return-value]
