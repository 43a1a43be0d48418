"""Many models at once against the single encoders, and against each alone."""

import numpy as np
import pytest
import torch

from dglmeta.errors import ConfigError
from dglmeta.graph import Adjacency
from dglmeta.nn import GAT, GCN, SAGE
from dglmeta.nn.many_models import ManyModels, dropout_mask
from dglmeta.nn.receptive_field import ReceptiveField
from dglmeta.train.many_adam import ManyAdam

KINDS = ["GCN", "GAT", "SAGE"]
N, D, HIDDEN, K, B = 40, 30, 8, 3, 4


def normal(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def random_graph():
    src, dst = np.random.default_rng(0).integers(N, size=(2, 60))
    return Adjacency.from_coo(np.append(src, dst), np.append(dst, src), (N, N))


ADJ = random_graph()
ROWS = torch.tensor([3, 17, 0, 39, 22])
DENSE = normal(N, D)
WORDS = DENSE * (normal(N, D, seed=1) > 2.0)  # few entries, so that it is kept sparse


def models_of(kind, n_models=B, **settings):
    """With biases that are not zero."""
    models = ManyModels(kind, D, HIDDEN, K, n_models, **settings).double()
    for layer in (models.first, models.last):
        layer["bias"].data = normal(*layer["bias"].shape)
    return models


def field_of(x, rows=ROWS):
    return ReceptiveField(ADJ, x, rows, dtype=torch.float64)


def copied(encoder, layer, parameters, k, b):
    """Give layer k of an encoder the parameters of model b."""
    names = {"weight": "weights", "weight_self": "weights_self", "weight_neigh": "weights_neigh",
             "bias": "biases"}  # fmt: skip
    for name, p in parameters.items():
        getattr(encoder, names.get(name, name))[layer].data = p[b].detach().clone()
    return encoder


def by_encoders(kind, models, b, x):
    """Logits of all nodes of model b by the encoders of ``dglmeta.nn``, layer after layer."""
    heads = models.first["attending"].shape[1] if kind == "GAT" else 0
    h, last = x, None
    for k, parameters in enumerate((models.first, models.last)):
        make = {"GCN": GCN, "SAGE": SAGE}.get(kind)
        if kind == "GAT":
            n_heads = (heads, 1)[k]
            last = GAT(D, K, d_hidden=HIDDEN // n_heads, n_layers=2, n_heads=n_heads)
        else:
            last = make(D, K, d_hidden=HIDDEN, n_layers=2)
        copied(last.double(), k, parameters, k, b)
        h = last.layer(k, [last.messages(ADJ)], torch.relu(h) if k else h)
    return h


@pytest.mark.parametrize("x", [DENSE, WORDS], ids=["dense", "words"])
@pytest.mark.parametrize("kind", KINDS)
def test_logits_equal_those_of_the_encoders_on_the_whole_graph(kind, x):
    models = models_of(kind)
    logits = models(field_of(x))
    assert logits.shape == (B, len(ROWS), K)
    for b in range(B):
        torch.testing.assert_close(logits[b], by_encoders(kind, models, b, x)[ROWS])


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_of_all_nodes_and_one_of_few_agree(kind):
    models, every = models_of(kind), torch.arange(N)
    whole, some = models(field_of(WORDS, every)), models(field_of(WORDS))
    torch.testing.assert_close(whole[:, ROWS], some)


@pytest.mark.parametrize("heads", [1, 2, 8])
def test_heads_are_those_of_the_encoder(heads):
    models = models_of("GAT", 1, heads=heads)
    expected = by_encoders("GAT", models, 0, DENSE)[ROWS]
    torch.testing.assert_close(models(field_of(DENSE))[0], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_few_features_and_many_give_the_same_scores(kind):
    """A GAT's scores come by another route where there are fewer nodes than features."""
    rows, models = torch.arange(0, N, 3), models_of(kind)
    padded = torch.cat([DENSE, torch.zeros(N, 50)], 1)
    n_sent = field_of(DENSE, rows).parts("GAT").products[0](torch.zeros(1, D, 1).double()).shape[1]
    assert D < n_sent < D + 50
    wide = models_of(kind)
    for name, p in models.first.items():
        grown = name.startswith("weight")
        extra = torch.ones(B, 50, HIDDEN, dtype=torch.float64)
        wide.first[name].data = torch.cat([p, extra], 1).detach() if grown else p.detach()
    torch.testing.assert_close(wide(field_of(padded, rows)), models(field_of(DENSE, rows)))


@pytest.mark.parametrize("x", [DENSE, WORDS], ids=["dense", "words"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind, x):
    models, field = models_of(kind, 2), field_of(x)
    mask = dropout_mask(field.n_hidden, HIDDEN, 0.5, torch.Generator(), dtype=torch.float64)
    g, step = normal(2, len(ROWS), K), 1e-6
    models(field, mask=mask).backward(g)
    for seed, p in enumerate(models.parameters()):
        away = normal(*p.shape, seed=seed)
        with torch.no_grad():
            before, grad = p.clone(), p.grad
            ends = []
            for sign in (1, -1):
                p.copy_(before + sign * step * away)
                ends.append(float((models(field, mask=mask) * g).sum()))
            p.copy_(before)
        expected = (ends[0] - ends[1]) / (2 * step)
        assert float((grad * away).sum()) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("x", [DENSE, WORDS], ids=["dense", "words"])
@pytest.mark.parametrize("kind", KINDS)
def test_five_steps_of_all_are_those_of_each_alone(kind, x):
    field, seeds = field_of(x), [7, 3, 3, 11]
    together = trained(ManyModels(kind, D, HIDDEN, K, B, seeds=seeds).double(), field, range(B))
    for b, seed in enumerate(seeds):
        alone = trained(ManyModels(kind, D, HIDDEN, K, 1, seeds=[seed]).double(), field, [b])
        pairs = zip(together.parameters(), alone.parameters(), strict=True)
        for p, q in pairs:
            torch.testing.assert_close(p[b], q[0], rtol=1e-7, atol=1e-9)


def trained(models, field, numbers):
    """After five steps on losses that differ by the number of the model."""
    optimizer = ManyAdam(models.stacked(), lr=0.01, weight_decay=5e-4)
    generator = torch.Generator().manual_seed(1)
    target = torch.stack([normal(len(ROWS), K, seed=b) for b in numbers])
    for _ in range(5):
        logits = models(field, generator=generator)
        logits.backward((logits - target).detach())
        optimizer.step()
        optimizer.zero_grad()
    return models


@pytest.mark.parametrize("kind", KINDS)
def test_selected_models_answer_as_before(kind):
    models, field = models_of(kind), field_of(WORDS)
    for keep in (torch.tensor([2, 0]), torch.tensor([True, False, True, True])):
        part = models.select(keep)
        torch.testing.assert_close(part(field), models(field)[keep])
        assert part.n_models == len(part(field))
        assert all(p.is_leaf and p.requires_grad for p in part.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_a_factor_of_the_hidden_numbers_and_absent_by_itself(kind):
    models, field = models_of(kind), field_of(DENSE)
    shape = field.n_hidden, HIDDEN
    plain = models(field)
    torch.testing.assert_close(models(field, mask=torch.ones(shape).double()), plain)
    drawn = models(field, dropout=0.3, generator=torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    mask = dropout_mask(*shape, 0.3, generator, dtype=torch.float64)
    torch.testing.assert_close(models(field, mask=mask), drawn)
    assert not torch.allclose(drawn, plain)
    each = torch.stack([torch.ones(shape), mask, torch.ones(shape), mask]).double()
    mixed = torch.stack([plain[0], drawn[1], plain[2], drawn[3]])
    torch.testing.assert_close(models(field, mask=each), mixed)


@pytest.mark.parametrize("dropout", [0.0, 0.3, 0.5])
def test_masks_take_out_their_share_and_keep_the_mean(dropout):
    mask = dropout_mask(201, 499, dropout, torch.Generator().manual_seed(0))
    assert float((mask == 0).float().mean()) == pytest.approx(dropout, abs=0.01)
    assert set(mask.unique().tolist()) <= {0.0, float(torch.tensor(1 / (1 - dropout)))}


def test_only_the_first_layer_decays():
    models = models_of("SAGE")
    decaying = {id(p) for p, decays in models.stacked() if decays}
    assert decaying == {id(p) for p in models.first.parameters()}
    assert len(list(models.stacked())) == len(list(models.parameters()))


def test_weights_are_drawn_by_glorots_rule_of_one_model():
    weight = ManyModels("GCN", 50, 70, 2, 9).first["weight"]
    bound = (6 / 120) ** 0.5
    assert float(weight.detach().abs().max()) == pytest.approx(bound, rel=0.01)
    assert len({float(w) for w in weight.detach()[:, 0, 0]}) == 9


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "GIN"}, "'GIN'"),
        ({"hidden": 0}, "hidden=0"),
        ({"kind": "GAT", "heads": 3}, "3 and 8"),
        ({"seeds": [1, 2]}, "each of 4"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    given = {"kind": "GCN", "d_in": D, "hidden": HIDDEN, "n_classes": K, "n_models": B}
    with pytest.raises(ConfigError, match=said):
        ManyModels(**{**given, **settings})


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_a_probability_out_of_range_is_refused(dropout):
    with pytest.raises(ConfigError, match=str(dropout)):
        dropout_mask(2, 2, dropout, torch.Generator())
