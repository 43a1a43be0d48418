"""GAT against a dense reference and DGL's own layer."""

import pytest
import torch

from dglmeta import ops
from dglmeta._dgl import load_dgl
from dglmeta.errors import ConfigError
from dglmeta.graph import Adjacency
from dglmeta.nn import GAT
from dglmeta.nn.encoder import with_loops
from dglmeta.nn.gat import masked_attention

N = 7
SRC, DST = [0, 0, 1, 2, 5, 4, 4, 3, 3], [1, 2, 0, 3, 4, 5, 0, 2, 2]
ADJ = Adjacency.from_coo(SRC, DST, (N, N))  # 6 is alone; 3 sends to 2 twice


def normal(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def gat(*widths, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = GAT(*widths, **settings).double()
        for b in model.biases:
            b.data = torch.randn_like(b)
    return model


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def dense_gat(model, n_edges, x):
    """n_edges[i, j]: how many edges i hears j by, its own loop among them."""
    last = len(model.weights) - 1
    for k, (w, b) in enumerate(zip(model.weights, model.biases, strict=True)):
        x, heads = torch.relu(x) if k else x, []
        for p, q, w_h in zip(
            model.attending[k], model.attended[k], w.chunk(model.n_heads, 1), strict=True
        ):
            wh = x @ w_h
            scores = torch.nn.functional.leaky_relu((wh @ p)[:, None] + wh @ q, 0.2)
            share = n_edges * scores.exp()
            heads.append(share / share.sum(1, keepdim=True) @ wh)
        x = (sum(heads) / len(heads) if k == last else torch.cat(heads, 1)) + b
    return x


def heard():
    return torch.from_numpy(ADJ.to_scipy().toarray()).double().T + torch.eye(N)


@pytest.mark.parametrize("n_heads", [1, 3])
@pytest.mark.parametrize("d_out", [2, 8])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_gat_equals_the_dense_form(n_layers, d_out, n_heads):
    model = gat(5, d_out, d_hidden=4, n_layers=n_layers, n_heads=n_heads)
    close(model(ADJ, normal(N, 5)), dense_gat(model, heard(), normal(N, 5)))


@pytest.mark.parametrize("n_heads", [1, 3])
def test_layers_equal_dgls(n_heads):
    dgl = load_dgl()
    from dgl.nn.pytorch import GATConv

    model, theirs = gat(5, 4, n_heads=n_heads), []
    for k, d_in in enumerate((5, 4 * n_heads)):
        layer = GATConv(d_in, 4, n_heads, negative_slope=0.2).double()
        layer.fc.weight.data = model.weights[k].data.T
        layer.attn_r.data, layer.attn_l.data = model.attending[k][None], model.attended[k][None]
        layer.bias.data = torch.zeros(4 * n_heads).double()
        theirs.append(layer)
    graph = dgl.graph((SRC, DST), num_nodes=N).add_self_loop()
    between = theirs[0](graph, normal(N, 5)).flatten(1) + model.biases[0]
    expected = theirs[1](graph, between.relu()).mean(1) + model.biases[1]
    close(model(ADJ, normal(N, 5)), expected)


def test_a_weight_that_is_not_zero_is_ignored():
    model, weight = gat(5, 4), torch.tensor([0.1, 3, 2, 1, -1, 7, 1, 1, 5]).double()
    close(model(ADJ, normal(N, 5), weight), model(ADJ, normal(N, 5)))


def test_a_node_that_hears_nobody_attends_to_itself():
    model = gat(5, 4, n_layers=1)
    (w,), (b,) = model.weights, model.biases
    close(model(ADJ, normal(N, 5))[6], normal(N, 5)[6] @ w + b)


@pytest.mark.parametrize("heads", [(), (3,)])
def test_masking_silent_messages_is_dropping_them(heads):
    """On a GPU they are masked, as it would wait to learn how many are left."""
    gone, d = [0, 3, 8], 4
    weight = torch.ones(len(SRC), dtype=torch.float64)
    weight[gone] = 0
    model = gat(5, 4)
    dropped = model.messages(ADJ, weight)
    masked = dropped._replace(adjacency=ADJ.with_loops.T, weight=with_loops(weight, N))
    assert dropped.adjacency.n_edges == masked.adjacency.n_edges - len(gone)
    inputs = normal(N, *heads), normal(N, *heads, seed=1), normal(N, *heads, d, seed=2)
    inputs = [t.requires_grad_() for t in inputs]
    got = masked_attention(masked, *inputs)
    expected = ops.attention(dropped.adjacency, *inputs)
    close(got, expected)
    grad = normal(N, *heads, d, seed=3)
    close(torch.autograd.grad(got, inputs, grad), torch.autograd.grad(expected, inputs, grad))
    assert torch.autograd.gradgradcheck(lambda *t: masked_attention(masked, *t), inputs)


def test_no_heads_are_refused():
    with pytest.raises(ConfigError, match="n_heads=0"):
        GAT(5, 4, n_heads=0)
