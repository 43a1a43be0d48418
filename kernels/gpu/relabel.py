"""Nodes met in a sample, numbered from nought."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from dglmeta.kernels.cpu.relabel import SPARSE_FROM, Met, Numbering
from dglmeta.kernels.cpu.sample import Drawn
from dglmeta.kernels.gpu.device import array_module, blocks_for, launch
from dglmeta.kernels.gpu.rows import address_of

__all__ = ["Met", "Numbering", "distinct", "look_up", "number", "relabel", "relabel_rows"]

THREADS = 256

RANKED_UP_TO = 256
"""Longest row sorted by comparing all with all, which costs less than a sort of all entries."""

NOTHING_DRAWN = Drawn(None, None, None)


class _Type(NamedTuple):
    """What a type of node brings to its numbering; ids are places in ``known``, if there is one."""

    first: Any
    """(n,) int64."""
    others: list[Any]
    n_nodes: int
    known: Any | None


class _Part(NamedTuple):
    """Ids of a type that are met, and where they come from."""

    type: int
    ids: Any
    drawn: Drawn
    """With these ids as neighbours; or of nothing."""


class _Tables(NamedTuple):
    """The tables of the kernels."""

    types: Any
    parts: Any
    begins: list[int]
    """For each part, where its ids begin among those of all; at the end, where all end."""
    n_first: int
    """As many for the first ids of types."""
    first_words: list[int]
    """For each type, and at the end their number."""
    n_rows: int


class _Numbered(NamedTuple):
    """Numberings of several types, one after the other."""

    tables: _Tables
    words: Any
    ranks: Any
    """(n_words + 1,) int64: nodes of all types met below each word."""
    places: Any
    nodes: Any
    stops: list[int]
    """Where the nodes of each type end, after a 0."""
    longest: Any
    """Most entries of a row of each part; and the same on the host."""
    longest_here: list[int]


def relabel(first: Any, others: Any, n_nodes: int) -> tuple[Any, Any]:
    """Number nodes: those of ``first`` in their order, then the rest by rising id.

    As :func:`dglmeta.kernels.cpu.relabel.relabel`: the same numbers.
    """
    numbering = number(first, [others], n_nodes)
    return numbering.nodes, look_up(numbering, others)


def number(first: Any, others: Sequence[Any], n_nodes: int) -> Numbering:
    """The numbering of ``relabel``, of which :func:`look_up` reads numbers.

    Waits for the device once, for the number of nodes; a second time where a bitmap would be long.
    """
    one = _type(first, [nodes for nodes in others if len(nodes)], n_nodes)
    numbered = _number([one], [_Part(0, ids, NOTHING_DRAWN) for ids in one.others])
    nodes = numbered.nodes if one.known is None else one.known[numbered.nodes]
    return Numbering(nodes, numbered.words, numbered.ranks[:-1], numbered.places, one.known)


def look_up(numbering: Numbering, nodes: Any) -> Any:
    """The number of each of these nodes, all of which are in the numbering."""
    xp = array_module()
    known = numbering.known
    keys = xp.ascontiguousarray(nodes) if known is None else _places_in(known, nodes)
    local = xp.empty(len(keys), numbering.places.dtype)
    launch(
        "relabel", "look_up", blocks_for(len(keys), THREADS), THREADS,
        keys, len(keys), numbering.words, numbering.ranks, numbering.places, local,
        INDEX=keys.dtype, PLACE=local.dtype,
    )  # fmt: skip
    return local


def relabel_rows(met: Sequence[Met]) -> list[tuple[Any, list[Drawn]]]:
    """``relabel`` for what was drawn from nodes of several types, each row sorted by number.

    As :func:`dglmeta.kernels.cpu.relabel.relabel_rows`: the same order. A dozen launches whatever
    the number of types; waits for the device once. Rows are sorted by ranking where the longest of
    an edge type is short, else by a radix sort of all of them.
    """
    busy = [any(len(drawn.edge_ids) for drawn in one.drawn) for one in met]
    if not any(busy):
        return [(one.first, list(one.drawn)) for one in met]
    types, parts = [], []
    for one in (one for one, is_busy in zip(met, busy, strict=True) if is_busy):
        types.append(_type(one.first, [drawn.neighbours for drawn in one.drawn], one.n_nodes))
        keys = zip(types[-1].others, one.drawn, strict=True)
        parts += [_Part(len(types) - 1, ids, drawn) for ids, drawn in keys]
    numbered = _number(types, parts)
    local = iter(_renumber(numbered, parts))
    spans = zip(types, numbered.stops[:-1], numbered.stops[1:], strict=True)
    results = []
    for one, is_busy in zip(met, busy, strict=True):
        if not is_busy:
            results.append((one.first, list(one.drawn)))
            continue
        kind, begin, end = next(spans)
        nodes = numbered.nodes[begin:end]
        named = nodes if kind.known is None else kind.known[nodes]
        results.append((named, [next(local) for _ in one.drawn]))
    return results


def distinct(ids: Any) -> Any:
    """The ids, each once, in the order of their first appearance.

    As :func:`dglmeta.kernels.cpu.relabel.distinct`, by a stable sort.
    """
    xp = array_module()
    ids = ids.astype("int64", copy=False)
    if len(ids) == 0:
        return ids
    order = xp.argsort(ids, kind="stable")
    return ids[xp.sort(order[_differ(ids[order])])]


def _type(first: Any, others: list[Any], n_nodes: int) -> _Type:
    """What to mark: ids, or their places among those met where a bitmap of all would be long."""
    xp = array_module()
    first = xp.ascontiguousarray(first, dtype="int64")
    if n_nodes <= SPARSE_FROM * (len(first) + sum(map(len, others)) + 1):
        return _Type(first, [xp.ascontiguousarray(ids) for ids in others], n_nodes, None)
    known = xp.concatenate([a.astype("int64", copy=False) for a in (first, *others)])
    if len(known):
        known = xp.sort(known)
        known = known[_differ(known)]
    first, *others = (_places_in(known, ids) for ids in (first, *others))
    return _Type(first, others, len(known), known)


def _differ(ranked: Any) -> Any:
    """Whether each of some sorted numbers differs from the one before it."""
    is_new = array_module().ones(len(ranked), "bool")
    is_new[1:] = ranked[1:] != ranked[:-1]
    return is_new


def _places_in(known: Any, nodes: Any) -> Any:
    return array_module().searchsorted(known, nodes.astype(known.dtype, copy=False))


def _number(types: list[_Type], parts: list[_Part]) -> _Numbered:
    xp = array_module()
    tables = _tabulate(types, parts)
    n_words, n_types = tables.first_words[-1], len(types)
    old = xp.zeros(n_words, "uint64")
    launch(
        "relabel", "mark", tables.n_first // THREADS, THREADS,
        tables.types, n_types, old,
        INDEX="long long",
    )  # fmt: skip
    words = old.copy()
    _launch_by_dtype("mark", tables, parts, words)
    n_bits, grid = xp.zeros((2, n_words + 1), "int64"), blocks_for(n_words, THREADS)
    set_bits, new_bits = n_bits[0], n_bits[1]
    launch("relabel", "count_bits", grid, THREADS, old, words, n_words, set_bits[1:], new_bits[1:])
    ranks, n_new = xp.cumsum(set_bits), xp.cumsum(new_bits)
    measured = xp.zeros(n_types + 1 + len(parts), "int64")
    longest = measured[n_types + 1 :]
    launch(
        "relabel", "measure", blocks_for(max(tables.n_rows, n_types + 1), THREADS), THREADS,
        tables.types, n_types, ranks, n_words, tables.parts, len(parts), tables.n_rows,
        measured, longest,
    )  # fmt: skip
    here = measured.tolist()
    stops = here[: n_types + 1]
    nodes = xp.empty(stops[-1], "int64")
    places = xp.empty(stops[-1], "int32" if stops[-1] < 2**31 else "int64")
    launch(
        "relabel", "place_first", tables.n_first // THREADS, THREADS,
        tables.types, n_types, words, ranks, places, nodes,
        PLACE=places.dtype,
    )  # fmt: skip
    launch(
        "relabel", "place_new", grid, THREADS,
        tables.types, n_types, old, words, ranks, n_new, n_words, places, nodes,
        PLACE=places.dtype,
    )  # fmt: skip
    return _Numbered(tables, words, ranks, places, nodes, stops, longest, here[n_types + 1 :])


def _tabulate(types: list[_Type], parts: list[_Part]) -> _Tables:
    """The tables of some types and of the parts that they meet, in one array."""
    table, first_words, n_first = [], [0], 0
    for kind in types:
        address = address_of(kind.first)
        table.append([n_first, len(kind.first), first_words[-1], address, 0, 0, 0, 0])
        first_words.append(first_words[-1] + kind.n_nodes // 64 + 1)
        n_first += _whole_blocks(len(kind.first))
    begins, n_rows = [0], 0
    for kind, ids, (indptr, _, edge_ids) in parts:
        rows = 0 if indptr is None else len(indptr) - 1
        from_drawn = [0, 0] if indptr is None else [address_of(indptr), address_of(edge_ids)]
        ids_here = [begins[-1], len(ids), first_words[kind], address_of(ids)]
        table.append([*ids_here, n_rows, rows, *from_drawn])
        begins.append(begins[-1] + _whole_blocks(len(ids)))
        n_rows += rows
    both = array_module().asarray(np.array(table, np.int64))
    return _Tables(both[: len(types)], both[len(types) :], begins, n_first, first_words, n_rows)


def _whole_blocks(n: int) -> int:
    return blocks_for(n, THREADS) * THREADS


def _launch_by_dtype(
    kernel: str, tables: _Tables, parts: list[_Part], *args: Any, **macros: Any
) -> None:
    """A kernel for each run of parts whose ids have one dtype."""
    for dtype, run in groupby(range(len(parts)), lambda k: parts[k].ids.dtype):
        places = list(run)
        first, end = places[0], places[-1] + 1
        launch(
            "relabel", kernel, (tables.begins[end] - tables.begins[first]) // THREADS, THREADS,
            tables.parts[first:], end - first, *args,
            INDEX=dtype, **macros,
        )  # fmt: skip


def _renumber(numbered: _Numbered, parts: list[_Part]) -> list[Drawn]:
    """What was drawn with numbers in the place of ids, and rows sorted by them."""
    xp = array_module()
    tables, begins = numbered.tables, numbered.tables.begins
    numbers = xp.empty(begins[-1], numbered.places.dtype)
    table = numbered.words, numbered.ranks, numbered.places
    _launch_by_dtype("look_up_parts", tables, parts, *table, numbers, PLACE=numbers.dtype)
    local, edge_ids = xp.empty_like(numbers), xp.empty(begins[-1], "int64")
    launch(
        "relabel", "rank_rows", begins[-1] // THREADS, THREADS,
        tables.parts, len(parts), numbered.longest, RANKED_UP_TO, numbers, local, edge_ids,
        PLACE=numbers.dtype,
    )  # fmt: skip
    results = []
    for part, begin, longest in zip(parts, begins, numbered.longest_here, strict=False):
        indptr, _, ids = part.drawn
        here = slice(begin, begin + len(ids))
        if longest <= RANKED_UP_TO:
            results.append(Drawn(indptr, local[here], edge_ids[here]))
            continue
        rows = xp.searchsorted(indptr[1:], xp.arange(len(ids)), side="right")
        # Rows and nodes both fit in memory, so their product is far below 2^63.
        order = xp.argsort(rows * len(numbered.nodes) + numbers[here], kind="stable")
        results.append(Drawn(indptr, numbers[here][order], ids[order]))
    return results
