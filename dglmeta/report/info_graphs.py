"""What a data set of many graphs holds, before anything is computed on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dglmeta.data import LINK, NODE, GraphDataset

__all__ = ["GraphsDescription", "describe_graphs"]

SIZES = {
    "nodes": "{:,.0f}",
    "edges": "{:,.0f}",
    "mean degree": "{:,.1f}",
    "max degree": "{:,.0f}",
    "isolated nodes": "{:,.0f}",
}
"""Of each graph, and how a number of it is written."""


@dataclass(frozen=True)
class GraphsDescription:
    """Facts about a data set of many graphs, ready for JSON; ``str`` gives them as text."""

    facts: dict[str, Any]

    def __str__(self) -> str:
        f = self.facts
        counts = f"{f['n_graphs']:,} graphs, {f['n_nodes']:,} nodes, {f['n_edges']:,} edges"
        lines = [f"{f['name']}: {counts}, {f['structure_mib']:.1f} MiB of structure"]
        features, classes = f["features"] or "none", f["classes"] or "none"
        lines.append(f"features: {features}; classes of graphs: {classes}")
        if f["published_split"]:
            parts = ", ".join(f"{n} {part}" for part, n in f["published_split"].items())
            lines.append(f"published split: {parts}")
        lines += ["", f"{'least':>12}{'median':>12}{'most':>12}  of a graph"]
        for name, sizes in f["sizes"].items():
            numbers = "".join(f"{SIZES[name].format(sizes[k]):>12}" for k in sizes)
            lines.append(f"{numbers}  {name}")
        told = [f"{k}: {v}" for k, v in f["card"].items() if v]
        return "\n".join(lines + ([""] if told else []) + told)


def describe_graphs(ds: GraphDataset) -> GraphsDescription:
    """Counts, sizes and degrees of the graphs, and the card.

    Undirected edges count once.

    Examples
    --------
    >>> from dglmeta.data import toy_graphs
    >>> print(str(describe_graphs(toy_graphs())).splitlines()[0])
    toy-graphs: 12 graphs, 518 nodes, 1,863 edges, 0.0 MiB of structure
    """
    counts = ds.counts
    sizes = [_sizes(ds, number) for number in range(len(ds))]
    split = ds.published
    return GraphsDescription(
        {
            "name": ds.name,
            "title": ds.card.title,
            "n_graphs": counts["graphs"],
            "n_nodes": counts["nodes"],
            "n_edges": counts["edges"],
            "features": counts["features"],
            "classes": counts["classes"],
            "structure_mib": sum(graph.nbytes for graph in ds.graphs) / 2**20,
            "sizes": {name: _extremes([s[name] for s in sizes]) for name in SIZES},
            "published_split": None
            if split is None
            else {part: len(numbers) for part, numbers in split._asdict().items()},
            "card": asdict(ds.card),
        }
    )


def _sizes(ds: GraphDataset, number: int) -> dict[str, float]:
    """What :data:`SIZES` tells of one graph."""
    graph = ds.graphs[number]
    degrees = graph.adjacencies[LINK].out_degrees
    n_nodes = graph.n_nodes[NODE]
    figures = (
        n_nodes,
        int(degrees.sum()) // 2,
        float(degrees.sum()) / max(n_nodes, 1),
        int(degrees.max(initial=0)),
        int((degrees == 0).sum()),
    )
    return dict(zip(SIZES, figures, strict=True))


def _extremes(values: Sequence[float]) -> dict[str, float]:
    return {
        "least": min(values),
        "median": float(np.median(values)),
        "most": max(values),
    }
