"""Readers of the public formats: ratings of items that are entities of a knowledge graph.

All formats become one schema: node types ``user``, ``item`` and ``entity`` (what is no item), the
edge type ``("user", "rated", "item")``, and one edge type for each relation of the knowledge graph
and the node types of its ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dglmeta.data.dataset import Dataset
from dglmeta.data.formats.tables import (
    TextTable,
    as_text,
    find_file,
    number_by_first_seen,
    parse_csv,
    read_bytes,
)
from dglmeta.data.pairs import draw_negatives
from dglmeta.errors import DataError
from dglmeta.graph import EdgeType, HeteroCSR

__all__ = ["RATED", "read_kgat", "read_lastfm", "read_ripple"]

Ids = npt.NDArray[np.int64]
Edges = dict[EdgeType, tuple[Ids, Ids]]

RATED = ("user", "rated", "item")
"""The edge type all formats are about."""

WHOLE, REAL, TEXT = pa.int64(), pa.float64(), pa.string()

MOST_DIGITS = 9
MOST_IDS = 10**MOST_DIGITS
"""Node ids of a re-indexed file lie below; a larger one is a damaged line, not a larger graph."""


def read_lastfm(folder: str | Path, *, seed: int = 555) -> Dataset:
    """Last-FM with its knowledge graph, from the raw files of KGNN-LS.

    Reads ``item_index2entity_id.txt`` (artist, entity: line i is item i), ``user_artists.dat`` (a
    header, then user, artist, plays) and ``kg.txt`` (head, relation, tail), each plain or gzipped.
    Every artist that is an item and that a user played is a positive, whatever the plays. Users
    are numbered by their first positive; entities by first appearance, items before them.

    Parameters
    ----------
    folder : path
    seed : int
        Draws the negatives: for each user as many unrated items as rated ones, without
        replacement. The published recipe seeds NumPy's global generator with 555; the draws here
        follow the recipe, not its stream.

    Returns
    -------
    ds : Dataset
        ``node_data[type]["id"]`` holds the files' own ids.

    Raises
    ------
    DataError
        If a file is missing, damaged or empty, a line is wrong, or there are no positives.
    """
    folder = Path(folder)
    items = TextTable.read(folder, "item_index2entity_id.txt", {"artistID": WHOLE, "entity": WHOLE})
    plays = TextTable.read(
        folder,
        "user_artists.dat",
        {"userID": WHOLE, "artistID": WHOLE, "weight": REAL},
        header=True,
    )
    triples = TextTable.read(folder, "kg.txt", {"head": WHOLE, "relation": TEXT, "tail": WHOLE})
    for table, names in ((items, ("artistID", "entity")), (plays, ("userID", "artistID")),
                         (triples, ("head", "tail"))):  # fmt: skip
        for name in names:
            table.require(table.ints(name) >= 0, name, "an id >= 0")
    items.require_distinct("artistID")
    items.require_distinct("entity")

    users, user_ids, rated = _positives(plays, items)
    n_items = items.columns.num_rows
    ends = np.stack([triples.ints("head"), triples.ints("tail")], axis=1).ravel()
    codes, entity_ids = number_by_first_seen(pa.array(np.concatenate([items.ints("entity"), ends])))
    head, tail = codes[n_items:].reshape(-1, 2).T
    relations, names = number_by_first_seen(triples.columns["relation"])
    edges = {RATED: (users, rated)}
    edges |= _knowledge_graph(head, relations, tail, names.to_pylist(), n_items)
    ids = {
        "user": user_ids,
        "item": items.ints("artistID"),
        "entity": np.asarray(entity_ids)[n_items:],
    }
    hg = _graph(edges, {name: len(values) for name, values in ids.items()}, ids)
    return Dataset("lastfm", hg, RATED, candidates=draw_negatives(hg.adjacency(RATED), seed))


def read_ripple(folder: str | Path) -> Dataset:
    """Ratings and knowledge graph in the re-indexed format of RippleNet and KGNN-LS.

    Reads ``item_index2entity_id.txt`` (the source's item id, anything: line i is item i),
    ``ratings_final.txt`` (user, item, label: 1 rated, 0 a negative) and ``kg_final.txt`` (head,
    relation, tail), each plain or gzipped. Users, entities and relations are numbered without
    gaps; items are the first entities. The format drops the relations' names: they are called
    ``relation-0``, ``relation-1``, ....

    Parameters
    ----------
    folder : path

    Returns
    -------
    ds : Dataset
        ``node_data["item"]["id"]`` holds the source's item ids as text.

    Raises
    ------
    DataError
        If a file is missing, damaged or empty, a line is wrong, an id is out of range, or there
        are no positives.
    """
    folder = Path(folder)
    items = TextTable.read(folder, "item_index2entity_id.txt", {"id": TEXT, "entity": TEXT})
    rows = TextTable.read(
        folder, "ratings_final.txt", {"user": WHOLE, "item": WHOLE, "label": WHOLE}
    )
    triples = TextTable.read(
        folder, "kg_final.txt", {"head": WHOLE, "relation": WHOLE, "tail": WHOLE}
    )
    items.require(np.asarray(pc.not_equal(items.columns["id"], "")), "id", "an id")
    items.require_distinct("id")
    n_items = items.columns.num_rows
    user, item, label = (rows.ints(name) for name in ("user", "item", "label"))
    head, relation, tail = (triples.ints(name) for name in ("head", "relation", "tail"))
    n_users = len(np.unique(user))
    n_entities = len(np.unique(np.concatenate([np.arange(n_items), head, tail])))
    n_relations = len(np.unique(relation))
    for table, name, n in (
        (rows, "user", n_users),
        (rows, "item", n_items),
        (triples, "head", n_entities),
        (triples, "relation", n_relations),
        (triples, "tail", n_entities),
    ):
        ids = table.ints(name)
        table.require((ids >= 0) & (ids < n), name, f"an id from 0 to {n - 1}")
    rows.require((label == 0) | (label == 1), "label", "0 or 1")
    if not label.any():
        raise _no_positives(rows)

    names = [f"relation-{k}" for k in range(n_relations)]
    edges: Edges = {RATED: (user[label == 1], item[label == 1])}
    edges |= _knowledge_graph(head, relation, tail, names, n_items)
    n_nodes = {"user": n_users, "item": n_items, "entity": n_entities - n_items}
    hg = _graph(edges, n_nodes, {"item": as_text(items.columns["id"])})
    negatives = np.stack([user[label == 0], item[label == 0]], axis=1)
    return Dataset(folder.name, hg, RATED, candidates=negatives if len(negatives) else None)


def read_kgat(folder: str | Path) -> Dataset:
    """Interactions and knowledge graph in the re-indexed format of KGAT and KGIN.

    Reads those of ``train.txt`` and ``test.txt`` (a line a user: its id, then its items' ids) and
    ``kg_final.txt`` (head, relation, tail) that are there, each plain or gzipped, words separated
    by spaces. Users, items and relations are numbered from 0; the first entities are the items,
    as many as the interactions name. A pair given twice is one interaction. The format drops the
    relations' names: they are called ``relation-0``, ``relation-1``, ....

    Parameters
    ----------
    folder : path

    Returns
    -------
    ds : Dataset
        Without node type ``entity`` where there is no ``kg_final.txt``.

    Raises
    ------
    DataError
        If there are no interactions, or a file is damaged or a line wrong.
    """
    folder = Path(folder)
    paths = [p for p in (find_file(folder, f"{name}.txt") for name in ("train", "test")) if p]
    if not paths:
        raise DataError(
            f"{folder}: expected train.txt or test.txt, plain or gzipped, got neither. Put them "
            f"there."
        )
    user, item = np.concatenate([_read_lists(path) for path in paths], axis=1)
    if len(user) == 0:
        raise DataError(
            f"{paths[0]}: expected at least one user with an item, got none. Fetch it again."
        )
    first = np.sort(np.unique(np.stack([user, item], axis=1), axis=0, return_index=True)[1])
    n_nodes = {"user": int(user.max()) + 1, "item": int(item.max()) + 1}
    edges: Edges = {RATED: (user[first], item[first])}
    path = find_file(folder, "kg_final.txt")
    if path is not None:
        columns = {"head": WHOLE, "relation": WHOLE, "tail": WHOLE}
        data = read_bytes(path).rstrip(b"\r\n")
        triples = TextTable(path, parse_csv(path, data, columns, header=False, delimiter=" "), 1)
        n_triples = triples.columns.num_rows
        for name, limit in (("head", MOST_IDS), ("relation", n_triples), ("tail", MOST_IDS)):
            ids = triples.ints(name)
            triples.require((ids >= 0) & (ids < limit), name, f"an id from 0 to {limit - 1}")
        head, relation, tail = (triples.ints(name) for name in columns)
        names = [f"relation-{k}" for k in range(int(relation.max()) + 1)]
        edges |= _knowledge_graph(head, relation, tail, names, n_nodes["item"])
        n_nodes["entity"] = max(int(max(head.max(), tail.max())) + 1 - n_nodes["item"], 0)
    return Dataset(folder.name, _graph(edges, n_nodes, {}), RATED)


def _read_lists(path: Path) -> Ids:
    """Users and items of a file of lists, (2, n_interactions)."""
    lines = [line.split() for line in read_bytes(path).split(b"\n")]
    lengths = np.array([len(words) for words in lines])
    for number, words in enumerate(lines, 1):
        for word in words:
            if not word.isdigit() or len(word) > MOST_DIGITS:
                raise DataError(
                    f"{path}, line {number}: expected ids from 0 to {MOST_IDS - 1}, got "
                    f"{word.decode('utf-8', 'replace')[:40]!r}. Correct the line, or fetch the "
                    f"file again."
                )
    ids = np.array([word for words in lines for word in words], dtype=np.int64)
    heads = np.zeros(len(ids), bool)
    heads[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    user = np.repeat(ids[heads], lengths[lengths > 0] - 1)
    return np.stack([user, ids[~heads]])


def _positives(plays: TextTable, items: TextTable) -> tuple[Ids, Ids, Ids]:
    """User and item number of each positive in file order, and the users' ids in the file."""
    weight = np.asarray(plays.columns["weight"])
    plays.require(np.isfinite(weight), "weight", "a finite number")
    found = pc.index_in(plays.columns["artistID"], items.columns["artistID"].combine_chunks())
    item = np.asarray(found.fill_null(-1)).astype(np.int64)
    kept = (item >= 0) & (weight >= 0)
    if not kept.any():
        raise _no_positives(plays)
    item = item[kept]
    user, user_ids = number_by_first_seen(pa.array(plays.ints("userID")[kept]))
    first = np.sort(np.unique(np.stack([user, item], axis=1), axis=0, return_index=True)[1])
    return user[first], np.asarray(user_ids), item[first]


def _no_positives(table: TextTable) -> DataError:
    return DataError(
        f"{table.path}: expected at least one positive rating, got none. Check that the file "
        f"belongs with item_index2entity_id.txt."
    )


def _knowledge_graph(head: Ids, relation: Ids, tail: Ids, names: list[str], n_items: int) -> Edges:
    """One edge type for each relation and pair of node types that occurs, in that order."""
    kind = relation * 4 + 2 * (head >= n_items) + (tail >= n_items)
    order = np.argsort(kind, kind="stable")
    kinds, starts = np.unique(kind[order], return_index=True)
    edges: Edges = {}
    for k, rows in zip(kinds.tolist(), np.split(order, starts[1:]), strict=True):
        source, target = ("entity" if bit else "item" for bit in (k & 2, k & 1))
        edges[source, names[k // 4], target] = (
            head[rows] - n_items * (source == "entity"),
            tail[rows] - n_items * (target == "entity"),
        )
    return edges


def _graph(edges: Edges, n_nodes: dict[str, int], ids: dict[str, Any]) -> HeteroCSR:
    return HeteroCSR.from_edges(edges, n_nodes, {name: {"id": v} for name, v in ids.items()})
