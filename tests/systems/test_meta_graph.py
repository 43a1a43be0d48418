"""Meta-Graph: its methods, what they learn from, when they stop, and the traps of the spec."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import dglmeta as dm
from dglmeta.data import GraphDataset, few_shot_split, undirected
from dglmeta.errors import ConfigError, DataError
from dglmeta.meta import one_per_task, parameters_of
from dglmeta.nn.signature import VARIANTS
from dglmeta.systems import MetaGraph
from dglmeta.systems.parts.meta_graph import adapt
from dglmeta.systems.parts.meta_graph.adapt import EVERY, embeddings, score_pairs
from dglmeta.systems.parts.meta_graph.adapt import test_metrics as metrics_of
from dglmeta.systems.parts.meta_graph.config import METHODS
from dglmeta.systems.parts.meta_graph.heuristics import HEURISTICS
from dglmeta.tasks import FewShotBatch, FewShotGraph, area_under_curve

SMALL = {
    "train_fraction": 0.3,
    "epochs": 2,
    "passes": 1,
    "adapt_steps": 10,
    "d": 4,
    "d_hidden": 8,
}
TRAINED = tuple(name for name, method in METHODS.items() if method.trains)
ENCODERS = tuple(name for name in METHODS if name not in HEURISTICS)


@pytest.fixture(scope="module")
def ds() -> GraphDataset:
    return dm.load_dataset("toy-graphs")


def begun(ds: GraphDataset, seed: int = 0, split_seed: int = 0, **settings: Any) -> Any:
    system = MetaGraph(MetaGraph.Config(**{**SMALL, **settings}))
    return system, system.init(ds, seed, split_seed)


def trained(ds: GraphDataset, n_epochs: int = 1, **settings: Any) -> Any:
    system, state = begun(ds, **settings)
    for epoch in range(n_epochs):
        for _ in system.epoch(state, np.random.default_rng(epoch)):
            pass
    return system, state


def values(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


# --- methods


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_and_is_judged_after_five_steps_and_at_its_best(ds, method):
    if method == "deepwalk":
        pytest.importorskip("gensim")
    result = MetaGraph(MetaGraph.Config(**SMALL, method=method)).fit(ds)
    names = {f"{split}_{m}" for split in ("valid", "test") for m in ("auc", "ap")}
    assert set(result.metrics) == names | {f"{name}_5_steps" for name in names}
    assert all(0 <= value <= 1 for value in result.metrics.values())


@pytest.mark.parametrize("method", METHODS)
def test_methods_that_train_move_what_they_learn_and_others_move_nothing(ds, method):
    _, state = begun(ds, method=method)
    before = values(state.model)
    _, state = trained(ds, method=method)
    moved = {name for name, p in values(state.model).items() if not torch.equal(p, before[name])}
    assert moved == (set(before) if method in TRAINED else set())
    assert bool(state.losses) == (method in TRAINED)


@pytest.mark.parametrize("variant", ["modulation", "gating", "weights"])
def test_at_first_a_signature_says_nothing_and_meta_graph_is_maml(ds, variant):
    with_signature, without = (
        system.embed(state)
        for system, state in (
            begun(ds, method="meta-graph", variant=variant),
            begun(ds, method="maml"),
        )
    )
    assert list(with_signature) == list(without)
    for name, z in without.items():
        np.testing.assert_allclose(with_signature[name], z, rtol=1e-4, atol=1e-6)


def test_a_trained_signature_makes_a_difference(ds):
    system, state = trained(ds, 2)
    batch = state.batch(state.split.test)
    theta = one_per_task(parameters_of(state.model), len(batch))
    with torch.no_grad():
        film = state.signature(batch.whole)
    with_it, without = (embeddings(batch, theta, f) for f in (film, {}))
    for z, plain in zip(with_it, without, strict=True):
        assert np.abs(z - plain).max() > 1e-3


def test_the_mlp_passes_no_messages(ds):
    _, state = begun(ds, method="mlp", features=("given",))
    batch = state.batch(state.split.test)
    theta = one_per_task(parameters_of(state.model), len(batch))
    for k, z in zip(state.split.test, embeddings(batch, theta, {}), strict=True):
        kinds = len(np.unique(state.graphs[k].given, axis=0))
        assert len(np.unique(z, axis=0)) == kinds < len(z)


def test_random_is_judged_before_any_step(ds):
    system, state = begun(ds, method="random")
    batch = state.batch(state.split.test)
    path = system.adapt(state, batch)
    np.testing.assert_array_equal(path.curve.steps, [0])
    for name, p in state.model.named_parameters():
        assert torch.equal(path.best[name], p.detach().expand_as(path.best[name]))


@pytest.mark.parametrize("method", HEURISTICS)
def test_a_heuristic_embeds_nothing_and_says_so(ds, method):
    system, state = begun(ds, method=method)
    with pytest.raises(ConfigError, match=f"method that trains an encoder.*got '{method}'"):
        system.embed(state)


def test_adamic_adar_scores_by_known_edges_alone(ds):
    system, state = begun(ds, method="adamic-adar")
    graph = state.graphs[state.split.test[0]]
    lines = graph.known.to_scipy().toarray() > 0
    degree = lines.sum(1)
    weight = np.array([1 / np.log(k) if k > 1 else 0 for k in degree])
    score = (lines * weight) @ lines.astype(float)
    u, v = graph.split.test.T
    a, b = graph.split.test_negatives.T
    won = np.sign(score[u, v][:, None] - score[a, b])
    assert system.evaluate(state, "test")["test_auc"] == pytest.approx((won + 1).mean() / 2)


# --- what psi and theta learn from


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_outer_loss_reaches_every_parameter_of_the_signature(ds, variant, order):
    """Trap 9: at order 1, too. Heads begin at zero, so the convolution waits for a step."""
    _, state = trained(ds, 2, variant=variant, order=order, graphs=2)
    for name, p in state.signature.named_parameters():
        assert p.grad is not None, name
        assert p.grad.abs().max() > 0, name


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("variant", VARIANTS)
def test_training_moves_every_parameter_of_theta_and_of_the_signature(ds, variant, order):
    _, state = begun(ds, variant=variant, order=order)
    before = {**values(state.model), **values(state.signature)}
    _, state = trained(ds, 2, variant=variant, order=order)
    after = {**values(state.model), **values(state.signature)}
    assert [name for name in before if torch.equal(after[name], before[name])] == []


def gradients(ds: GraphDataset, **settings: Any) -> dict[str, torch.Tensor]:
    """What one outer step on all training graphs follows, of a signature that says something."""
    system, state = begun(ds, clip=1e6, inner_lr=0.3, **settings)
    generator = torch.Generator().manual_seed(0)
    for p in state.signature.parameters():
        p.data += torch.randn(p.shape, generator=generator) * 0.3
    system.step(state, state.batch(state.split.train), np.random.default_rng(0))
    modules = {"theta": state.model, "psi": state.signature}
    return {f"{m}.{n}": p.grad for m, mod in modules.items() for n, p in mod.named_parameters()}


def test_second_order_reaches_the_signature_through_the_inner_steps(ds):
    one, two = (gradients(ds, order=order) for order in (1, 2))
    for name in ("theta.weight_in", "psi.weight", "psi.beta.0.weight"):
        assert (one[name] - two[name]).norm() > 0.01 * two[name].norm()
    one, two = (gradients(ds, order=order, inner_steps=0) for order in (1, 2))
    for name, g in one.items():
        torch.testing.assert_close(g, two[name])


def test_the_outer_gradient_is_the_slope_of_the_mean_loss_of_training_graphs(ds):
    """In float64, by central differences in theta and psi, through the whole step."""

    def outer(name: str, shift: torch.Tensor | None) -> Any:
        system, state = begun(ds, inner_lr=0.02, inner_steps=2, clip=1e6)
        state.model.double()
        state.signature.double()
        generator = torch.Generator().manual_seed(0)
        for p in state.signature.parameters():
            p.data += torch.randn(p.shape, generator=generator, dtype=torch.float64) * 0.3
        parameter = dict(
            [*state.model.named_parameters(), *state.signature.named_parameters("psi")]
        )[name]
        if shift is not None:
            parameter.data += shift
        batch = state.batch(state.split.train[:3])
        assert batch.dtype == torch.float64
        system.step(state, batch, np.random.default_rng(0))
        return state.losses[-1], parameter.grad

    for name in ("weight_in", "bias_out", "psi.weight", "psi.gamma.1.weight"):
        found = outer(name, None)[1]
        way = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).double()
        # So small a step, as a ReLU has its kink less than 1e-6 away in one of them.
        up, down = (outer(name, sign * 1e-7 * way)[0] for sign in (1, -1))
        assert (found * way).sum().item() == pytest.approx((up - down) / 2e-7, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_adapting_the_last_layer_leaves_the_first_where_it_began(ds, optimizer):
    system, state = begun(ds, adapted="last", method="maml", adapt_optimizer=optimizer)
    path = system.adapt(state, state.batch(state.split.test))
    for name, p in state.model.named_parameters():
        moved = not torch.equal(path.early[name], p.detach().expand_as(path.early[name]))
        assert moved == name.endswith("_out")


# --- adaptation


@pytest.fixture
def walked(monkeypatch) -> list[dict[str, torch.Tensor]]:
    """Parameters after each step of adaptation from now on."""
    steps: list[dict[str, torch.Tensor]] = []
    genuine = adapt.descend_tasks

    def watched(*args: Any, **options: Any) -> Any:
        steps.append(genuine(*args, **options))
        return steps[-1]

    monkeypatch.setattr(adapt, "descend_tasks", watched)
    return steps


def adapted(ds: GraphDataset, **settings: Any) -> Any:
    """Three graphs at once, on a way long enough to get better and worse."""
    system, state = begun(ds, **{"adapt_steps": 60, "inner_lr": 0.5, **settings})
    batch = state.batch([0, 1, 2])
    return state, batch, system.adapt(state, batch)


def areas(batch: FewShotBatch, z: list[np.ndarray], part: str) -> list[float]:
    """Area under the curve of each graph's valid or test edges."""
    return [
        area_under_curve(
            score_pairs(rows, getattr(graph.split, part)),
            score_pairs(rows, getattr(graph.split, f"{part}_negatives")),
        )
        for graph, rows in zip(batch.graphs, z, strict=True)
    ]


