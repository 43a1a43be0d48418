"""Embeddings reach other programs whatever the node types are called."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from dglmeta.errors import ConfigError, DataError
from dglmeta.report.export import write_embeddings

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
    assert [(r["type"], r["id"]) for r in rows] == [
        *(("file", i) for i in range(3)),
        ("tv/show", 0),
    ]
    assert [r["embedding"] for r in rows] == [[0, 1], [2, 3], [4, 5], [1, 1, 1]]


def test_an_unknown_ending_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.npz or \.parquet, got .*z\.csv"):
        write_embeddings(tmp_path / "z.csv", Z)
    with pytest.raises(DataError, match="expected a folder at .*gone, got none"):
        write_embeddings(tmp_path / "gone" / "z.npz", Z)


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "z.npz").mkdir()
    with pytest.raises(DataError, match=r"expected to write .*z\.npz"):
        write_embeddings(tmp_path / "z.npz", Z)
