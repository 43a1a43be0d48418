"""The short training of AutoLINC: each candidate trains as if alone, and goes when it should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from scipy.stats import spearmanr

import dglmeta as dm
from dglmeta.nn.many_models import ManyModels, dropout_mask
from dglmeta.systems.parts.autolinc.config import ENCODERS, QUARTERS, Config
from dglmeta.systems.parts.autolinc.proxy import (
    LAGGING,
    REFERENCE,
    Draws,
    Proxy,
    Trained,
    _Batch,
    projected,
    rise_together,
)
from dglmeta.systems.parts.autolinc.setup import pose, pose_draws
from dglmeta.tasks.expression import expression_loss, named_loss, parse_expression

SMALL = {"proxy_epochs": 40, "proxy_d": 16, "proxy_features": 0}
OVERFLOW = parse_expression("exp(exp(n*n*u*u)) + y")
UPSIDE_DOWN = parse_expression("-(y - n*u)^2")
GOOD = [named_loss(name) for name in "BDEM"]


@pytest.fixture(scope="module")
def citations():
    return dm.load_dataset("toy-citations")


@pytest.fixture(scope="module")
def proxy_of(citations):
    def make(seed=0, **settings):
        config = Config(**{**SMALL, **settings})
        return Proxy(config, pose(config, citations, 0), seed)

    return make


def flat(models, k=0):
    return torch.cat([p.detach()[k].ravel() for p, _ in models.stacked()])


def run(proxy, candidates, n_quarters=QUARTERS):
    batch = _Batch.of(proxy, candidates)
    for quarter in range(n_quarters):
        batch.advance(quarter)
    return batch


# Each as if it were alone


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_candidate_trains_as_in_a_plain_loop(proxy_of, encoder):
    proxy = proxy_of(encoder=encoder, proxy_epochs=12, seed=3)
    loss = named_loss("B")
    model = ManyModels(encoder.upper(), proxy.d_in, 16, proxy.n_classes, seeds=[3])
    groups = {True: [], False: []}
    for parameter, decays in model.stacked():
        groups[decays].append(parameter)
    adam = torch.optim.Adam(
        [{"params": groups[True], "weight_decay": 5e-4}, {"params": groups[False]}],
        lr=proxy.config.proxy_lr,
    )
    label, counts = torch.from_numpy(proxy.label), torch.from_numpy(proxy.counts)
    losses = []
    for epoch in range(12):
        generator = torch.Generator().manual_seed((3 << 20) + epoch)
        mask = dropout_mask(proxy._train.n_hidden, 16, 0.5, generator)
        logits = model(proxy._train, mask=mask)[0]
        error = expression_loss(loss, logits, label, counts).mean()
        adam.zero_grad()
        error.backward()
        adam.step()
        losses.append(error.item())
    batch = run(proxy, [named_loss("D"), loss])
    assert batch.losses[:, 1] == pytest.approx(losses, rel=1e-4)
    torch.testing.assert_close(flat(batch.models, 1), flat(model), rtol=1e-3, atol=1e-5)


def test_accuracies_of_training_are_balanced(proxy_of):
    proxy = proxy_of(proxy_epochs=4, dropout=0.0)
    batch = _Batch.of(proxy, GOOD[:1])
    with torch.no_grad():
        said = batch.models(proxy._train)[0].argmax(1).numpy()
    recalls = [(said[proxy.label == c] == c).mean() for c in range(4)]
    batch.advance(0)
    assert batch.accuracies[0, 0] == pytest.approx(np.mean(recalls))


@pytest.mark.parametrize(
    "beside", [GOOD[1:], [OVERFLOW, UPSIDE_DOWN, *GOOD[1:]]], ids=["good", "given up"]
)
def test_an_outcome_does_not_depend_on_what_trains_beside_it(proxy_of, beside):
    proxy = proxy_of()
    alone, among = (proxy.train(some)[0] for some in ([GOOD[0]], [GOOD[0], *beside]))
    assert among == alone
    own, shared = (run(proxy, some) for some in ([GOOD[0]], [GOOD[0], *beside]))
    torch.testing.assert_close(flat(shared.models), flat(own.models), rtol=1e-4, atol=1e-6)


def test_those_that_stay_go_on_as_they_were(proxy_of):
    proxy = proxy_of()
    batch = run(proxy, [OVERFLOW, *GOOD], 2).select(np.array([False, True, False, True, True]))
    whole = run(proxy, GOOD)
    for quarter in (2, 3):
        batch.advance(quarter)
    assert batch.number.tolist() == [1, 3, 4]
    for k, other in enumerate((0, 2, 3)):
        ours, theirs = flat(batch.models, k), flat(whole.models, other)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
        assert batch.losses[:, k] == pytest.approx(whole.losses[:, other], rel=1e-5)


def test_the_same_seed_gives_the_same_outcomes_and_another_seed_others(proxy_of):
    first, again, other = (proxy_of(seed=seed).train(GOOD) for seed in (0, 0, 1))
    assert again == first
    assert other != first


def test_good_losses_are_told_from_bad_ones(proxy_of):
    proxy = proxy_of(checks=())
    good, bad = proxy.train([named_loss("B"), UPSIDE_DOWN])
    assert good.reward > 0.5 > bad.curve[-1]
    assert [len(good.curve), len(bad.curve)] == [QUARTERS, QUARTERS]


# What is given up


def test_a_loss_that_overflows_is_given_up(proxy_of):
    outcomes = proxy_of().train([GOOD[0], OVERFLOW])
    assert [o.given_up for o in outcomes] == ["", "finite"]
    assert outcomes[1].reward == 0
    assert len(outcomes[1].curve) < QUARTERS
    blind = proxy_of(checks=("monotonicity", "performance")).train([OVERFLOW])
    assert blind[0].given_up == ""
    assert len(blind[0].curve) == QUARTERS


def test_a_slope_that_is_not_finite_is_found_out_though_the_value_is(proxy_of):
    steep = parse_expression("1/exp(exp(n + 70) + y*u)")
    proxy = proxy_of()
    batch = _Batch.of(proxy, [steep])
    batch.advance(0)
    assert np.isfinite(batch.losses[0]).all()
    assert proxy.train([steep])[0].given_up == "finite"


def test_a_loss_that_falls_with_the_accuracy_is_given_up(proxy_of):
    outcomes = proxy_of().train([GOOD[0], UPSIDE_DOWN])
    assert [o.given_up for o in outcomes] == ["", "monotonicity"]
    assert outcomes[1].reward == 0
    blind = proxy_of(checks=("finite", "performance")).train([UPSIDE_DOWN])[0]
    assert blind.given_up == ""
    assert blind.reward == max(blind.curve)


@pytest.mark.parametrize("quarter", range(QUARTERS))
def test_what_lags_behind_the_tenth_best_is_given_up(proxy_of, quarter):
    curve = proxy_of(checks=()).train(GOOD[:1])[0].curve
    shares = [*LAGGING, 1.0]
    level = [value / share * (1 - 1e-9) for value, share in zip(curve, shares, strict=True)]
    assert proxy_of().train(GOOD[:1], level)[0] == Trained(curve)
    ahead = [*level[:quarter], level[quarter] * (1 + 1e-6), *level[quarter + 1 :]]
    found = proxy_of().train(GOOD[:1], ahead)[0]
    if quarter == QUARTERS - 1:
        assert found == Trained(curve)
        return
    assert found == Trained(curve[: quarter + 1], "performance")
    assert found.reward == max(curve[: quarter + 1])
    assert proxy_of(checks=("finite", "monotonicity")).train(GOOD[:1], ahead)[0] == Trained(curve)


def test_a_tenth_best_that_was_given_up_itself_counts_as_far_as_it_went(proxy_of):
    found = proxy_of().train(GOOD[:1], [0.0])[0]
    assert found.given_up == ""


# Parts


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_rise_together_is_the_sign_of_spearmans_correlation(noise):
    rng = np.random.default_rng(0)
    slope = rng.choice([-1, 1], (2, 60))
    steps = np.arange(20)[:, None]
    losses = slope[0] * steps + 20 * noise * rng.standard_normal((20, 60))
    accuracies = np.rint(slope[1] * steps / 4 + 5 * noise * rng.standard_normal((20, 60)))
    pairs = zip(losses.T, accuracies.T, strict=True)
    expected = [spearmanr(a, b).statistic > 1e-9 for a, b in pairs]
    assert 0 < sum(expected) < 60
    assert rise_together(losses, accuracies).tolist() == expected


def test_what_does_not_move_rises_with_nothing():
    rising, flat_line = np.arange(5.0)[:, None], np.full((5, 1), 7.0)
    wavering = flat_line + 1e-9 * rising
    assert rise_together(rising, rising).all()
    for losses, accuracies in [(flat_line, rising), (rising, flat_line), (wavering, rising)]:
        assert not rise_together(losses, accuracies).any()
    lost = np.where(rising > 3, np.inf, rising)
    assert rise_together(np.hstack([lost, lost * np.nan]), rising).tolist() == [False, False]


def test_projected_features_keep_inner_products_as_far_as_their_rank_goes():
    x = (np.random.default_rng(0).random((30, 12)) < 0.3).astype(np.float64)
    z = projected(csr_array(x), 5).double().numpy()
    u, s, v = np.linalg.svd(x, full_matrices=False)
    lower = (u[:, :5] * s[:5]) @ v[:5]
    assert z.shape == (30, 5)
    assert np.linalg.norm(z, axis=1).mean() == pytest.approx(1)
    scale = np.linalg.norm(lower, axis=1).mean()
    np.testing.assert_allclose(z @ z.T, lower @ lower.T / scale**2, atol=1e-6)


@pytest.mark.parametrize("n_columns", [0, 12, 40])
def test_features_without_more_columns_stay_as_they_are(n_columns):
    x = csr_array(np.eye(30, 12))
    assert projected(x, n_columns) is x


# Several draws


def test_draws_share_nodes_to_choose_and_test_by_and_no_seed_with_splits(citations):
    config = Config(**SMALL, draws=3)
    first, *others = pose_draws(config, citations, 5, config.draws)
    assert first.split.train.node.tolist() == pose(config, citations, 5).split.train.node.tolist()
    assert len({tuple(p.split.train.node) for p in (first, *others)}) == 3
    for other in others:
        for part in ("valid", "test"):
            one, two = (getattr(p.split, part).node for p in (first, other))
            np.testing.assert_array_equal(one, two)
    again = pose_draws(config, citations, 6, config.draws)
    drawn, drawn_again = ({tuple(p.split.train.node) for p in ps} for ps in (others, again))
    assert not drawn & drawn_again


def test_draws_of_all_nodes_are_one_draw(citations):
    config = Config(**SMALL, draws=3, label_ratio=0.2, valid_per_class=5)
    first, *others = pose_draws(config, citations, 0, config.draws)
    assert all(other is first for other in others)


def test_what_is_not_given_up_is_rewarded_by_the_mean_of_draws(citations, monkeypatch):
    config = Config(**SMALL, draws=3)
    draws = pose_draws(config, citations, 0, config.draws)
    losses = [named_loss("B"), parse_expression("u*y*n"), named_loss("D")]
    alone = [Proxy(config, draw, 7 + k).train(losses) for k, draw in enumerate(draws)]
    together = Draws(config, draws, 7)
    found = together.train(losses)
    assert any(outcome.given_up for outcome in found)
    for k, outcome in enumerate(found):
        assert outcome.curve == alone[0][k].curve
        if outcome.given_up:
            assert outcome.again == []
        else:
            rewards = [by[k].reward / ease for by, ease in zip(alone, together.ease, strict=True)]
            assert outcome.again == pytest.approx(rewards[1:])
            assert outcome.reward == pytest.approx(sum(rewards) / 3)


def test_draws_are_compared_by_what_plain_losses_reach_on_each(citations):
    config = Config(**SMALL, draws=3, checks=())
    draws = pose_draws(config, citations, 0, config.draws)
    together = Draws(config, draws, 7)
    plain = [parse_expression(text) for text in REFERENCE]
    reached = [
        sum(max(t.curve) for t in Proxy(config, draw, 7 + k).train(plain)) / 3
        for k, draw in enumerate(draws)
    ]
    np.testing.assert_allclose(together.ease, np.array(reached) / np.mean(reached))
    assert np.ptp(together.ease) > 0
    whole = [t.reward for t in together.train(plain)]
    first = [max(t.curve) / together.ease[0] for t in together.proxies[0].train(plain)]
    assert np.mean(whole) == pytest.approx(np.mean(first))  # one draw is no easier than three
    assert Draws(config, draws[:1], 7).ease.tolist() == [1.0]


def test_what_does_not_pass_the_bar_is_not_trained_again(citations):
    config = Config(**SMALL, draws=2, checks=())
    losses = [named_loss(name) for name in "BDEM"]
    draws = Draws(config, pose_draws(config, citations, 0, config.draws), 0)
    first = draws.proxies[0].train(losses)
    rewards = [max(outcome.curve) / draws.ease[0] for outcome in first]
    bar = sorted(rewards)[1]
    again = [bool(outcome.again) for outcome in draws.train(losses, bar=bar)]
    assert again == [reward > bar for reward in rewards]
    assert any(again)
    assert not all(again)


def test_candidates_go_on_while_the_mean_so_far_passes_the_bar(citations):
    config = Config(**SMALL, draws=3, checks=())
    losses = [named_loss(name) for name in "BDEMAC"]
    draws = Draws(config, pose_draws(config, citations, 0, config.draws), 0)
    whole = [[max(t.curve) / t.ease, *t.again] for t in draws.train(losses)]
    bar = float(np.median([np.mean(rewards[:2]) for rewards in whole]))
    n_passed = []
    for rewards, outcome in zip(whole, draws.train(losses, bar=bar), strict=True):
        means = [np.mean(rewards[: k + 1]) for k in range(2)]
        n_passed.append(0 if means[0] <= bar else 1 if means[1] <= bar else 2)
        assert outcome.again == pytest.approx(rewards[1 : 1 + n_passed[-1]])
    assert len(set(n_passed)) > 1
