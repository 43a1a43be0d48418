"""A folder of the user's own tables: read as described, refused by file and row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dglmeta.data import load_dataset, read_folder
from dglmeta.errors import DataError, SchemaError
from dglmeta.graph import HeteroCSR

RATED, HAS = ("user", "rated", "item"), ("item", "has", "tag")

SCHEMA = """
target = "rated"
metapaths = ["user-item-tag-item"]

[nodes.user]
file = "users.csv"
id = "user_id"

[nodes.item]
file = "items.csv"

[nodes.tag]
count = 3

[edges.rated]
file = "ratings.csv"
source = "user"
target = "item"
src = "user_id"
dst = "item_id"

[edges.has]
file = "tags.csv"
source = "item"
target = "tag"
"""
OWN = {
    "schema.toml": SCHEMA,
    "users.csv": 'user_id,name,age,height\nann,Ann,30,1.5\nbob,"B, ob",40,2.5\ncy,"C ""y""",50,2\n',
    "items.csv": "id,price\n20,1.5\n10,2.5\n",
    "ratings.csv": "user_id,item_id,stars\nann,10,5\nbob,20,4\ncy,10,3\n",
    "tags.csv": "src,dst\n10,0\n20,2\n",
}


def test_ids_become_numbers_in_the_order_of_the_table(write):
    ds = read_folder(write(OWN))
    assert ds.csr.n_nodes == {"user": 3, "item": 2, "tag": 3}
    edges = {t: tuple(e.tolist() for e in adj.coo()) for t, adj in ds.csr.adjacencies.items()}
    assert edges == {RATED: ([0, 1, 2], [1, 0, 1]), HAS: ([1, 0], [0, 2])}
    assert ds.csr.node_data["user"]["id"].tolist() == ["ann", "bob", "cy"]
    assert ds.csr.node_data["item"]["id"].tolist() == [20, 10]
    assert ds.csr.node_data["item"]["id"].dtype == np.int64
    assert (ds.target, ds.metapaths) == (RATED, ("user-item-tag-item",))


def test_numeric_columns_are_features(write):
    hg = read_folder(write(OWN)).csr
    np.testing.assert_array_equal(
        hg.node_data["user"]["feat"], np.array([[30, 1.5], [40, 2.5], [50, 2]], np.float32)
    )
    np.testing.assert_array_equal(hg.edge_data[RATED]["feat"], [[5], [4], [3]])
    assert hg.edge_data[RATED]["feat"].dtype == np.float32
    assert HAS not in hg.edge_data
    assert "tag" not in hg.node_data


def test_features_can_be_chosen_or_left_out(write):
    chosen = SCHEMA.replace('id = "user_id"', 'id = "user_id"\nfeatures = ["height"]')
    none = chosen.replace('dst = "item_id"', 'dst = "item_id"\nfeatures = []')
    hg = read_folder(write(OWN | {"schema.toml": none})).csr
    assert hg.node_data["user"]["feat"].tolist() == [[1.5], [2.5], [2.0]]
    assert RATED not in hg.edge_data


def test_parquet_tsv_and_gzip_give_the_same_graph(write):
    expected = read_folder(write(OWN)).csr
    folder = write(
        {"ratings.tsv": OWN["ratings.csv"].replace(",", "\t"), "tags.csv": OWN["tags.csv"]},
        packed=True,
    )
    users = {"user_id": ["ann", "bob", "cy"], "age": [30, 40, 50], "height": [1.5, 2.5, 2.0]}
    pq.write_table(pa.table(users), folder / "users.parquet")
    pq.write_table(pa.table({"id": [20, 10], "price": [1.5, 2.5]}), folder / "items.parquet")
    schema = SCHEMA
    for old, new in (("ratings.csv", "ratings.tsv.gz"), ("tags.csv", "tags.csv.gz"),
                     ("users.csv", "users.parquet"), ("items.csv", "items.parquet")):  # fmt: skip
        schema = schema.replace(old, new)
    (folder / "schema.toml").write_text(schema)
    hg = read_folder(folder).csr
    assert hg.content_hash == expected.content_hash
    for name, data in expected.node_data.items():
        for key, values in data.items():
            np.testing.assert_array_equal(hg.node_data[name][key], values)