def test_each_graph_is_taken_where_its_validation_edges_fit_best(ds, walked):
    state, batch, path = adapted(ds)
    curve = path.curve
    np.testing.assert_array_equal(curve.steps, np.arange(0, 61, EVERY))
    np.testing.assert_array_equal(curve.chosen, curve.valid.argmax(0))
    assert len(set(curve.chosen)) > 1
    assert (curve.test.argmax(0) != curve.chosen).any()  # the test has another opinion
    for b, at in enumerate(curve.chosen):
        for name, p in path.best.items():
            k = curve.steps[at]
            then = walked[k - 1][name] if k else dict(state.model.named_parameters())[name][None]
            assert torch.equal(p[b], then[b if k else 0])


def test_of_equal_steps_the_first_is_taken_and_patience_counts_from_there(ds):
    _, _, path = adapted(ds, inner_lr=1e-12, adapt_patience=15)  # too small to move a float32
    np.testing.assert_array_equal(path.curve.chosen, 0)
    assert path.curve.steps[-1] == 15


def test_early_is_after_five_steps(ds, walked):
    _, batch, path = adapted(ds)
    for name, p in path.early.items():
        assert torch.equal(p, walked[4][name])
    z = embeddings(batch, path.early, path.film)
    found = areas(batch, z, "valid")
    np.testing.assert_array_equal(found, path.curve.valid[1])


