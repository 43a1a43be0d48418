"""The 24 graphs of PPI in their public form, on a small set written in that form."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from dglmeta.data import LINK, NODE, load_dataset, read_ppi
from dglmeta.errors import DataError


def graph(n, links, key="links") -> str:
    """The node-link form of NetworkX."""
    return json.dumps(
        {
            "directed": False,
            "multigraph": False,
            "graph": {},
            "nodes": [{"id": node, "test": False} for node in range(n)],
            key: [{"source": u, "target": v} for u, v in links],
        }
    )


def npy(values, dtype=np.float64, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(values, dtype), **options)
    return buffer.getvalue()


def part(name, n, links, numbers, feats, **options) -> dict[str, str | bytes]:
    return {
        f"{name}_graph.json": graph(n, links, **options),
        f"{name}_feats.npy": npy(feats),
        f"{name}_labels.npy": npy(np.eye(n)[:, :2]),
        f"{name}_graph_id.npy": npy(numbers, np.int64),
    }


TRAIN = [(0, 0), (0, 1), (1, 0), (2, 3), (3, 4)]
FILES = {
    **part("train", 5, TRAIN, [1, 1, 2, 2, 2], [[1, -3], [2, 2], [0, 0], [0, 5], [4, 0]]),
    **part("valid", 2, [(0, 1)], [21, 21], np.ones((2, 2)), key="edges"),
    **part("test", 3, [(2, 0)], [23, 23, 23], np.ones((3, 2))),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_the_parts_are_the_published_split(write, packed):
    ds = read_ppi(write(FILES, packed=packed))
    assert ds.graph_names == ("1", "2", "21", "23")
    assert [rows.tolist() for rows in ds.splits(seed=3)] == [[0, 1], [2], [3]]
    edges = [[ends.tolist() for ends in g.adjacency(LINK).coo()] for g in ds.graphs]
    assert edges == [
        [[0, 1], [1, 0]],
        [[0, 1, 1, 2], [1, 0, 2, 1]],
        [[0, 1], [1, 0]],
        [[0, 2], [2, 0]],
    ]


def test_rows_of_features_are_normalised_and_functions_kept(write):
    ds = read_ppi(write(FILES))
    first, second = (g.node_data[NODE] for g in ds.graphs[:2])
    assert first["feat"].tolist() == [[0.25, -0.75], [0.5, 0.5]]
    assert second["feat"].tolist() == [[0, 0], [0, 1], [1, 0]]
    assert first["functions"].tolist() == [[1, 0], [0, 1]]
    assert second["functions"].dtype == np.uint8


def test_it_is_found_by_name_beside_other_data(write):
    folder = write(FILES)
    folder.rename(folder.parent / "ppi")
    ds = load_dataset("ppi", folder.parent, verify=True)
    assert (ds.name, ds.counts["graphs"]) == ("ppi", 4)


def test_without_files_it_says_where_they_come_from(tmp_path, monkeypatch):
    monkeypatch.delenv("DGLMETA_DATA", raising=False)
    monkeypatch.setattr("dglmeta.data.files._cache", lambda: tmp_path / "cache")
    with pytest.raises(DataError, match=r"Unpack https://data.dgl.ai/dataset/ppi.zip and put it"):
        load_dataset("ppi", tmp_path)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"test_feats.npy": None}, r"expected test_feats.npy or test_feats.npy.gz, got neither"),
        ({"test_graph.json": "{"}, "test_graph.json: expected a graph in the node-link form"),
        ({"test_graph.json": "[1]"}, "expected a graph in the node-link form"),
        ({"test_graph.json": '{"nodes": []}'}, "expected a graph in the node-link form"),
        (
            {"valid_graph.json": graph(2, [(0, 1)]).replace('"id": 1', '"id": 2')},
            "valid_graph.json: expected nodes numbered 0 to 1",
        ),
        ({"test_graph.json": graph(3, [(0, 3)])}, r"test_graph.json: .* in \[0, 3\), got 3"),
        ({"test_graph.json": graph(3, [(0, "b")])}, "test_graph.json: .* integer"),
        ({"train_graph.json": graph(5, [(0, 2)])}, "train_graph.json: .* between graphs 0 and 1"),
        ({"test_feats.npy": npy(np.ones((2, 2)))}, "expected 2 axes and 3 rows, one a node"),
        ({"test_graph_id.npy": npy([[23]] * 3)}, "expected 1 axes and 3 rows, one a node"),
        ({"test_labels.npy": b"no array"}, "expected an .npy file without pickles"),
        (
            {"test_labels.npy": npy([[None]] * 3, object, allow_pickle=True)},
            "expected an .npy file without pickles",
        ),
        ({"test_graph_id.npy": npy([2, 2, 2])}, "different names of graphs, got 4 of which 3"),
    ],
)
def test_a_wrong_file_is_refused(write, changed, says):
    with pytest.raises(DataError, match=says) as caught:
        read_ppi(write(FILES | changed))
    assert "\n" not in str(caught.value)