def test_ids_with_leading_zeros_stay_apart(write):
    changes = {
        "items.csv": "id,price\n007,1\n7,2\n",
        "ratings.csv": "user_id,item_id\nann,7\nbob,007\n",
        "tags.csv": "src,dst\n007,1\n",
    }
    hg = read_folder(write(OWN | changes)).csr
    assert hg.adjacency(RATED).coo()[1].tolist() == [1, 0]
    assert hg.node_data["item"]["id"].tolist() == ["007", "7"]


def test_the_index_that_pandas_writes_is_no_feature(write):
    pd = pytest.importorskip("pandas")
    folder = write(OWN)
    frame = pd.DataFrame({"id": [20, 10], "price": [1.5, 2.5]})
    frame.to_csv(folder / "items.csv")
    assert read_folder(folder).csr.node_data["item"]["feat"].shape == (2, 1)
    frame.set_index(pd.Index([7, 9])).to_parquet(folder / "items.parquet")
    (folder / "schema.toml").write_text(SCHEMA.replace("items.csv", "items.parquet"))
    assert read_folder(folder).csr.node_data["item"]["feat"].shape == (2, 1)


def test_one_relation_may_join_several_pairs_of_types(write):
    more = """
[edges.liked-tag]
file = "likes.csv"
source = "user"
target = "tag"
relation = "rated"
"""
    schema = SCHEMA.replace('target = "rated"', 'target = ["user", "rated", "item"]') + more
    ds = read_folder(write(OWN | {"schema.toml": schema, "likes.csv": "src,dst\nann,2\n"}))
    assert ds.csr.n_edges["user", "rated", "tag"] == 1
    assert ds.target == RATED


def test_a_folder_is_a_data_set_by_its_path(write):
    folder = write(OWN)
    ds = load_dataset(folder)
    assert ds.name == str(folder)
    assert load_dataset(ds.name).csr.content_hash == ds.csr.content_hash
    assert HeteroCSR.from_dgl(ds.graph).n_edges == ds.csr.n_edges
    assert ds.card.title == folder.name


def test_the_card_can_be_given(write):
    card = '\n[card]\ntitle = "My shop"\nlicence = "mine"\n'
    ds = read_folder(write(OWN | {"schema.toml": SCHEMA + card}))
    assert (ds.card.title, ds.card.licence, ds.card.note) == ("My shop", "mine", "")


def swap(old: str, new: str) -> dict[str, str]:
    assert old in SCHEMA
    return {"schema.toml": SCHEMA.replace(old, new, 1)}


