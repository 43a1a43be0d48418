"""What SELAR begins with: tasks, networks and optimisers for its data and settings."""

import dataclasses

import numpy as np
import pytest
import torch

import dglmeta as dm
from dglmeta.errors import ConfigError, DataError, DeviceError, SchemaError
from dglmeta.systems import SELAR
from dglmeta.systems.parts.selar.setup import fanouts_of

ENCODERS = ("gcn", "gat", "gin", "sgc", "stacked-sgc", "sage", "gtn", "han")
STRATEGIES = ("vanilla", "weights-only", "multi-task", "selar", "selar+hint")
CLOSED = ("item-tag-item", "user-item-tag-item")
CLASSES = ("degree", "distance", "pagerank", "partition")
SMALL = {"batch": 6, "d": 4, "weighter_hidden": 10, "epochs": 2}


def fit(ds, **settings):
    return SELAR(SELAR.Config(**{**SMALL, **settings})).fit(ds)


# Encoders, strategies, tasks


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("strategy", ["selar", "selar+hint"])
def test_every_encoder_trains_and_the_same_seed_gives_the_same(toy, encoder, strategy):
    settings = {"encoder": encoder, "strategy": strategy, "metapaths": CLOSED}
    first, again = (fit(toy, **settings) for _ in range(2))
    assert again.history.metrics == first.history.metrics
    assert all(np.isfinite(value) for value in first.metrics.values())
    assert all(np.isfinite(z).all() for z in first.embed().values())


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("data", ["labelled", "described"])
def test_every_encoder_classifies_nodes_with_and_without_features(request, encoder, data):
    result = fit(request.getfixturevalue(data), encoder=encoder, strategy="selar+hint")
    names = {f"{split}_{name}" for split in ("valid", "test") for name in ("micro_f1", "macro_f1")}
    assert set(result.metrics) == names
    assert all(0 <= value <= 1 for value in result.metrics.values())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_learns_classes_by_a_loss_of_autolinc(labelled, strategy):
    settings = {"strategy": strategy, "loss": "autolinc:D", "lr": 0.03, "d": 8, "averaging": 0.0}
    result = fit(labelled, **settings, epochs=10, patience=10)
    losses = [epoch["train_loss"]["paper class"] for epoch in result.history.metrics]
    assert min(losses) < 0.5 * losses[0]
    shorter = fit(labelled, **settings)
    assert shorter.history.metrics == result.history.metrics[: len(shorter.history.metrics)]


def test_a_loss_of_autolinc_alone_sorts_the_training_nodes(labelled):
    settings = {"strategy": "vanilla", "loss": "autolinc:D", "lr": 0.03, "averaging": 0.0}
    selar = SELAR(SELAR.Config(**{**SMALL, **settings, "d": 8}))
    state, rng = selar.init(labelled, 0, 0), np.random.default_rng(0)
    for _ in range(20):
        list(selar.epoch(state, rng))
    assert selar.evaluate(state, "train")["train_micro_f1"] == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("data", ["toy", "labelled"])
def test_every_strategy_trains_in_samples(request, data, strategy):
    result = fit(request.getfixturevalue(data), strategy=strategy, fanouts=(2, 2))
    assert all(np.isfinite(value) for value in result.metrics.values())


@pytest.mark.parametrize("strategy", ["multi-task", "selar", "selar+hint"])
def test_classes_are_learned_beside_metapaths(toy, strategy):
    result = fit(toy, strategy=strategy, auxiliary=("metapath", *CLASSES))
    assert len(result.history.metrics[-1]["train_loss"]) == 1 + 2 + 4
    assert all(np.isfinite(list(result.history.metrics[-1]["train_loss"].values())))


