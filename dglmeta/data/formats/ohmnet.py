"""Reader of OhmNet's protein interactions, one graph a tissue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from dglmeta.data.formats.tables import TextTable
from dglmeta.data.graph_dataset import GraphDataset, undirected
from dglmeta.graph import HeteroCSR

__all__ = ["BRAIN", "edge_list", "read_ohmnet"]

BRAIN = (
    "cerebellum",
    "frontal_lobe",
    "medulla_oblongata",
    "midbrain",
    "occipital_lobe",
    "parietal_lobe",
    "pons",
    "substantia_nigra",
    "temporal_lobe",
)
"""The nine tissues of the brain."""


def edge_list(tissue: str) -> str:
    """Where the edges of a tissue lie in the folder.

    Examples
    --------
    >>> edge_list("pons")
    'edgelists/pons.edgelist'
    """
    return f"edgelists/{tissue}.edgelist"


def read_ohmnet(folder: str | Path, tissues: Sequence[str] = BRAIN) -> GraphDataset:
    r"""The interactions of proteins in each tissue, from ``edgelists/TISSUE.edgelist``.

    A line of a file, plain or gzipped, has the Entrez ids of two genes, tab separated. Edges
    become undirected; loops and repeats are dropped.

    Parameters
    ----------
    folder : path
    tissues : sequence of str

    Returns
    -------
    ds : GraphDataset
        One graph a tissue, named by it. Nodes are in rising order of ``node_data["node"]["gene"]``
        (n,) int64, and have no features: which protein a node is must not be one, for tissues share
        most of their proteins and edges.

    Raises
    ------
    DataError
        If a file is missing, damaged or empty, or a line is wrong.

    References
    ----------
    Zitnik and Leskovec, Predicting multicellular function through multi-layer tissue networks,
    arXiv 1707.04638.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     (Path(place) / "edgelists").mkdir()
    ...     _ = (Path(place) / edge_list("pons")).write_text("7\t3\n3\t9\n")
    ...     ds = read_ohmnet(place, ["pons"])
    >>> ds.graph_names, ds.graphs[0].node_data["node"]["gene"]
    (('pons',), array([3, 7, 9]))
    """
    folder = Path(folder)
    graphs = tuple(_read_tissue(folder, tissue) for tissue in tissues)
    return GraphDataset(folder.name, graphs, tuple(tissues))


def _read_tissue(folder: Path, tissue: str) -> HeteroCSR:
    columns = {"gene": pa.int64(), "other gene": pa.int64()}
    table = TextTable.read(folder, edge_list(tissue), columns)
    for name in columns:
        table.require(table.ints(name) >= 0, name, "an id >= 0")
    ends = np.stack([table.ints(name) for name in columns])
    genes, place = np.unique(ends, return_inverse=True)
    src, dst = place.reshape(ends.shape)
    return undirected(len(genes), src, dst, {"gene": genes})