def refusal(folder) -> str:
    """The one line read_folder refuses a folder with; it names the folder."""
    with pytest.raises(DataError) as caught:
        read_folder(folder)
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema.toml": None}, "expected schema.toml, got none"),
        (
            {"schema.toml": "target = \n"},
            "expected TOML, got: Invalid value (at line 1, column 10)",
        ),
        ({"schema.toml": b"\xff\xfe"}, "expected TOML, got: 'utf-8' codec"),
        ({"schema.toml": "[nodes.a]\ncount = 1\n"}, "expected edges, got ['nodes']"),
        ({"schema.toml": "[nodes]\na = 3\n[edges]\n"}, "[nodes.a]: expected a section, got 3"),
        (swap('target = "rated"', "target = 3"), "expected target as str or list, got 3"),
        (swap("count = 3", "size = 3"), "[nodes.tag]: expected settings among ['file', 'id'"),
        (swap("count = 3", ""), "[nodes.tag]: expected either file or count, got []"),
        (swap("count = 3", "count = '3'"), "[nodes.tag]: expected count as int, got '3'"),
        (swap("count = 3", "count = true"), "[nodes.tag]: expected count as int, got True"),
        (swap("count = 3", "count = -3"), "[nodes.tag]: count is -3, < 0"),
        (swap('source = "user"\n', ""), "[edges.rated]: expected source, got ['dst', 'file'"),
        (swap('source = "user"', 'source = "me"'), "expected node types among ['user', 'item'"),
    ],
)
def test_a_schema_that_is_wrong_is_refused_by_section(write, change, says):
    assert says in refusal(write(OWN | change))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("users.csv", None, "expected users.csv, got no such file"),
        ("users.xlsx", "x", "expected .csv, .tsv or .parquet, got '.xlsx'"),
        ("users.parquet", "x", "users.parquet: expected a Parquet file"),
        ("users.csv.gz", b"\x1f\x8b\x08", "expected a whole gzip file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(write, name, content, says):
    assert says in refusal(write(OWN | swap("users.csv", name) | {name: content}))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "users.csv: expected at least one row, got none"),
        ("user_id,age\n", "users.csv: expected at least one row, got none"),
        ("name,age\nann,3\n", "users.csv: expected one column 'user_id', got the columns ['name'"),
        ("user_id,user_id\na,b\n", "users.csv: expected one column 'user_id', got the columns"),
        ("user_id,age\nann,3\nbob\n", "users.csv, line 3: expected 2 columns, got 1"),
        ("user_id,age\nann,3\nann,4\n", "row 2: expected an id that did not occur before in"),
        ("user_id,age\nann,3\n,4\n", "row 2: expected an id in column 'user_id', got ''"),
        ("user_id,age\nann,3\nbob,\n", "row 2: expected a finite float32 in column 'age'"),
        ("user_id,age\nann,NaN\nbob,2\n", "row 1: expected a finite float32 in column 'age'"),
        ("user_id,age\nann,1\nbob,inf\n", "row 2: expected a finite float32 in column 'age'"),
        ("user_id,age\nann,1\nbob,1e99\n", "row 2: expected a finite float32 in column 'age'"),
    ],
)  # fmt: skip
def test_a_node_table_that_is_wrong_is_refused_by_row(write, content, says):
    assert says in refusal(write(OWN | {"users.csv": content}))


@pytest.mark.parametrize(
    ("name", "rows", "says"),
    [
        ("ratings.csv", "ann,10,1\nann,20,\n", "row 2: expected a finite float32 in"),
        ("ratings.csv", "ann,10,1\ndan,10,1\n", "row 2: expected an id of type 'user' in"),
        ("ratings.csv", "ann,30,1\n", "row 1: expected an id of type 'item' in"),
        ("tags.csv", "10,3\n", "row 1: expected an id of type 'tag' in column 'dst', got '3'"),
        ("tags.csv", "10,x\n", "row 1: expected an id of type 'tag' in column 'dst', got 'x'"),
        ("tags.csv", "10,-1\n", "row 1: expected an id of type 'tag' in column 'dst', got '-1'"),
    ],
)  # fmt: skip
def test_an_edge_table_that_is_wrong_is_refused_by_row(write, name, rows, says):
    header = OWN[name].splitlines()[0]
    message = refusal(write(OWN | {name: f"{header}\n{rows}"}))
    assert f"{name}, {says}" in message


@pytest.mark.parametrize(
    ("feature", "says"),
    [
        ("weight", "users.csv: expected one column 'weight', got the columns ['user_id'"),
        ("name", "users.csv, row 1: expected a number in column 'name', got 'Ann'"),
    ],
)
def test_a_feature_that_is_missing_or_text_is_refused(write, feature, says):
    change = swap('id = "user_id"', f'id = "user_id"\nfeatures = ["{feature}"]')
    assert says in refusal(write(OWN | change))


def test_two_sections_for_one_edge_type_are_refused(write):
    again = (
        SCHEMA + SCHEMA[SCHEMA.index("[edges.has]") :].replace("has", "has2") + 'relation = "has"'
    )
    assert "('item', 'has', 'tag') is in two" in refusal(write(OWN | {"schema.toml": again}))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (swap('target = "rated"', 'target = "likes"'), "no edge type 'likes'"),
        (swap("user-item-tag-item", "user-shop"), "unknown node type 'shop'"),
    ],
)
def test_a_target_or_metapath_that_is_not_there_is_refused(write, change, says):
    with pytest.raises(SchemaError, match=says):
        read_folder(write(OWN | change))


