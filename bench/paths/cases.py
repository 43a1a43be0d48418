"""The graphs and meta-paths on which products are timed: synthetic in three sizes, and real."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from dglmeta.bench.graphs import graph
from dglmeta.graph import HeteroCSR

__all__ = ["CASES", "Case", "graph_of"]


class Case(NamedTuple):
    """A meta-path on a graph, and perhaps only some of its source nodes."""

    graph: str
    path: str
    n_rows: int | None = None


CASES = {
    "small UIU": Case("small", "user-item-user"),
    "small UIAIU": Case("small", "user-item-attribute-item-user"),
    "lastfm UIU": Case("lastfm", "user-item-user"),
    "lastfm UIEIU": Case("lastfm", "user-item-entity-item-user"),
    "book UIU": Case("book-crossing", "user-item-user"),
    "book UIEIU": Case("book-crossing", "user-item-entity-item-user"),
    "acm PAP": Case("gtn-acm", "paper-author-paper"),
    "acm PSP": Case("gtn-acm", "paper-subject-paper"),
    "imdb MAM": Case("gtn-imdb", "movie-actor-movie"),
    "abook UIU": Case("amazon-book", "user-item-user"),
    "medium UIA": Case("medium", "user-item-attribute"),
    "medium AIA": Case("medium", "attribute-item-attribute"),
    "medium IAI": Case("medium", "item-attribute-item"),
    "medium UIUC": Case("medium", "user-item-user-country"),
    "medium UIAIU rows": Case("medium", "user-item-attribute-item-user", 200),
    "medium AIUIA rows": Case("medium", "attribute-item-user-item-attribute", 100),
    "large UIA": Case("large", "user-item-attribute"),
    "large IAI": Case("large", "item-attribute-item"),
}

INITIALS = {
    "gtn-acm": {"P": "paper", "A": "author", "S": "subject"},
    "gtn-imdb": {"M": "movie", "A": "actor", "D": "director"},
}


@cache
def graph_of(name: str) -> HeteroCSR:
    """The graph of a case, in memory with its transposes; a test without its files is skipped."""
    hg = _make(name)
    for adj in hg.adjacencies.values():
        for array in (adj.indptr, adj.indices, adj.T.indptr, adj.T.indices):
            array.sum()  # a mapped page counts as memory when it is first read
    return hg


def _make(name: str) -> HeteroCSR:
    if name in ("small", "medium", "large"):
        return graph(name)
    if name.startswith("gtn-"):
        return _typed_by_ids(name)
    hg = _loaded(name)
    rated = ("user", "rated", "item")
    edges = {rated: hg.adjacency(rated).coo()}
    between = [e for e in hg.schema.edge_types if {e[0], e[2]} == {"item", "entity"}]
    if between:  # all relations of items as one
        ends = [hg.adjacency(e).coo() for e in between]
        ends = [
            pair if e[0] == "item" else pair[::-1] for e, pair in zip(between, ends, strict=True)
        ]
        item, entity = map(np.concatenate, zip(*ends, strict=True))
        # PyG's product crashes on parallel edges.
        pairs = np.unique(item.astype(np.int64) * hg.n_nodes["entity"] + entity)
        edges["item", "about", "entity"] = np.divmod(pairs, hg.n_nodes["entity"])
    return HeteroCSR.from_edges(edges, hg.n_nodes)


def _loaded(name: str) -> HeteroCSR:
    from dglmeta.data import load_dataset
    from dglmeta.errors import DataError

    try:
        return load_dataset(name).csr
    except DataError as error:
        return pytest.skip(str(error))


def _typed_by_ids(name: str) -> HeteroCSR:
    """ACM and IMDB, whose node types are ranges of ids."""
    path = Path(os.environ.get("DGLMETA_DATA", "")) / name / f"{name}.npz"
    if not path.exists():
        return pytest.skip(f"no {path}")
    with np.load(path) as file:
        relations = [str(r).replace("-", "") for r in file["relations"]]
        ends = {r: file[f"edge_{i}"].astype(np.int64) for i, r in enumerate(relations)}
    names, main = INITIALS[name], relations[0][0]
    first, n_nodes, edges = {main: 0}, {}, {}
    for relation, (_, there) in ends.items():
        if relation[0] == main:
            first[relation[1]] = int(there.min())
    starts = sorted(first.items(), key=lambda item: item[1])
    last = 1 + max(int(pair.max()) for pair in ends.values())
    for (initial, start), (_, stop) in zip(starts, [*starts[1:], ("", last)], strict=True):
        n_nodes[names[initial]] = stop - start
    for relation, (here, there) in ends.items():
        if relation[0] == main:
            triple = (names[main], "has", names[relation[1]])
            edges[triple] = here, there - first[relation[1]]
    return HeteroCSR.from_edges(edges, n_nodes)
