"""The edges that some meta-paths walk along, in a folder that tasks map and share.

Every edge type lies there in both directions and without edge ids, so that no task turns a matrix
and the pages it touches are few. The folder lives as long as one run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dglmeta.graph import Adjacency, EdgeType, HeteroCSR, MetaPath, Schema
from dglmeta.graph.adjacency import Array

__all__ = ["open_steps", "save_steps", "written_at"]

INDEX = "steps.json"
ALONG, AGAINST = "along", "against"


def save_steps(hg: HeteroCSR, metapaths: Iterable[MetaPath], folder: str | Path) -> None:
    """Write the edge types of some meta-paths, both ways, in place of what is in the folder.

    Raises
    ------
    OSError
        If the folder cannot be written.

    Notes
    -----
    Bytes on disk: 8 an edge, 8 a node.
    """
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    used = {step.edge_type for path in metapaths for step in path.steps}
    triples = [triple for triple in hg.schema.edge_types if triple in used]
    arrays: dict[str, str] = {}
    for k, triple in enumerate(triples):
        for way, adj in ((ALONG, hg.adjacencies[triple]), (AGAINST, hg.adjacencies[triple].T)):
            for part, array in (("indptr", adj.indptr), ("indices", adj.indices)):
                name = f"{k}-{way}-{part}"
                arrays[name] = array.dtype.str
                array.tofile(folder / name)
    index = {"n_nodes": dict(hg.n_nodes), "edge_types": triples, "arrays": arrays}
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")


def open_steps(folder: str | Path) -> HeteroCSR:
    """The graph of the saved edge types, mapped, with their transposes in place.

    Raises
    ------
    OSError
        If the folder is not there.
    """
    folder = Path(folder)
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    n_nodes = index["n_nodes"]
    triples: list[EdgeType] = [(s, r, d) for s, r, d in index["edge_types"]]

    def adjacency(k: int, way: str, n_dst: int) -> Adjacency:
        names = (f"{k}-{way}-{part}" for part in ("indptr", "indices"))
        indptr, indices = (_mapped(folder / name, index["arrays"][name]) for name in names)
        return Adjacency(indptr, indices, None, n_dst)

    adjacencies = {}
    for k, triple in enumerate(triples):
        along = adjacency(k, ALONG, n_nodes[triple[2]])
        against = adjacency(k, AGAINST, n_nodes[triple[0]])
        # Adjacency.T is a cached property: this is its answer, read instead of computed.
        along.__dict__["T"], against.__dict__["T"] = against, along
        adjacencies[triple] = along
    return HeteroCSR(Schema(tuple(n_nodes), tuple(triples)), n_nodes, adjacencies)


def written_at(folder: str | Path) -> int:
    """When the steps in a folder were saved, in nanoseconds: another time, other steps."""
    return (Path(folder) / INDEX).stat().st_mtime_ns


def _mapped(file: Path, dtype: str) -> Array:
    """A raw array, mapped so that pages come when touched.

    Not ``np.load``: it parses a header with ``ast``, which Python 3.11 does not do safely in
    several threads at once.
    """
    if file.stat().st_size == 0:
        return np.zeros(0, dtype)
    # asarray: a plain array, so that kernels compile for one type, mapped or not.
    return np.asarray(np.memmap(file, dtype, mode="c"))
