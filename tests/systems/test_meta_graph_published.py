"""``protocol="paper"``: each place where the published program departs from the paper, shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import dglmeta as dm
from dglmeta.data import GraphDataset, few_shot_split
from dglmeta.meta import one_per_task, parameters_of
from dglmeta.nn import encode
from dglmeta.systems import MetaGraph
from dglmeta.systems.parts.meta_graph import published
from dglmeta.systems.parts.meta_graph.adapt import judge
from dglmeta.systems.parts.meta_graph.quirks import (
    FrozenStop,
    heard_validation,
    probabilities,
    published_loss,
)
from dglmeta.systems.parts.meta_graph.setup import State
from dglmeta.tasks import FewShotBatch, Pairs, area_under_curve

SMALL = {
    "protocol": "paper",
    "train_fraction": 0.3,
    "epochs": 2,
    "passes": 1,
    "adapt_steps": 30,
    "d": 4,
    "d_hidden": 8,
}


@pytest.fixture(scope="module")
def ds() -> GraphDataset:
    return dm.load_dataset("toy-graphs")


def begun(ds: GraphDataset, **settings: Any) -> tuple[MetaGraph, State]:
    system = MetaGraph(MetaGraph.Config(**{**SMALL, **settings}))
    return system, system.init(ds, seed=0, split_seed=0)


def copies(state: State, batch: FewShotBatch) -> dict[str, torch.Tensor]:
    return one_per_task(parameters_of(state.model), len(batch))


def test_the_step_is_the_best_on_the_test_edges_one_for_all_graphs(ds):
    system, state = begun(ds, method="maml")
    curve = system.adapt(state, state.batch(state.split.train[:4])).curve
    assert set(curve.chosen) == {curve.test.mean(axis=1).argmax()}
    clean, state = begun(ds, method="maml", protocol="clean", skip=False, features=("given",))
    curve = clean.adapt(state, state.batch(state.split.train[:4])).curve
    assert curve.chosen.tolist() == curve.valid.argmax(axis=0).tolist()


def test_the_outer_loss_hears_the_validation_edges_it_asks_about_in_one_direction(ds):
    _, state = begun(ds)
    batch = state.batch([0])
    graph = batch.graphs[0]
    params = copies(state, batch)
    latent = encode(params, heard_validation(batch))[heard_validation(batch).row]
    u, v = graph.split.valid.T
    dense = np.eye(graph.n_nodes)
    dense[v, u] = 1
    scale = 1 / np.sqrt(dense.sum(axis=1))
    normal = torch.from_numpy(scale[:, None] * dense * scale).float()
    x = torch.from_numpy(graph.given)
    hidden = (normal @ x @ params["weight_in"][0] + params["bias_in"][0]).relu()
    expected = normal @ hidden @ params["weight_out"][0] + params["bias_out"][0]
    torch.testing.assert_close(latent, expected, rtol=1e-4, atol=1e-5)


def test_nothing_is_sampled_in_training(ds, monkeypatch):
    system, state = begun(ds, variational=True)
    drawn: list[Pairs] = []
    genuine = FewShotBatch.draw_training

    def watched(*args: Any) -> Pairs:
        drawn.append(genuine(*args))
        return drawn[-1]

    monkeypatch.setattr(FewShotBatch, "draw_training", watched)
    list(system.epoch(state, np.random.default_rng(0)))
    assert drawn
    assert all(pairs.noise is None for pairs in drawn)


def test_a_log_variance_below_zero_has_no_gradient_and_counts_as_zero(ds):
    _, state = begun(ds)
    batch = state.batch([0])
    pairs = batch.draw_training(0, np.random.default_rng(0))
    latent = torch.randn(len(batch.whole.n_nodes), 8, generator=torch.Generator().manual_seed(0))
    latent.requires_grad_()
    published_loss(latent, batch.whole, pairs).backward()
    second, slope = latent.detach()[:, 4:], latent.grad[:, 4:]
    real = batch.whole.n_nodes[:, None] > 0
    assert not slope[second < 0].any()
    assert (slope[(second > 1e-3) & real] > 0).all()


def test_edges_of_training_graphs_are_split_anew_at_each_look(ds, monkeypatch):
    system, state = begun(ds, passes=6)
    seen: dict[int, set[tuple[int, int]]] = {}

    def watched(graph: Any, *args: Any, **options: Any) -> Any:
        split = few_shot_split(graph, *args, **options)
        number = next(k for k, g in enumerate(ds.graphs) if g is graph)
        seen.setdefault(number, set()).update(map(tuple, split.train.tolist()))
        return split

    monkeypatch.setattr(published, "few_shot_split", watched)
    list(system.epoch(state, np.random.default_rng(0)))
    assert set(seen) == set(state.split.train)
    for number, edges in seen.items():
        assert len(edges) > 2 * len(state.graphs[number].split.train)


def test_probabilities_of_large_logits_are_ties(ds):
    positives, negatives = np.array([40.0, 50.0]), np.array([30.0, 20.0])
    assert area_under_curve(positives, negatives) == 1
    assert area_under_curve(probabilities(positives), probabilities(negatives)) == 0.5
    _, state = begun(ds)
    graph = state.graphs[0]
    z = np.full((graph.n_nodes, 2), 10.0)
    z[0] = 1
    assert judge([graph], [z], "test", in_float32=True)[0] == 0.5


def test_a_saturated_pair_has_no_gradient(ds):
    _, state = begun(ds)
    batch = state.batch([0])
    pairs = batch.draw_training(0, np.random.default_rng(0))
    latent = torch.zeros(len(batch.whole.n_nodes), 8)
    latent[:, :4] = 10
    latent.requires_grad_()
    negatives = pairs._replace(share=pairs.share * (pairs.sign < 0))
    still = batch.whole._replace(kl_share=torch.zeros_like(batch.whole.kl_share))
    published_loss(latent, still, negatives).backward()
    assert not latent.grad.any()


def test_fine_tuning_stops_by_what_the_encoder_was_before(ds):
    _, state = begun(ds, method="finetune")
    batch = state.batch(state.split.test)

    def stops(params: dict[str, torch.Tensor]) -> list[bool]:
        stop = FrozenStop(batch, params, {}, patience=10)
        return [stop(k, np.random.default_rng(k)) for k in range(0, 200, 5)]

    first = stops(copies(state, batch))
    assert any(first)
    assert not first[0]
    state.model.weight_in.data += 1  # another encoder is watched, and stops elsewhere
    assert stops(copies(state, batch)) != first


@pytest.mark.parametrize("loops", [True, False])
def test_negatives_may_be_loops(ds, loops):
    _, state = begun(ds)
    batch = FewShotBatch([state.graphs[0]], loops=loops)
    u, v = batch.draw_unknown(np.zeros(20_000, np.int64), np.random.default_rng(0)).T
    assert (u == v).any() == loops


def test_with_first_order_the_signature_never_learns(ds):
    def moved(**settings: Any) -> bool:
        system, state = begun(ds, **settings)
        before = [p.clone() for p in state.signature.parameters()]
        list(system.epoch(state, np.random.default_rng(0)))
        after = state.signature.parameters()
        return any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))

    assert not moved(order=1)
    assert moved(order=2)
    assert moved(order=1, protocol="clean")


def test_features_are_those_given_and_messages_run_over_what_is_asked_about(ds):
    _, state = begun(ds)
    graph = state.graphs[0]
    assert graph.features == ("given",)
    assert graph.n_folds == 1
    assert not graph.skip
    assert graph.asked(0).tolist() == graph.split.train.tolist()
