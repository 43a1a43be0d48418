"""Encoders against dense references and DGL's own layers, on every kind of graph they take."""

import numpy as np
import pytest
import torch

from dglmeta._dgl import load_dgl
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency, HeteroCSR
from dglmeta.nn import GCN, GIN, SAGE, SGC, StackedSGC

EDGES = {
    ("user", "rated", "item"): ([0, 0, 1, 2, 2], [1, 0, 1, 3, 3]),
    ("item", "has", "tag"): ([0, 1, 3], [0, 0, 1]),
}
HG = HeteroCSR.from_edges(EDGES, {"user": 3, "item": 4, "tag": 2})
N = 9


def features():
    g = torch.Generator().manual_seed(0)
    return torch.randn(N, 5, generator=g, dtype=torch.float64)


def dense_a_hat(a):
    """D_in^-1/2 (A^T + I) D_out^-1/2; rows of A are sources."""
    a = a + torch.eye(len(a), dtype=a.dtype)
    return a.sum(0)[:, None] ** -0.5 * a.T * a.sum(1)[None] ** -0.5


def dense_gcn(model, a, x):
    """Layer after layer of Â x W + b."""
    for layer, (w, b) in enumerate(zip(model.weights, model.biases, strict=True)):
        x = dense_a_hat(a) @ (x @ w) + b
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


def seeded(make, *widths, **settings):
    """An encoder in float64, its biases not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = make(*widths, **settings).double()
        for p in model.parameters():
            p.data += 0.1 * torch.randn_like(p)
    return model


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize("n_hops", [1, 2, 3])
def test_sgc_is_one_linear_map_of_what_all_hops_sum(n_hops, both_ways):
    model = seeded(SGC, 5, 4, n_layers=n_hops, both_ways=both_ways)
    a_hat = dense_a_hat(dense_adjacency(both_ways))
    expected = torch.linalg.matrix_power(a_hat, n_hops) @ features() @ model.weight + model.bias
    close(model(HG, features()), expected)


def test_sgc_refuses_a_width_between_layers_it_lacks():
    with pytest.raises(ConfigError, match="got 8. It has one linear map"):
        SGC(5, 4, d_hidden=8)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_stacked_sgc_sums_twice_what_each_linear_layer_gives(n_layers):
    model = seeded(StackedSGC, 5, 4, d_hidden=6, n_layers=n_layers)
    assert model.n_hops == 2 * n_layers
    a_hat, x = dense_a_hat(dense_adjacency(False)), features()
    for k, (w, b) in enumerate(zip(model.weights, model.biases, strict=True)):
        x = a_hat @ (a_hat @ ((torch.relu(x) if k else x) @ w + b))
    close(model(HG, features()), x)


@pytest.mark.parametrize("both_ways", [True, False])
def test_gin_equals_the_dense_form(both_ways):
    model = seeded(GIN, 5, 4, d_hidden=6, both_ways=both_ways)
    to_from, x = dense_adjacency(both_ways).T, features()
    for k, (w, b) in enumerate(zip(model.weights_in, model.biases_in, strict=True)):
        x = torch.relu(x) if k else x
        inner = torch.relu((x + to_from @ x) @ w + b)
        x = inner @ model.weights_out[k] + model.biases_out[k]
    close(model(HG, features()), x)


@pytest.mark.parametrize("both_ways", [True, False])
def test_sage_equals_the_dense_form_with_weights_in_the_mean(both_ways):
    model = seeded(SAGE, 5, 4, d_hidden=6)
    adj = HG.homogeneous(both_ways=both_ways).adjacency
    weight = torch.rand(adj.n_edges, dtype=torch.float64) + 0.1
    a = torch.from_numpy(adj.to_scipy(weight.numpy()).toarray()).T
    mean, x = a / a.sum(1, keepdim=True).clamp(min=1e-300), features()
    for k, b in enumerate(model.biases):
        x = torch.relu(x) if k else x
        x = x @ model.weights_self[k] + mean @ x @ model.weights_neigh[k] + b
    close(model(adj, features(), weight), x)


def test_the_mean_of_no_neighbours_is_zero():
    model, alone = seeded(SAGE, 5, 4, n_layers=1), Adjacency.from_coo([0], [1], (3, 3))
    x = features()[:3].requires_grad_()
    weight = torch.zeros(1, dtype=torch.float64)
    for got in (model(alone, x)[2], model(alone, x, weight)[1]):
        (grad,) = torch.autograd.grad(got.sum(), x)
        assert (grad != 0).any(1).sum() == 1
    expected = x @ model.weights_self[0] + model.biases[0]
    close(model(alone, x, weight), expected)


@pytest.mark.parametrize("both_ways", [True, False])
def test_gin_and_sage_layers_equal_dgls(both_ways):
    load_dgl()
    from dgl.nn.pytorch import GINConv, SAGEConv

    graph = dgl_graph(both_ways)
    gin = seeded(GIN, 5, 4, n_layers=1, both_ways=both_ways)
    linear = torch.nn.Linear(5, 4).double(), torch.nn.Linear(4, 4).double()
    inner, outer = linear
    fill(inner, gin.weights_in[0], gin.biases_in[0])
    fill(outer, gin.weights_out[0], gin.biases_out[0])
    theirs = GINConv(torch.nn.Sequential(inner, torch.nn.ReLU(), outer), "sum")
    close(gin(HG, features()), theirs(graph, features()))

    sage = seeded(SAGE, 5, 4, n_layers=1, both_ways=both_ways)
    theirs = SAGEConv(5, 4, "mean").double()
    theirs.fc_neigh.weight.data = sage.weights_neigh[0].data.T
    fill(theirs.fc_self, sage.weights_self[0], sage.biases[0])
    close(sage(HG, features()), theirs(graph, features()))


def test_an_sgc_equals_dgls_where_edges_run_both_ways():
    load_dgl()
    from dgl.nn.pytorch import SGConv

    model, theirs = seeded(SGC, 5, 4, n_layers=3, both_ways=True), SGConv(5, 4, k=3).double()
    fill(theirs.fc, model.weight, model.bias)
    close(model(HG, features()), theirs(dgl_graph(both_ways=True).add_self_loop(), features()))


def dgl_graph(both_ways):
    adj = HG.homogeneous(both_ways=both_ways).adjacency
    return load_dgl().graph(tuple(map(torch.from_numpy, adj.coo())), num_nodes=N)


def fill(linear, weight, bias):
    linear.weight.data, linear.bias.data = weight.data.T, bias.data


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
