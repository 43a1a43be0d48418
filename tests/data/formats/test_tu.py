"""The text format of TUDataset: what is read, and what is said about damaged files."""

from __future__ import annotations

import gzip
import io
import zipfile

import numpy as np
import pytest

from dglmeta.data import LINK, NODE, load_dataset, read_tu
from dglmeta.data.formats.tables import find_file
from dglmeta.data.formats.tu import WIDEST_FEAT
from dglmeta.errors import DataError

# Nodes 1, 3, 5 are graph 1, nodes 2 and 4 graph 2; a loop at 5, one edge repeated.
FILES = {
    "A": "1, 3\n3, 1\n3,5\n5,3\n5,5\n 2, 4\n4, 2\n2, 4\n",
    "graph_indicator": "1\n2\n1\n2\n1\n",
    "graph_labels": "1\n-1\n",
    "node_labels": "7\n3\n53\n3\n7\n",
    "node_attributes": "  0.5, 1\n1.5, 2\n2.5, 3\n3.5,4\n4.5, 5e1\n",
    "edge_attributes": "not read\n",
    "edge_labels": "not read\n",
}


@pytest.fixture
def read(tmp_path):
    """``read(part=text, ...)``: the small set with these files changed; None leaves one out."""

    def make(*, packed=False, **changed):
        files = {f"TINY_{k}.txt": v for k, v in (FILES | changed).items() if v is not None}
        if packed:
            with zipfile.ZipFile(tmp_path / "TINY.zip", "w") as archive:
                for name, text in files.items():
                    archive.writestr(f"TINY//{name}", text)
                archive.writestr("TINY//README.txt", "not read")
        else:
            (tmp_path / "TINY").mkdir()
            for name, text in files.items():
                (tmp_path / "TINY" / name).write_text(text)
        return read_tu(tmp_path, "TINY")

    return make


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_graphs_are_undirected_and_their_nodes_keep_their_order(read, packed):
    ds = read(packed=packed)
    dense = [graph.adjacency(LINK).to_scipy().toarray().tolist() for graph in ds.graphs]
    assert dense == [[[0, 1, 0], [1, 0, 1], [0, 1, 0]], [[0, 1], [1, 0]]]
    assert (ds.name, ds.graph_names) == ("TINY", ("0", "1"))
    assert ds.counts == {"graphs": 2, "nodes": 5, "edges": 3, "features": 3, "classes": 2}


def test_classes_and_node_labels_are_renumbered_and_attributes_are_no_features(read):
    ds = read()
    assert ds.labels.tolist() == [1, 0]
    first, second = (graph.node_data[NODE] for graph in ds.graphs)
    assert first["label"].tolist() == [1, 2, 1]
    assert first["feat"].tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert second["feat"].tolist() == [[1, 0, 0], [1, 0, 0]]
    assert first["attributes"].tolist() == [[0.5, 1], [2.5, 3], [4.5, 50]]
    assert first["attributes"].dtype == np.float32


def test_node_labels_and_attributes_may_be_absent(read):
    assert not read(node_labels=None, node_attributes=None).graphs[0].node_data[NODE]


@pytest.mark.parametrize(
    ("text", "labels"),
    [("-1\n1\n", [0, 1]), ("1\n0\n", [1, 0]), ("2\r\n1\r\n", [1, 0]), ("6\n6", [0, 0])],
)
def test_classes_of_graphs_may_have_any_numbers(read, text, labels):
    ds = read(graph_labels=text)
    assert ds.labels.tolist() == labels
    assert ds.labels.dtype == np.int64


def test_several_labels_of_a_node_count_as_one(read):
    ds = read(node_labels="0, 5\n1, 0\n0, 5\n0, 7\n1, 0\n")
    assert [graph.node_data[NODE]["label"].tolist() for graph in ds.graphs] == [[0, 0, 2], [2, 1]]
    assert ds.n_features == 3


@pytest.mark.parametrize(("n_labels", "is_there"), [(WIDEST_FEAT, True), (WIDEST_FEAT + 1, False)])
def test_labels_too_many_for_features_are_labels_still(read, n_labels, is_there):
    column = "\n".join(["1"] * n_labels)
    ids = "\n".join(map(str, range(n_labels)))
    ds = read(A="1, 2", graph_indicator=column, graph_labels="1", node_labels=ids,
              node_attributes=None)  # fmt: skip
    data = ds.graphs[0].node_data[NODE]
    assert data["label"].tolist() == list(range(n_labels))
    assert ("feat" in data) is is_there


def test_a_set_made_for_regression_has_no_classes(read):
    ds = read(graph_labels=None, graph_attributes="0.5, 1\n0.25, 2\n")
    assert ds.labels is None
    assert tuple(ds.counts.values()) == (2, 5, 3, 3, 0)


