"""HGCVAE: what is hidden and drawn, what each variant learns from, and that it learns."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import dglmeta as dm
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.nn.path_attention import SharedBlocks
from dglmeta.systems import HGCVAE

SMALL = {"d": 8, "n_heads": 2, "d_semantic": 6, "edges": 100, "probe_repeats": 3, "guard": 2}


@pytest.fixture(scope="module")
def papers():
    return dm.load_dataset("toy-papers")


def begun(ds, device="cpu", **settings):
    system = HGCVAE(HGCVAE.Config(**{**SMALL, **settings}))
    system.device = device
    return system, system.init(ds, 0, 0)


def losses_of(ds, epoch=0, **settings):
    system, state = begun(ds, **settings)
    torch.manual_seed(0)
    return system.losses(state, epoch, np.random.default_rng(0))


# On a GPU


@pytest.mark.parametrize("attention", ["pairs", "instances"])
def test_on_a_gpu_it_begins_and_errs_as_on_the_processor(papers, on_cuda, attention):
    (system, here), (other, there) = (
        begun(papers, device=device, attention=attention) for device in ("cpu", "cuda")
    )
    assert there.device == on_cuda
    np.testing.assert_allclose(
        system.embed(here)["paper"], other.embed(there)["paper"], rtol=1e-4, atol=1e-5
    )
    z = torch.randn(90, 8, generator=torch.Generator().manual_seed(0))
    for error in (
        lambda state, z: state.edge_error(z, np.random.default_rng(0)),
        lambda state, z: system.feature_error(state, z, state.hide(0.0)),
    ):
        got = error(there, z.to(on_cuda)).cpu()
        torch.testing.assert_close(got, error(here, z), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", ["hgcvae", "supervised"])
def test_on_a_gpu_it_learns_and_is_judged(papers, on_cuda, variant):
    histories = []
    for device in ("cpu", "cuda"):
        system, state = begun(papers, device=device, variant=variant, epochs=2)
        for _ in range(2):
            for _ in system.epoch(state, np.random.default_rng(0)):
                pass
        histories.append({**state.losses, **system.evaluate(state, "valid")})
        assert set(system.evaluate(state, "test")) >= {"test_micro_f1_2", "test_micro_f1_5"} or (
            variant == "supervised"
        )
    assert all(np.isfinite(list(found.values())).all() for found in histories)
    if on_cuda == "cpu":  # emulated: noise and dropout are the same
        assert histories[1] == pytest.approx(histories[0], rel=1e-3, abs=1e-4)


# Schedules


def test_more_is_hidden_and_negatives_come_later_as_time_goes_on():
    config = HGCVAE.Config(mask_from=0.5, mask_to=0.8, mask_step=0.1, epochs=10, kl_warm_up=0.5)
    assert [config.hidden_share(t) for t in (0, 2, 9)] == pytest.approx([0.5, 0.7, 0.8])
    assert [config.late_share(t) for t in (0, 5)] == [0.0, 0.5]
    assert [config.divergence_weight(t) for t in (0, 1, 5, 9)] == pytest.approx([0, 0.2, 1, 1])
    assert dataclasses.replace(config, late_negatives="early").late_share(9) == 0
    assert dataclasses.replace(config, late_negatives="late").late_share(0) == 1
    assert dataclasses.replace(config, kl_warm_up=0.0).divergence_weight(0) == 1


def test_hidden_nodes_are_split_into_tokens_swapped_and_kept(papers):
    _, state = begun(papers, swapped=0.2, kept=0.3)
    hidden = state.hide(0.5)
    n = round(0.5 * 90)
    assert len(hidden.nodes) == n
    assert (hidden.nodes.diff() > 0).all()
    assert len(hidden.swapped) == len(hidden.others) == round(0.2 * n)
    assert len(hidden.tokens) == n - len(hidden.swapped) - round(0.3 * n)
    replaced = torch.cat([hidden.tokens, hidden.swapped])
    assert len(replaced.unique()) == len(replaced)
    assert torch.isin(replaced, hidden.nodes).all()


def test_negatives_are_all_nodes_or_distinct_ones(papers):
    _, state = begun(papers)
    assert state.negatives(np.random.default_rng(0)).tolist() == list(range(90))
    _, state = begun(papers, negatives=7)
    assert len(np.unique(state.negatives(np.random.default_rng(0)))) == 7


# Losses


def test_each_variant_learns_from_its_losses(papers):
    every = set(losses_of(papers))
    assert every == {"elbo", "features", "contrast"}
    assert set(losses_of(papers, variant="contrast")) == {"contrast"}
    assert set(losses_of(papers, variant="reconstruction")) == {"elbo", "features"}
    assert set(losses_of(papers, variant="supervised")) == {"classes"}


def test_weights_multiply_the_losses(papers):
    once = losses_of(papers, epoch=9)
    weights = {"elbo_weight": 2.0, "feature_weight": 3.0, "contrast_weight": 2.0}
    more = losses_of(papers, epoch=9, **weights)
    assert more["elbo"].item() == pytest.approx(2 * once["elbo"].item())
    assert more["features"].item() == pytest.approx(3 * once["features"].item())
    assert more["contrast"].item() == pytest.approx(4 * once["contrast"].item())  # was 0.5


def test_the_divergence_counts_as_scheduled(papers):
    begins, ends = (losses_of(papers, epoch=t, epochs=10)["elbo"].item() for t in (0, 9))
    system, state = begun(papers, epochs=10)
    torch.manual_seed(0)
    system.losses(state, 0, np.random.default_rng(0))
    early = dataclasses.replace(system.config, mask_step=0.0)
    state.config = system.config = early
    torch.manual_seed(0)
    later = system.losses(state, 9, np.random.default_rng(0))["elbo"].item()
    assert later - begins == pytest.approx(state.divergence.sum().item() / 90, rel=1e-3)
    assert ends != begins


def test_edges_are_told_from_pairs_that_are_none(papers):
    _, state = begun(papers)
    z = torch.zeros(90, 8, requires_grad=True)
    error = state.edge_error(z, np.random.default_rng(0))
    assert error.item() == pytest.approx(np.log(2))
    same_venue = torch.nn.functional.one_hot(
        torch.from_numpy(papers.csr.adjacency("published_at").indices.astype(np.int64)), 8
    )
    told = state._path_error(state.paths[1], 20.0 * (same_venue - 1 / 8), np.random.default_rng(0))
    assert told.item() < 0.1


def test_the_three_errors_of_features(papers):
    cosines = torch.tensor([-1.0, 0.0, 0.5, 1.0], dtype=torch.float64)
    expected = {
        "sce": (1 - cosines) ** 2,
        "log": (1 - cosines) ** 2 * torch.log(2 - cosines),
        "focal": -((1 - (1 + cosines) / 2) ** 2) * torch.log((1 + cosines) / 2 + 1e-8),
    }
    for error, values in expected.items():
        _, state = begun(papers, error=error, gamma=2.0)
        torch.testing.assert_close(state.error(cosines), values, rtol=1e-6, atol=1e-7)


def test_venues_are_attended_as_blocks_and_authors_as_pairs(papers):
    _, state = begun(papers)
    assert [type(near) for near in state.near] == [Adjacency, SharedBlocks]
    _, state = begun(papers, attention="pairs")
    assert [type(near) for near in state.near] == [Adjacency, Adjacency]


# Training


def test_the_objective_is_always_of_the_same_draws(papers):
    system, state = begun(papers)
    assert system.evaluate(state, "valid") == system.evaluate(state, "valid")


def test_training_makes_embeddings_tell_classes(papers):
    system = HGCVAE(HGCVAE.Config(**{**SMALL, "d": 16, "epochs": 60, "lr": 5e-3, "dropout": 0.1}))
    result = system.fit(papers, seed=0)
    objective = [epoch["valid_objective"] for epoch in result.history.metrics]
    assert objective[-1] > objective[0] + 0.1
    raw = HGCVAE(dataclasses.replace(system.config, variant="features", epochs=1)).fit(papers)
    for k in (2, 5):
        assert result.metrics[f"test_micro_f1_{k}"] > raw.metrics[f"test_micro_f1_{k}"] + 0.05
    assert result.embed()["paper"].shape == (90, 16)
    assert set(result.metrics) >= {"test_macro_f1_2", "test_auc_5", "test_nmi", "test_ari"}


def test_every_parameter_learns(papers, labelled):
    two = ("paper-author-paper", "paper-subject-paper")  # a single path has no weight to learn
    for ds, paths in ((papers, ()), (labelled, two)):
        system, state = begun(ds, dropout=0.0, metapaths=paths)
        torch.manual_seed(0)
        sum(system.losses(state, 5, np.random.default_rng(0)).values()).backward()
        still = [n for n, p in state.model.named_parameters() if p.grad is None or not p.grad.any()]
        assert still == []


def test_a_han_learns_from_the_labels_it_is_given(papers):
    settings = {**SMALL, "variant": "supervised", "labels": 5, "epochs": 60, "lr": 1e-2}
    result = HGCVAE(HGCVAE.Config(**settings)).fit(papers, seed=0)
    assert result.metrics["test_micro_f1_5"] > 0.6
    assert "test_micro_f1_2" not in result.metrics


def test_raw_features_are_judged_as_they_are(papers):
    settings = {**SMALL, "variant": "features", "epochs": 1}
    result = HGCVAE(HGCVAE.Config(**settings)).fit(papers, seed=0)
    feat = papers.csr.node_data["paper"]["feat"]
    np.testing.assert_allclose(result.embed()["paper"], feat / feat.sum(1, keepdims=True))
    assert result.metrics["test_micro_f1_5"] > 0.4


def test_nodes_without_features_learn_an_embedding_each(labelled):
    system = HGCVAE(HGCVAE.Config(**{**SMALL, "epochs": 3}))
    result = system.fit(labelled, seed=0)
    assert result.embed()["paper"].shape == (24, 8)
    assert set(result.metrics) >= {"test_micro_f1", "test_macro_f1", "test_auc"}
    assert "test_nmi" not in result.metrics  # its classes are known in the splits alone


def test_the_divergence_of_each_dimension_is_logged_and_a_collapse_named(papers, tmp_path):
    alone = {"contrast_weight": 0.0, "feature_weight": 0.0}
    pressed = {"kl_weight": 5000.0, "kl_warm_up": 0.0, "lr": 0.05, "epochs": 80}
    config = HGCVAE.Config(**{**SMALL, **alone, **pressed})
    result = HGCVAE(config).fit(papers, seed=0, out=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert len(lines[-1]["kl_of_dimensions"]) == 8
    assert lines[-1]["kl"] == pytest.approx(sum(lines[-1]["kl_of_dimensions"]), abs=1e-3)
    assert lines[0]["active"] > 0
    assert result.record["posterior_collapsed"] is True
    assert "kl_weight" in result.record["advice"]
    weights = result.record["semantic_weights"]
    assert sum(weights.values()) == pytest.approx(1.0)


# Refusals


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"variant": "vae"}, "variant among"),
        ({"mask_from": 0.9, "mask_to": 0.8}, "mask_to of at least 0.9"),
        ({"swapped": 0.7, "kept": 0.5}, r"kept of at most 1 - swapped"),
        ({"dropout": 1.0}, r"dropout in \[0, 1\)"),
        ({"guard": -1}, "guard >= 0, got -1"),
        ({"n_heads": 3}, "n_heads to divide d=64, got 3"),
        ({"temperature": 0.0}, "temperature > 0"),
    ],
)
def test_settings_that_contradict_are_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        HGCVAE.Config(**settings)


def test_data_that_cannot_serve_is_refused(papers, toy, labelled):
    for ds in (toy, dm.load_dataset("toy-graphs")):
        with pytest.raises(DataError, match="labelled nodes for hgcvae"):
            begun(ds)
    with pytest.raises(ConfigError, match=r"labels among \[0, 2, 5\], got 3"):
        begun(papers, labels=3)
    with pytest.raises(DataError, match="meta-paths from 'paper' back to it"):
        begun(papers, metapaths=("author-paper-author",))
    with pytest.raises(ConfigError, match="expected features of 'paper'"):
        begun(labelled, variant="features")
