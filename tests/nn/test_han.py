"""HAN against a dense form, against DGL's attention, and on every kind of graph it takes."""

import gc
import weakref

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch.func import functional_call, grad, jvp

from dglmeta._dgl import load_dgl
from dglmeta.errors import ConfigError, DataError, SchemaError
from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.nn.han import HAN

EDGES = {
    ("user", "rated", "item"): ([0, 0, 1, 2, 2, 2], [1, 0, 1, 3, 3, 1]),  # one twice
    ("user", "follows", "user"): ([0, 1, 3], [1, 3, 2]),
    ("item", "has", "tag"): ([0, 1, 3], [0, 0, 1]),
}
SIZES = {"tag": 2, "user": 4, "item": 5}  # the last item is alone
HG = HeteroCSR.from_edges(EDGES, SIZES)
N = sum(SIZES.values())
PATHS = (
    "user-item-user",
    "item-user-item",
    "user-[follows]-user-[follows]-user",  # not symmetric
    "item-tag-item",
)
NAMES = [str(MetaPath.parse(text, HG.schema)) for text in PATHS]


def encoder(d_in=5, d_out=6, *, paths=PATHS, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return HAN(HG.schema, paths, d_in, d_out, d_semantic=7, **settings).double()


def features(d=5):
    return torch.randn(N, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def by_type(x):
    return dict(zip(SIZES, x.split(list(SIZES.values())), strict=True))


def reached(text):
    """Boolean product of the path's adjacencies, and the identity."""
    product = None
    for edge_type, forward in MetaPath.parse(text, HG.schema).steps:
        src, dst = EDGES[edge_type]
        shape = SIZES[edge_type[0]], SIZES[edge_type[2]]
        a = csr_array((np.ones(len(src), bool), (src, dst)), shape=shape)
        a = a if forward else a.T
        product = a if product is None else product @ a
    return torch.from_numpy(product.toarray() > 0) | torch.eye(product.shape[0], dtype=bool)


def dense_path(near, h, attend, n_heads):
    """Masked softmax over all pairs, one head after the other."""
    heads = []
    for k, hk in enumerate(h.split(h.shape[1] // n_heads, dim=1)):
        score = (hk @ attend[0, k])[:, None] + (hk @ attend[1, k])[None]
        score = torch.nn.functional.leaky_relu(score, 0.2).masked_fill(~near, -torch.inf)
        heads.append(torch.nn.functional.elu(torch.softmax(score, 1) @ hk))
    return torch.cat(heads, 1)


def dense_han(model, x, n_heads):
    """Embeddings of all nodes, and the last layer's weight of each path."""
    for level in model.stack:
        parts, weights = [], {}
        for number, (name, part) in enumerate(by_type(x).items()):
            h = part @ level.project[number]
            mine = [k for k, text in enumerate(PATHS) if text.startswith(name)]
            if not mine:
                parts.append(torch.nn.functional.elu(h))
                continue
            z = [dense_path(reached(PATHS[k]), h, level.attend[k], n_heads) for k in mine]
            s = level.place[number]
            w = torch.stack(
                [
                    torch.stack(
                        [
                            level.query[s]
                            @ torch.tanh(row @ level.semantic_weight[s] + level.semantic_bias[s])
                            for row in zp
                        ]
                    ).mean()
                    for zp in z
                ]
            )
            beta = w.exp() / w.exp().sum()
            weights.update(zip((NAMES[k] for k in mine), beta.tolist(), strict=True))
            parts.append(sum(b * zp for b, zp in zip(beta, z, strict=True)))
        x = torch.cat(parts)
    return x, weights


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("n_heads", [1, 2, 3])
def test_han_equals_the_dense_form(n_layers, n_heads):
    model = encoder(n_heads=n_heads, n_layers=n_layers)
    for level in model.stack:  # otherwise the paths' weights hardly differ
        level.semantic_bias.data.normal_(generator=torch.Generator().manual_seed(2))
        level.query.data.mul_(3)
    expected, weights = dense_han(model, features(), n_heads)
    torch.testing.assert_close(model(HG, features()), expected, rtol=1e-12, atol=1e-12)
    got = model.semantic_weights(HG, features())
    assert list(got) == NAMES
    assert got == pytest.approx(weights, rel=1e-10)


@pytest.mark.parametrize("n_heads", [1, 2])
def test_a_single_path_is_dgls_attention_layer_along_it(n_heads):
    dgl = load_dgl()
    from dgl.nn.pytorch import GATConv

    path = PATHS[2]
    model, near = encoder(paths=[path], n_heads=n_heads), reached(path)
    level, d_head = model.stack[0], 6 // n_heads
    gat = GATConv(5, d_head, n_heads, negative_slope=0.2, activation=torch.nn.functional.elu)
    gat = gat.double()
    user = HG.schema.node_types.index("user")
    with torch.no_grad():
        gat.fc.weight.copy_(level.project[user].T)
        gat.attn_r.copy_(level.attend[0, 0][None])  # DGL's right end receives
        gat.attn_l.copy_(level.attend[0, 1][None])
    x = by_type(features())
    receives, sends = near.nonzero().unbind(1)
    expected = gat(dgl.graph((sends, receives), num_nodes=SIZES["user"]), x["user"]).flatten(1)
    torch.testing.assert_close(model(HG, x)["user"], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("path", PATHS)
def test_neighbourhoods_are_boolean_products_with_loops(path):
    (adj,) = encoder(paths=[path]).messages(HG).near
    assert adj.to_scipy().toarray().tolist() == reached(path).int().tolist()


def test_weights_of_the_paths_of_a_node_type_sum_to_one():
    weights = encoder().semantic_weights(HG, by_type(features()))
    assert weights[NAMES[0]] + weights[NAMES[2]] == pytest.approx(1)
    assert weights[NAMES[1]] + weights[NAMES[3]] == pytest.approx(1)
    assert 0 < weights[NAMES[0]] != pytest.approx(0.5, abs=1e-6)


def test_a_node_type_without_paths_gets_its_projected_features():
    model, x = encoder(), by_type(features())
    expected = torch.nn.functional.elu(x["tag"] @ model.stack[0].project[0])
    torch.testing.assert_close(model(HG, x)["tag"], expected)


def test_a_dgl_graph_gives_what_its_csr_gives():
    model, x = encoder(n_layers=2), by_type(features())
    graph = HG.to_dgl()
    assert tuple(graph.ntypes) != HG.schema.node_types  # DGL sorts node types
    got, expected = model(graph, x), model(HG, x)
    for name in SIZES:
        torch.testing.assert_close(got[name], expected[name], rtol=1e-12, atol=1e-12)
    assert model.semantic_weights(graph, x) == pytest.approx(model.semantic_weights(HG, x))


def test_a_dict_and_one_tensor_of_features_give_the_same():
    model, x = encoder(), features()
    got = model(HG, by_type(x))
    assert list(got) == list(SIZES)
    assert torch.equal(torch.cat(list(got.values())), model(HG, x))


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("nodes", [[7, 3, 3, 0, 10], [2, 5], [10], [1, 0], []])
def test_layers_give_the_embeddings_of_the_nodes_asked_for(nodes, n_layers):
    model, x, nodes = encoder(n_layers=n_layers), features(), torch.tensor(nodes, dtype=int)
    messages = model.messages(HG)
    got = model(model.layers(messages, nodes), x)
    torch.testing.assert_close(got, model(HG, x)[nodes], rtol=1e-12, atol=1e-12)
    assert torch.equal(model([messages] * n_layers, x), model(HG, x))


def test_layers_read_no_type_that_is_not_asked_for():
    model, x = encoder(), features()
    expected = model(HG, x)[2:6]
    x[:2], x[6:] = torch.nan, torch.nan  # all but users
    layers = model.layers(model.messages(HG), torch.arange(2, 6))
    torch.testing.assert_close(model(layers, x), expected)
    assert list(model.semantic_weights(layers, x)) == [NAMES[0], NAMES[2]]


def test_weights_of_edges_change_nothing():
    x = features()
    adj = HG.homogeneous().adjacency
    none = torch.zeros(adj.n_edges, dtype=torch.float64)
    model = encoder()
    assert torch.equal(model(HG, x, none), model(HG, x))


def test_neighbourhoods_are_computed_once_a_graph_and_go_with_it():
    hg = HeteroCSR.from_edges(EDGES, SIZES)
    first, again = encoder().messages(hg), encoder(paths=PATHS[1:]).messages(hg)
    assert all(a is b for a, b in zip(first.near[1:], again.near, strict=True))
    gone = weakref.ref(first.near[0])
    del first, again, hg
    gc.collect()
    assert gone() is None


def test_calls_leave_nothing_behind():
    model, x = encoder(), features()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    doubled = {name: 2 * value for name, value in model.named_parameters()}
    expected = model(HG, x)
    assert not torch.allclose(functional_call(model, doubled, (HG, x)), expected)
    assert torch.equal(model(HG, x), expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def loss_of(model):
    """A loss by parameters and features, from messages prepared once."""
    nodes = torch.tensor([8, 3, 2, 0])
    layers = model.layers(model.messages(HG), nodes)

    def loss(p, x):
        return functional_call(model, p, (layers, x)).square().sum()

    return loss, {name: value.detach() for name, value in model.named_parameters()}


def test_gradients_and_second_derivatives_are_right():
    model = encoder(3, 4, n_heads=2, n_layers=2)
    loss, p = loss_of(model)
    names, values = zip(*p.items(), strict=True)

    def of(x, *values):
        return loss(dict(zip(names, values, strict=True)), x)

    inputs = [features(3).requires_grad_(), *(v.clone().requires_grad_() for v in values)]
    assert torch.autograd.gradcheck(of, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(of, inputs, fast_mode=True)


def test_forward_mode_agrees_with_differences_also_over_a_gradient():
    loss, p = loss_of(encoder(3, 4, n_heads=2))
    x, step = features(3), 1e-6
    g = torch.Generator().manual_seed(3)
    v = {k: torch.randn(t.shape, generator=g, dtype=t.dtype) for k, t in p.items()}
    ahead, behind = ({name: p[name] + s * v[name] for name in p} for s in (step, -step))
    _, tangent = jvp(lambda p: loss(p, x), (p,), (v,))
    torch.testing.assert_close(
        tangent, (loss(ahead, x) - loss(behind, x)) / (2 * step), rtol=1e-6, atol=1e-6
    )
    _, curvature = jvp(lambda p: grad(loss)(p, x), (p,), (v,))
    after, before = grad(loss)(ahead, x), grad(loss)(behind, x)
    for name in p:
        difference = (after[name] - before[name]) / (2 * step)
        torch.testing.assert_close(curvature[name], difference, rtol=1e-5, atol=1e-5)


def test_a_node_type_without_nodes_is_no_trouble():
    empty = ([], [])
    hg = HeteroCSR.from_edges({**dict.fromkeys(EDGES, empty)}, {"tag": 0, "user": 3, "item": 0})
    got = encoder(n_heads=2)(hg, torch.ones(3, 5, dtype=torch.float64))
    assert got.shape == (3, 6)
    assert got.isfinite().all()


def test_paths_that_end_elsewhere_are_named():
    with pytest.raises(SchemaError, match=r"user-\[rated\]-item' from 'user' to 'item'"):
        encoder(paths=["user-item-user", "user-item"])


def test_a_path_given_twice_is_named():
    path = MetaPath.parse("user-item-user", HG.schema)
    with pytest.raises(SchemaError, match="once, got 'user-.*-user' again"):
        encoder(paths=["user-item-user", path])


def test_a_path_of_another_schema_is_refused():
    other = HeteroCSR.from_edges({("a", "to", "b"): ([0], [0])}, {"a": 1, "b": 1})
    with pytest.raises(SchemaError, match="no edge type"):
        encoder(paths=[MetaPath.parse("a-b-a", other.schema)])


@pytest.mark.parametrize("paths", [[], "user-item-user"])
def test_what_is_no_list_of_paths_is_refused(paths):
    with pytest.raises(ConfigError, match="list of at least one meta-path"):
        encoder(paths=paths)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ConfigError, match="divide d_out=6, got 4"):
        encoder(n_heads=4)


@pytest.mark.parametrize("setting", ["n_heads", "n_layers"])
def test_a_number_below_one_is_refused(setting):
    with pytest.raises(ConfigError, match=f"{setting}=0"):
        encoder(**{setting: 0})


def test_a_graph_without_types_is_refused():
    with pytest.raises(DataError, match="HeteroCSR or a DGLGraph, got Homogeneous"):
        encoder()(HG.homogeneous(), features())


def test_a_graph_of_other_types_is_refused():
    other = HeteroCSR.from_edges({("user", "rated", "item"): ([0], [0])}, {"user": 1, "item": 1})
    with pytest.raises(SchemaError, match=r"node types \['tag', 'user', 'item'\]"):
        encoder()(other, torch.ones(2, 5, dtype=torch.float64))


def test_missing_features_and_rows_are_named():
    x = by_type(features())
    with pytest.raises(DataError, match=r"none for \['tag'\]"):
        encoder()(HG, {"user": x["user"], "item": x["item"]})
    with pytest.raises(DataError, match=r"features of 11 nodes, got \(4, 5\)"):
        encoder()(HG, features()[:4])
