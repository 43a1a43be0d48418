"""Embeddings and links reach other programs whatever nodes and their types are called."""

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from dglmeta.errors import ConfigError, DataError
from dglmeta.report.export import write_embeddings, write_links

Z = {
    "file": np.arange(6, dtype=np.float32).reshape(3, 2),
    "tv/show": np.ones((1, 3), np.float32),
    "none": np.zeros((0, 2), np.float32),
}


def test_an_npz_holds_one_array_a_type(tmp_path):
    write_embeddings(tmp_path / "z.npz", Z)
    with np.load(tmp_path / "z.npz", allow_pickle=False) as arrays:
        assert list(arrays) == list(Z)
        assert all(np.array_equal(arrays[name], z) for name, z in Z.items())


def test_a_parquet_holds_one_row_a_node_even_where_widths_differ(tmp_path):
    write_embeddings(tmp_path / "z.parquet", Z)
    rows = pq.read_table(tmp_path / "z.parquet").to_pylist()
    assert [(r["type"], r["node"]) for r in rows] == [
        *(("file", i) for i in range(3)),
        ("tv/show", 0),
    ]
    assert [r["id"] for r in rows] == [r["node"] for r in rows]
    assert [r["embedding"] for r in rows] == [[0, 1], [2, 3], [4, 5], [1, 1, 1]]


def test_nodes_keep_the_ids_of_the_users_tables(tmp_path):
    z = {"user": np.ones((2, 1), np.float32), "tag": np.zeros((1, 1), np.float32)}
    named = {"user": np.array(["ann", "bob"], object), "unused": np.array([7])}
    for ids, column in ((named, ["ann", "bob", "0"]), ({"user": np.array([8, 9])}, [8, 9, 0])):
        write_embeddings(tmp_path / "z.parquet", z, ids)
        table = pq.read_table(tmp_path / "z.parquet").to_pydict()
        assert (table["id"], table["node"]) == (column, [0, 1, 0])
        write_embeddings(tmp_path / "z.npz", z, ids)
        with np.load(tmp_path / "z.npz", allow_pickle=False) as arrays:
            assert list(arrays) == ["user", "tag", "user.id"]
            assert arrays["user.id"].tolist() == column[:2]


def test_an_unknown_ending_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.npz or \.parquet, got .*z\.csv"):
        write_embeddings(tmp_path / "z.csv", Z)
    with pytest.raises(DataError, match="expected a folder at .*gone, got none"):
        write_embeddings(tmp_path / "gone" / "z.npz", Z)


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "z.npz").mkdir()
    with pytest.raises(DataError, match=r"expected to write .*z\.npz"):
        write_embeddings(tmp_path / "z.npz", Z)


def links(*logits):
    return np.array([0, 1]), np.array([2, 2]), np.array(logits, np.float32)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_links_are_rows_with_the_ids_of_the_user_and_probabilities_without_overflow(
    tmp_path, suffix
):
    path = tmp_path / f"links{suffix}"
    names = np.array(['say "a, b"', "5", "ü"])
    for ids, ends in ((names, ['say "a, b"', "5", "ü"]), (None, [0, 1, 2])):
        write_links(path, *links(1e30, -1e30), ids)
        read = pyarrow.csv.read_csv if suffix == ".csv" else pq.read_table
        table = read(path).to_pydict()
        assert (table["src"], table["dst"]) == (ends[:2], [ends[2]] * 2)
        assert table["probability"] == pytest.approx([1.0, 0.0])
        assert table["logit"] == pytest.approx([1e30, -1e30])


def test_no_links_are_an_empty_table_with_its_columns(tmp_path):
    none = np.zeros(0, np.int64)
    write_links(tmp_path / "links.csv", none, none, np.zeros(0, np.float32))
    assert (tmp_path / "links.csv").read_text() == "src,dst,logit,probability\n"


def test_links_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.csv or \.parquet, got .*l\.npz"):
        write_links(tmp_path / "l.npz", *links(0, 0))
    with pytest.raises(DataError, match="expected a folder at .*gone, got none"):
        write_links(tmp_path / "gone" / "l.csv", *links(0, 0))
    for name in ("l.csv", "l.parquet"):
        (tmp_path / name).mkdir()
        with pytest.raises(DataError, match=rf"expected to write .*{name}"):
            write_links(tmp_path / name, *links(0, 0))