def test_what_is_embedded_is_what_was_chosen(ds):
    system, state = begun(ds, adapt_steps=60, inner_lr=0.5)
    batch = state.batch(state.split.test)
    path = system.adapt(state, batch)
    z = list(system.embed(state).values())
    for part in ("valid", "test"):
        found = areas(batch, z, part)
        curve = getattr(path.curve, part)
        np.testing.assert_array_equal(found, curve[path.curve.chosen, np.arange(len(z))])


def test_adaptation_waits_for_patience_and_no_longer(ds):
    _, _, path = adapted(ds, adapt_steps=1000, adapt_patience=20)
    last_gain = path.curve.steps[path.curve.chosen].max()
    assert path.curve.steps[-1] == last_gain + 20 < 1000


def test_graphs_are_embedded_as_if_alone(ds):
    system, state = begun(ds)
    batch = state.batch([0, 1])
    with torch.no_grad():
        film = state.signature(batch.whole)
    theta = one_per_task(parameters_of(state.model), 2)
    for b, z in enumerate(embeddings(batch, theta, film)):
        alone = state.batch([b])
        (expected,) = embeddings(
            alone, {n: p[:1] for n, p in theta.items()}, {n: s[b : b + 1] for n, s in film.items()}
        )
        np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_adaptation_can_be_repeated(ds, optimizer):
    one, two = (adapted(ds, adapt_optimizer=optimizer)[2] for _ in range(2))
    for name, p in one.best.items():
        assert torch.equal(p, two.best[name])
    assert not torch.equal(one.early["weight_in"][0], one.early["weight_in"][1])


# --- traps


