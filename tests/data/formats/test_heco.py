"""The HeCo benchmark: what is read, and what is said about damaged files."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix, load_npz, save_npz

import dglmeta as dm
from dglmeta.data import DATASETS, Dataset, HecoLayout, LabelledNodes, NodeSplit, load_dataset
from dglmeta.data.formats import heco as module
from dglmeta.data.formats.heco import read_heco
from dglmeta.data.formats.tables import find_file
from dglmeta.errors import ConfigError, DataError, SchemaError
from dglmeta.graph import HeteroCSR

BY, ABOUT = ("paper", "by", "author"), ("paper", "about", "subject")
LAYOUT = HecoLayout(
    {"paper": 9, "author": 3, "subject": 2},
    {"pa.txt": BY, "ps.txt": ABOUT},
    "paper",
    n_classes=2,
    features={"paper": ("p_feat.npz", 4)},
    metapaths=("paper-author-paper",),
    labels_a_class=(1, 2),
)
LABELS = np.array([0, 1, 0, 1, 1, 0, 1, 0, 0])
FEATURES = np.array(np.arange(36).reshape(9, 4) % 5 / 4)
IDS = {
    "train_1": [3, 0], "val_1": [1, 2], "test_1": [8],
    "train_2": [0, 1, 2, 3], "val_2": [5, 4], "test_2": [6, 7],
}  # fmt: skip


def npy(values) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(values))
    return buffer.getvalue()


def npz(matrix) -> bytes:
    buffer = io.BytesIO()
    save_npz(buffer, matrix)
    return buffer.getvalue()


def arrays(**content) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    return buffer.getvalue()


FILES = {
    "pa.txt": "0\t2\n8\t0\n1\t2\n8\t1\n",
    "ps.txt": "".join(f"{n}.000e+00\t{n % 2}.000e+00\n" for n in range(9)),
    "p_feat.npz": npz(csr_matrix(FEATURES)),
    "labels.npy": npy(LABELS),
    **{f"{name}.npy": npy(ids) for name, ids in IDS.items()},
}


@pytest.fixture
def read(write):
    """``read({file: content})``: the small set with these files changed; None leaves one out."""

    def make(changed=None, *, layout=LAYOUT, packed=False):
        return read_heco(write(FILES | (changed or {}), packed=packed), layout)

    return make


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_relations_are_read_in_the_order_of_the_files(read, packed):
    ds = read(packed=packed)
    assert ds.csr.n_nodes == LAYOUT.n_nodes
    edges = {e: [ends.tolist() for ends in adj.coo()] for e, adj in ds.csr.adjacencies.items()}
    assert edges == {
        BY: [[0, 8, 1, 8], [2, 0, 2, 1]],
        ABOUT: [list(range(9)), [n % 2 for n in range(9)]],
    }
    assert (ds.metapaths, ds.target) == (("paper-author-paper",), None)


@pytest.mark.parametrize("form", [csr_matrix, coo_matrix])
def test_features_of_the_named_types_are_dense_and_as_stored(read, form):
    ds = read({"p_feat.npz": npz(form(FEATURES))})
    assert {name: list(data) for name, data in ds.csr.node_data.items()} == {"paper": ["feat"]}
    feat = ds.csr.node_data["paper"]["feat"]
    assert feat.dtype == np.float32
    np.testing.assert_array_equal(feat, FEATURES.astype(np.float32))


def test_a_layout_without_features_needs_no_file(read):
    ds = read({"p_feat.npz": None}, layout=replace(LAYOUT, features={}))
    assert not ds.csr.node_data


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.float64])
def test_labels_and_every_published_split_are_kept(read, dtype):
    ds = read({"labels.npy": npy(LABELS.astype(dtype))})
    assert ds.labels.dtype == np.int64
    assert ds.labels.tolist() == LABELS.tolist()
    assert list(ds.label_splits) == [1, 2]
    for k, split in ds.label_splits.items():
        assert (split.node_type, split.n_classes) == ("paper", 2)
        for name, rows in zip(
            ("train", "val", "test"), (split.train, split.valid, split.test), strict=True
        ):
            assert rows.node.tolist() == IDS[f"{name}_{k}"]
            assert rows.label.tolist() == LABELS[rows.node].tolist()
    assert ds.splits() is ds.node_split is ds.label_splits[2]


def test_other_files_of_the_folder_are_left_alone(read):
    read({"nei_a.npy": pickle.dumps([1]), "pap.npz": b"no zip"})


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(read, file):
    with pytest.raises(DataError, match=f"data: expected {file} or {file}.gz, got neither. Put"):
        read({file: None})


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("pa.txt", "0\t2\n9\t0\n", r"line 2: expected a whole number from 0 to 8 as source \(pa"),
        ("pa.txt", "0\t2\n1\t3\n", r"line 2: .* from 0 to 2 as destination \(author\), got 3.0"),
        ("pa.txt", "0\t-1\n", "line 1: .* got -1.0"),
        ("pa.txt", "0.5\t1\n", "line 1: expected a whole number from 0 to 8 .*, got 0.5"),
        ("pa.txt", "0\t1\nnan\t1\n", "line 2: .*got nan"),
        ("pa.txt", "inf\t1\n", "line 1: .*got inf"),
        ("pa.txt", "0\t1\n1\tx\n", r"line 2: expected a number as destination \(author\), got 'x'"),
        ("pa.txt", "0\t1\n1\n", "line 2: expected 2 columns"),
        ("pa.txt", "", "expected at least one row"),
        ("ps.txt", "0\t1\n1\t1\n0\t1\n", "line 3: expected every edge once, got 0 to 1 again"),
        ("labels.npy", npy(LABELS[:8]), r"expected 9 classes as .*, got int64 of shape \(8,\)"),
        ("labels.npy", npy(LABELS[:, None]), r"got int64 of shape \(9, 1\)"),
        ("labels.npy", npy(LABELS.astype(str)), "got <U.* of shape"),
        ("labels.npy", npy(LABELS + 1), "expected classes as whole numbers from 0 to 1, got 2"),
        ("labels.npy", npy(LABELS - 1), "classes as whole numbers from 0 to 1, got -1"),
        ("labels.npy", npy(LABELS * 0.5), "whole numbers from 0 to 1, got 0.5"),
        ("labels.npy", npy(LABELS.astype(object)), "expected an .npy file without pickles"),
        ("labels.npy", pickle.dumps(LABELS), "expected an .npy file without pickles"),
        ("labels.npy", FILES["labels.npy"][:-9], "expected an .npy file without pickles"),
        ("labels.npy", b"", "expected an .npy file without pickles"),
        ("labels.npy", FILES["p_feat.npz"], "expected one array as .npy, got an .npz file"),
        ("val_1.npy", npy([1, 9]), "nodes of type 'paper' as whole numbers from 0 to 8, got 9"),
        ("val_1.npy", npy([-1]), "whole numbers from 0 to 8, got -1"),
        ("val_1.npy", npy([[1, 2]]), r"expected nodes of type 'paper' as numbers in one row"),
        ("val_1.npy", npy([]), "split of 1 labels a class: .* expected valid as integer nodes"),
        ("val_1.npy", npy([1, 3]), "split of 1 labels a class: .* got node 3 again in valid"),
        ("test_2.npy", npy([6, 6]), "split of 2 labels a class: .* got node 6 again in test"),
        ("train_2.npy", npy([0, 1, 2]), r"expected 2 nodes of each class in .*, got \[2, 1\]"),
        ("p_feat.npz", npz(csr_matrix(FEATURES[:8])), r"of shape \(9, 4\) .* of shape \(8, 4\)"),
        ("p_feat.npz", npz(csr_matrix(FEATURES[:, :3])), r"got float64 of shape \(9, 3\) as csr"),
        ("p_feat.npz", npz(csc_matrix(FEATURES)), r"got float64 of shape \(9, 4\) as csc"),
        ("p_feat.npz", npz(csr_matrix(FEATURES * 1j)), "got complex128 of"),
        ("p_feat.npz", npy(FEATURES), "expected a sparse matrix as scipy.sparse.save_npz"),
        ("p_feat.npz", arrays(a=FEATURES), "expected a sparse matrix as scipy.sparse.save_npz"),
        ("p_feat.npz", arrays(format=b"csr", shape=(9, 4)), "expected a sparse matrix as"),
        ("p_feat.npz", pickle.dumps(FEATURES), "expected a sparse matrix as"),
        ("p_feat.npz", FILES["p_feat.npz"][:200], "expected a sparse matrix as"),
        ("p_feat.npz", b"", "expected a sparse matrix as"),
        (
            "p_feat.npz",
            arrays(format=b"csr", shape=(9, 4), data=[1.0], indices=[4], indptr=[0] + [1] * 9),
            "indices must be < 4",
        ),
        (
            "p_feat.npz",
            arrays(format=b"csr", shape=(9, 4), data=[1.0], indices=[0], indptr=[0, 2] + [1] * 8),
            "expected a sparse matrix as",
        ),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_its_name_and_what_is_wrong(read, file, content, says):
    with pytest.raises(DataError, match=says) as caught:
        read({file: content})
    message = str(caught.value)
    assert file in message or "split of" in message
    assert "\n" not in message


def test_a_damaged_gzip_file_is_refused(read, write):
    folder = write(FILES, packed=True)
    path = folder / "train_1.npy.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"train_1.npy.gz: expected a whole gzip file"):
        read_heco(folder, LAYOUT)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"labelled": "film"}, r"among \['paper', 'author', 'subject'\], got \['film'\]"),
        ({"features": {"term": ("t_feat.npz", 5)}}, r"got \['term'\]"),
        ({"relations": {"pc.txt": ("paper", "at", "venue")}}, r"got \['venue'\]"),
        ({"labels_a_class": ()}, "expected labels_a_class to name a split"),
    ],
)
def test_a_layout_that_contradicts_itself_is_refused(changed, says):
    with pytest.raises(ConfigError, match=says):
        replace(LAYOUT, **changed)


HG = HeteroCSR.from_edges({BY: ([0], [0])}, {"paper": 4, "author": 3})


def split(train, valid, test, *, node_type="paper", n_classes=2) -> NodeSplit:
    """A split of one (node, class) in each part."""
    parts = (LabelledNodes(np.array([n]), np.array([c])) for n, c in (train, valid, test))
    return NodeSplit(node_type, n_classes, *parts)


ONE = split((0, 0), (1, 1), (2, 0))


def test_unknown_classes_of_nodes_in_no_split_are_allowed():
    ds = Dataset("mine", HG, node_split=ONE, labels=np.array([0, 1, 0, -1], np.int32))
    assert ds.labels.dtype == np.int64
    assert ds.label_splits == {}
    again = replace(ds, name="other")
    assert again.labels is ds.labels


def test_a_data_set_without_them_has_no_labels_and_no_further_splits():
    ds = Dataset("mine", HG, node_split=ONE)
    assert (ds.labels, ds.label_splits) == (None, {})


@pytest.mark.parametrize(
    ("changed", "error", "says"),
    [
        ({"node_split": None}, DataError, "mine: expected a node_split beside labels or label_spl"),
        (
            {"node_split": None, "labels": None, "label_splits": {1: ONE}},
            DataError,
            "expected a node_split beside",
        ),
        ({"labels": np.array([0, 1, 0])}, DataError, r"labels as 4 integers, .* of shape \(3,\)"),
        ({"labels": np.zeros(4)}, DataError, "labels as 4 integers, .* got float64"),
        ({"labels": np.array([0, 1, 0, 2])}, DataError, "labels from -1, .* to 1, got 2"),
        ({"labels": np.array([0, 1, 0, -2])}, DataError, "labels from -1, .* got -2"),
        (
            {"labels": np.array([0, 0, 0, 0])},
            DataError,
            "mine, node_split: expected node 1 to be of class 0, as in labels, got 1",
        ),
        (
            {"labels": np.array([0, 1, -1, 0])},
            DataError,
            "mine, node_split: expected node 2 to be of class -1",
        ),
        (
            {"label_splits": {1: ONE, 7: split((0, 0), (1, 1), (3, 1))}},
            DataError,
            r"mine, label_splits\[7\]: expected node 3 to be of class 0, as in labels, got 1",
        ),
        (
            {"label_splits": {1: split((0, 0), (1, 1), (2, 0), node_type="author")}},
            DataError,
            r"label_splits\[1\]: expected 2 classes of 'paper' as in .*, got 2 of 'author'",
        ),
        (
            {"label_splits": {1: split((0, 0), (1, 1), (2, 0), n_classes=3)}},
            DataError,
            "expected 2 classes of 'paper' as in node_split, got 3 of 'paper'",
        ),
        ({"label_splits": {1: split((0, 0), (1, 1), (4, 0))}}, DataError, "below 4, got 4"),
        (
            {"label_splits": {1: split((0, 0), (1, 1), (2, 0), node_type="film")}},
            SchemaError,
            "node type 'film'",
        ),
    ],
)
def test_labels_and_splits_that_do_not_fit_are_refused(changed, error, says):
    fields = {"node_split": ONE, "labels": np.array([0, 1, 0, 0]), "label_splits": {1: ONE}}
    with pytest.raises(error, match=says):
        Dataset("mine", HG, **fields | changed)


PUBLISHED = {
    "heco-acm": (module.ACM, [13_407, 4_019], [1993, 965, 1061], (340_377, 4019, 1902)),
    "heco-dblp": (
        module.DBLP, [19_645, 14_328, 85_810], [1197, 745, 1109, 1006], (48_810, 4057, 334)
    ),
    "heco-freebase": (module.FREEBASE, [65_341, 3_762, 6_414], [1327, 618, 1547], None),
    "heco-aminer": (module.AMINER, [18_007, 58_831], [1333, 1114, 526, 3591], None),
}  # fmt: skip


@pytest.fixture
def published(data_dir):
    """``published(name)``: a set whose files are at hand; skipped where they are not."""

    def load(name):
        folder = data_dir / DATASETS[name].folder
        for file in DATASETS[name].files:
            if find_file(folder, file.name) is None:
                pytest.skip(f"needs {file.name} in {folder}")
        return load_dataset(name, root=data_dir)

    return load


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_public_sets_have_the_published_counts(published, name):
    layout, n_edges, classes, features = PUBLISHED[name]
    ds = published(name)
    assert (ds.name, ds.metapaths, ds.target) == (name, layout.metapaths, None)
    assert ds.csr.n_nodes == layout.n_nodes
    assert list(ds.csr.n_edges.values()) == n_edges
    assert np.bincount(ds.labels).tolist() == classes
    assert list(ds.label_splits) == [20, 40, 60]
    assert ds.node_split is ds.label_splits[60]
    for k, rows in ds.label_splits.items():
        assert np.bincount(rows.train.label).tolist() == [k] * len(classes)
        assert len(rows.valid.node) == len(rows.test.node) == 1000
    assert bool(ds.csr.node_data) == bool(features)
    if features:
        feat = ds.csr.node_data[layout.labelled]["feat"]
        assert (np.count_nonzero(feat), *feat.shape) == features


SHIPPED = [
    ("heco-acm", 0, "pap", 57_853),
    ("heco-acm", 1, "psp", 4_338_213),
    ("heco-dblp", 0, "apa", 11_113),
    ("heco-dblp", 1, "apcpa", 5_000_495),
    ("heco-dblp", 2, "aptpa", 7_043_571),
    ("heco-freebase", 0, "mam", 254_702),
    ("heco-freebase", 1, "mdm", 8_404),
    ("heco-freebase", 2, "mwm", 10_706),
    ("heco-aminer", 0, "pap", 21_976),
    ("heco-aminer", 1, "prp", 129_824),
]


@pytest.mark.parametrize(("name", "number", "file", "n_pairs"), SHIPPED)
def test_products_join_the_pairs_of_the_shipped_matrices(
    published, data_dir, name, number, file, n_pairs
):
    ds = published(name)
    product = dm.metapath_product(ds.csr, ds.metapaths[number], sort=True)
    assert product.nnz == n_pairs
    path = data_dir / DATASETS[name].folder / f"{file}.npz"
    if file == "aptpa" and not path.is_file():
        pytest.skip("aptpa.npz is too large for some copies of the data")
    shipped = load_npz(path).tocsr()
    shipped.sort_indices()
    np.testing.assert_array_equal(product.indptr, shipped.indptr)
    np.testing.assert_array_equal(product.indices, shipped.indices)
