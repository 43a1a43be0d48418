"""The node-labelled graphs of GTN: what is read, and what is said about damaged files."""

from __future__ import annotations

import io

import numpy as np
import pytest

from dglmeta.data import GtnLayout, load_dataset, read_gtn
from dglmeta.errors import DataError

BY, ABOUT = ("paper", "by", "author"), ("paper", "about", "subject")
# Papers 0 to 2, authors 3 and 4, subject 5; relations in another order than the layout's.
LAYOUT = GtnLayout(
    "small.npz", {"paper": 3, "author": 2, "subject": 1}, {"P-A": BY, "P-S": ABOUT}, 4, 2
)
ARRAYS = {
    "relations": np.array(["P-S", "P-A", "S-P", "A-P"]),
    "edge_0": np.array([[0, 1, 2], [5, 5, 5]], np.int32),
    "edge_1": np.array([[2, 0, 1, 0], [3, 4, 4, 3]], np.int32),
    "edge_2": np.array([[5, 5, 5], [2, 0, 1]], np.int32),
    "edge_3": np.array([[3, 3, 4, 4], [0, 2, 0, 1]], np.int32),
    "feat_indptr": np.array([0, 2, 2, 3, 4, 4, 5], np.int32),
    "feat_indices": np.array([0, 3, 1, 2, 3], np.int16),
    "feat_shape": np.array([6, 4]),
    "train": np.array([[2, 1]], np.int32),
    "valid": np.array([[0, 0]], np.int32),
    "test": np.array([[1, 1]], np.int32),
}


@pytest.fixture
def read(write):
    """``read(name=array, ...)``: the small graph with these arrays changed; None leaves one out."""

    def make(*, packed=False, **changed):
        arrays = {k: v for k, v in (ARRAYS | changed).items() if v is not None}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return read_gtn(write({LAYOUT.file: buffer.getvalue()}, packed=packed), LAYOUT)

    return make


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_ids_count_within_types_and_each_relation_is_held_once(read, packed):
    hg = read(packed=packed).csr
    assert hg.n_nodes == LAYOUT.n_nodes
    edges = {t: {*zip(*(e.tolist() for e in a.coo()), strict=True)} for t, a in
             hg.adjacencies.items()}  # fmt: skip
    assert edges == {BY: {(2, 0), (0, 1), (1, 1), (0, 0)}, ABOUT: {(0, 0), (1, 0), (2, 0)}}


def test_features_are_dense_by_type(read):
    data = read().csr.node_data
    assert {name: features["feat"].dtype for name, features in data.items()} == dict.fromkeys(
        LAYOUT.n_nodes, np.uint8
    )
    assert data["paper"]["feat"].tolist() == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]]
    assert data["author"]["feat"].tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    assert data["subject"]["feat"].tolist() == [[0, 0, 0, 1]]


