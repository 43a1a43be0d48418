"""PyG graphs, there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from dglmeta.errors import DataError
from dglmeta.graph import HeteroCSR

pyg = pytest.importorskip("torch_geometric.data")


RATED = ("user", "rated", "item")


@settings(max_examples=60)
@given(st.data())
def test_to_pyg_and_back_changes_nothing(heterographs, assert_same, data):
    hg = data.draw(heterographs())
    assert_same(HeteroCSR.from_pyg(hg.to_pyg()), hg)


def test_a_graph_with_only_nodes_and_edges_becomes_a_data_and_comes_back(assert_same):
    edge = ("node", "edge", "node")
    hg = HeteroCSR.from_edges(
        {edge: ([1, 0, 1], [0, 0, 0])},
        {"node": 3},
        {"node": {"x": np.ones((3, 2)), "y": np.arange(3)}},
        {edge: {"edge_weight": np.arange(3.0)}},
    )
    data = hg.to_pyg()
    assert isinstance(data, pyg.Data)
    assert data.edge_index.tolist() == [[1, 0, 1], [0, 0, 0]]
    assert_same(HeteroCSR.from_pyg(data), hg)


def test_an_edge_feature_of_a_data_is_told_apart_by_its_name():
    edge = ("node", "edge", "node")
    hg = HeteroCSR.from_edges(
        {edge: ([0], [0])}, {"node": 1}, {"node": {"w": np.ones(1)}}, {edge: {"w": np.zeros(1)}}
    )
    data = hg.to_pyg()
    assert (data.w.item(), data.edge_w.item()) == (1, 0)


def test_from_pyg_keeps_edge_order_isolated_nodes_and_only_what_has_a_row_each():
    data = pyg.HeteroData(name="shop")
    data["user"].x = torch.ones(4, 2)
    data["user"].note = "text"
    data["item"].num_nodes = 2
    data[RATED].edge_index = torch.tensor([[2, 0], [1, 1]])
    data[RATED].edge_attr = torch.tensor([[1.0], [2.0]])
    data[RATED].total = torch.tensor(3.0)
    hg = HeteroCSR.from_pyg(data)
    assert hg.n_nodes == {"user": 4, "item": 2}
    assert_array_equal(np.stack(hg.adjacency(RATED).coo()), [[2, 0], [1, 1]])
    assert (list(hg.node_data["user"]), list(hg.edge_data[RATED])) == (["x"], ["edge_attr"])


def test_from_pyg_refuses_edges_it_cannot_read():
    data = pyg.Data(x=torch.ones(2, 1))
    with pytest.raises(DataError, match=r"expected an edge_index for .* Convert adj_t"):
        HeteroCSR.from_pyg(data)
    with pytest.raises(DataError, match=r"expected source ids in \[0, 2\), got 5"):
        HeteroCSR.from_pyg(pyg.Data(x=torch.ones(2, 1), edge_index=torch.tensor([[5], [0]])))


@pytest.mark.filterwarnings("ignore:Unable to accurately infer:UserWarning")
def test_from_pyg_refuses_a_node_type_of_unknown_size():
    data = pyg.HeteroData()
    data["user"].y = torch.zeros(3)
    with pytest.raises(DataError, match=r"number of nodes for 'user', got only \['y'\]. Set data"):
        HeteroCSR.from_pyg(data)
