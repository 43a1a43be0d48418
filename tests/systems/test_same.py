"""SAME: outer gradients against double backward and differences, what adapts, what is measured."""

import json

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

import dglmeta as dm
from dglmeta.errors import ConfigError, DataError
from dglmeta.meta import as_function, parameters_of
from dglmeta.nn.multi_task import TASKS, encode_tasks
from dglmeta.systems import SAME
from dglmeta.systems.parts.same.judge import embed_graphs
from dglmeta.tasks.episodes import Episodes

SMALL = {"d": 5, "batch": 9, "inner_lr": 0.3, "features": ("degrees",)}


@pytest.fixture(scope="module")
def toys():
    return dm.load_dataset("toy-graphs")


def begun(toys, **settings):
    """A system, its state and an episode, all in float64."""
    system = SAME(SAME.Config(**{**SMALL, **settings}))
    state = system.init(toys, 0, 0)
    state.model.double()
    variant = system.variant
    episodes = Episodes(
        state.rows,
        system.config.trained,
        batch=system.config.batch,
        joint=variant.adapts != "all",
        every=not variant.adapts,
        dtype=torch.float64,
    )
    episode = episodes.draw(state.split.train, np.random.default_rng(0))[0]
    return system, state, episode


def found(system, state, episode, theta=None):
    """The system's outer loss and gradient."""
    theta = parameters_of(state.model) if theta is None else theta
    if not system.variant.adapts:
        return system.plain(state, theta, episode)
    way = system.explicit if system.variant.adapts == "heads" else system.implicit
    return way(state, theta, episode)


def reference_losses(params, part, tasks, *, residual=True, norm="l2"):
    """Each task's loss by dense products, its graphs alone."""
    losses = {}
    dense = np.zeros(part.graphs.messages.shape)
    dense[part.graphs.messages.coo()] = part.graphs.weight.numpy()
    for position, task in enumerate(tasks):
        a, b = part.graphs.task_ptr[position : position + 2]
        adj, h = torch.from_numpy(dense[a:b, a:b]), part.graphs.heard[a:b]
        for k in range(3):
            heard = adj @ h if k else h
            out = heard @ params[f"encoder.weight_{k}"] + params[f"encoder.bias_{k}"]
            if norm == "layer":
                centred = out - out.mean(1, keepdim=True)
                out = centred / ((centred**2).mean(1, keepdim=True) + 1e-5).sqrt()
            out = out.clamp(min=0)
            h = out + h if k and residual else out
            if norm == "l2":
                h = h / ((h**2).sum(1, keepdim=True) + 1e-12).sqrt()
        losses[task] = reference_head(task, params, h, part.questions[task], a)
    return losses


def reference_head(task, params, h, question, first):
    def linear(x, layer):
        weight = params[f"heads.{task}.weight_{layer}"]
        return x @ weight + params[f"heads.{task}.bias_{layer}"]

    if task == "nc":
        return cross_entropy(linear(h[question.rows - first], "out"), question.label)
    e = linear(h, "in").clamp(min=0)
    if task == "lp":
        u, v = e[question.rows - first]
        logits = linear(torch.cat([(u - v).abs(), u * v], 1), "out")[:, 0]
        return binary_cross_entropy_with_logits(logits, question.label.double())
    pool = question.pool
    graphs = [
        e[torch.from_numpy(pool.indices[i:j].astype(np.int64)) - first].mean(0)
        for i, j in zip(pool.indptr, pool.indptr[1:], strict=False)
    ]
    return cross_entropy(linear(torch.stack(graphs), "out"), question.label)


def reference_outer(theta, system, episode):
    """The outer loss with its whole graph: every task descends by itself."""
    config, variant = system.config, system.variant
    form = {"residual": config.residual, "norm": config.norm}
    adapts = {
        "all": list(theta),
        "heads": [name for name in theta if name.startswith("heads.")],
        "": [],
    }[variant.adapts]
    total = 0.0
    for task in episode.tasks:
        phi = dict(theta)
        for _ in range(config.inner_steps if adapts else 0):
            losses = reference_losses(phi, episode.support, episode.tasks, **form)
            loss = sum(losses.values()) if variant.together else losses[task]
            points = [phi[name] for name in adapts]
            gradients = torch.autograd.grad(
                loss, points, create_graph=config.order == 2, allow_unused=True
            )
            for name, g in zip(adapts, gradients, strict=True):
                if g is not None:
                    phi[name] = phi[name] - config.inner_lr * (
                        g if config.order == 2 else g.detach()
                    )
        after = reference_losses(phi, episode.target, episode.tasks, **form)[task]
        total = total + config.weight(task) * after
    return total


