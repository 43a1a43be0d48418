"""OhmNet's tissues: what is read, and what is said about damaged files."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from dglmeta.data import LINK, NODE, load_dataset, read_ohmnet
from dglmeta.errors import DataError

# The published edge lists' lines less their loops.
BRAIN_EDGES = [37992, 23745, 21702, 30664, 21900, 6293, 7156, 30654, 37175]


@pytest.fixture
def read(tmp_path):
    """``read({tissue: text})``; packed ones are gzipped."""

    def make(files, *, packed=False):
        (tmp_path / "edgelists").mkdir()
        for tissue, text in files.items():
            path = tmp_path / "edgelists" / f"{tissue}.edgelist{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
        return read_ohmnet(tmp_path, list(files))

    return make


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_a_tissue_is_a_graph_of_its_genes_in_rising_order(read, packed):
    ds = read({"pons": "90\t7\n7\t90\n30\t30\n", "heart": "7\t8\n"}, packed=packed)
    assert ds.graph_names == ("pons", "heart")
    genes = [graph.node_data[NODE]["gene"] for graph in ds.graphs]
    assert [g.tolist() for g in genes] == [[7, 30, 90], [7, 8]]
    assert genes[0].dtype == np.int64
    assert ds.graphs[0].adjacency(LINK).to_scipy().toarray().tolist() == [
        [0, 0, 1],
        [0, 0, 0],
        [1, 0, 0],
    ]


def test_which_gene_a_node_is_is_no_feature(read):
    assert read({"pons": "1\t2\n"}).counts["features"] == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1\t2\n3\n", "pons.edgelist, line 2: expected 2 columns"),
        ("1\tx\n", "line 1: expected a whole number as other gene, got 'x'"),
        ("1\t2\n-3\t2\n", "line 2: expected an id >= 0 as gene, got -3"),
        ("", "expected at least one row"),
    ],
)
def test_a_wrong_line_is_refused(read, text, says):
    with pytest.raises(DataError, match=says):
        read({"pons": text})


def test_a_missing_tissue_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected edgelists/cerebellum.edgelist or"):
        read_ohmnet(tmp_path)


def test_the_brain_has_nine_tissues_of_known_sizes(data_dir):
    ds = load_dataset("ohmnet-brain", data_dir)
    assert len(ds) == 9
    assert [graph.adjacency(LINK).n_edges // 2 for graph in ds.graphs] == BRAIN_EDGES
    assert ds.counts["nodes"] == 16985
