"""Batches of few-shot graphs: which pairs are drawn, and what they count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from dglmeta.data import FewShotSplit, few_shot_split, undirected
from dglmeta.tasks import (
    FewShotBatch,
    FewShotGraph,
    Pairs,
    area_under_curve,
    evidence_loss,
    link_metrics,
    pair_logits,
)

SIZES = (12, 30, 50)
D = 3


def split_of(n: int, seed: int) -> FewShotSplit:
    src, dst = np.nonzero(np.triu(np.random.default_rng(seed).random((n, n)) < 5 / n, 1))
    return few_shot_split(undirected(n, src, dst), 0.4, seed=seed)


def few_shot(n: int, seed: int, **options) -> FewShotGraph:
    """Features of two kinds only, so that nodes share states."""
    return FewShotGraph(
        split_of(n, seed), np.eye(2)[np.arange(n) % 2], ("given",), **{"n_folds": 3, **options}
    )


@pytest.fixture(scope="module")
def batch() -> FewShotBatch:
    graphs = [few_shot(n, seed) for seed, n in enumerate(SIZES)]
    batch = FewShotBatch(graphs, dtype=torch.float64)
    assert (batch.whole.n_nodes > 1).any()
    return batch


def within(batch: FewShotBatch, pairs: Pairs, b: int, sign: int) -> np.ndarray:
    """(m, 2): pairs of a sign of one graph, by its own node numbers."""
    begin, end = batch.node_ptr[b : b + 2]
    ends = pairs.ends[:, pairs.sign == sign].T.numpy()
    here = ((ends >= begin) & (ends < end)).all(1)
    return ends[here] - begin


def edges(part: np.ndarray) -> set[tuple[int, int]]:
    return set(map(tuple, part.tolist()))


def draws(batch: FewShotBatch, seed: int = 0) -> dict[str, Pairs]:
    rng = np.random.default_rng(seed)
    return {
        **{f"fold {k}": batch.draw_training(k, rng) for k in range(batch.n_folds)},
        "held out": batch.draw_validation(rng),
    }


def test_positives_are_the_edges_asked_about_in_each_graph(batch):
    for name, pairs in draws(batch).items():
        for b, graph in enumerate(batch.graphs):
            held_out = name == "held out"
            expected = graph.split.valid if held_out else graph.asked(int(name[-1]))
            np.testing.assert_array_equal(within(batch, pairs, b, 1), expected)


def test_no_test_edge_and_no_validation_edge_is_a_positive_of_training(batch):
    for name, pairs in draws(batch).items():
        for b, graph in enumerate(batch.graphs):
            positives = edges(within(batch, pairs, b, 1))
            assert not positives & edges(graph.split.test)
            if name != "held out":
                assert not positives & edges(graph.split.valid)


def test_folds_go_round(batch):
    rngs = [np.random.default_rng(1) for _ in range(2)]
    one, two = (batch.draw_training(k, rng) for k, rng in zip((1, 1 + 3), rngs, strict=True))
    assert torch.equal(one.ends, two.ends)
    assert batch.fold(1) is batch.fold(4)


def test_graphs_of_fewer_folds_go_round_sooner(batch):
    few, many = few_shot(12, 0, n_folds=2), few_shot(30, 1, n_folds=3)
    for mixed, a, b in (([few, many], 0, 1), ([many, few], 1, 0)):
        both = FewShotBatch(mixed, dtype=torch.float64)
        assert both.n_folds == 3
        for k in range(4):
            pairs = both.draw_training(k, np.random.default_rng(0))
            np.testing.assert_array_equal(within(both, pairs, a, 1), few.asked(k % 3 % 2))
            np.testing.assert_array_equal(within(both, pairs, b, 1), many.asked(k % 3))
            alone = FewShotBatch([few], dtype=torch.float64).fold(k % 3 % 2)
            tiles = both.fold(k).second_graph == a
            assert torch.equal(both.fold(k).sent.view(len(tiles), -1)[tiles].flatten(),
                               alone.sent.flatten())  # fmt: skip


def test_negatives_are_never_known_edges_nor_loops_and_lie_within_their_graph(batch):
    for seed in range(20):
        for pairs in draws(batch, seed).values():
            graphs = np.searchsorted(batch.node_ptr, pairs.ends.numpy(), side="right")
            np.testing.assert_array_equal(graphs[0], graphs[1])
            for b, graph in enumerate(batch.graphs):
                wrong = within(batch, pairs, b, -1)
                assert (wrong[:, 0] != wrong[:, 1]).all()
                assert not edges(np.sort(wrong, 1)) & edges(graph.split.train)


def test_each_known_edge_comes_with_two_negatives_and_each_held_out_one_with_one(batch):
    for name, pairs in draws(batch).items():
        for b in range(len(batch)):
            n_right, n_wrong = (len(within(batch, pairs, b, sign)) for sign in (1, -1))
            assert n_wrong == n_right * (1 if name == "held out" else 2) > 0


def test_negatives_are_uniform_over_the_pairs_of_each_graph_that_no_training_edge_joins(batch):
    rng, wanted = np.random.default_rng(0), 40_000
    pairs = batch.draw_unknown(np.repeat([0, 1, 2], wanted), rng).reshape(3, wanted, 2)
    for graph, begin, drawn in zip(batch.graphs, batch.node_ptr, pairs, strict=False):
        n = graph.n_nodes
        counts = np.zeros((n, n))
        np.add.at(counts, tuple((drawn - begin).T), 1)
        free = ~np.eye(n, dtype=bool)
        for a, b in graph.split.train:
            free[a, b] = free[b, a] = False
        assert counts[~free].sum() == 0
        # The seed is fixed, so this fails always or never.
        assert chisquare(counts[free]).pvalue > 1e-3


def test_undiscovered_edges_may_come_up_as_negatives(batch):
    """Training cannot know them; leaving them out would tell it which they are."""
    found = batch.draw_unknown(np.zeros(20_000, np.int64), np.random.default_rng(3))
    found = edges(np.sort(found, 1))
    split = batch.graphs[0].split
    assert edges(split.test) <= found
    assert edges(split.valid) <= found


def test_what_is_drawn_knows_nothing_of_test_edges(batch):
    poisoned = []
    for graph, n in zip(batch.graphs, SIZES, strict=True):
        other = split_of(n, seed=90 + n)
        changed = graph.split._replace(test=other.test, test_negatives=other.test_negatives)
        poisoned.append(FewShotGraph(changed, graph.given, ("given",), n_folds=3))
    other = draws(FewShotBatch(poisoned, dtype=torch.float64))
    for name, pairs in draws(batch).items():
        for one, two in zip(pairs[:3], other[name][:3], strict=True):
            assert torch.equal(one, two)


def test_draws_are_anew_each_time_and_the_same_of_one_generator(batch):
    rng = np.random.default_rng(0)
    one, two = batch.draw_validation(rng), batch.draw_validation(rng)
    again = batch.draw_validation(np.random.default_rng(0))
    assert torch.equal(one.ends, again.ends)
    assert not torch.equal(one.ends, two.ends)


def test_shares_sum_to_one_in_each_graph_and_sign(batch):
    for pairs in draws(batch).values():
        owner = np.searchsorted(batch.node_ptr, pairs.ends[0].numpy(), side="right") - 1
        for b in range(len(batch)):
            for sign in (1, -1):
                here = torch.from_numpy(owner == b) & (pairs.sign == sign)
                assert pairs.share[here].sum() == pytest.approx(1, rel=1e-12)
                assert len(pairs.share[here].unique()) == 1


def latent_of(batch: FewShotBatch, seed: int = 0) -> torch.Tensor:
    """Any numbers for [mu, logstd] of each node state."""
    g = torch.Generator().manual_seed(seed)
    n_rows = len(batch.whole.n_nodes)
    return torch.randn(n_rows, 2 * D, generator=g, dtype=torch.float64) * 0.7


def by_the_book(batch: FewShotBatch, latent: torch.Tensor, pairs: Pairs) -> torch.Tensor:
    """The loss graph by graph and node by node."""
    total = torch.zeros((), dtype=torch.float64)
    nodes = latent[batch.whole.row]
    for b, n in enumerate(batch.n_nodes):
        begin, end = batch.node_ptr[b : b + 2]
        mu, logstd = nodes[begin:end].chunk(2, 1)
        z = mu if pairs.noise is None else mu + logstd.exp() * pairs.noise[begin:end]
        for sign in (1, -1):
            u, v = within(batch, pairs, b, sign).T
            logits = (z[u] * z[v]).sum(1)
            label = torch.full_like(logits, max(sign, 0))
            total = total + binary_cross_entropy_with_logits(logits, label)
        divergence = kl_divergence(Normal(mu, logstd.exp()), Normal(0.0, 1.0)).sum(1)
        total = total + divergence.mean() / int(n)
    return total


@pytest.mark.parametrize("noise", [0, D])
def test_the_evidence_loss_is_that_of_the_book_summed_over_graphs(batch, noise):
    noisy = FewShotBatch(batch.graphs, dtype=torch.float64, noise=noise)
    latent = latent_of(noisy)
    for pairs in draws(noisy).values():
        torch.testing.assert_close(
            evidence_loss(latent, noisy.whole, pairs),
            by_the_book(noisy, latent, pairs),
            rtol=1e-10,  # torch's softplus is its asymptote from 20 on
            atol=0,
        )


def test_noise_is_standard_normal_and_anew_for_each_node_and_draw(batch):
    noisy = FewShotBatch(batch.graphs, dtype=torch.float64, noise=40)
    rng = np.random.default_rng(0)
    one, two = (noisy.draw_validation(rng).noise for _ in range(2))
    assert one.shape == (sum(SIZES), 40)
    assert len(one.unique(dim=0)) == sum(SIZES)
    assert not torch.equal(one, two)
    assert kstest(one.flatten().numpy(), "norm").pvalue > 1e-3
    assert batch.draw_validation(rng).noise is None


def test_logits_are_not_squashed_and_their_loss_keeps_its_slope_far_out(batch):
    pairs = batch.draw_validation(np.random.default_rng(0))
    latent = latent_of(batch) * torch.tensor([300.0] * D + [0.0] * D)
    latent.requires_grad_()
    logits = pair_logits(latent, batch.whole, pairs)
    assert logits.abs().max() > 1e4
    prior = evidence_loss(latent, batch.whole, pairs._replace(share=0 * pairs.share))
    fit = evidence_loss(latent, batch.whole, pairs) - prior
    (slope,) = torch.autograd.grad(fit, latent)
    assert torch.isfinite(slope).all()
    assert slope[:, :D].abs().max() > 1


@pytest.mark.parametrize("minus", [0, 1, D])
def test_the_last_coordinates_count_against_a_pair(batch, minus):
    pairs = batch.draw_validation(np.random.default_rng(0)).at(batch.whole)
    latent = latent_of(batch)
    u, v = latent[:, :D][pairs.rows].double()
    form = torch.diag(torch.tensor([1.0] * (D - minus) + [-1.0] * minus, dtype=torch.float64))
    expected = ((u @ form) * v).sum(dim=1)
    logits = pair_logits(latent, batch.whole, pairs, minus=minus)
    torch.testing.assert_close(logits.double(), expected, rtol=1e-5, atol=1e-5)
    share, sign = pairs.share.double(), pairs.sign.double()
    fit = torch.dot(share, torch.nn.functional.softplus(-sign * expected))
    prior = evidence_loss(latent, batch.whole, pairs._replace(share=0 * pairs.share))
    found = evidence_loss(latent, batch.whole, pairs, minus=minus)
    torch.testing.assert_close((found - prior).double(), fit, rtol=1e-5, atol=1e-5)


def test_the_order_of_scores_is_all_that_the_area_under_the_curve_reads():
    rng = np.random.default_rng(0)
    right, wrong = rng.normal(0.5, 1, 60).round(1), rng.normal(size=80).round(1)  # with ties
    expected = area_under_curve(right, wrong)
    for f in (np.exp, np.arctan, lambda s: 1e6 * s - 3):
        assert area_under_curve(f(right), f(wrong)) == expected
    assert area_under_curve(wrong, right) == pytest.approx(1 - expected, rel=1e-12)
    won = (right[:, None] > wrong).mean() + (right[:, None] == wrong).mean() / 2
    assert expected == pytest.approx(won, rel=1e-12)
    label = np.repeat([1, 0], [60, 80])
    book = link_metrics(np.concatenate([right, wrong]), label)["auc"]
    assert expected == pytest.approx(book, rel=1e-12)
    assert area_under_curve(np.ones(5), np.ones(7)) == 0.5
