"""Tables of nodes and edges to :class:`HeteroCSR` and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dglmeta.errors import DataError
from dglmeta.graph.adjacency import Array
from dglmeta.graph.csr import HeteroCSR
from dglmeta.graph.schema import EdgeType, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["from_pandas", "to_pandas"]

VECTOR_COLUMN = re.compile(r"(.+)\[(\d+)\]")


def from_pandas(
    nodes: Mapping[str, pd.DataFrame | int], edges: Mapping[EdgeType, pd.DataFrame]
) -> HeteroCSR:
    """Convert one table per node type and one per edge type.

    Row i of a node table becomes node i and row e of an edge table edge e. All further columns
    become features: numbers, truth values and dates as they are (missing numbers as NaN), text
    as fixed-width NumPy strings, and columns ``x[0]``, ``x[1]``, ... of one dtype as one matrix.

    Parameters
    ----------
    nodes : dict of str to DataFrame or int
        A table with a column ``id`` of distinct integers or texts, kept as the feature ``id``; or
        a number n of nodes, whose ids are then 0 to n - 1.
    edges : dict of triple to DataFrame
        Columns ``src`` and ``dst`` hold ids of the source and the destination type.

    Raises
    ------
    DataError
        If a column is missing or holds anything else, an id occurs twice, or an edge names an id
        that its node table does not have; with the first row at fault.

    Examples
    --------
    >>> import pandas as pd
    >>> users = pd.DataFrame({"id": ["ann", "bob"], "age": [30, 40]})
    >>> rated = pd.DataFrame({"src": ["bob", "ann"], "dst": [2, 0], "stars": [5, 1]})
    >>> hg = from_pandas({"user": users, "item": 3}, {("user", "rated", "item"): rated})
    >>> hg.adjacency("rated").coo()
    (array([1, 0], dtype=int32), array([2, 0], dtype=int32))
    """
    Schema(tuple(nodes), tuple(edges))  # unknown node types are refused before any lookup
    ids, node_data = {}, {}
    for node_type, table in nodes.items():
        ids[node_type], node_data[node_type] = _node_table(node_type, table)
    ends, edge_data = {}, {}
    for triple, table in edges.items():
        where = f"edges[{triple}]"
        columns = _columns(where, table, ("src", "dst"))
        src = _look_up(where, "src", columns.pop("src"), ids[triple[0]], triple[0])
        dst = _look_up(where, "dst", columns.pop("dst"), ids[triple[2]], triple[2])
        ends[triple], edge_data[triple] = (src, dst), _gather_vectors(columns)
    n_nodes = {node_type: len(index) for node_type, index in ids.items()}
    return HeteroCSR.from_edges(ends, n_nodes, node_data, edge_data)


def to_pandas(hg: HeteroCSR) -> tuple[dict[str, pd.DataFrame], dict[EdgeType, pd.DataFrame]]:
    """One table per node type and one per edge type, as :func:`from_pandas` reads them.

    Nodes are named by their feature ``id``, or numbered where they have none. A feature of
    shape (n, d) becomes the columns ``name[0]`` to ``name[d - 1]``.

    Returns
    -------
    nodes, edges : dict of str to DataFrame, dict of triple to DataFrame

    Raises
    ------
    DataError
        If a feature has more than two axes, or a feature ``id`` does not tell nodes apart.
    """
    import pandas as pd

    ids = {t: _node_ids(hg, t) for t in hg.n_nodes}
    nodes = {}
    for node_type, names in ids.items():
        features = {k: x for k, x in hg.node_data.get(node_type, {}).items() if k != "id"}
        nodes[node_type] = pd.DataFrame({"id": names, **_spread_vectors(node_type, features)})
    edges = {}
    for triple, adj in hg.adjacencies.items():
        src, dst = adj.coo()
        ends = {"src": ids[triple[0]][src], "dst": ids[triple[2]][dst]}
        features = _spread_vectors(triple, hg.edge_data.get(triple, {}))
        edges[triple] = pd.DataFrame({**ends, **features})
    return nodes, edges


def _node_table(node_type: str, table: pd.DataFrame | int) -> tuple[pd.Index, dict[str, Array]]:
    """The ids of one node type in row order, and its features."""
    import pandas as pd

    if isinstance(table, int | np.integer):
        return pd.RangeIndex(int(table)), {}
    where = f"nodes[{node_type!r}]"
    columns = _columns(where, table, ("id",))
    index = pd.Index(columns["id"])
    repeated = np.flatnonzero(index.duplicated())
    if len(repeated):
        row = repeated[0]
        raise DataError(
            f"from_pandas: expected distinct ids in {where}, got {columns['id'][row].item()!r} "
            f"again in row {row}. Keep one row per id."
        )
    return index, _gather_vectors(columns)


def _look_up(where: str, end: str, names: Array, index: pd.Index, node_type: str) -> Array:
    """The node numbers that a column of ids means."""
    import pandas as pd

    found: Array = index.get_indexer(pd.Index(names))
    unknown = np.flatnonzero(found < 0)
    if len(unknown):
        row = unknown[0]
        raise DataError(
            f"from_pandas: expected ids of {node_type!r} (of type {index.dtype}) in {where}, got "
            f"{end} {names[row].item()!r} in row {row}. Add the node or drop the edge."
        )
    return found


def _columns(where: str, table: pd.DataFrame, keys: tuple[str, ...]) -> dict[str, Array]:
    """All columns of a table as arrays; the keys must be there and hold integers or text."""
    missing = [key for key in keys if key not in table.columns]
    if missing:
        raise DataError(
            f"from_pandas: expected columns {list(keys)} in {where}, got {list(table.columns)}. "
            f"Rename the columns that hold {missing}."
        )
    columns = {str(k): _column(f"{where}[{k!r}]", table[k]) for k in table.columns}
    for key in keys:
        if len(table) and columns[key].dtype.kind not in "iuU":
            raise DataError(
                f"from_pandas: expected integers or text in {where}[{key!r}], got "
                f"{table[key].dtype}. Fill missing ids and convert the column, or drop its rows."
            )
    return columns


def _column(where: str, series: pd.Series) -> Array:
    """A column's values in a dtype that needs no Python objects; always a copy."""
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        series = pd.Series(np.asarray(series))
    absent = series.isna().to_numpy()
    if pd.api.types.is_numeric_dtype(series.dtype):
        dtype = _numpy_dtype(series)
        if absent.any():
            dtype = np.result_type(dtype, np.float16)
            return np.array(series.to_numpy(dtype=dtype, na_value=np.nan))
        return np.array(series, dtype=dtype)
    if series.dtype.kind in "mM" and isinstance(series.dtype, np.dtype):
        return np.array(series)
    values = series.to_numpy(dtype=object)
    if not absent.any() and pd.api.types.infer_dtype(values) in ("string", "empty"):
        return np.array(values, dtype=str)
    bad = (row for row, v in enumerate(values) if absent[row] or not isinstance(v, str))
    row = next(bad)
    raise DataError(
        f"from_pandas: expected numbers or text in {where}, got {values[row]!r} in row {row}. "
        f"Fill, convert or drop the column."
    )


