"""What a data set holds, before anything is computed on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dglmeta.data import Dataset
from dglmeta.graph import HeteroCSR, MetaPath
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
        lines = [f"{f['name']}: {f['n_nodes']:,} nodes, {f['n_edges']:,} edges, "
                 f"{f['structure_mib']:.1f} MiB of structure"]  # fmt: skip
        lines += ["", f"{'node type':<24}{'nodes':>12}"]
        lines += [f"{name:<24}{n:>12,}" for name, n in f["node_types"].items()]
        lines += ["", f"{'edge type':<64}{'edges':>12}{'mean':>8}{'max':>8}"]
        for e in f["edge_types"]:
            name = " -".join(e["edge_type"][:2]) + "-> " + e["edge_type"][2]
            lines.append(
                f"{name[:63]:<64}{e['edges']:>12,}{e['mean_degree']:>8.1f}{e['max_degree']:>8,}"
            )
        if f["target"]:
            lines += ["", f"target: {' '.join(f['target'])}"]
        if f["metapaths"]:
            lines += ["", f"{'meta-path':<76}{'pairs, about':>14}{'MiB':>10}"]
        for p in f["metapaths"]:
            lines.append(f"{p['metapath'][:75]:<76}{p['pairs']:>14,.0f}{p['mib']:>10.1f}")
        return "\n".join(lines)


def describe(ds: Dataset) -> Description:
    """Types, counts, degrees, hubs, memory, and candidate meta-paths with estimated sizes.

    Candidates are the data set's recommended meta-paths, or where there are none the first
    symmetric ones that are two steps long.
    """
    hg = ds.csr
    paths = [MetaPath.parse(text, hg.schema) for text in ds.metapaths]
    if not paths:
        two_steps = (p for p in MetaPath.enumerate(hg.schema, 2) if len(p) == 2)
        paths = [p for p in two_steps if p.is_symmetric][:MAX_PATHS]
    return Description(
        {
            "name": ds.name,
            "n_nodes": sum(hg.n_nodes.values()),
            "n_edges": sum(hg.n_edges.values()),
            "structure_mib": hg.nbytes / 2**20,
            "node_types": dict(hg.n_nodes),
            "edge_types": [_edge_facts(hg, triple) for triple in hg.schema.edge_types],
            "target": list(ds.target) if ds.target else None,
            "metapaths": [_path_facts(hg, p) for p in paths],
        }
    )


def _edge_facts(hg: HeteroCSR, triple: tuple[str, str, str]) -> dict[str, Any]:
    adj = hg.adjacency(triple)
    degrees = adj.in_degrees
    hubs = np.argsort(-degrees, kind="stable")[:N_HUBS]
    return {
        "edge_type": list(triple),
        "edges": adj.n_edges,
        "mean_degree": adj.n_edges / max(adj.n_dst, 1),
        "max_degree": int(degrees.max(initial=0)),
        "hubs": [int(h) for h in hubs],
    }


def _path_facts(hg: HeteroCSR, path: MetaPath) -> dict[str, Any]:
    estimate = estimate_product(hg, path)
    return {"metapath": str(path), "pairs": float(estimate.nnz), "mib": estimate.bytes / 2**20}
