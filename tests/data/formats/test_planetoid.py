"""The files of Planetoid: what is read, and what is said about damaged files."""

from __future__ import annotations

import pickle
from collections import defaultdict

import numpy as np
import pytest
from scipy.sparse import csr_matrix, vstack

from dglmeta.data import LINK, NODE, load_dataset, read_planetoid
from dglmeta.data.formats import planetoid
from dglmeta.data.formats.tables import find_file, read_bytes
from dglmeta.errors import DataError

K = 3
# 9 nodes in allx, of which 3 are for training; tests are 9, 10, 12 and 13, and 11 is in no file.
CLASS = np.array([0, 1, 2, 0, 1, 2, 2, 1, 0])
TEST_CLASS = np.array([2, 0, 1, 1])
ORDER = [13, 9, 12, 10]
ONE_HOT = np.eye(K, dtype=np.int32)
ALLX = csr_matrix(np.random.default_rng(0).integers(0, 3, (9, 5)) * np.float32(0.5))
TX = csr_matrix(np.arange(20, dtype=np.float32).reshape(4, 5))
VALUES = {
    "x": ALLX[:3],
    "tx": TX,
    "allx": ALLX,
    "y": ONE_HOT[CLASS[:3]],
    "ty": ONE_HOT[TEST_CLASS],
    "ally": ONE_HOT[CLASS],
    # A loop at 2, 0-1 listed three times, and 12-13 in one direction only.
    "graph": defaultdict(list, {0: [1, 1, 8], 1: [0], 2: [2, 9], 9: [2], 12: [13], 11: []}),
    "test.index": "13\n9\n12\n10\n",
}


@pytest.fixture
def read(write, python2):
    """``read({part: value})``: the small set with these files changed; None leaves one out."""

    def make(changed=None, *, packed=False):
        values = VALUES | (changed or {})
        raw = {
            f"ind.tiny.{part}": value if isinstance(value, str | bytes | None) else python2(value)
            for part, value in values.items()
        }
        return read_planetoid(write(raw, packed=packed), "tiny")

    return make


@pytest.mark.parametrize("packed", [False, True])
def test_rows_of_tests_go_where_the_index_says_and_others_are_empty(read, packed):
    ds = read(packed=packed)
    feat = ds.csr.node_data[NODE]["feat"]
    assert (feat.shape, feat.dtype) == ((14, 5), np.float32)
    assert (feat[:9] == ALLX.toarray()).all()
    for row, node in enumerate(ORDER):
        assert (feat[node] == TX.toarray()[row]).all()
        assert ds.labels[node] == TEST_CLASS[row]
    assert not feat[11].any()
    assert ds.labels[:9].tolist() == CLASS.tolist()
    assert ds.labels[11] == -1
    assert ds.name == "tiny"


def test_edges_become_undirected_and_loops_and_repeats_are_dropped(read):
    u, v = read().csr.adjacency(LINK).coo()
    edges = {(0, 1), (0, 8), (2, 9), (12, 13)}
    assert sorted(zip(u.tolist(), v.tolist(), strict=True)) == sorted(
        edges | {(b, a) for a, b in edges}
    )


@pytest.mark.parametrize(("n_valid", "valid"), [(4, [3, 4, 5, 6]), (500, [3, 4, 5, 6, 7, 8])])
def test_the_split_is_the_public_one(read, monkeypatch, n_valid, valid):
    monkeypatch.setattr(planetoid, "N_VALID", n_valid)
    ds = read()
    split = ds.node_split
    assert (split.node_type, split.n_classes) == (NODE, K)
    assert split.train.node.tolist() == [0, 1, 2]
    assert split.valid.node.tolist() == valid
    assert split.test.node.tolist() == [9, 10, 12, 13]
    for node, label in (split.train, split.valid, split.test):
        assert (label == ds.labels[node]).all()


def test_a_row_without_a_class_is_in_no_part(read):
    ally = ONE_HOT[CLASS].copy()
    ally[4] = 0
    ds = read({"ally": ally})
    assert ds.labels[4] == -1
    assert ds.node_split.valid.node.tolist() == [3, 5, 6, 7, 8]