def _numpy_dtype(series: pd.Series) -> np.dtype[Any]:
    """The NumPy dtype of a numeric column, also of one of pandas' nullable dtypes."""
    dtype: np.dtype[Any] = np.dtype(getattr(series.dtype, "numpy_dtype", series.dtype))
    return dtype


def _gather_vectors(columns: dict[str, Array]) -> dict[str, Array]:
    """Columns ``x[0]`` to ``x[d - 1]`` of one dtype, or of text, as one (n, d) array ``x``."""
    parts: dict[str, dict[int, str]] = {}
    for column in columns:
        if match := VECTOR_COLUMN.fullmatch(column):
            parts.setdefault(match[1], {})[int(match[2])] = column
    gathered = dict(columns)
    for name, numbered in parts.items():
        complete = sorted(numbered) == list(range(len(numbered))) and name not in columns
        arrays = [columns[numbered[k]] for k in sorted(numbered)]
        if complete and len({"text" if x.dtype.kind == "U" else x.dtype for x in arrays}) == 1:
            gathered = {k: x for k, x in gathered.items() if k not in numbered.values()}
            gathered[name] = np.stack(arrays, axis=1)
    return gathered


def _spread_vectors(owner: object, features: Mapping[str, Array]) -> dict[str, Array]:
    columns: dict[str, Array] = {}
    for name, x in features.items():
        if x.ndim > 2:
            raise DataError(
                f"to_pandas: expected features of one or two axes, got {name!r} of {owner!r} with "
                f"shape {x.shape}. Flatten or leave it out."
            )
        columns |= {name: x} if x.ndim == 1 else {f"{name}[{k}]": c for k, c in enumerate(x.T)}
    return columns


def _node_ids(hg: HeteroCSR, node_type: str) -> Array:
    ids = hg.node_data.get(node_type, {}).get("id")
    if ids is None:
        return np.arange(hg.n_nodes[node_type])
    if ids.ndim != 1 or len(np.unique(ids)) != len(ids):
        raise DataError(
            f"to_pandas: expected one distinct id per node in node_data[{node_type!r}]['id'], got "
            f"shape {ids.shape} with {len(np.unique(ids))} distinct. Rename or drop the feature."
        )
    return ids