def test_labels_are_the_published_split(read):
    split = read().node_split
    assert (split.node_type, split.n_classes) == ("paper", 2)
    parts = [(p.node.tolist(), p.label.tolist()) for p in (split.train, split.valid, split.test)]
    assert parts == [([2], [1]), ([0], [0]), ([1], [1])]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"edge_3": None}, "expected an array 'edge_3', got"),
        ({"feat_indptr": None}, "expected an array 'feat_indptr'"),
        ({"train": None}, "expected an array 'train'"),
        ({"relations": np.array(["P-S", "P-A", "S-P"])}, "expected relation 'A-P', got"),
        ({"edge_0": ARRAYS["edge_0"].T}, r"expected edge_0 as integers of shape \(2, n\)"),
        ({"edge_0": ARRAYS["edge_0"] * 1.0}, "got float64 of shape"),
        (
            {"edge_1": ARRAYS["edge_1"] + [[0], [1]]},
            r"expected ids from 3 to 4 in edge_1 \(P-A, author\), got 5",
        ),
        (
            {"edge_2": ARRAYS["edge_2"] - [[0], [1]]},
            r"expected ids from 0 to 2 in edge_2 \(S-P, paper\), got -1",
        ),
        ({"edge_3": ARRAYS["edge_3"][:, :3]}, "expected A-P to be P-A turned round"),
        (
            {"edge_3": np.array([[3, 3, 4, 4], [1, 2, 0, 1]])},
            "expected A-P to be P-A turned round, got other edges",
        ),
        ({"feat_shape": np.array([6, 5])}, r"expected features of shape \(6, 4\), got \(6, 5\)"),
        ({"feat_indices": np.array([0, 3, 1, 2, 4])}, "ids from 0 to 3 in feat_indices, got 4"),
        ({"feat_indptr": np.array([0, 2, 1, 3, 4, 4, 5])}, "feat_indptr to rise from 0 to 5"),
        ({"feat_indptr": np.array([0, 2, 2, 3, 4, 4, 4])}, "feat_indptr to rise from 0 to 5"),
        ({"feat_indptr": np.array([0, 2, 5])}, r"feat_indptr as integers of shape \(7\)"),
        ({"train": np.array([[3, 1]])}, r"from 0 to 2 in train \(labelled nodes\), got 3"),
        ({"train": np.array([[2, -1]])}, "expected classes from 0 to 1 in train, got -1"),
        ({"train": np.array([[2, 2]])}, "expected classes from 0 to 1 in train, got 2"),
        ({"test": np.array([[1, 1], [1, 0]])}, "got node 1 again in test"),
        ({"test": np.array([[2, 1]])}, "got node 2 again in test"),
        ({"train": np.array([[2, 1]], dtype=object)}, "expected an .npz file without pickles"),
    ],
)
def test_a_wrong_array_is_refused_with_the_file_and_what_is_wrong(read, changed, says):
    with pytest.raises(DataError, match=says) as caught:
        read(**changed)
    assert LAYOUT.file in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "damage", [lambda d: d[: len(d) // 2], lambda d: b"no zip at all", lambda d: b""]
)
def test_a_damaged_file_is_refused(write, damage):
    buffer = io.BytesIO()
    np.savez(buffer, **ARRAYS)
    with pytest.raises(DataError, match=r"small.npz: expected an .npz file without pickles"):
        read_gtn(write({LAYOUT.file: damage(buffer.getvalue())}), LAYOUT)


def test_a_garbled_member_is_refused(write):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **ARRAYS)
    data = bytearray(buffer.getvalue())
    for at in range(60, 160):
        data[at] ^= 0x55
    with pytest.raises(DataError, match=r"small.npz: expected an .npz file without pickles"):
        read_gtn(write({LAYOUT.file: bytes(data)}), LAYOUT)


def test_a_single_array_in_the_files_place_is_refused(write):
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    with pytest.raises(DataError, match=r"small.npz: expected an .npz file without pickles"):
        read_gtn(write({LAYOUT.file: buffer.getvalue()}), LAYOUT)


def test_a_folder_without_the_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected small.npz, got no such file"):
        read_gtn(tmp_path, LAYOUT)


@pytest.mark.parametrize(
    ("name", "n_nodes", "edges_both_ways", "n_features", "n_ones", "parts", "classes"),
    [
        ("acm", {"paper": 3025, "author": 5912, "subject": 57}, 25_922, 1902, 986_255,
         (600, 300, 2125), [994, 970, 1061]),
        ("imdb", {"movie": 4661, "director": 2270, "actor": 5841}, 37_288, 1256, 68_651,
         (300, 300, 2339), [543, 924, 1472]),
    ],
)  # fmt: skip
def test_acm_and_imdb_have_the_published_counts(
    data_dir, name, n_nodes, edges_both_ways, n_features, n_ones, parts, classes
):
    ds = load_dataset(name, root=data_dir, verify=True)
    assert ds.csr.n_nodes == n_nodes
    assert 2 * sum(ds.csr.n_edges.values()) == edges_both_ways
    features = [data["feat"] for data in ds.csr.node_data.values()]
    assert {array.shape[1] for array in features} == {n_features}
    assert sum(int(array.sum()) for array in features) == n_ones
    split = ds.splits()
    rows = (split.train, split.valid, split.test)
    assert tuple(len(part.node) for part in rows) == parts
    labels = np.concatenate([part.label for part in rows])
    assert np.bincount(labels).tolist() == classes
    assert ds.target is None


@pytest.mark.parametrize("name", ["acm", "imdb"])
def test_other_nodes_features_are_those_of_any_neighbour(data_dir, name):
    """So the types and the ids within them are the right ones."""
    hg = load_dataset(name, root=data_dir).csr
    for (source, _, target), adj in hg.adjacencies.items():
        reached = adj.T.to_scipy().astype(np.int32) @ hg.node_data[source]["feat"]
        assert ((reached > 0) == hg.node_data[target]["feat"]).all()


def test_features_reach_the_dgl_graph(data_dir):
    ds = load_dataset("acm", root=data_dir)
    feat = ds.graph.nodes["subject"].data["feat"].numpy()
    np.testing.assert_array_equal(feat, ds.csr.node_data["subject"]["feat"])