def test_a_column_with_text_far_down_is_no_feature_and_refused_where_it_is_named_one(write):
    rows = [f"{i},{i}" for i in range(100_000)]
    rows[99_000] = "99000,old"
    folder = write(OWN | {"items.csv": "id,price\n" + "\n".join(rows)})
    assert "feat" not in read_folder(folder).csr.node_data["item"]
    named = SCHEMA.replace('"items.csv"', '"items.csv"\nfeatures = ["price"]')
    (folder / "schema.toml").write_text(named)
    assert "row 99001: expected a number in column 'price', got 'old'" in refusal(folder)


LABELLED = OWN | {
    "schema.toml": SCHEMA.replace('target = "rated"', "", 1).replace(
        'file = "items.csv"', 'file = "items.csv"\nlabel = "genre"'
    ),
    "items.csv": "id,price,genre\n20,1.5,10\n10,2.5,2\n30,1,\n40,1,2\n50,2,30\n60,4,10\n",
}


def classes(split):
    parts = (split.train, split.valid, split.test)
    return {n: c for p in parts for n, c in zip(p.node.tolist(), p.label.tolist(), strict=True)}


def test_labels_are_numbered_in_order_and_no_feature(write):
    ds = read_folder(write(LABELLED))
    assert ds.target is None
    assert classes(ds.splits()) == {0: 1, 1: 0, 3: 0, 4: 2, 5: 1}
    assert (ds.node_split.node_type, ds.node_split.n_classes) == ("item", 3)
    assert [len(p.node) for p in (ds.splits().train, ds.splits().valid)] == [3, 1]
    assert ds.csr.node_data["item"]["feat"].shape == (6, 1)


def test_labels_may_be_text_and_come_from_parquet(write):
    folder = write(LABELLED | {"items.csv": None})
    schema = LABELLED["schema.toml"].replace("items.csv", "items.parquet")
    (folder / "schema.toml").write_text(schema)
    genre = ["rock", None, "folk", "rock", "jazz", "10"]
    table = pa.table({"id": [20, 10, 30, 40, 50, 60], "genre": genre})
    pq.write_table(table, folder / "items.parquet")
    assert classes(read_folder(folder).splits()) == {0: 3, 2: 1, 3: 3, 4: 2, 5: 0}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('label = "genre"', 'label = "id"', "neither id nor feature, got 'id'"),
        ('label = "genre"', 'label = "genre"\nfeatures = ["genre"]', "neither id nor feature"),
        ('label = "genre"', 'label = "kind"', "expected one column 'kind', got the columns"),
        ("count = 3", 'count = 3\nlabel = "x"', r"in one section of nodes, got it in \['item', 't"),
    ],
)
def test_a_label_that_cannot_be_one_is_refused(write, old, new, says):
    schema = LABELLED["schema.toml"].replace(old, new)
    with pytest.raises(DataError, match=says):
        read_folder(write(LABELLED | {"schema.toml": schema}))


def test_a_label_without_a_table_is_refused(write):
    schema = SCHEMA.replace("count = 3", 'count = 3\nlabel = "x"')
    with pytest.raises(
        DataError, match=r"\[nodes.tag\]: expected label to name a column of a table"
    ):
        read_folder(write(OWN | {"schema.toml": schema}))


@pytest.mark.parametrize("genres", ["a,b,a,b,,", "a,a,a,a,a,a"])
def test_too_few_labels_or_classes_are_refused(write, genres):
    rows = "".join(f"{10 * (k + 1)},{g}\n" for k, g in enumerate(genres.split(",")))
    with pytest.raises(DataError, match="at least 5 nodes with a label in column 'genre', in 2"):
        read_folder(write(LABELLED | {"items.csv": "id,genre\n" + rows}))
