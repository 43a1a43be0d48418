"""SELAR learns from what it may see, by the gradients its algorithm names."""

import numpy as np
import pytest
import torch

import dglmeta as dm
from dglmeta.bench.systems.bench_selar_step import double_backward_step
from dglmeta.errors import ConfigError, DataError, SchemaError
from dglmeta.meta import hypergradient
from dglmeta.systems import SELAR
from dglmeta.systems.selar import relative, split_folds

N_USERS, N_ITEMS = 8, 8


def system(**settings):
    return SELAR(SELAR.Config(**{"batch": 8, "d": 4, "weighter_hidden": 10} | settings))


def begin(**settings):
    """A system, its state on toy, and a batch."""
    selar = system(**settings)
    state = selar.init(dm.load_dataset("toy"), seed=0, split_seed=0)
    batch = next(state.pairs.epoch(selar.config.batch, np.random.default_rng(5)))
    return selar, state, batch


def dense(pairs, shape):
    out = np.zeros(shape, bool)
    out[tuple(np.asarray(pairs, int).T)] = True
    return out


def positives_of(rows):
    kept = rows.label > 0
    return np.stack([rows.src[kept], rows.dst[kept]], axis=1)


# Nothing held out is seen


def test_messages_run_on_training_edges_alone_and_both_ways():
    _, state, _ = begin()
    edges = np.stack(state.pairs.adjacency.coo(), axis=1)
    rated = positives_of(state.split.train) + [0, N_USERS]
    src, dst = dm.load_dataset("toy").csr.adjacency("has").coo()
    tagged = np.stack([src + N_USERS, dst + N_USERS + N_ITEMS], axis=1)
    once = np.concatenate([rated, tagged])
    expected = np.concatenate([once, once[:, ::-1]])
    assert sorted(map(tuple, edges.tolist())) == sorted(map(tuple, expected.tolist()))


def test_labels_are_those_of_the_training_edges_alone():
    _, state, _ = begin()
    rated = dense(positives_of(state.split.train), (N_USERS, N_ITEMS))
    has = dm.load_dataset("toy").csr.adjacency("has").to_scipy().toarray() > 0
    joined = {
        "user-[rated]-item-[has]-tag-[~has]-item": rated @ has @ has.T,
        "user-[rated]-item-[~rated]-user-[rated]-item": rated @ rated.T @ rated,
    }
    assert {task.name for task in state.pairs.auxiliary} == set(joined)
    for task in state.pairs.auxiliary:
        positives = dense(np.stack([task.labels.src, task.labels.dst], axis=1), rated.shape)
        assert np.array_equal(positives, joined[task.name] & ~rated)


def test_labels_would_differ_if_they_saw_the_held_out_edges():
    _, state, _ = begin()
    (task,) = [t for t in state.pairs.auxiliary if t.name.endswith("[rated]-item")]
    every = dm.load_dataset("toy").csr.adjacency("rated").to_scipy().toarray() > 0
    joined = every @ every.T @ every & ~every
    labelled = dense(np.stack([task.labels.src, task.labels.dst], axis=1), every.shape)
    assert not np.array_equal(labelled, joined)


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
    expected = relative(v, "task").numpy()
    assert relative(by_task * v, "task") == pytest.approx(expected, rel=1e-4)
    assert expected.mean(1) == pytest.approx(np.ones(3), rel=1e-5)


@pytest.mark.parametrize("folds", [1, 3])
def test_the_hypergradient_of_a_step_equals_double_backward(monkeypatch, folds):
    seen = {}

    def both(*args, **options):
        seen["jvp"] = hypergradient(*args, **options)
        seen["check"] = hypergradient(*args, **options, mode="double_backward")
        return seen["jvp"]

    monkeypatch.setattr("dglmeta.systems.selar.hypergradient", both)
    selar, state, batch = begin(folds=folds)
    state.model.double()
    state.weighter.double()
    batch = batch._replace(label=batch.label.double(), edge_weight=batch.edge_weight.double())
    selar.step(state, batch, np.random.default_rng(0))
    assert torch.allclose(seen["jvp"].meta_loss, seen["check"].meta_loss, rtol=1e-12)
    for name, found in seen["jvp"].gradients.items():
        expected = seen["check"].gradients[name]
        assert found.dtype == torch.float64
        assert expected.abs().max() > 0
        assert (found - expected).abs().max() <= 1e-9 * expected.abs().max()