def test_an_archive_may_be_flat_deep_or_gzipped(read, tmp_path):
    first = read(packed=True)
    with zipfile.ZipFile(tmp_path / "TINY.zip") as archive:
        texts = {m.split("/")[-1]: archive.read(m) for m in archive.namelist()}
    for folders in ("", "TINY/", "some/where/TINY/", "./"):
        with zipfile.ZipFile(tmp_path / "TINY.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in texts.items():
                archive.writestr(folders + name, text)
        assert read_tu(tmp_path, "TINY").counts == first.counts
    whole = (tmp_path / "TINY.zip").read_bytes()
    (tmp_path / "TINY.zip").unlink()
    (tmp_path / "TINY.zip.gz").write_bytes(gzip.compress(whole))
    assert read_tu(tmp_path, "TINY").counts == first.counts


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../TINY", "a/b", "/TINY", ".TINY", "a\\b", "T*\n"]
)
def test_a_name_that_is_no_plain_one_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="TUDataset: expected a plain name, .* got") as caught:
        read_tu(tmp_path, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"A": None}, "expected TINY_A.txt, got"),
        ({"graph_labels": None}, "expected TINY_graph_labels.txt, got"),
        ({"A": "1, 3\n3, 6\n"}, "TINY_A.txt, line 2: expected nodes 1 to 5, got 6"),
        ({"A": "0, 3\n"}, "line 1: expected nodes 1 to 5, got 0"),
        ({"A": "1, 3\n1, 2\n"}, r"line 2: expected both ends of an edge in one graph, got \[1, 2"),
        ({"A": "1, x\n"}, "TINY_A.txt, line 1: expected a whole number as column 2, got"),
        ({"A": "1, 2, 3\n"}, "TINY_A.txt, line 1: expected 2 columns"),
        ({"graph_indicator": "1\n2\n1\n3\n1\n"}, "line 4: expected graphs 1 to 2, .*, got 3"),
        ({"graph_indicator": "1\n1\n1\n1\n1\n", "A": "1, 2"}, "got none in graph 2"),
        ({"node_labels": "1\n2\n"}, "node_labels.txt: expected 5 lines, one a node, got 2"),
        ({"node_attributes": "1,2\n3\n4\n5\n6"}, "line 2: expected 2 columns"),
        ({"graph_labels": ""}, "expected at least one row, got none"),
        ({"graph_labels": "1, 2\n2, 1\n"}, "graph_labels.txt, line 1: expected 1 columns"),
        ({"node_labels": "1\n2\n1\n2\n0.5\n"}, "line 5: expected a whole number as column 1, got"),
        (
            {"node_attributes": "1\n2\nnan\n4\n5"},
            "line 3: expected finite float32 numbers, got nan",
        ),
        ({"node_attributes": "1\n2\n3\n4\n1e40"}, "line 5: expected finite float32 .*, got inf"),
        (
            {"A": "-9223372036854775808, 3\n"},
            "line 1: expected nodes 1 to 5, got -9223372036854775",
        ),
        (
            {"graph_labels": None, "graph_attributes": "1", "graph_indicator": "1\n9\n1\n9\n1\n"},
            "line 2: expected graphs 1 to 2, as many as there are graphs, got 9",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_line(read, changed, says):
    with pytest.raises(DataError, match=says) as caught:
        read(**changed)
    assert "\n" not in str(caught.value)


def test_a_set_that_is_not_there_and_a_damaged_archive_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected TINY.zip or a folder TINY, got neither"):
        read_tu(tmp_path, "TINY")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("TINY/TINY_A.txt", FILES["A"])
    (tmp_path / "TINY.zip").write_bytes(buffer.getvalue()[:40])
    with pytest.raises(DataError, match=r"TINY.zip: expected a whole zip file"):
        read_tu(tmp_path, "TINY")


@pytest.mark.parametrize(
    ("name", "classes", "attributes"),
    [
        ("ENZYMES", [100] * 6, 18),
        ("PROTEINS", [663, 450], 1),
        ("DHFR", [295, 461], 3),
        ("COX2", [365, 102], 3),
    ],
)
def test_the_public_sets_have_their_known_classes_and_attributes(
    name, classes, attributes, data_dir
):
    if find_file(data_dir / "tudataset", f"{name}.zip") is None:
        pytest.skip(f"needs {name}.zip in {data_dir / 'tudataset'}")
    ds = read_tu(data_dir / "tudataset", name)
    assert np.bincount(ds.labels).tolist() == classes
    assert {graph.node_data[NODE]["attributes"].shape[1] for graph in ds.graphs} == {attributes}


@pytest.mark.parametrize(
    ("name", "file", "counts"),
    [
        ("firstmm", "FIRSTMM_DB", (41, 56468, 126024, 5, 11)),
        ("enzymes", "ENZYMES", (600, 19580, 37282, 3, 6)),
        ("proteins", "PROTEINS", (1113, 43471, 81044, 3, 2)),
        ("dhfr", "DHFR", (756, 32075, 33676, 9, 2)),
        ("cox2", "COX2", (467, 19252, 20289, 8, 2)),
    ],
)
def test_the_public_sets_have_their_known_sizes(name, file, counts, data_dir):
    if find_file(data_dir / "tudataset", f"{file}.zip") is None:
        pytest.skip(f"needs {file}.zip in {data_dir / 'tudataset'}")
    ds = load_dataset(name, data_dir)
    assert tuple(ds.counts.values()) == counts
    assert all((graph.node_data[NODE]["feat"].sum(axis=1) == 1).all() for graph in ds.graphs)