@pytest.mark.parametrize("data", ["described", "partly_described"])
def test_classes_are_learned_beside_a_node_task(request, data):
    kinds = ("metapath", *CLASSES, "clustering")
    result = fit(request.getfixturevalue(data), strategy="selar+hint", auxiliary=kinds)
    losses = result.history.metrics[-1]["train_loss"]
    assert list(losses)[0] == "paper class"
    assert list(losses)[3:] == ["degree", "distance", "pagerank", "partition", "clustering"]
    assert all(np.isfinite(list(losses.values())))


def test_classes_alone_are_learned_beside_a_link(toy):
    result = fit(toy, strategy="selar", auxiliary=("degree",))
    assert list(result.history.metrics[-1]["train_loss"]) == ["rated", "degree"]


def test_more_steps_fit_the_training_samples_of_every_task(toy):
    settings = {"strategy": "multi-task", "auxiliary": ("metapath", "degree"), "averaging": 0.0}
    result = fit(toy, **settings, batch=24, epochs=60, patience=60, lr=0.05, d=8)
    first, last = (result.history.metrics[k]["train_loss"] for k in (0, -1))
    assert all(last[task] < 0.8 * first[task] for task in first)


@pytest.mark.parametrize(
    ("data", "task", "monitor", "names"),
    [
        ("toy", "auto", "valid_auc", {"auc", "ap", "f1"}),
        ("toy", "link", "valid_auc", {"auc", "ap", "f1"}),
        (
            "toy",
            "recommendation",
            "valid_recall_at_50",
            {"auc", "ap", "f1"}
            | {f"{m}_at_{k}" for m in ("recall", "ndcg") for k in (2, 10, 50, 100)},
        ),
        ("labelled", "auto", "valid_macro_f1", {"micro_f1", "macro_f1"}),
        ("labelled", "node", "valid_macro_f1", {"micro_f1", "macro_f1"}),
    ],
)
def test_a_task_is_measured_and_monitored_as_its_kind(request, data, task, monitor, names):
    selar = SELAR(SELAR.Config(**SMALL, task=task))
    result = selar.fit(request.getfixturevalue(data))
    assert selar.monitor == monitor
    assert set(result.metrics) == {f"{part}_{n}" for part in ("valid", "test") for n in names}
    best = max(epoch[monitor] for epoch in result.history.metrics)
    assert best == result.history.best_value == result.metrics[monitor]


# What w is


def test_w_reads_features_only_where_every_node_has_some(
    begin, labelled, described, partly_described
):
    for ds, rows in ((labelled, 39), (described, 6), (partly_described, 39)):
        _, state, _ = begin(ds)
        assert (state.model.features is not None) == (ds is described)
        assert state.model.embedding.shape == (rows, 4)


def test_features_are_projected_as_they_are(begin, described):
    _, state, _ = begin(described)
    x = np.concatenate(
        [described.csr.node_data[t]["feat"] for t in described.csr.schema.node_types]
    )
    features = state.model.features
    eye = torch.eye(6)
    assert torch.equal(dm.ops.spmm(features.adjacency, eye, features.values), torch.from_numpy(x))


def test_embeddings_in_samples_have_an_optimiser_of_their_own_and_features_do_not(
    begin, labelled, described
):
    assert begin(labelled)[1].row_optimizer is None
    assert begin(labelled, fanouts=(2,))[1].row_optimizer is not None
    assert begin(described, fanouts=(2,))[1].row_optimizer is None


def test_heads_and_hints_do_not_decay(begin):
    _, state, _ = begin(strategy="selar+hint", auxiliary=("metapath", "degree"), weight_decay=0.1)
    names = {p: name for name, p in state.model.named_parameters()}
    decay = {
        names[p].split(".")[0]: group["weight_decay"]
        for group in state.optimizer.param_groups
        for p in group["params"]
    }
    assert decay == {"embedding": 0.1, "encoder": 0.1, "heads": 0, "class_heads": 0, "hints": 0}
    assert sum(len(g["params"]) for g in state.optimizer.param_groups) == len(names)