CASES = [
    {"variant": "isame"},
    {"variant": "isame", "tasks": ("nc", "gc"), "norm": "layer", "residual": False},
    {"variant": "isame", "tasks": ("lp",), "inner_steps": 3, "norm": "none"},
    {"variant": "isame", "order": 1},
    {"variant": "isame", "task_weights": (2.0, 0.5, 3.0)},
    {"variant": "esame"},
    {"variant": "esame", "inner_steps": 2, "task_weights": (2.0, 0.5, 3.0)},
    {"variant": "esame", "order": 1, "tasks": ("gc", "lp")},
    {"variant": "maml"},
    {"variant": "anil"},
    {"variant": "classical"},
    {"variant": "classical", "tasks": ("nc",)},
]


@pytest.mark.parametrize("settings", CASES, ids=lambda s: " ".join(map(str, s.values())))
def test_the_outer_gradient_is_that_of_double_backward(toys, settings):
    system, state, episode = begun(toys, **settings)
    theta = {n: p.detach().requires_grad_() for n, p in parameters_of(state.model).items()}
    loss, gradients = found(system, state, episode)
    expected = reference_outer(theta, system, episode)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-11, atol=1e-12)
    wanted = torch.autograd.grad(expected, list(theta.values()), materialize_grads=True)
    assert set(gradients) == set(theta)
    for name, g in zip(theta, wanted, strict=True):
        torch.testing.assert_close(gradients[name], g, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("variant", ["isame", "esame"])
def test_the_outer_gradient_is_that_of_central_differences(toys, variant):
    system, state, episode = begun(toys, variant=variant)
    theta = {name: p.detach() for name, p in parameters_of(state.model).items()}
    _, gradients = found(system, state, episode)
    rng, step = np.random.default_rng(1), 1e-6
    way = {n: torch.from_numpy(rng.standard_normal(p.shape)) for n, p in theta.items()}
    ends = [
        found(system, state, episode, {n: p + s * way[n] for n, p in theta.items()})[0]
        for s in (step, -step)
    ]
    slope = (ends[0] - ends[1]) / (2 * step)
    along = sum((gradients[n] * way[n]).sum() for n in theta)
    torch.testing.assert_close(along, slope, rtol=1e-6, atol=1e-8)


def test_heads_that_adapt_together_are_heads_that_adapt_alone(toys):
    one, two = (found(*begun(toys, variant=v)) for v in ("esame", "anil"))
    torch.testing.assert_close(one[0], two[0])
    for name, g in one[1].items():
        torch.testing.assert_close(g, two[1][name])


def test_encoders_that_adapt_together_are_not_those_that_adapt_alone(toys):
    one, two = (found(*begun(toys, variant=v)) for v in ("isame", "maml"))
    assert abs(one[0] - two[0]) > 1e-6


def test_the_gradient_of_all_tasks_is_the_sum_of_those_of_each_alone(toys):
    system, state, episode = begun(toys, variant="isame")
    _, together = found(system, state, episode)
    alone = []
    for task in TASKS:

        def only(part, task=task):
            return part._replace(questions={task: part.questions[task]})

        some = episode._replace(support=only(episode.support), target=only(episode.target))
        alone.append(found(system, state, some)[1])
    for name, g in together.items():
        torch.testing.assert_close(g, sum(part[name] for part in alone), rtol=1e-10, atol=1e-13)


def test_where_heads_adapt_the_embeddings_of_a_task_do_not_move(toys, monkeypatch):
    """Counted: one pass through the encoder, whatever the number of inner steps."""
    from dglmeta.systems import same as module

    system, state, episode = begun(toys, variant="esame", inner_steps=4)
    seen = []
    monkeypatch.setattr(module, "encode_tasks", lambda *a: seen.append(1) or encode_tasks(*a))
    before = {n: p.detach().clone() for n, p in parameters_of(state.model).items()}
    found(system, state, episode)
    assert len(seen) == 1
    for name, p in parameters_of(state.model).items():
        assert torch.equal(p, before[name])


def test_the_model_is_a_function_of_its_parameters_and_of_nothing_else(toys):
    system, state, episode = begun(toys)
    del system
    params = parameters_of(state.model)
    z = encode_tasks(params, episode.target.graphs, state.form)
    stacked = {n: p.detach().expand(3, *p.shape) for n, p in params.items()}
    torch.testing.assert_close(encode_tasks(stacked, episode.target.graphs, state.form), z)
    assert as_function(state.model) is not None


def test_links_that_are_asked_about_are_not_heard(toys):
    system, state, _ = begun(toys)
    held = {tuple(p) for p in state.holdout.pairs[state.holdout.label > 0].tolist()}
    heard = set(zip(*(x.tolist() for x in state.without_links.messages.coo()), strict=True))
    assert held
    assert not held & heard
    assert not {(v, u) for u, v in held} & heard
    found_ = system.evaluate(state, "valid") if state.model.float() else {}
    assert set(found_) == {
        "valid_gc_accuracy", "valid_nc_accuracy", "valid_lp_auc", "valid_score"
    }  # fmt: skip


def test_frozen_embeddings_are_those_of_theta(toys):
    system = SAME(SAME.Config(variant="isame", **SMALL))
    state = system.init(toys, 0, 0)
    z = embed_graphs(state, state.whole)
    embedded = system.embed(state)
    assert list(embedded) == list(toys.graph_names)
    np.testing.assert_array_equal(np.concatenate(list(embedded.values())), z)
    assert [len(rows) for rows in embedded.values()] == [g.n_nodes["node"] for g in toys.graphs]


def test_training_lowers_the_loss_of_every_variant(toys):
    for variant in ("isame", "esame", "maml", "classical"):
        config = SAME.Config(
            variant=variant, d=16, batch=9, features=("degrees",), epochs=6, passes=10, lr=5e-3
        )
        history = SAME(config).fit(toys, seed=0).history.metrics
        assert history[-1]["outer_loss"] < history[0]["outer_loss"]


def test_fine_tuning_learns_all_tasks_first_and_then_some(toys, monkeypatch):
    config = SAME.Config(
        variant="finetune", tasks=("gc", "nc"), epochs=2, passes=1, pretrain_passes=2, **SMALL
    )
    system = SAME(config)
    genuine, seen = system.step, []
    monkeypatch.setattr(system, "step", lambda state, e: seen.append(e.tasks) or genuine(state, e))
    system.fit(toys, seed=0)
    change = seen.index(("gc", "nc"))
    assert seen[:change] == [TASKS] * change
    assert change == 2 * (len(seen) - change) // 2
    assert seen[change:] == [("gc", "nc")] * (len(seen) - change)


def test_an_untrained_encoder_stays_as_it_begins(toys):
    system = SAME(SAME.Config(variant="untrained", epochs=2, **SMALL))
    state = system.init(toys, 3, 0)
    result = system.fit(toys, seed=3)
    assert result.history.steps == 0
    z = np.split(embed_graphs(state, state.whole), state.rows.node_ptr[1:-1])
    for one, other in zip(result.embed().values(), z, strict=True):
        np.testing.assert_array_equal(one, other)
    assert {"test_gc_accuracy", "test_nc_accuracy", "test_lp_auc"} < set(result.metrics)


def test_a_task_that_was_not_trained_is_measured_by_a_probe(toys):
    config = SAME.Config(
        variant="classical", tasks=("gc", "nc"), judged=("lp",), measure="probe", epochs=1, **SMALL
    )
    metrics = SAME(config).fit(toys, seed=0).metrics
    assert set(metrics) == {"valid_lp_auc", "valid_score", "test_lp_auc", "test_score"}
    assert metrics["test_score"] == metrics["test_lp_auc"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"variant": "same"}, "variant among .*isame.*got 'same'"),
        ({"tasks": ("gc", "xx")}, "tasks among .*gc.*got .*xx.*Name one at least"),
        ({"tasks": ()}, r"tasks among .*got \[\]"),
        ({"tasks": ("gc", "gc")}, "each once, got"),
        ({"judged": ("lp",), "tasks": ("gc",), "variant": "classical"}, "Set measure to probe"),
        ({"task_weights": (1.0,)}, "a weight for each of"),
        ({"averaging": 1.0}, r"averaging in \[0, 1\), got 1.0"),
        ({"shares": (60, 30, 20)}, "four shares"),
        ({"shares": (60, 30, 50, 40)}, "80 in all at most"),
        ({"shares": (0, 30, 20, 20)}, "1 to 99 per cent"),
        ({"task_weights": ("1", 2.0, 3.0)}, "numbers >= 0, got .*'1'"),
        ({"task_weights": (1.0, 2.0, -1.0)}, "numbers >= 0, got .*-1.0"),
        ({"order": 3}, "order among"),
        ({"inner_steps": -1}, "inner_steps >= 0, got -1"),
        ({"d": 0}, "d > 0, got 0"),
        ({"norm": "batch"}, "norm among .*got 'batch'"),
    ],
)
def test_settings_that_contradict_are_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        SAME.Config(**settings)


