"""GTN against dense products, and its two forms against each other."""

import itertools

import pytest
import torch
from torch.func import functional_call

from dglmeta.errors import ConfigError, DataError, DeviceError, SchemaError
from dglmeta.graph import HeteroCSR
from dglmeta.nn.gtn import GTN

RATED, HAS, FOLLOWS = ("user", "rated", "item"), ("item", "has", "tag"), ("user", "is", "user")
EDGES = {
    RATED: ([0, 0, 1, 2, 2, 3], [1, 0, 1, 3, 3, 2]),  # one twice
    HAS: ([0, 1, 3, 2], [0, 0, 1, 1]),
    FOLLOWS: ([0, 1, 3], [1, 3, 2]),
}
SIZES = {"user": 5, "item": 4, "tag": 2}  # the last user is alone
HG = HeteroCSR.from_edges(EDGES, SIZES)
N = sum(SIZES.values())
FORMS = ("chain", "product")


def gtn(schema=HG.schema, **settings):
    """With choices far from even."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = GTN(schema, 5, 4, **{"d_hidden": 3, "both_ways": True, **settings}).double()
        torch.nn.init.normal_(model.scores)
    return model


def features():
    return torch.randn(N, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def weights(adj, gone=()):
    g = torch.Generator().manual_seed(2)
    w = torch.rand(adj.n_edges, generator=g, dtype=torch.float64) + 0.5
    w[list(gone)] = 0
    return w


def by_type(x):
    return dict(zip(SIZES, x.split(list(SIZES.values())), strict=True))


def dense_types(hom, weight):
    """One matrix a type, rows receive; the identity last."""
    src, dst = hom.adjacency.coo()
    matrices = torch.zeros(hom.n_edge_types + 1, N, N, dtype=torch.float64)
    for e, kind in enumerate(hom.edge_types):
        matrices[kind, dst[e], src[e]] += weight[e]
    matrices[-1] = torch.eye(N)
    return matrices


def dense_gtn(model, matrices, x):
    """Every H_c as a matrix, divided by row sums after each product as in the paper."""
    shares = torch.softmax(model.scores, -1)
    channels = []
    for factors in shares:
        h = torch.eye(N, dtype=torch.float64)
        for a in factors:
            h = h @ torch.tensordot(a, matrices, 1)
            h = h / h.sum(1, keepdim=True)
        channels.append(torch.relu(h @ x @ model.weight))
    return torch.cat(channels, 1) @ model.out.weight.T + model.out.bias


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize(("n_layers", "n_channels"), [(1, 1), (2, 2), (3, 2)])
def test_gtn_equals_the_dense_form(n_layers, n_channels, both_ways, form):
    model = gtn(n_layers=n_layers, n_channels=n_channels, both_ways=both_ways, form=form)
    hom = HG.homogeneous(both_ways=both_ways)
    w = weights(hom.adjacency)
    expected = dense_gtn(model, dense_types(hom, w), features())
    torch.testing.assert_close(model(hom, features(), w), expected, rtol=1e-12, atol=1e-12)


def test_the_chain_and_the_product_have_the_same_gradients():
    hom = HG.homogeneous(both_ways=True)
    found = []
    for form in FORMS:
        model = gtn(form=form, n_layers=3)
        x, w = features().requires_grad_(), weights(hom.adjacency).requires_grad_()
        loss = model(hom, x, w).sin().sum()
        found.append((loss, *torch.autograd.grad(loss, [x, w, *model.parameters()])))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_a_product_of_more_rows_than_are_made_dense_at_once_has_the_same_gradients(monkeypatch):
    monkeypatch.setattr("dglmeta.nn.sparse_product.DENSE_ROWS", 3)
    test_the_chain_and_the_product_have_the_same_gradients()


@pytest.mark.parametrize("form", FORMS)
def test_an_edge_of_weight_zero_is_as_good_as_absent(form):
    model, gone = gtn(form=form), [1, 3]
    hom = HG.homogeneous(both_ways=True)
    of_rated = [hom.edge_offsets[RATED, forward] + e for forward in (True, False) for e in gone]
    w = torch.ones(hom.adjacency.n_edges, dtype=torch.float64)
    w[of_rated] = 0
    expected = model(HG.without_edges(RATED, gone), features())
    torch.testing.assert_close(model(hom, features(), w), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("nodes", [[4], [0, 3], [10, 2, 7], list(range(N))])
def test_layers_for_some_nodes_give_what_all_nodes_get(nodes, form):
    model = gtn(form=form, n_layers=3)
    hom = HG.homogeneous(both_ways=True)
    w = weights(hom.adjacency, gone=[0])
    layers = model.layers(model.messages(hom, w), torch.tensor(nodes))
    everywhere, some = model(hom, features(), w)[nodes], model(layers, features())
    torch.testing.assert_close(some, everywhere, rtol=1e-12, atol=1e-12)
    for a, b in zip(*(_gradients(model, z) for z in (everywhere, some)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def _gradients(model, z):
    return torch.autograd.grad(z.sin().sum(), list(model.parameters()))


def test_cut_layers_are_used_where_few_messages_are_needed():
    model = gtn()
    messages = model.messages(HG)
    layers = model.layers(messages, torch.tensor([4]))  # who hears nobody else
    assert layers[0].adjacency.shape == (1, N)
    assert [m.edge_type.tolist() for m in layers] == [[6]] * 3


def _as_function(model, hom):
    """Embeddings as a function of edge weights, features and parameters."""
    names = [name for name, _ in model.named_parameters()]

    def run(w, x, *params):
        return functional_call(model, dict(zip(names, params, strict=True)), (hom, x, w))

    inputs = (weights(hom.adjacency), features(), *(p.detach() for p in model.parameters()))
    return run, tuple(t.clone().requires_grad_() for t in inputs)


def test_the_chain_has_the_derivatives_of_finite_differences():
    run, inputs = _as_function(gtn(), HG.homogeneous(both_ways=True))
    assert torch.autograd.gradcheck(run, inputs, check_forward_ad=True)


def test_the_chain_has_the_second_derivatives_of_finite_differences():
    run, inputs = _as_function(gtn(d_hidden=2, n_layers=1), HG.homogeneous())
    assert torch.autograd.gradgradcheck(run, inputs)


def test_a_jvp_of_the_chain_is_its_jacobian_times_the_tangents():
    run, inputs = _as_function(gtn(), HG.homogeneous(both_ways=True))
    inputs = tuple(t.detach() for t in inputs)
    g = torch.Generator().manual_seed(3)
    tangents = tuple(torch.randn(t.shape, generator=g, dtype=t.dtype) for t in inputs)
    _, got = torch.func.jvp(run, inputs, tangents)
    jacobians = torch.func.jacrev(run, argnums=tuple(range(len(inputs))))(*inputs)
    expected = sum(
        torch.tensordot(j, t, dims=t.ndim) for j, t in zip(jacobians, tangents, strict=True)
    )
    torch.testing.assert_close(got, expected)


def test_a_dgl_graph_gives_what_its_csr_gives():
    x = by_type(features())
    got, expected = gtn()(HG.to_dgl(), x), gtn()(HG, x)
    assert HG.to_dgl().canonical_etypes != list(HG.schema.edge_types)  # DGL sorts the types
    for name in SIZES:
        torch.testing.assert_close(got[name], expected[name])


def test_types_that_a_graph_lacks_are_types_without_edges():
    fewer = HeteroCSR.from_edges({FOLLOWS: EDGES[FOLLOWS], RATED: EDGES[RATED]}, SIZES)
    expected = gtn()(HG.with_edges(HAS, [], []), features())
    torch.testing.assert_close(gtn()(fewer, features()), expected)


def test_a_number_of_types_numbers_them_as_the_graph_does():
    hom = HG.homogeneous(both_ways=True)
    torch.testing.assert_close(gtn(6)(hom, features()), gtn()(HG, features()))


def test_a_plain_adjacency_has_one_type():
    adj = HG.homogeneous().adjacency
    one = HeteroCSR.from_edges({("a", "to", "a"): adj.coo()}, {"a": N})
    model = gtn(one.schema, both_ways=False)
    torch.testing.assert_close(model(adj, features()), model(one, features()))


def test_a_node_without_edges_sees_itself_only():
    model = gtn()
    own = torch.relu(features()[4] @ model.weight)
    torch.testing.assert_close(model(HG, features())[4], model.out(torch.cat([own, own])))


def test_a_row_without_mass_is_zero_before_the_last_map():
    model = gtn()
    layers = [m._replace(weight=0 * m.weight) for m in [model.messages(HG)] * 3]
    torch.testing.assert_close(model(layers, features()), model.out.bias.expand(N, -1))


def test_a_selection_is_a_distribution_over_types_for_every_channel_and_factor():
    choices = GTN(HG.schema, 5, 4, n_channels=3, n_layers=1).selection()
    assert choices.shape == (3, 2, 4)
    torch.testing.assert_close(choices.sum(-1), torch.ones(3, 2))
    assert (choices - 1 / 4).abs().max() < 0.02  # even to begin with


def test_metapaths_have_the_coefficients_they_have_in_the_product():
    model = gtn(n_layers=1)
    names = {"user-[rated]-item": 0, "item-[~rated]-user": 1, "user-[is]-user": 4}
    first, last = model.selection()[0].tolist()
    got = dict(model.metapaths(top=1000)[0])
    assert got["itself"] == pytest.approx(first[6] * last[6])
    for name, t in names.items():  # one step, before or after staying
        assert got[name] == pytest.approx(first[t] * last[6] + first[6] * last[t])
    # A message along a path passes the last factor first.
    assert got["user-[rated]-item-[~rated]-user"] == pytest.approx(last[0] * first[1])
    steps = [(e[0], e[2]) if along else (e[2], e[0]) for e, along in model.steps]
    meeting = [pair for pair in itertools.product(steps, steps) if pair[0][1] == pair[1][0]]
    assert len(got) == 1 + len(steps) + len(meeting)


def test_the_chosen_metapath_comes_first():
    model = gtn()
    with torch.no_grad():
        for factor, kind in enumerate((1, 3, 2)):  # ~rated, ~has, has: against the message
            model.scores[1, factor] = torch.eye(7)[kind] * 20
    (name, coefficient), *_ = model.metapaths(top=2)[1]
    assert name == "item-[has]-tag-[~has]-item-[~rated]-user"
    assert coefficient == pytest.approx(1, abs=1e-5)
    assert [len(best) for best in model.metapaths(top=2)] == [2, 2]


def test_metapaths_need_the_names_of_types():
    with pytest.raises(ConfigError, match="made with the number 6"):
        gtn(6).metapaths()


def test_an_adjacency_does_not_tell_several_types_apart():
    with pytest.raises(DataError, match="6 edge types apart, got an Adjacency"):
        gtn()(HG.homogeneous().adjacency, features())


def test_another_number_of_types_is_refused():
    with pytest.raises(DataError, match="6 edge types, each direction counted, got 3"):
        gtn(6)(HG.homogeneous(), features())


def test_a_type_outside_the_schema_is_named():
    with pytest.raises(SchemaError, match="'rated', 'item'.* walked against"):
        gtn(both_ways=False)(HG.homogeneous(both_ways=True), features())


@pytest.mark.parametrize("setting", ["n_channels", "n_layers", "d_hidden"])
def test_a_number_below_one_is_refused(setting):
    with pytest.raises(ConfigError, match="got .*=0"):
        GTN(HG.schema, 5, 4, **{setting: 0})


def test_a_form_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="got 'sum'"):
        GTN(HG.schema, 5, 4, form="sum")


def test_the_product_form_is_refused_on_a_gpu():
    model = gtn(form="product")
    messages = model.messages(HG)
    messages.adjacency.__dict__["device"] = "cuda"
    try:
        with pytest.raises(DeviceError, match="form='chain'"):
            model([messages] * 3, features())
    finally:
        messages.adjacency.__dict__["device"] = "cpu"


def test_the_product_form_has_no_second_derivatives():
    model = gtn(form="product", n_layers=1)
    loss = model(HG, features()).sin().sum()
    (gradient,) = torch.autograd.grad(loss, model.scores, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
