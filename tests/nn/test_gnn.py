"""GCN against a dense reference, on every kind of graph it takes."""

import numpy as np
import pytest
import torch

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import HeteroCSR
from dglmeta.nn import GCN

EDGES = {
    ("user", "rated", "item"): ([0, 0, 1, 2, 2], [1, 0, 1, 3, 3]),
    ("item", "has", "tag"): ([0, 1, 3], [0, 0, 1]),
}
HG = HeteroCSR.from_edges(EDGES, {"user": 3, "item": 4, "tag": 2})
N = 9


def features():
    g = torch.Generator().manual_seed(0)
    return torch.randn(N, 5, generator=g, dtype=torch.float64)


def dense_gcn(model, a, x):
    """Layer after layer of D_in^-1/2 (A^T + I) D_out^-1/2 x W + b; rows of A are sources."""
    a = a + torch.eye(len(a), dtype=a.dtype)
    a_hat = a.sum(0)[:, None] ** -0.5 * a.T * a.sum(1)[None] ** -0.5
    for layer, (w, b) in enumerate(zip(model.weights, model.biases, strict=True)):
        x = a_hat @ (x @ w) + b
        if layer < len(model.weights) - 1:
            x = torch.relu(x)
    return x


def dense_adjacency(both_ways):
    adj = HG.homogeneous(both_ways=both_ways).adjacency
    return torch.from_numpy(adj.to_scipy().toarray()).double()


@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_gcn_equals_the_dense_form(n_layers, both_ways):
    torch.manual_seed(1)
    model = GCN(5, 4, d_hidden=6, n_layers=n_layers, both_ways=both_ways).double()
    expected = dense_gcn(model, dense_adjacency(both_ways), features())
    torch.testing.assert_close(model(HG, features()), expected, rtol=1e-12, atol=1e-12)


def test_an_edge_of_weight_zero_is_as_good_as_absent():
    torch.manual_seed(1)
    model = GCN(5, 4).double()
    adj = HG.homogeneous(both_ways=True).adjacency
    gone = [1, 6, 9]
    weight = torch.ones(adj.n_edges, dtype=torch.float64)
    weight[gone] = 0
    got = model(adj, features(), weight)
    torch.testing.assert_close(got, model(adj.without(gone), features()), rtol=1e-12, atol=1e-12)


def test_a_dict_of_features_gives_a_dict_of_embeddings_in_the_same_numbering():
    torch.manual_seed(1)
    model = GCN(5, 4, both_ways=True).double()
    x = features()
    by_type = dict(zip(("user", "item", "tag"), x.split([3, 4, 2]), strict=True))
    got = model(HG, by_type)
    assert list(got) == ["user", "item", "tag"]
    torch.testing.assert_close(torch.cat(list(got.values())), model(HG, x))


def test_a_dgl_graph_gives_what_its_csr_gives():
    torch.manual_seed(1)
    model = GCN(5, 4, both_ways=True).double()
    x = dict(zip(("user", "item", "tag"), features().split([3, 4, 2]), strict=True))
    got, expected = model(HG.to_dgl(), x), model(HG, x)
    for name in x:  # DGL sorts node types, so only the dict form names the same nodes
        torch.testing.assert_close(got[name], expected[name])


def test_an_isolated_node_sees_itself_only():
    model = GCN(5, 5, n_layers=1).double()
    alone = HeteroCSR.from_edges({("a", "to", "a"): ([0], [1])}, {"a": 3})
    x = features()[:3]
    expected = x[2] @ model.weights[0] + model.biases[0]
    torch.testing.assert_close(model(alone, x)[2], expected)


def test_missing_features_are_named():
    with pytest.raises(DataError, match=r"none for \['tag'\]"):
        GCN(5, 4)(HG, {"user": torch.ones(3, 5), "item": torch.ones(4, 5)})


def test_a_width_below_one_is_refused():
    with pytest.raises(ConfigError, match="d_out=0"):
        GCN(5, 0)


def test_parallel_edges_count_twice():
    adjacency = dense_adjacency(False)
    assert adjacency[2, 3 + 3] == 2
    assert np.isclose(float(adjacency.sum()), 8)