def test_the_published_protocol_samples_eight_neighbours_a_hop(begin):
    assert begin(protocol="paper", n_layers=3)[1].tasks.surroundings.fanouts == (8, 8, 8)
    assert begin(protocol="paper", fanouts=(2,))[1].tasks.surroundings.fanouts == (2,)
    assert begin()[1].tasks.surroundings.fanouts == ()


def test_a_graph_of_very_many_edges_is_sampled(begin, monkeypatch):
    monkeypatch.setattr("dglmeta.systems.parts.selar.setup.MOST_EDGES_WHOLE", 20)
    assert begin()[1].tasks.surroundings.fanouts == (10, 10)
    config = SELAR.Config(**SMALL)
    assert fanouts_of(config, 21, "cuda") == fanouts_of(config, 20, "cpu") == ()


def test_pairs_of_a_label_store_are_those_of_the_graph(begin, toy, tmp_path):
    training = toy.splits(0).training_graph(toy.csr)
    store = tmp_path / "store"
    dm.labels.generate(training, list(toy.metapaths), out=store, negative_ratio=1.0)
    _, state, _ = begin(labels=str(store))
    rated = set(zip(*(side.tolist() for side in training.adjacency("rated").coo()), strict=True))
    for stored, labelled in zip(state.tasks.auxiliary, begin()[1].tasks.auxiliary, strict=True):
        assert stored.name == labelled.name
        found = stored.draw(400, np.random.default_rng(0))
        pairs = set(zip(found.src.tolist(), found.dst.tolist(), strict=True))
        assert not rated & pairs  # what is an edge already is neither positive nor negative


# Refusals


def test_data_that_does_not_fit_is_refused(toy, labelled):
    with pytest.raises(SchemaError, match="unknown node type 'shop'"):
        fit(toy, metapaths=("user-shop",))
    with pytest.raises(DataError, match="with a target link"):
        fit(dm.data.Dataset("no target", toy.csr))
    with pytest.raises(DataError, match="with labelled nodes for task 'node'"):
        fit(toy, task="node")
    for task in ("link", "recommendation"):
        with pytest.raises(DataError, match=f"with a target link for task '{task}'"):
            fit(labelled, task=task)
    with pytest.raises(DataError, match="ClusteringTask: expected node_data"):
        fit(toy, auxiliary=("clustering",))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fanouts": (2, 2), "look_ahead": "adam"}, "look_ahead 'sgd' where batches are sampled"),
        ({"protocol": "paper", "look_ahead": "adam"}, "look_ahead 'sgd' where batches are sampled"),
        ({"strategy": "selar+hint", "auxiliary": ("degree",)}, "an auxiliary task about pairs"),
        ({"loss": "autolinc:D"}, "expected 'cross-entropy' where links are predicted"),
        ({"encoder": "han"}, "meta-paths that end at the type they begin with"),
        ({"encoder": "han", "metapaths": ("user-item-user",)}, "not along the target edge"),
        ({"encoder": "han", "metapaths": CLOSED, "fanouts": (2,)}, r"fanouts \(2,\)"),
    ],
    ids=str,
)
def test_settings_that_contradict_the_data_or_each_other_are_refused(toy, settings, message):
    with pytest.raises(ConfigError, match=message):
        fit(toy, **settings)


@pytest.mark.parametrize("settings", [{"fanouts": (2, 2)}, {"strategy": "selar+hint"}], ids=str)
def test_samples_and_hints_are_refused_on_a_gpu(toy, settings):
    selar = SELAR(SELAR.Config(**SMALL, **settings))
    selar.device = "cuda"
    with pytest.raises(DeviceError, match="expected --device cpu with sampled graphs or hint"):
        selar.init(toy, 0, 0)


def test_the_split_seed_deals_nodes_anew(begin, labelled):
    selar, state, _ = begin(labelled)
    other = selar.init(labelled, seed=0, split_seed=1)
    assert not np.array_equal(other.primary.training.rows.node, state.primary.training.rows.node)
    assert dataclasses.astuple(state.primary.split)[0] == "paper"