def test_splits_of_edges_are_fixed_by_the_split_seed(ds):
    """Trap 5: anew at every access, training graphs would tell all their edges in time."""
    (_, one), (_, again), (_, other) = (
        begun(ds, seed=seed, split_seed=split) for seed, split in ((0, 3), (1, 3), (0, 4))
    )
    for k, graph in enumerate(one.graphs):
        for a, b in zip(graph.split, again.graphs[k].split, strict=True):
            np.testing.assert_array_equal(a, b)
        assert not np.array_equal(graph.split.train, other.graphs[k].split.train)


def test_training_asks_about_the_same_edges_in_every_epoch(ds, monkeypatch):
    seen: set[tuple[int, int]] = set()
    genuine = FewShotBatch.draw_training

    def watched(self: FewShotBatch, k: int, rng: np.random.Generator) -> Any:
        pairs = genuine(self, k, rng)
        here = pairs.ends[:, pairs.sign > 0] - int(self.node_ptr[0])
        seen.update(map(tuple, here.T.tolist()))
        return pairs

    monkeypatch.setattr(FewShotBatch, "draw_training", watched)
    system, state = begun(ds, graphs=1)
    batch = state.batch(state.split.train[:1])
    for epoch in range(3):
        system.step(state, batch, np.random.default_rng(epoch))
    assert seen == set(map(tuple, batch.graphs[0].split.train.tolist()))


def test_graphs_of_a_data_set_are_split_each_in_its_own_way(ds):
    twice = GraphDataset("twins", (ds.graphs[0],) * 4, tuple("abcd"))
    _, state = begun(twice)
    assert len({graph.split.train.tobytes() for graph in state.graphs}) == 4


@pytest.mark.parametrize("scale", [2.0**10, 2.0**-10])
def test_scores_are_logits_so_large_embeddings_make_no_ties(ds, scale):
    """Trap 6: in float32 the sigmoid of a large logit is 1. A power of two rounds nothing."""
    system, state = begun(ds)
    graphs = [state.graphs[k] for k in state.split.test]
    z = list(system.embed(state).values())
    expected = metrics_of(graphs, z, minus=0)
    scaled = [rows * np.float32(scale) for rows in z]
    assert metrics_of(graphs, scaled, minus=0) == expected
    assert 0 < expected["auc"] != 0.5


@pytest.mark.parametrize("folds", [1, 5])
def test_messages_run_over_the_edges_asked_about_with_one_fold_only(ds, folds, monkeypatch):
    read: dict[int, list[Any]] = {}
    genuine = FewShotGraph.read

    def watched(self: FewShotGraph, adj: Any) -> Any:
        read.setdefault(id(self), []).append(adj.coo())
        return genuine(self, adj)

    monkeypatch.setattr(FewShotGraph, "read", watched)
    _, state = begun(ds, folds=folds)
    for graph in state.graphs:
        assert graph.n_folds == folds
        read[id(graph)] = []
        vars(graph).pop("states", None)  # read again, under watch
        assert len(graph.fold_states) == len(read[id(graph)]) == folds
        for fold, (src, dst) in enumerate(read[id(graph)]):
            over = set(zip(src.tolist(), dst.tolist(), strict=True))
            asked = set(map(tuple, graph.asked(fold).tolist()))
            assert asked
            assert (asked <= over) if folds == 1 else not (asked & over)


def test_held_out_edges_of_training_graphs_are_never_heard(ds):
    """Trap 2: messages over what is asked would tell the answer."""
    _, state = begun(ds)
    for graph in state.graphs:
        over = set(zip(*(ids.tolist() for ids in graph.known.coo()), strict=True))
        assert {(u, v) for u, v in over if u < v} == set(map(tuple, graph.split.train.tolist()))
        assert not over & set(map(tuple, graph.split.valid.tolist()))


def test_test_edges_of_training_graphs_are_never_asked_about(ds, monkeypatch):
    """Nor those of the graphs to choose by in training."""
    honest = MetaGraph(MetaGraph.Config(**SMALL)).fit(ds)
    split = ds.splits(0)

    def poisoned(graph: Any, *args: Any, **options: Any) -> Any:
        found = few_shot_split(graph, *args, **options)
        if any(graph is ds.graphs[k] for k in split.train):
            return found._replace(test=found.test_negatives, test_negatives=found.test)
        return found

    monkeypatch.setattr("dglmeta.systems.parts.meta_graph.setup.few_shot_split", poisoned)
    other = MetaGraph(MetaGraph.Config(**SMALL)).fit(ds)
    assert other.metrics == honest.metrics
    assert other.history.metrics == honest.history.metrics