TWO = ONE_HOT[CLASS].copy()
TWO[4] = 1


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"ty": None}, r"expected ind\.tiny\.ty or ind\.tiny\.ty\.gz, got neither. Put it there"),
        ({"allx": b"cos\nsystem\n(S'ls'\ntR."}, r"allx: .*'os\.system', which is not loaded"),
        ({"allx": b"nothing"}, "allx: expected a whole pickle, got a damaged one"),
        ({"x": ALLX[:2]}, r"y: expected classes of shape \(2, 2 or more\), .* of ind.tiny.x, got"),
        ({"x": ALLX[:3, :4]}, "y: expected the first rows of ally, got others"),
        ({"y": ONE_HOT[[0, 1, 1]]}, "y: expected the first rows of ally, got others"),
        ({"ty": ONE_HOT[TEST_CLASS][:, :2]}, r"\(features, classes\) \(5, 3\) as allx, got \(5,"),
        ({"tx": TX[:, :4]}, r"\(features, classes\) \(5, 3\) as allx, got \(4, 3\)"),
        ({"ally": CLASS}, r"ally: expected classes of shape \(9, 2 or more\), .* got \(9,\)"),
        ({"ally": ONE_HOT[CLASS][:, :1]}, r"ally: expected classes of shape .* got \(9, 1\)"),
        ({"ally": TWO}, "ally: expected rows of zeros with at most one 1"),
        ({"ally": 2 * ONE_HOT[CLASS]}, "ally: expected rows of zeros with at most one 1"),
        ({"test.index": "13\n9\n12\n"}, "test.index: expected 4 different ids, one for each row"),
        ({"test.index": "13\n9\n12\n9\n"}, "test.index: expected 4 different ids"),
        ({"test.index": "13\n9\n12\n8\n"}, "test.index: expected ids from 9 to 25, got 8 to 13"),
        ({"test.index": "13\n9\n12\n26\n"}, "test.index: expected ids from 9 to 25, got 9 to 26"),
        ({"test.index": "13\n9\nx\n10\n"}, "test.index: expected one id a line, got another"),
        ({"test.index": f"13\n9\n{10**30}\n10\n"}, "test.index: expected one id a line, got"),
        ({"graph": {0: [14]}}, "graph: expected nodes from 0 to 13, .* got 14"),
        ({"graph": {14: [0]}}, "graph: expected nodes from 0 to 13, .* got 14"),
        ({"x": ALLX[:0], "y": ONE_HOT[[]]}, "tiny: NodeSplit: expected train as integer"),
        ({"x": ALLX, "y": ONE_HOT[CLASS]}, "tiny: NodeSplit: expected valid as integer"),
    ],
)
def test_a_wrong_file_is_refused_by_name(read, changed, says):
    with pytest.raises(DataError, match=says) as caught:
        read(changed)
    assert "tiny" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_features_that_do_not_fit_are_refused_before_they_are_made(read):
    wide = ALLX.copy()
    wide.resize(9, 2**40)
    with pytest.raises(DataError, match="allx: expected dense features of at most 1,073,741,824"):
        read({"allx": wide})


SIZES = {
    "cora": (2708, 10556, 1433, 7, 140, 0),
    "citeseer": (3327, 9104, 3703, 6, 120, 15),
    "pubmed": (19717, 88648, 500, 3, 60, 0),
}


def of_files(name, data_dir):
    if find_file(data_dir / "planetoid", f"ind.{name}.x") is None:
        pytest.skip(f"needs {name} in {data_dir / 'planetoid'}")
    return load_dataset(name, data_dir, verify=True)


@pytest.mark.parametrize("name", SIZES)
def test_the_public_sets_have_their_sizes(name, data_dir):
    ds = of_files(name, data_dir)
    n, n_edges, n_features, n_classes, n_train, n_unknown = SIZES[name]
    feat, split, counts = ds.csr.node_data[NODE]["feat"], ds.node_split, ds.counts
    assert (counts["node"], counts["edges"], counts["classes"]) == (n, n_edges, n_classes)
    assert feat.shape == (n, n_features)
    assert [len(part.node) for part in (split.train, split.valid, split.test)] == [
        n_train, 500, 1000
    ]  # fmt: skip
    assert np.bincount(split.train.label).tolist() == [20] * n_classes
    assert (ds.labels == -1).sum() == n_unknown
    assert not feat[ds.labels == -1].any()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", SIZES)
def test_features_and_labels_are_those_of_a_plain_reading(name, data_dir):
    ds = of_files(name, data_dir)

    def part(which):
        data = read_bytes(find_file(data_dir / "planetoid", f"ind.{name}.{which}"))
        return data if which == "test.index" else pickle.loads(data, encoding="latin1")

    order = [int(line) for line in part("test.index").splitlines()]
    first = part("allx").shape[0]
    rows = vstack([part("allx"), part("tx")]).toarray()
    one_hot = np.vstack([part("ally"), part("ty")])
    feat = ds.csr.node_data[NODE]["feat"]
    for row in range(len(rows)):
        node = row if row < first else order[row - first]
        assert (feat[node] == rows[row]).all()
        assert one_hot[row, ds.labels[node]] == 1
    joined = {(u, v) for u, ids in part("graph").items() for v in ids if u != v}
    u, v = ds.csr.adjacency(LINK).coo()
    assert set(zip(u.tolist(), v.tolist(), strict=True)) == joined | {(b, a) for a, b in joined}
