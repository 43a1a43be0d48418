"""The graph as tasks map it has the same edges, both ways."""

from __future__ import annotations

import numpy as np

from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.labels.steps import open_steps, save_steps


def test_mapped_steps_have_the_edges_of_the_graph_both_ways(hg, tmp_path):
    path = MetaPath.parse("tag-item-user", hg.schema)
    save_steps(hg, [path], tmp_path)
    mapped = open_steps(tmp_path)
    assert mapped.n_nodes == hg.n_nodes
    for step in (*path.steps, *path.reverse().steps):
        expected, found = hg.step_adjacency(*step), mapped.step_adjacency(*step)
        np.testing.assert_array_equal(found.indptr, expected.indptr)
        np.testing.assert_array_equal(found.indices, expected.indices)
        assert found.shape == expected.shape
        assert found.edge_ids is None
        assert found.T.T is found


def test_edge_types_that_no_path_walks_stay_behind(hg, tmp_path):
    save_steps(hg, [MetaPath.parse("user-item-user", hg.schema)], tmp_path)
    assert open_steps(tmp_path).schema.edge_types == (("user", "rated", "item"),)


def test_what_was_in_the_folder_is_replaced(hg, other, tmp_path):
    save_steps(other, [MetaPath.parse("user-item-tag", other.schema)], tmp_path / "steps")
    save_steps(hg, [MetaPath.parse("user-item-user", hg.schema)], tmp_path / "steps")
    assert open_steps(tmp_path / "steps").n_nodes == hg.n_nodes
    assert len(list((tmp_path / "steps").iterdir())) == 1 + 4


def test_edge_types_without_edges_are_mapped_too(tmp_path):
    hg = HeteroCSR.from_edges({("a", "x", "b"): ([], [])}, {"a": 2, "b": 0})
    save_steps(hg, [MetaPath.parse("a-b", hg.schema)], tmp_path)
    assert open_steps(tmp_path).adjacency("x").T.shape == (0, 2)
