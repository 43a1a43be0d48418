"""Tables of nodes and edges, there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from dglmeta.errors import DataError, SchemaError
from dglmeta.graph import HeteroCSR

pd = pytest.importorskip("pandas")
RATED, KNOWS = ("user", "rated", "item"), ("user", "knows", "user")


@settings(max_examples=80)
@given(st.data())
def test_to_pandas_and_back_adds_only_ids(heterographs, assert_same, data):
    hg = data.draw(heterographs())
    again = HeteroCSR.from_pandas(*hg.to_pandas())
    assert_same(again, hg, ignore=("id",))
    assert again.schema == hg.schema
    assert_same(HeteroCSR.from_pandas(*again.to_pandas()), again)


def test_ids_of_any_kind_are_numbered_in_table_order():
    users = pd.DataFrame({"id": ["zoe", "ann"], "age": [1.5, 2.5]})
    items = pd.DataFrame({"id": [70, 10, 40]})
    rated = pd.DataFrame({"src": ["ann", "zoe"], "dst": [10, 40], "stars": [5, 4]})
    hg = HeteroCSR.from_pandas({"user": users, "item": items}, {RATED: rated})
    assert_array_equal(np.stack(hg.adjacency(RATED).coo()), [[1, 0], [1, 2]])
    assert hg.node_data["user"]["id"].tolist() == ["zoe", "ann"]
    assert hg.node_data["user"]["id"].dtype == np.dtype("<U3")
    assert hg.node_data["item"]["id"].tolist() == [70, 10, 40]
    assert hg.edge_data[RATED]["stars"].tolist() == [5, 4]
    nodes, edges = hg.to_pandas()
    assert edges[RATED].to_dict("list") == rated.to_dict("list")
    assert nodes["user"].to_dict("list") == users.to_dict("list")


def test_a_node_type_may_be_a_count():
    edges = {KNOWS: pd.DataFrame({"src": [2, 0], "dst": [0, 1]})}
    hg = HeteroCSR.from_pandas({"user": 3}, edges)
    assert (hg.n_nodes, hg.node_data["user"]) == ({"user": 3}, {})
    with pytest.raises(DataError, match="got src 2 in row 0"):
        HeteroCSR.from_pandas({"user": 2}, edges)


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (pd.Series([1, 2], dtype="Int32"), np.array([1, 2], np.int32)),
        (pd.Series([1, None], dtype="Int64"), np.array([1, np.nan])),
        (pd.Series([True, False], dtype="boolean"), np.array([True, False])),
        (pd.Series([1, None], dtype="Float32"), np.array([1, np.nan], np.float32)),
        (pd.Series([0.5, None], dtype="float32"), np.array([0.5, np.nan], np.float32)),
        (pd.Series(["a", "bc"], dtype="category"), np.array(["a", "bc"])),
        (pd.Series([3, 5], dtype="category"), np.array([3, 5])),
        (pd.Series(["a", "bc"], dtype=object), np.array(["a", "bc"])),
        (pd.Series([1, 2], dtype="int64[pyarrow]"), np.array([1, 2])),
        (
            pd.Series(pd.to_datetime(["2020-01-01", "2021-01-01"])),
            np.array(["2020-01-01", "2021-01-01"], "M8[us]"),
        ),
    ],
)
def test_every_kind_of_column_becomes_a_plain_array(column, wanted):
    hg = HeteroCSR.from_pandas({"user": pd.DataFrame({"id": [0, 1], "x": column})}, {})
    x = hg.node_data["user"]["x"]
    assert type(x) is np.ndarray
    assert x.dtype == wanted.dtype
    assert x.flags.writeable
    assert_array_equal(x, wanted)


def test_numbered_columns_of_one_dtype_become_a_matrix_and_others_stay():
    table = pd.DataFrame(
        {"id": [0], "x[1]": [2.0], "x[0]": [1.0], "y[1]": [3.0], "z[0]": [1], "z[1]": [1.5]}
    )
    features = HeteroCSR.from_pandas({"user": table}, {}).node_data["user"]
    assert features["x"].tolist() == [[1.0, 2.0]]
    assert set(features) == {"id", "x", "y[1]", "z[0]", "z[1]"}


def test_features_do_not_change_with_the_table():
    table = pd.DataFrame({"id": [0, 1], "x": [1.0, 2.0]})
    hg = HeteroCSR.from_pandas({"user": table}, {})
    table.loc[0, "x"] = 9.0
    assert hg.node_data["user"]["x"].tolist() == [1.0, 2.0]


def _edges(src: list, dst: list) -> dict:
    return {KNOWS: pd.DataFrame({"src": src, "dst": dst})}


AB = pd.DataFrame({"id": ["a", "b"]})


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        (
            pd.DataFrame({"id": [4, 7, 4, 7]}),
            {},
            r"expected distinct ids in nodes\['user'\], got 4 again in row 2. Keep one row per id",
        ),
        (
            AB,
            _edges(["a", "a", "c", "d"], ["a", "b", "a", "a"]),
            r"expected ids of 'user' .* in edges\[.*knows.*\], got src 'c' in row 2. Add the node",
        ),
        (AB, _edges([0], [1]), "got src 0 in row 0"),
        (AB, _edges(["a"], [None]), r"expected numbers or text in .*\['dst'\], got None"),
        (
            pd.DataFrame({"id": [1.0, None]}),
            {},
            r"integers or text in nodes\['user'\]\['id'\], got fl",
        ),
        (pd.DataFrame({"id": [(1, 2)]}), {}, r"expected numbers or text in .* got \(1, 2\)"),
        (
            pd.DataFrame({"name": ["a"]}),
            {},
            r"expected columns \['id'\] in nodes\['user'\], got \['name",
        ),
        (AB, {KNOWS: pd.DataFrame({"src": ["a"]})}, r"Rename the columns that hold \['dst'\]"),
        (
            pd.DataFrame({"id": [1, 2], "tag": ["a", None]}),
            {},
            r"numbers or text in nodes\['user'\]\['tag'\], got nan in row 1. Fill",
        ),
        (
            pd.DataFrame({"id": [1], "tags": [["a"]]}),
            {},
            r"\['tags'\], got \['a'\] in row 0",
        ),
    ],
)
def test_tables_that_do_not_fit_are_refused_with_the_first_row_at_fault(nodes, edges, message):
    with pytest.raises(DataError, match=message):
        HeteroCSR.from_pandas({"user": nodes}, edges)


def test_an_edge_table_of_unknown_types_is_refused():
    with pytest.raises(SchemaError, match="names node type 'item'"):
        HeteroCSR.from_pandas({"user": 2}, {RATED: pd.DataFrame({"src": [0], "dst": [0]})})


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("x", np.zeros((2, 1, 1)), r"one or two axes, got 'x' of 'user' with shape \(2, 1, 1\)"),
        ("id", np.array([3, 3]), "one distinct id per node"),
        ("id", np.zeros((2, 2)), "one distinct id per node"),
    ],
)
def test_to_pandas_refuses_what_a_table_cannot_hold(name, values, message):
    hg = HeteroCSR.from_edges({}, {"user": 2}, {"user": {name: values}})
    with pytest.raises(DataError, match=message):
        hg.to_pandas()
