"""SELAR learns by the gradients its algorithm names, and uses the parts its strategy names."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from dglmeta.bench.systems.bench_selar_step import double_backward_step
from dglmeta.meta import hypergradient, parameters_of
from dglmeta.nn import HintMixer, SampleWeighter
from dglmeta.systems import SELAR
from dglmeta.systems.selar import apart, relative, split_folds

ENCODERS = ("gcn", "gat", "gin", "sgc", "stacked-sgc", "sage", "gtn", "han")
CLOSED = {"metapaths": ("item-tag-item", "item-tag-item-tag-item")}
"""Meta-paths that HAN can use on toy."""

HINTS = {"strategy": "selar+hint"}
CLASSES = ("metapath", "degree", "distance", "pagerank", "partition")
"""Kinds of auxiliary tasks that need no features."""


def of_encoder(name):
    return {"encoder": name, **(CLOSED if name == "han" else {})}


# The parts of Algorithm 1


def test_folds_partition_the_batch():
    folds = split_folds(128, 3, np.random.default_rng(0))
    assert sorted(torch.cat(folds).tolist()) == list(range(128))
    assert sorted(map(len, folds)) == [42, 43, 43]


def test_one_fold_holds_a_third_out():
    (fold,) = split_folds(128, 1, np.random.default_rng(0))
    assert len(fold.unique()) == 43


def test_folds_differ_from_step_to_step():
    rng = np.random.default_rng(0)
    (first,), (second,) = (split_folds(128, 1, rng) for _ in range(2))
    assert not torch.equal(first, second)


def test_weights_are_relative_to_the_mean_primary_one():
    v = torch.tensor([[0.5, 1.0], [1.0, 0.25]])
    assert relative(v) == pytest.approx((v / 0.75).numpy())
    assert relative(0.1 * v) == pytest.approx(relative(v).numpy(), rel=1e-5)


def test_with_the_task_normaliser_no_task_can_be_turned_down():
    v, by_task = torch.rand(3, 8), torch.tensor([[1.0], [0.01], [50.0]])
    expected = relative(v, normaliser="task").numpy()
    assert relative(by_task * v, normaliser="task") == pytest.approx(expected, rel=1e-4)
    assert expected.mean(1) == pytest.approx(np.ones(3), rel=1e-5)


# The hypergradient


def along_each_part(theta, gradients, f):
    """Slopes of f in a random direction for each tensor of theta: as given, and by differences.

    With what an error of 1e-6 in the gradient comes to.
    """
    g = torch.Generator().manual_seed(0)
    for name, value in theta.items():
        direction = torch.randn(value.shape, generator=g, dtype=value.dtype)
        direction /= direction.norm()
        eps = 1e-4  # so small that no ReLU is likely to be crossed
        up, down = (f({**theta, name: value + sign * eps * direction}) for sign in (1, -1))
        slope = float((gradients[name] * direction).sum())
        yield name, slope, float(up - down) / (2 * eps), 1e-6 * float(gradients[name].norm())


def mean_meta_loss(outputs, coefficients, losses, folds, w, theta, lr):
    """What the hypergradient is the gradient of, from its definition."""
    total, at = 0.0, outputs(w).detach()
    c = coefficients(at, theta).detach()
    for fold in folds:
        leaf = {name: p.detach().requires_grad_() for name, p in w.items()}
        kept = torch.ones(at.shape[-1], dtype=at.dtype).index_fill(0, fold.held_out, 0)
        inner = (kept * losses(outputs(leaf), c)).sum() / kept.sum()
        step = torch.autograd.grad(inner, list(leaf.values()), materialize_grads=True)
        ahead = {n: w[n].detach() - lr * g for n, g in zip(w, step, strict=True)}
        total += fold.meta_loss(ahead).detach() / len(folds)
    return total


@pytest.fixture
def asked(monkeypatch):
    """Arguments, before the step moves them, and result of every hypergradient it computes."""
    calls = []

    def watched(*args, **options):
        at = ({name: p.detach().clone() for name, p in values.items()} for values in args[-2:])
        calls.append(((*args[:-2], *at), options, hypergradient(*args, **options)))
        return calls[-1][-1]

    monkeypatch.setattr("dglmeta.systems.selar.hypergradient", watched)
    return calls


def sharpen(state):
    """Samples that differ, as later in training: at first all embeddings are near zero."""
    g = torch.Generator().manual_seed(2)
    for name, p in state.model.named_parameters():
        scale = 0.5 if name == "embedding" else 0.1
        p.data += scale * torch.randn(p.shape, generator=g, dtype=p.dtype)


def hold_descriptors(weighter, coefficients, at, theta):
    """V reads from now on what it reads at theta: losses in descriptors are constants."""
    genuine, seen = weighter.describe, []

    def seeing(*args):
        seen.append(genuine(*args))
        return seen[0]

    weighter.describe = seeing
    coefficients(at, theta)


def assert_all_three_agree(state, args, options, found):
    slow = hypergradient(*args, lr=options["lr"], mode="double_backward")
    torch.testing.assert_close(found.meta_loss, slow.meta_loss, rtol=1e-12, atol=0)
    for name, expected in slow.gradients.items():
        assert found.gradients[name].dtype == torch.float64
        assert expected.abs().max() > 0, name
        assert (found.gradients[name] - expected).abs().max() <= 1e-9 * expected.abs().max()
    *functions, theta = args
    outputs, coefficients, *_, w = functions
    hold_descriptors(state.weighing.weighter, coefficients, outputs(w).detach(), theta)
    slopes = along_each_part(
        theta, found.gradients, lambda t: mean_meta_loss(*functions, t, options["lr"])
    )
    for name, slope, by_differences, error in slopes:
        assert slope == pytest.approx(by_differences, abs=error), name


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_hypergradient_of_v_and_v_h_is_exact_on_every_encoder(begin, asked, encoder):
    settings = HINTS | of_encoder(encoder) | {"lr": 0.3, "teach_through_hints": encoder != "gat"}
    selar, state, batch = begin(double=True, **settings)
    sharpen(state)
    selar.step(state, batch, np.random.default_rng(0))
    ((args, options, found),) = asked
    assert {name.split(".")[0] for name in found.gradients} == {"weighter", "mixer"}
    assert_all_three_agree(state, args, options, found)


@pytest.mark.parametrize("folds", [1, 3])
@pytest.mark.parametrize("strategy", ["weights-only", "selar"])
def test_the_hypergradient_of_a_step_is_exact_without_hints(begin, asked, strategy, folds):
    selar, state, batch = begin(double=True, strategy=strategy, folds=folds, lr=0.3)
    sharpen(state)
    selar.step(state, batch, np.random.default_rng(0))
    ((args, options, found),) = asked
    assert len(found.meta_loss) == folds
    assert_all_three_agree(state, args, options, found)


@pytest.mark.parametrize(
    "settings",
    [
        {"auxiliary": CLASSES, **HINTS},
        {"fanouts": (2, 2), **HINTS},
        {"dropout": 0.3},
        {"normaliser": "task"},
    ],
    ids=["classes", "sampled", "dropout", "by task"],
)
def test_the_hypergradient_is_exact_whatever_else_is_set(begin, asked, settings):
    selar, state, batch = begin(double=True, lr=0.3, **settings)
    sharpen(state)
    selar.step(state, batch, np.random.default_rng(0))
    assert_all_three_agree(state, *asked[0])


@pytest.mark.parametrize("strategy", ["selar", "selar+hint"])
def test_the_hypergradient_of_a_node_task_is_exact(begin, asked, labelled, strategy):
    selar, state, batch = begin(labelled, double=True, strategy=strategy, lr=0.3)
    sharpen(state)
    selar.step(state, batch, np.random.default_rng(0))
    assert_all_three_agree(state, *asked[0])


@pytest.mark.parametrize("loss", ["autolinc:D", "autolinc:n*u^4 - u*y"])
@pytest.mark.parametrize("strategy", ["selar", "selar+hint"])
def test_the_hypergradient_is_exact_by_a_loss_of_autolinc(begin, asked, labelled, strategy, loss):
    selar, state, batch = begin(labelled, double=True, strategy=strategy, loss=loss, lr=0.3)
    sharpen(state)
    selar.step(state, batch, np.random.default_rng(0))
    assert_all_three_agree(state, *asked[0])


def test_a_step_by_a_loss_of_autolinc_moves_as_one_with_double_backward(begin, labelled):
    settings = {"loss": "autolinc:D", "auxiliary": ("metapath", "degree")}
    states = []
    for step in (SELAR.step, double_backward_step):
        selar, state, batch = begin(labelled, double=True, **settings)
        step(selar, state, batch, np.random.default_rng(0))
        states.append(state)
    assert_moved_alike(*states, begin(labelled, double=True, **settings)[1])


def test_a_loss_of_autolinc_is_that_of_the_primary_samples_alone(begin, labelled):
    auxiliary = {"auxiliary": ("metapath", "degree")}
    outputs = []
    for loss in ("cross-entropy", "autolinc:D"):
        selar, state, batch = begin(labelled, loss=loss, **auxiliary)
        outputs.append(selar.terms(state, batch).outputs(state.weights(batch.view))[0])
    of_task = state.tasks.of_task(batch)
    usual, found = outputs
    torch.testing.assert_close(found[of_task > 0], usual[of_task > 0])
    logits = state.model.class_logits(
        state.locate(state.messages(batch.view), batch.view, batch.samples)
    )
    y = torch.eye(2)[batch.samples.class_label[0]]
    n = torch.from_numpy(np.bincount(state.primary.split.train.label)).float()
    torch.testing.assert_close(found[of_task == 0], (logits - y / n).tanh().square().mean(1))


FORMS = [
    {"strategy": "selar"},
    {"strategy": "selar+hint"},
    {"strategy": "selar+hint", "teach_through_hints": True},
]


@pytest.mark.parametrize("settings", FORMS, ids=["selar", "hint", "teaching hint"])
@pytest.mark.parametrize("folds", [1, 3])
@pytest.mark.parametrize("data", ["toy", "labelled"])
def test_a_step_moves_as_one_written_with_double_backward(begin, request, data, folds, settings):
    ds = request.getfixturevalue(data)
    settings = {**settings, "folds": folds, "attenuation": 0.5}
    states = []
    for step in (SELAR.step, double_backward_step):
        selar, state, batch = begin(ds, double=True, **settings)
        step(selar, state, batch, np.random.default_rng(0))
        states.append(state)
    fresh = begin(ds, double=True, **settings)[1]
    assert_moved_alike(*states, fresh)


@pytest.mark.parametrize("settings", [{"dropout": 0.4}, {"fanouts": (2, 2)}, {"look_ahead": "sgd"}])
def test_double_backward_moves_the_same_with_dropout_and_in_samples(begin, settings):
    settings = {**settings, **HINTS}
    states = []
    for step in (SELAR.step, double_backward_step):
        selar, state, batch = begin(double=True, **settings)
        step(selar, state, batch, np.random.default_rng(0))
        states.append(state)
    assert_moved_alike(*states, begin(double=True, **settings)[1])


def assert_moved_alike(one, other, fresh):
    for part in ("model", "weighing", "averaged"):
        ours, theirs, before = (parameters_of(getattr(s, part)) for s in (one, other, fresh))
        for name, value in ours.items():
            assert (value - theirs[name]).abs().max() < 1e-8, name
            if part != "averaged":
                assert not torch.equal(value, before[name]), name


# The look-ahead


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_look_ahead_moves_every_weight_that_a_meta_loss_depends_on(
    begin, looked_ahead, encoder
):
    settings = {**of_encoder(encoder), **HINTS, "d": 8}
    selar, state, batch = begin(double=True, **settings)
    at = {name: p.detach().clone() for name, p in state.model.named_parameters()}
    terms, needed = selar.terms(state, batch), set()
    for places in split_folds(8, 3, np.random.default_rng(0)):
        leaf = {name: p.clone().requires_grad_() for name, p in at.items()}
        loss = terms.fold(places).meta_loss(leaf)
        slopes = torch.autograd.grad(loss, list(leaf.values()), materialize_grads=True)
        needed |= {name for name, g in zip(leaf, slopes, strict=True) if g.any()}
    assert needed >= {"embedding", "heads.weight_in", "heads.weight_out"}
    if encoder != "han":  # which has parameters for types that the primary task does not ask of
        assert needed >= {name for name in at if name.startswith("encoder.")}
    selar.step(state, batch, np.random.default_rng(0))
    assert len(looked_ahead) == 3
    for point in looked_ahead:
        assert needed <= {name for name, p in point.items() if not torch.equal(p, at[name])}
        primary = [name for name in needed if name.startswith("heads.")]
        assert all(not torch.equal(point[name][0], at[name][0]) for name in primary)


def test_the_look_ahead_is_one_plain_step_without_the_fold(begin, looked_ahead):
    selar, state, batch = begin(double=True, lr=0.3, weight_decay=0.5)
    terms, o, c = evaluated(selar, state, batch)
    w = state.weights(batch.view)
    folds = split_folds(8, 3, apart(np.random.default_rng(0)))
    expected = []
    for places in folds:
        kept = torch.ones(24, dtype=torch.float64).index_fill(0, places, 0)
        inner = (kept * terms.losses(terms.outputs(w), c.detach())).sum() / kept.sum()
        slopes = torch.autograd.grad(inner, list(w.values()), materialize_grads=True)
        expected.append(
            {n: p.detach() - 0.3 * g for (n, p), g in zip(w.items(), slopes, strict=True)}
        )
    selar.step(state, batch, np.random.default_rng(0))
    for point, by_hand in zip(looked_ahead, expected, strict=True):
        torch.testing.assert_close(point, by_hand)


# What V and V_H are told


@pytest.fixture
def told(monkeypatch):
    """Descriptors that V and V_H read, and the gamma of V_H."""
    seen = {"weighter": [], "mixer": [], "gamma": []}
    weigh, mix = SampleWeighter.forward, HintMixer.forward

    def weighter(self, xi):
        seen["weighter"].append(xi)
        return weigh(self, xi)

    def mixer(self, xi, gamma=1.0):
        seen["mixer"].append(xi)
        seen["gamma"].append(gamma)
        return mix(self, xi, gamma)

    monkeypatch.setattr(SampleWeighter, "forward", weighter)
    monkeypatch.setattr(HintMixer, "forward", mixer)
    return seen


def evaluated(selar, state, batch, gamma=1.0):
    """The terms of a batch, outputs at w, and coefficients there."""
    terms = selar.terms(state, batch)
    o = terms.outputs(state.weights(batch.view))
    return terms, o, terms.coefficients(o.detach(), parameters_of(state.weighing), gamma)


def bce(s, y):
    return torch.log1p(torch.exp(torch.where(y > 0, -s, s)))


def test_descriptors_hold_a_constant_cut_loss_a_task_and_a_label(begin, told):
    selar, state, batch = begin(double=True, auxiliary=CLASSES, **HINTS)
    state.model.heads.weight_out.data *= 40  # so that some losses are beyond the cut
    state.model.embedding.data *= 10
    _, o, c = evaluated(selar, state, batch)
    (xi,), (xi_hint,) = told["weighter"], told["mixer"]
    n_pairs = batch.samples.label.numel()
    y = torch.cat([batch.samples.label.flatten(), torch.ones(4 * 8)])
    learner, hint = o.detach().clone()
    mixed = c[1] * learner + (1 - c[1]) * hint
    for row in (learner, hint, mixed):
        row[:n_pairs] = bce(row[:n_pairs], y[:n_pairs])
    assert not xi.requires_grad
    assert not xi_hint.requires_grad
    assert mixed.max() > 10
    torch.testing.assert_close(xi[:, 0], mixed.detach().clamp(max=10))
    torch.testing.assert_close(xi_hint[:, :2], torch.stack([learner, hint], 1).clamp(max=10))
    one_hot = torch.eye(7)[:, 1:][torch.tensor(state.tasks.rows).repeat_interleave(8)].double()
    for descriptors, first in ((xi, 1), (xi_hint, 2)):
        assert torch.equal(descriptors[:, first:-1], one_hot)
        assert not descriptors[:8, first:-1].any()  # the primary task
        assert torch.equal(descriptors[:, -1], y.double())


def test_a_node_task_is_last_among_rows_and_still_the_all_zero_task_of_label_one(
    begin, told, labelled
):
    selar, state, batch = begin(labelled)
    assert state.tasks.rows == [1, 2, 0]
    evaluated(selar, state, batch)
    (xi,) = told["weighter"]
    assert not xi[16:, 1:-1].any()
    assert xi[16:, -1].tolist() == [1.0] * 8
    assert xi[:16, 1:-1].sum(1).tolist() == [1.0] * 16


def test_training_begins_as_without_v_by_the_clean_protocol_alone(toy):
    for protocol in ("clean", "paper"):
        config = SELAR.Config(batch=8, d=4, weighter_hidden=10, protocol=protocol)
        selar = SELAR(config)
        state = selar.init(toy, seed=0, split_seed=0)
        batch = next(state.tasks.epoch(8, np.random.default_rng(0)))
        _, _, (v,) = evaluated(selar, state, batch)
        assert torch.allclose(v, torch.ones(24)) == (protocol == "clean")


# Hints


@pytest.mark.parametrize("data", ["toy", "labelled"])
def test_logits_are_mixed_and_only_those_of_auxiliary_pairs(begin, request, data):
    ds = request.getfixturevalue(data)
    selar, state, batch = begin(ds, double=True, auxiliary=CLASSES, **HINTS)
    terms, o, c = evaluated(selar, state, batch)
    of_task = torch.tensor(state.tasks.rows).repeat_interleave(8)
    n_pairs, y = batch.samples.label.numel(), batch.samples.label.flatten()
    hinted = (of_task > 0) & (torch.arange(len(of_task)) < n_pairs)
    assert hinted.sum() == 16
    assert (c[1, ~hinted] == 1).all()
    assert (c[1, hinted] < 1).all()
    assert (o[1, ~hinted] == 0).all()
    assert (o[1, hinted] != 0).all()
    losses = o[0].clone()
    losses[:n_pairs] = bce((c[1] * o[0] + (1 - c[1]) * o[1])[:n_pairs], y)
    torch.testing.assert_close(terms.losses(o, c), c[0] * losses)
    as_probabilities = c[1] * o[0].sigmoid() + (1 - c[1]) * o[1].sigmoid()
    wrong = -torch.log(
        torch.where(y > 0, as_probabilities[:n_pairs], 1 - as_probabilities[:n_pairs])
    )
    assert not torch.allclose(
        wrong[hinted[:n_pairs]], losses[:n_pairs][hinted[:n_pairs]], rtol=1e-6
    )


def test_attenuation_pushes_the_learners_share_to_one(begin):
    selar, state, batch = begin(double=True, **HINTS)
    c = [evaluated(selar, state, batch, gamma)[2][1] for gamma in (1.0, 0.5, 0.1)]
    for weaker, gamma in zip(c[1:], (0.5, 0.1), strict=True):
        torch.testing.assert_close(weaker, c[0] ** gamma)
    hinted = c[0] < 1
    assert all((b[hinted] > a[hinted]).all() for a, b in pairwise(c))


@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_attenuation_is_of_the_training_step_alone(begin, told, protocol):
    selar, state, _ = begin(attenuation=0.25, protocol=protocol, folds=3, **HINTS)
    next(selar.epoch(state, np.random.default_rng(0)))
    n_folds = 1 if protocol == "clean" else 3  # the paper's folds have batches of their own
    assert told["gamma"] == [1.0] * n_folds + [0.25]


def gradients_of_hints(begin, *, teach):
    selar, state, batch = begin(double=True, teach_through_hints=teach, **HINTS)
    w = {n: p.detach().requires_grad_() for n, p in state.weights(batch.view).items()}
    hint = selar.terms(state, batch).outputs(w)[1]
    slopes = torch.autograd.grad(hint.sum(), list(w.values()), materialize_grads=True)
    return {name for name, g in zip(w, slopes, strict=True) if g.any()}


def test_embeddings_learn_from_hints_only_where_they_are_told_to(begin):
    hints_alone = gradients_of_hints(begin, teach=False)
    assert hints_alone
    assert all(name.startswith("hints.") for name in hints_alone)
    taught = gradients_of_hints(begin, teach=True)
    assert taught > hints_alone
    assert {"embedding", "encoder.weights.0"} <= taught


# Sampled training


def test_a_sample_that_holds_the_whole_graph_gives_the_gradients_of_the_graph(begin):
    whole = begin(double=True, lr=0.3)
    sampled = begin(double=True, lr=0.3, fanouts=(-1,) * 6)
    found = []
    for selar, state, batch in (whole, sampled):
        terms, o, _ = evaluated(selar, state, batch)
        w = {n: p.detach().requires_grad_() for n, p in state.weights(batch.view).items()}
        slopes = torch.autograd.grad(terms.outputs(w).square().sum(), list(w.values()))
        selar.step(state, batch, np.random.default_rng(0))
        found.append((o, dict(zip(w, slopes, strict=True)), parameters_of(state.weighing)))
    nodes = sampled[2].view.nodes
    assert sorted(nodes.tolist()) == list(range(20))
    (o, slopes, theta), (o_sampled, slopes_sampled, theta_sampled) = found
    torch.testing.assert_close(o_sampled, o)
    slopes["embedding"] = slopes["embedding"][nodes]
    torch.testing.assert_close(slopes_sampled, slopes)
    torch.testing.assert_close(theta_sampled, theta)  # after a step, by the hypergradient


@pytest.mark.parametrize("strategy", ["multi-task", "selar+hint"])
def test_a_sampled_step_moves_only_the_embeddings_in_use(begin, strategy):
    settings = {"strategy": strategy, "auxiliary": ("degree", "metapath"), "averaging": 0.0}
    settings |= {"metapaths": ("item-tag-item",), "batch": 3, "fanouts": (1,), "n_hubs": 1}
    selar, state, batch = begin(**settings)
    before = state.model.embedding.detach().clone()
    selar.step(state, batch, np.random.default_rng(0))
    moved = (state.model.embedding != before).any(1).nonzero().squeeze(1)
    assert set(moved.tolist()) <= set(batch.view.nodes.tolist())
    assert 3 <= len(moved) < 20


def test_weight_decay_shrinks_only_the_embeddings_in_use(begin):
    lr, decay = 0.1, 0.5
    moved = {}
    for weight_decay in (0.0, decay):
        settings = {"batch": 3, "fanouts": (1,), "weight_decay": weight_decay, "lr": lr}
        selar, state, batch = begin(strategy="vanilla", **settings)
        before = state.model.embedding.detach().clone()
        selar.step(state, batch, np.random.default_rng(0))
        moved[weight_decay] = state.model.embedding.detach() - before
    expected = torch.zeros_like(before)
    expected[batch.view.nodes] = -lr * decay * before[batch.view.nodes]
    assert len(batch.view.nodes) < 20
    torch.testing.assert_close(moved[decay] - moved[0.0], expected, rtol=1e-4, atol=1e-6)


# Strategies


@pytest.mark.parametrize(
    ("strategy", "auxiliary", "weighted", "hints"),
    [
        ("vanilla", False, False, False),
        ("weights-only", False, True, False),
        ("multi-task", True, False, False),
        ("selar", True, True, False),
        ("selar+hint", True, True, True),
    ],
)
def test_a_strategy_uses_just_the_parts_it_names(begin, strategy, auxiliary, weighted, hints):
    selar, state, batch = begin(strategy=strategy)
    assert len(state.tasks.auxiliary) == (2 if auxiliary else 0)
    assert batch.samples.src.shape == (3 if auxiliary else 1, 8)
    assert (batch.view.hint_graph is not None) == hints
    assert any(name.startswith("hints.") for name in parameters_of(state.model)) == hints
    assert any(name.startswith("mixer.") for name in parameters_of(state.weighing)) == hints
    before = {k: v.clone() for k, v in state.weighing.state_dict().items()}
    selar.step(state, batch, np.random.default_rng(0))
    after = state.weighing.state_dict()
    assert {k for k, v in after.items() if not torch.equal(v, before[k])} == (
        set(before) if weighted else set()
    )


def test_vanilla_ignores_the_metapaths_it_is_given(toy):
    settings = {"strategy": "vanilla", "epochs": 2, "batch": 8, "d": 4}
    plain = SELAR(SELAR.Config(**settings)).fit(toy)
    named = SELAR(SELAR.Config(**settings, metapaths=("user-item-tag-item",))).fit(toy)
    assert named.history.metrics == plain.history.metrics


def test_metapaths_given_replace_the_recommended_ones(begin):
    _, state, _ = begin(metapaths=("item-tag-item",))
    assert [task.name for task in state.tasks.auxiliary] == ["item-[has]-tag-[~has]-item"]


@pytest.mark.parametrize(
    ("weighted", "plain"), [("selar", "multi-task"), ("weights-only", "vanilla")]
)
@pytest.mark.parametrize("negatives", ["stored", "drawn"])
def test_with_weights_that_stay_equal_it_is_the_unweighted_strategy(
    toy, weighted, plain, negatives
):
    def trained(strategy):
        config = SELAR.Config(strategy=strategy, negatives=negatives, batch=8, epochs=3,
                              weighter_lr=1e-30)  # fmt: skip
        return SELAR(config).fit(toy, seed=0).embed()

    for node_type, z in trained(weighted).items():
        np.testing.assert_array_equal(z, trained(plain)[node_type])
