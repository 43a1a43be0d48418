"""Single graphs in the npz format of gnn-benchmark."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array

from dglmeta.data import LINK, NODE, load_dataset, read_npz_graph
from dglmeta.data.formats.npz import COMPUTERS, PHOTO
from dglmeta.errors import DataError


def pieces(name: str, matrix: csr_array) -> dict[str, np.ndarray]:
    return {f"{name}_{p}": getattr(matrix, p) for p in ("data", "indices", "indptr", "shape")}


# A loop at 2, an entry of value 0 at (3, 4), and 0-1 in both directions.
ADJ = csr_array(coo_array(([1.0, 1, 1, 1, 0, 1], ([0, 1, 1, 2, 3, 4], [1, 0, 3, 2, 4, 0]))))
ADJ.resize(6, 6)
ATTR = csr_array(np.array([[0, 2], [1, 0], [0, 0], [0, 1], [1, 1], [0, 0.5]]))
ARRAYS = pieces("adj", ADJ) | pieces("attr", ATTR) | {"labels": np.array([0, 1, 0, 2, 1, 0])}


@pytest.fixture
def read(tmp_path):
    """``read(name=array, ...)``: the small graph with these arrays changed; None leaves one out."""

    def make(**changed):
        arrays = {k: v for k, v in (ARRAYS | changed).items() if v is not None}
        np.savez(tmp_path / "small.npz", **arrays)
        return read_npz_graph(tmp_path / "small.npz")

    return make


def test_edges_become_undirected_and_zeros_and_loops_are_dropped(read):
    ds = read()
    u, v = ds.csr.adjacency(LINK).coo()
    assert list(zip(u.tolist(), v.tolist(), strict=True)) == [
        (0, 1), (0, 4), (1, 0), (1, 3), (3, 1), (4, 0)
    ]  # fmt: skip
    feat = ds.csr.node_data[NODE]["feat"]
    assert feat.dtype == np.float32
    assert (feat == ATTR.toarray()).all()


def test_every_node_is_dealt_with_its_class(read):
    split = read().node_split
    parts = split.train, split.valid, split.test
    assert [len(part.node) for part in parts] == [4, 1, 1]
    nodes, labels = (np.concatenate(x) for x in zip(*parts, strict=True))
    assert sorted(nodes.tolist()) == list(range(6))
    assert (labels == ARRAYS["labels"][nodes]).all()


def test_pickles_that_are_not_needed_are_left_alone(read):
    assert read(class_names=np.array(["a", None], dtype=object)).csr.n_nodes == {NODE: 6}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"adj_data": None}, "expected an array 'adj_data', got"),
        ({"labels": None}, "expected an array 'labels'"),
        ({"adj_shape": np.array([6, 7])}, r"expected a square adj .* \(6, 7\) and \(6, 2\)"),
        ({"labels": np.zeros(5, int)}, r"expected labels as integers of shape \(6\)"),
        ({"labels": np.array([0, 1, 0, 2, 1, -1])}, "expected classes from 0 to 2 in"),
        ({"adj_indices": ADJ.indices + 3}, "expected ids from 0 to 5 in adj_indices, got"),
        ({"adj_indptr": ADJ.indptr[::-1]}, "expected adj_indptr to rise from 0 to 6"),
        ({"attr_indptr": ATTR.indptr[:-1]}, r"expected attr_indptr as integers of shape \(7\)"),
        ({"attr_data": ATTR.data[1:]}, "expected attr_data as 6 numbers, got"),
        ({"attr_data": np.array(["x"] * 6)}, "expected attr_data as 6 numbers, got <U1"),
        ({"labels": ARRAYS["labels"].astype(object)}, "cannot be read without pickles"),
    ],
)
def test_a_wrong_array_is_refused_with_the_file(read, changed, says):
    with pytest.raises(DataError, match=says) as caught:
        read(**changed)
    assert "small.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_and_a_damaged_file_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected small.npz, got no such file"):
        read_npz_graph(tmp_path / "small.npz")
    (tmp_path / "small.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"small.npz: expected an .npz file, got one that cannot"):
        read_npz_graph(tmp_path / "small.npz")


@pytest.mark.parametrize(
    ("name", "file", "sizes"),
    [
        ("amazon-computers", COMPUTERS, (13752, 491722, 767, 10)),
        ("amazon-photo", PHOTO, (7650, 238162, 745, 8)),
    ],
)
def test_amazon_has_its_public_sizes(name, file, sizes, data_dir):
    if not (data_dir / "amazon" / file).is_file():
        pytest.skip(f"needs {file} in {data_dir / 'amazon'}")
    ds = load_dataset(name, data_dir)
    n_features = ds.csr.node_data[NODE]["feat"].shape[1]
    counts = ds.counts
    assert (counts["node"], counts["edges"], n_features, counts["classes"]) == sizes
