"""A folder of the user's own tables: ``schema.toml`` and one table a node or edge type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from dglmeta.data.dataset import Dataset
from dglmeta.data.folder_schema import SCHEMA_FILE, EdgeTable, NodeTable, read_schema
from dglmeta.data.formats.tables import as_text, number_by_first_seen, parse_csv, read_bytes
from dglmeta.data.node_splits import LabelledNodes, NodeSplit
from dglmeta.errors import DataError
from dglmeta.graph import EdgeType, HeteroCSR, MetaPath

__all__ = ["read_folder"]

Array = npt.NDArray[Any]

DELIMITERS = {".csv": ",", ".tsv": "\t"}
FEWEST_LABELS = 5
"""So that train, valid and test each have one."""

WHOLE_NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"


@dataclass(frozen=True)
class _Nodes:
    """The nodes of a type: how many, ids as text (None: 0, 1, ...), features, and any labels."""

    n: int
    ids: pa.Array | None
    data: dict[str, Array]
    labels: LabelledNodes | None = None


def read_folder(path: str | Path) -> Dataset:
    """The user's own graph, from ``schema.toml`` and one CSV or Parquet table a type.

    ``schema.toml`` looks like this; only ``[nodes.TYPE]`` and ``[edges.NAME]`` with ``file``,
    ``source`` and ``target`` are needed::

        target = "rated"                       # the link to predict
        metapaths = ["user-item-tag-item"]     # auxiliary tasks

        [nodes.user]
        file = "users.csv"                     # .csv or .tsv (also .gz) with a header, or .parquet
        id = "user_id"                         # the column of ids; "id" when absent

        [nodes.item]
        file = "items.parquet"
        features = ["price", "year"]           # numeric columns; all of them when absent
        label = "genre"                        # the column of classes to predict; one type only

        [nodes.tag]
        count = 5                              # no table: the ids are 0 to 4

        [edges.rated]
        file = "ratings.csv"
        source = "user"                        # node types of the ends
        target = "item"
        src = "user_id"                        # columns of ids; "src" and "dst" when absent
        dst = "item_id"
        features = []                          # none; all numeric columns when absent

        [edges.has]
        file = "tags.csv"
        source = "item"
        target = "tag"
        relation = "has"                       # the section's name when absent

        [card]                                 # title, source, licence, citation, note

    Ids are compared as text, so 7 in one table is "7" in another. Nodes keep the order of their
    table. Their ids become ``node_data[type]["id"]``, int64 if all are whole numbers, else text.
    Features become ``node_data[type]["feat"]`` and ``edge_data[triple]["feat"]``, (n, k) float32,
    columns in the order of the table or of ``features``. A column with any text in it is not
    numeric: name it in ``features`` to be told where. The index pandas writes is no feature, and
    neither is the label.

    Labels are numbered in sorted order, as numbers if all are whole, else as text; an empty cell
    is a node without. They are dealt at random, 60/20/20, into ``node_split``. A target link comes
    first: leave it out where the classes are to be predicted.

    Parameters
    ----------
    path : path
        The folder. Its absolute path is the data set's name.

    Raises
    ------
    DataError
        If a file, column or setting is missing or wrong, an id is empty, repeated or unknown, or a
        feature is empty, NaN or infinite. Names the file and the line, or the row, counted from 1
        without the header.
    SchemaError
        If the target or a meta-path is not in the graph.
    """
    folder = Path(path).resolve()
    schema = read_schema(folder / SCHEMA_FILE)
    nodes = {name: _read_nodes(folder, name, spec) for name, spec in schema.nodes.items()}
    edges: dict[EdgeType, tuple[Array, Array]] = {}
    edge_data: dict[EdgeType, dict[str, Array]] = {}
    for name, spec in schema.edges.items():
        triple = (spec.source, spec.relation or name, spec.target)
        if triple in edges:
            raise DataError(f"{schema.path}: {triple} is in two sections. Give each a relation.")
        edges[triple], edge_data[triple] = _read_edges(folder, spec, nodes)
    hg = HeteroCSR.from_edges(
        edges,
        {name: table.n for name, table in nodes.items()},
        {name: table.data for name, table in nodes.items() if table.data},
        {triple: data for triple, data in edge_data.items() if data},
    )
    target = None if schema.target is None else hg.schema.edge_type(schema.target)
    for text in schema.metapaths:
        MetaPath.parse(text, hg.schema)
    splits = [
        NodeSplit.at_random(name, table.labels)
        for name, table in nodes.items()
        if table.labels is not None
    ]
    return Dataset(
        str(folder),
        hg,
        target,
        schema.metapaths,
        card=schema.card,
        node_split=splits[0] if splits else None,
    )


def _read_nodes(folder: Path, name: str, spec: NodeTable) -> _Nodes:
    if spec.count is not None:
        if spec.count < 0:
            raise DataError(f"{folder / SCHEMA_FILE}, [nodes.{name}]: count is {spec.count}, < 0.")
        return _Nodes(spec.count, None, {})
    path = folder / str(spec.file)
    texts = (spec.id,) if spec.label is None else (spec.id, spec.label)
    table = _read_table(path, texts)
    ids = _id_column(path, table, spec.id)
    codes, values = number_by_first_seen(ids)
    if len(values) != len(codes):
        new = np.isin(np.arange(len(codes)), np.unique(codes, return_index=True)[1])
        _refuse(path, spec.id, ids, new, "an id that did not occur before")
    data = {"id": _plain(ids), **_features(path, table, spec.features, texts)}
    labels = None if spec.label is None else _read_labels(path, table, spec.label)
    return _Nodes(len(ids), ids, data, labels)


def _read_labels(path: Path, table: pa.Table, name: str) -> LabelledNodes:
    """The nodes whose label is not empty, and their classes."""
    texts = table[name].cast(pa.string()).combine_chunks().fill_null("")
    node = np.flatnonzero(np.asarray(pc.not_equal(texts, "")))
    given = texts.take(pa.array(node))
    names, label = np.unique(_plain(given), return_inverse=True)
    if len(node) < FEWEST_LABELS or len(names) < 2:
        raise DataError(
            f"{path}: expected at least {FEWEST_LABELS} nodes with a label in column {name!r}, in "
            f"2 or more classes, got {len(node)} in {len(names)}. Label more, or leave label out."
        )
    return LabelledNodes(node, label)


def _plain(texts: pa.Array) -> Array:
    """The values as int64 if all are whole numbers, else as text."""
    numbers = pc.all(pc.match_substring_regex(texts, WHOLE_NUMBER)).as_py()
    return np.asarray(texts.cast(pa.int64())) if numbers else as_text(texts)


def _read_edges(
    folder: Path, spec: EdgeTable, nodes: Mapping[str, _Nodes]
) -> tuple[tuple[Array, Array], dict[str, Array]]:
    path = folder / spec.file
    table = _read_table(path, (spec.src, spec.dst))
    ends = []
    for column, node_type in ((spec.src, spec.source), (spec.dst, spec.target)):
        if node_type not in nodes:
            raise DataError(
                f"{folder / SCHEMA_FILE}: expected node types among {list(nodes)}, "
                f"got {node_type!r}. Add [nodes.{node_type}]."
            )
        ids = _id_column(path, table, column)
        index = _positions(ids, nodes[node_type])
        _refuse(path, column, ids, index >= 0, f"an id of type {node_type!r}")
        ends.append(index)
    return (ends[0], ends[1]), _features(path, table, spec.features, (spec.src, spec.dst))


def _read_table(path: Path, id_columns: tuple[str, ...]) -> pa.Table:
    """The table of a file; id columns of text files stay text."""
    if not path.is_file():
        raise DataError(f"{path.parent}: expected {path.name}, got no such file. Put it there.")
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if kind in DELIMITERS:
        texts = {name: pa.string() for name in id_columns}
        data = read_bytes(path).rstrip(b"\r\n")
        table = parse_csv(path, data, texts, header=True, delimiter=DELIMITERS[kind], quotes=True)
    elif path.suffix == ".parquet":
        try:
            table = pyarrow.parquet.read_table(path)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path}: expected a Parquet file, got: {error}.") from None
    else:
        raise DataError(f"{path}: expected .csv, .tsv or .parquet, got {path.suffix!r}. Rename it.")
    for name in id_columns:
        _check_column(path, table, name)
    return table


def _check_column(path: Path, table: pa.Table, name: str) -> None:
    if table.column_names.count(name) != 1:
        raise DataError(
            f"{path}: expected one column {name!r}, got the columns {table.column_names}. "
            f"Name the right one in {SCHEMA_FILE}."
        )


def _id_column(path: Path, table: pa.Table, name: str) -> pa.Array:
    ids = table[name].cast(pa.string()).combine_chunks()
    given = np.asarray(pc.fill_null(pc.not_equal(ids, ""), False))
    _refuse(path, name, ids, given, "an id")
    return ids


def _positions(ids: pa.Array, nodes: _Nodes) -> Array:
    """Node number of each id, -1 where there is none."""
    if nodes.ids is not None:
        return np.asarray(pc.index_in(ids, nodes.ids).fill_null(-1)).astype(np.int64)
    whole = np.asarray(pc.match_substring_regex(ids, r"^[0-9]{1,18}$"))
    index = np.asarray(pc.if_else(pa.array(whole), ids, "-1").cast(pa.int64()))
    return np.where(index < nodes.n, index, -1)


def _features(
    path: Path, table: pa.Table, wanted: list[Any] | None, id_columns: tuple[str, ...]
) -> dict[str, Array]:
    """``{"feat": (n, k) float32}`` of the numeric columns, or nothing if there are none."""
    names = wanted
    if names is None:
        columns = [f for f in table.schema if _is_numeric(f.type) and not _is_row_number(f.name)]
        names = [f.name for f in columns if f.name not in id_columns]
    feat = np.empty((table.num_rows, len(names)), np.float32)
    for k, name in enumerate(names):
        _check_column(path, table, name)
        column = table[name].combine_chunks()
        if not _is_numeric(column.type):
            numbers = np.array([_is_number(value) for value in column.to_pylist()], bool)
            _refuse(path, name, column, numbers, "a number")
        values = np.asarray(column.cast(pa.float64()).fill_null(np.nan))
        with np.errstate(over="ignore"):
            feat[:, k] = values
        _refuse(path, name, column, np.isfinite(feat[:, k]), "a finite float32")
    return {"feat": feat} if names else {}


def _is_numeric(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return any(test(kind) for test in tests)


def _is_row_number(name: str) -> bool:
    """Whether pandas added the column by itself: its index, in CSV without a name."""
    return name == "" or name.startswith("__index_level_")


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _refuse(path: Path, column: str, values: pa.Array, ok: Array, expected: str) -> None:
    """Raise for the first row that is not ok."""
    if not ok.all():
        row = int(np.argmin(ok))
        raise DataError(
            f"{path}, row {row + 1}: expected {expected} in column {column!r}, got "
            f"{values[row].as_py()!r}. Correct the table."
        )
