"""What a data set holds, before anything is computed on it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from dglmeta.data import Dataset
from dglmeta.graph import EdgeType, HeteroCSR, MetaPath
from dglmeta.paths import estimate_product

__all__ = ["Description", "describe"]

N_HUBS = 3
MAX_PATHS = 20


@dataclass(frozen=True)
class Description:
    """Facts about a data set, ready for JSON; ``str`` gives them as text."""

    facts: dict[str, Any]

    def __str__(self) -> str:
        f = self.facts
        size = f"{f['n_nodes']:,} nodes, {f['n_edges']:,} edges, {f['structure_mib']:.1f} MiB"
        lines = [f"{f['name']}: {size} of structure"]
        if f["target"]:
            lines.append(f"target: {_arrow(f['target'])}")
        if f["labels"]:
            lines.append(_labels_line(f["labels"]))
        lines += ["", f"{'nodes':>12}  node type"]
        lines += [f"{n:>12,}  {name}" for name, n in f["node_types"].items()]
        lines += ["", f"{'edges':>12}{'mean in':>10}{'max in':>10}  edge type; its hubs"]
        lines += [_edge_line(e) for e in f["edge_types"]]
        if f["metapaths"]:
            lines += ["", f"{'pairs, about':>12}{'MiB':>10}  meta-path"]
        lines += [f"{p['pairs']:>12,}{p['mib']:>10.1f}  {p['metapath']}" for p in f["metapaths"]]
        return "\n".join(lines)


def describe(ds: Dataset) -> Description:
    """Types, counts, degrees, hubs, memory, and candidate meta-paths with estimated sizes.

    Candidates are the data set's recommended meta-paths, or where there are none the first
    symmetric ones that are two steps long. Nothing is multiplied: see
    :func:`dglmeta.paths.estimate_product`.

    Examples
    --------
    >>> from dglmeta.data import toy
    >>> print(str(describe(toy())).splitlines()[0])
    toy: 20 nodes, 36 edges, 0.0 MiB of structure
    """
    hg = ds.csr
    return Description(
        {
            "name": ds.name,
            "title": ds.card.title,
            "n_nodes": sum(hg.n_nodes.values()),
            "n_edges": sum(hg.n_edges.values()),
            "structure_mib": hg.nbytes / 2**20,
            "node_types": dict(hg.n_nodes),
            "edge_types": [_edge_facts(hg, triple) for triple in hg.schema.edge_types],
            "target": list(ds.target) if ds.target else None,
            "labels": _label_facts(ds),
            "metapaths": [_path_facts(hg, path) for path in _candidates(ds)],
        }
    )


def _label_facts(ds: Dataset) -> dict[str, Any] | None:
    split = ds.node_split
    if split is None:
        return None
    sizes = {part: len(getattr(split, part).node) for part in ("train", "valid", "test")}
    return {"node_type": split.node_type, "classes": split.n_classes, **sizes}


def _candidates(ds: Dataset) -> list[MetaPath]:
    schema = ds.csr.schema
    if ds.metapaths:
        return [MetaPath.parse(text, schema) for text in ds.metapaths]
    symmetric = (p for p in MetaPath.enumerate(schema, 2) if len(p) == 2 and p.is_symmetric)
    return list(islice(symmetric, MAX_PATHS))


def _edge_facts(hg: HeteroCSR, triple: EdgeType) -> dict[str, Any]:
    adj = hg.adjacency(triple)
    degrees = adj.in_degrees
    hubs = np.argsort(-degrees, kind="stable")[:N_HUBS]
    return {
        "edge_type": list(triple),
        "edges": adj.n_edges,
        "mean_degree": adj.n_edges / max(adj.n_dst, 1),
        "max_degree": int(degrees.max(initial=0)),
        "hubs": hubs[degrees[hubs] > 0].tolist(),
    }


def _path_facts(hg: HeteroCSR, path: MetaPath) -> dict[str, Any]:
    estimate = estimate_product(hg, path)
    return {"metapath": str(path), "pairs": estimate.nnz, "mib": estimate.bytes / 2**20}


def _edge_line(e: dict[str, Any]) -> str:
    hubs = ", ".join(map(str, e["hubs"]))
    numbers = f"{e['edges']:>12,}{e['mean_degree']:>10.1f}{e['max_degree']:>10,}"
    return f"{numbers}  {_arrow(e['edge_type'])}; {hubs}"


def _labels_line(labels: dict[str, Any]) -> str:
    sizes = ", ".join(f"{labels[part]:,} {part}" for part in ("train", "valid", "test"))
    return f"labels: {labels['node_type']} in {labels['classes']} classes; {sizes}"


def _arrow(triple: list[str]) -> str:
    source, relation, target = triple
    return f"{source} -{relation}-> {target}"