def test_data_that_cannot_serve_is_refused(toys):
    with pytest.raises(DataError, match="toy: expected a data set of many graphs for same"):
        SAME().init(dm.load_dataset("toy"), 0, 0)
    from dataclasses import replace

    with pytest.raises(DataError, match="classes of graphs for the task gc.*Leave gc out"):
        SAME(SAME.Config(**SMALL)).init(replace(toys, labels=None), 0, 0)


@pytest.mark.parametrize(
    "settings",
    [
        *({"variant": variant} for variant in ("isame", "esame", "classical")),
        {"variant": "isame", "protocol": "paper", "features": ("feat",)},
    ],
)
def test_on_a_gpu_it_trains_as_on_the_processor(toys, on_cuda, settings):
    gone = []
    for device in ("cpu", "cuda"):
        system = SAME(SAME.Config(**{**SMALL, **settings}))
        system.device = device
        state = system.init(toys, 0, 0)
        assert next(state.model.parameters()).device.type == (
            on_cuda if device == "cuda" else "cpu"
        )
        rng = np.random.default_rng(0)
        for _, _ in zip(range(3), system.epoch(state, rng), strict=False):
            pass
        judged = {**system.evaluate(state, "valid"), **system.evaluate(state, "test")}
        gone.append(({k: p.cpu() for k, p in state.model.state_dict().items()}, judged))
    (here, measured), (there, theirs) = gone
    for name, p in here.items():
        torch.testing.assert_close(there[name], p, rtol=1e-3, atol=1e-4)
    assert set(theirs) == set(measured)
    if on_cuda == "cpu":
        assert theirs == pytest.approx(measured, abs=1e-3)


def test_the_command_takes_tasks_with_commas_between_them(tmp_path):
    from dglmeta.cli import main

    out = tmp_path / "run"
    arguments = ["train", "same", "--data", "toy-graphs", "--tasks", "gc,nc", "--variant", "esame"]
    small = ["--task-weights", "1,0.5", "--d", "8", "--batch", "6", "--epochs", "1"]
    assert main([*arguments, *small, "--out", str(out)]) == 0
    result = json.loads((out / "result.json").read_text())
    assert result["variant"] == "esame"
    assert result["config"]["tasks"] == ["gc", "nc"]
    assert result["config"]["task_weights"] == [1.0, 0.5]
    assert "test_lp_auc" not in result["metrics"]
    assert main(["embed", str(out), "--out", str(tmp_path / "z.npz")]) == 0
    with np.load(tmp_path / "z.npz") as z:
        assert len(z.files) == 12


def test_weights_of_all_tasks_serve_any_of_them():
    config = SAME.Config(tasks=("lp", "nc"), task_weights=(1.0, 2.0, 3.0))
    assert [config.weight(task) for task in config.trained] == [2.0, 3.0]
    assert SAME.Config(tasks=("lp", "nc"), task_weights=(1.0, 2.0)).weight("nc") == 1.0
