"""What holds for every encoder: weights of zero, some nodes only, derivatives of any kind."""

import pytest
import torch
from torch.func import functional_call, grad, jvp, vmap

from dglmeta.errors import ConfigError
from dglmeta.graph import Adjacency, HeteroCSR
from dglmeta.nn import GAT, GCN, GIN, SAGE, SGC, StackedSGC
from dglmeta.nn.encoder import Messages
from dglmeta.nn.layered import product

ENCODERS = {
    "gcn": GCN,
    "gat": GAT,
    "gat, 3 heads": lambda *a, **k: GAT(*a, n_heads=3, **k),
    "gin": GIN,
    "sage": SAGE,
    "sgc": SGC,
    "stacked sgc": StackedSGC,
}
EDGES = {
    ("user", "rated", "item"): ([0, 0, 1, 2, 2], [1, 0, 1, 3, 3]),
    ("item", "has", "tag"): ([0, 1, 3], [0, 0, 1]),
}
HG = HeteroCSR.from_edges(EDGES, {"user": 3, "item": 4, "tag": 2})
ADJ = HG.homogeneous(both_ways=True).adjacency
N = 9


@pytest.fixture(params=ENCODERS.values(), ids=ENCODERS)
def make(request):
    """Makes an encoder, in float64 and always the same."""

    def make(*widths, **settings):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            encoder = request.param(*widths, **settings).double()
            for p in encoder.parameters():  # biases begin at zero and would hide themselves
                p.data += 0.1 * torch.randn_like(p)
        return encoder

    return make


def normal(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-12)


def line_and_fan():
    """A long path, so that few nodes need few, and a node that several send to besides."""
    src, dst = [*range(39), *range(0, 40, 9)], [*range(1, 40), *[20] * 5]
    return Adjacency.from_coo(src, dst, (40, 40))


def test_an_edge_of_weight_zero_is_as_good_as_absent(make):
    model, gone = make(5, 4), [1, 6, 9]
    weight = torch.ones(ADJ.n_edges, dtype=torch.float64)
    weight[gone] = 0
    close(model(ADJ, normal(N, 5), weight), model(ADJ.without(gone), normal(N, 5)))


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("d_out", [2, 7])
def test_embeddings_of_some_nodes_are_those_among_all(make, n_layers, d_out):
    adj, x = line_and_fan(), normal(40, 5)
    model, nodes = make(5, d_out, n_layers=n_layers), torch.tensor([33, 20, 7])
    weight = torch.ones(adj.n_edges, dtype=torch.float64)
    weight[[3, 19, 41]] = 0
    layers = model.layers(model.messages(adj, weight), nodes)
    assert len(layers) == model.n_hops
    assert layers[-1].adjacency.n_src == 3
    assert model.n_hops == 1 or layers[-1].adjacency.n_dst < 40
    close(model(layers, x), model(adj, x, weight)[nodes])


def test_derivatives_of_some_nodes_embeddings_are_those_among_all(make):
    adj, model, nodes = line_and_fan(), make(5, 4), torch.tensor([33, 20, 7])
    layers = model.layers(model.messages(adj), nodes)
    every = [normal(40, 5).requires_grad_(), *model.parameters()]
    part = torch.autograd.grad(model(layers, every[0]).square().sum(), every)
    whole = torch.autograd.grad(model(adj, every[0])[nodes].square().sum(), every)
    close(part, whole)


def test_gradients_and_their_gradients_are_right(make):
    model = make(3, 2)
    x, names = normal(N, 3).requires_grad_(), [name for name, _ in model.named_parameters()]

    def embed(x, *values):
        return functional_call(model, dict(zip(names, values, strict=True)), (ADJ, x))

    inputs = (x, *model.parameters())
    assert torch.autograd.gradcheck(embed, inputs)
    assert torch.autograd.gradgradcheck(embed, inputs)


def test_forward_mode_reverse_mode_and_batches_of_both_agree(make):
    model, x = make(3, 2), normal(N, 3)
    w = {name: p.detach() for name, p in model.named_parameters()}
    layers = model.layers(model.messages(ADJ), torch.tensor([4, 1]))

    def loss(w):
        return functional_call(model, w, (layers, x)).sin().sum()

    def slope(v):
        return jvp(loss, (w,), (v,))[1]

    tangents = {name: normal(3, *p.shape, seed=5) for name, p in w.items()}
    slopes = vmap(slope)(tangents)
    g = grad(loss)(w)
    expected = sum((tangents[name] * g[name]).flatten(1).sum(1) for name in w)
    close(slopes, expected)


def test_a_gradient_of_a_step_flows_through_the_step(make):
    """A hypergradient by double backward is that by central differences."""
    model, x = make(3, 2), normal(N, 3)
    w = {name: p.detach() for name, p in model.named_parameters()}
    counts = normal(N, seed=7).requires_grad_()

    def loss(w, counts):
        return (counts * functional_call(model, w, (ADJ, x)).square().mean(1)).mean()

    def after_a_step(counts):
        g = grad(loss)(w, counts)
        return loss({name: w[name] - 0.1 * g[name] for name in w}, torch.ones(N).double())

    assert torch.autograd.gradcheck(after_a_step, counts)


def test_both_ways_is_a_matter_of_the_graph_alone(make):
    close(make(5, 4, both_ways=True)(HG, normal(N, 5)), make(5, 4)(ADJ, normal(N, 5)))


def test_a_width_below_one_is_refused(make):
    with pytest.raises(ConfigError, match="d_out=0"):
        make(5, 0)


@pytest.mark.parametrize("w", [normal(6, 2), normal(2, 6)], ids=["narrower", "wider"])
@pytest.mark.parametrize("n_rows", [1, 9, 40])
def test_both_orders_of_a_dense_and_a_sparse_product_agree(w, n_rows):
    adj = Adjacency.from_coo([0, 0, n_rows - 1], [0, 8, 5], (n_rows, N))
    weight, h = normal(3), normal(N, len(w))
    dense = torch.from_numpy(adj.to_scipy(weight.numpy()).toarray())
    close(product([Messages(adj, weight)], h, w), dense @ h @ w)