def test_a_step_moves_as_one_written_with_double_backward():
    states = []
    for step in (SELAR.step, double_backward_step):
        selar, state, batch = begin()
        step(selar, state, batch, np.random.default_rng(0))
        states.append(state)
    _, fresh, _ = begin()
    for part in ("model", "weighter"):
        ours, theirs, before = (dict(getattr(s, part).named_parameters()) for s in (*states, fresh))
        for name, value in ours.items():
            assert torch.allclose(value, theirs[name], atol=1e-5)
            assert not torch.equal(value, before[name])


# Strategies


@pytest.mark.parametrize(
    ("strategy", "auxiliary", "weighted"),
    [
        ("vanilla", False, False),
        ("weights-only", False, True),
        ("multi-task", True, False),
        ("selar", True, True),
    ],
)
def test_a_strategy_uses_just_the_parts_it_names(strategy, auxiliary, weighted):
    selar, state, batch = begin(strategy=strategy)
    assert len(state.pairs.auxiliary) == (2 if auxiliary else 0)
    assert batch.src.shape == (3 if auxiliary else 1, 8)
    before = {k: v.clone() for k, v in state.weighter.state_dict().items()}
    selar.step(state, batch, np.random.default_rng(0))
    moved = any(not torch.equal(v, before[k]) for k, v in state.weighter.state_dict().items())
    assert moved == weighted


def test_vanilla_ignores_the_metapaths_it_is_given():
    settings = {"strategy": "vanilla", "epochs": 2}
    toy = dm.load_dataset("toy")
    plain = system(**settings).fit(toy)
    named = system(**settings, metapaths=("user-item-tag-item",)).fit(toy)
    assert named.history.metrics == plain.history.metrics


def test_metapaths_given_replace_the_recommended_ones():
    _, state, _ = begin(metapaths=("item-tag-item",))
    assert [task.name for task in state.pairs.auxiliary] == ["item-[has]-tag-[~has]-item"]


def test_an_epoch_logs_the_weight_of_each_task_relative_to_the_primary_one():
    result = system(epochs=1).fit(dm.load_dataset("toy"))
    (primary, *auxiliary) = result.history.metrics[0]["task_weights"]
    assert primary == 1.0
    assert len(auxiliary) == 2


# Refusals


@pytest.mark.parametrize(
    "settings", [{"encoder": "gat"}, {"strategy": "best"}, {"protocol": "paper"}]
)
def test_a_choice_that_does_not_exist_is_refused(settings):
    (name,) = settings
    with pytest.raises(ConfigError, match=f"expected {name} among"):
        system(**settings)


@pytest.mark.parametrize("name", ["d", "n_layers", "batch", "lr", "weighter_lr", "folds"])
def test_a_setting_that_must_be_positive_is_checked(name):
    with pytest.raises(ConfigError, match=f"expected {name} > 0, got 0"):
        system(**{name: 0})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch": 2}, "batch of at least 3.*got 2"),
        ({"batch": 8, "folds": 9}, "at least 9.*got 8"),
        ({"weight_decay": -1.0}, "weight_decay >= 0, got -1.0"),
        ({"averaging": 1.0}, r"averaging in \[0, 1\), got 1.0"),
        ({"look_ahead": "newton"}, "look_ahead among .*got 'newton'"),
    ],
)
def test_a_setting_outside_its_range_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        system(**wrong)


def test_data_that_does_not_fit_is_refused():
    toy = dm.load_dataset("toy")
    with pytest.raises(SchemaError, match="unknown node type 'shop'"):
        system(metapaths=("user-shop",)).fit(toy)
    without_target = dm.data.Dataset("no target", toy.csr)
    with pytest.raises(DataError, match="with a target link"):
        system().fit(without_target)