# --- beginning


def test_leave_one_out_tests_the_graph_of_the_split_seed(ds):
    system, state = begun(ds, split_seed=11, graph_split="leave-one-out")
    assert (state.split.test.tolist(), state.split.valid.tolist()) == ([11], [0])
    assert list(system.embed(state)) == [ds.graph_names[11]]


def test_the_signature_does_not_change_where_the_encoder_begins(ds):
    states = [begun(ds, method=method)[1] for method in ("meta-graph", "maml", "random")]
    for name, p in states[0].model.named_parameters():
        for other in states[1:]:
            assert torch.equal(p, dict(other.model.named_parameters())[name])


def test_graphs_of_few_edges_may_have_fewer_folds_than_others(ds):
    """A path of six edges knows two, so it has two folds; the toys have five."""
    kind = np.arange(7) % 3
    rows = {"feat": np.eye(3, dtype=np.float32)[kind], "label": kind}
    path = undirected(7, range(6), range(1, 7), rows)
    mixed = GraphDataset("mixed", (path, *ds.graphs[:5], path), tuple("0123456"))
    system, state = begun(mixed, graphs=8)
    assert {graph.n_folds for graph in state.graphs} == {2, 5}
    for _ in system.epoch(state, np.random.default_rng(0)):
        pass
    assert np.isfinite(state.losses).all()
    system.adapt(state, state.batch(range(7)))


def test_a_data_set_of_one_graph_is_refused():
    with pytest.raises(DataError, match="expected a data set of many graphs for meta-graph"):
        MetaGraph(MetaGraph.Config(**SMALL)).fit(dm.load_dataset("toy"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "selar"}, "expected method among .*got 'selar'"),
        ({"variant": "half"}, "expected variant among .*got 'half'"),
        ({"order": 3}, "expected order among .*got 3"),
        ({"folds": 0}, "expected folds > 0, got 0"),
        ({"inner_steps": -1}, "expected inner_steps >= 0, got -1"),
        ({"features": ()}, r"expected features among .*got \[\]"),
        ({"features": ("given", "colour")}, r"expected features among .*'colour'"),
        ({"minus": 17}, r"minus from 0 to d = 16.*got 17"),
        ({"minus": 1, "protocol": "paper"}, r"0 under the protocol paper, got 1"),
        ({"train_fraction": 0.8}, r"train_fraction in \(0, 0.8\).*got 0.8"),
        ({"train_fraction": 0.0}, r"train_fraction in \(0, 0.8\).*got 0.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        MetaGraph.Config(**settings)


def test_a_setting_of_each_kind_is_among_those_of_the_record(ds):
    result = MetaGraph(MetaGraph.Config(**SMALL, method="maml")).fit(ds)
    assert result.record["method"] == "maml"
    assert result.record["config"] == dataclasses.asdict(MetaGraph.Config(**SMALL, method="maml"))
    adaptation = result.record["adaptation"]
    assert adaptation["graphs"] == [ds.graph_names[k] for k in ds.splits(0).test]
    assert adaptation["steps"] == [0, 5, 10]
    assert np.shape(adaptation["valid_auc"]) == (3, len(adaptation["graphs"]))


@pytest.mark.parametrize(
    "settings",
    [{}, {"variational": True}, {"method": "finetune"}, {"protocol": "paper"}],
    ids=str,
)
def test_on_a_gpu_it_trains_as_on_the_processor(ds, on_cuda, settings):
    gone = []
    for device in ("cpu", "cuda"):
        system = MetaGraph(MetaGraph.Config(**{**SMALL, "adapt_steps": 5, **settings}))
        system.device = device
        state = system.init(ds, seed=0, split_seed=0)
        for _, _ in zip(range(2), system.epoch(state, np.random.default_rng(0)), strict=False):
            pass
        judged = system.evaluate(state, "test")
        z = system.embed(state)
        gone.append(({k: p.cpu() for k, p in values(state.model).items()}, judged, z))
        assert set(system.findings(state)) >= {"adaptation"}
    (here, measured, z), (there, theirs, their_z) = gone
    for name, p in here.items():
        torch.testing.assert_close(there[name], p, rtol=1e-3, atol=1e-4)
    assert set(theirs) == set(measured)
    if on_cuda == "cpu":
        assert theirs == pytest.approx(measured, abs=1e-3)
        for name in z:
            np.testing.assert_allclose(their_z[name], z[name], rtol=1e-2, atol=1e-3)
