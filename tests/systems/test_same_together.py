"""Several runs of SAME at once go the way that each would go alone."""

import copy

import numpy as np
import pytest
import torch

import dglmeta as dm
from dglmeta.errors import DataError
from dglmeta.systems import SAME
from dglmeta.systems.parts.same.together import step_together
from dglmeta.tasks.episodes import Episodes, merge_episodes
from dglmeta.train import RunFolder

N_STEPS = 20


@pytest.fixture(scope="module")
def toys():
    return dm.load_dataset("toy-graphs")


def begun(toys, n_runs, **settings):
    """A system and its states of several seeds and splits, with episodes in float64."""
    small = {"d": 6, "batch": 9, "inner_lr": 0.3, "lr": 1e-2, "features": ("degrees",)}
    system = SAME(SAME.Config(**{**small, **settings}))
    states = [system.init(toys, k, k) for k in range(n_runs)]
    draws = []
    for state in states:
        state.model.double()
        episodes = Episodes(
            state.rows,
            system.config.trained,
            batch=system.config.batch,
            joint=system.variant.adapts != "all",
            every=not system.variant.adapts,
            dtype=torch.float64,
        )
        rng = np.random.default_rng(state.split.train[0])
        drawn = [episodes.draw(state.split.train, rng)[0] for _ in range(N_STEPS)]
        draws.append(drawn)
    return system, states, draws


CASES = [
    {"variant": "isame"},
    {"variant": "isame", "hidden": False, "norm": "layer", "inner_steps": 2},
    {"variant": "esame"},
    {"variant": "esame", "tasks": ("gc", "lp"), "task_weights": (2.0, 0.5), "weight_decay": 0.1},
    {"variant": "maml"},
    {"variant": "classical", "tasks": ("lp", "nc")},
]


@pytest.mark.parametrize("settings", CASES, ids=lambda s: " ".join(map(str, s.values())))
def test_after_twenty_steps_every_model_is_where_it_would_be_alone(toys, settings):
    system, states, draws = begun(toys, 4, **settings)
    alone = copy.deepcopy(states)
    for state, drawn in zip(alone, draws, strict=True):
        for episode in drawn:
            system.step(state, episode)
    for episodes in zip(*draws, strict=True):
        step_together(system, states, episodes)
    for one, other, drawn in zip(states, alone, draws, strict=True):
        assert len(drawn) == N_STEPS
        for name, p in one.model.named_parameters():
            expected = other.model.get_parameter(name)
            torch.testing.assert_close(p, expected, rtol=1e-8, atol=1e-9)


def test_models_of_other_seeds_do_part(toys):
    _, states, _ = begun(toys, 2)
    one, two = (next(state.model.parameters()) for state in states)
    assert (one - two).abs().max() > 0.01


def test_merged_episodes_hold_what_each_holds(toys):
    _, _, draws = begun(toys, 3)
    some = [drawn[0] for drawn in draws]
    merged = merge_episodes(some)
    for part in ("support", "target"):
        whole, parts = getattr(merged, part), [getattr(e, part) for e in some]
        graphs, n_tasks = whole.graphs, len(merged.tasks)
        dense = np.zeros(graphs.messages.shape)
        dense[graphs.messages.coo()] = graphs.weight.numpy()
        assert graphs.n_models == 3
        for t, task in enumerate(merged.tasks):
            for s, one in enumerate(parts):
                a, b = graphs.task_ptr[t * 3 + s : t * 3 + s + 2]
                first, last = one.graphs.task_ptr[t : t + 2]
                assert torch.equal(graphs.heard[a:b], one.graphs.heard[first:last])
                expected = np.zeros(one.graphs.messages.shape)
                expected[one.graphs.messages.coo()] = one.graphs.weight.numpy()
                np.testing.assert_array_equal(dense[a:b, a:b], expected[first:last, first:last])
                here = slice(*whole.questions[task].model_ptr[s : s + 2])
                asked, question = whole.questions[task], one.questions[task]
                assert torch.equal(asked.label[here], question.label)
                if task == "gc":
                    ours, theirs = (q.pool.to_scipy().toarray() for q in (asked, question))
                    np.testing.assert_array_equal(ours[here, a:b], theirs[:, first:last])
                    assert ours[here].sum() == theirs.sum()
                else:
                    assert torch.equal(asked.rows[..., here] - a, question.rows - first)
        assert n_tasks * 3 + 1 == len(graphs.task_ptr)
        assert dense.sum() == pytest.approx(sum(float(p.graphs.weight.sum()) for p in parts))


def test_parts_with_one_layout_share_it_when_merged(toys):
    for variant, same in (("esame", True), ("isame", False)):
        _, _, draws = begun(toys, 2, variant=variant)
        merged = merge_episodes([drawn[0] for drawn in draws])
        assert (merged.support.graphs is merged.target.graphs) is same
    _, _, draws = begun(toys, 2, variant="classical")
    merged = merge_episodes([drawn[0] for drawn in draws])
    assert merged.support is merged.target


SMALL = {"d": 6, "batch": 9, "epochs": 3, "patience": 1, "passes": 1, "variant": "esame"}


def test_runs_trained_together_end_as_each_would_alone(toys, tmp_path):
    system = SAME(SAME.Config(**SMALL))
    runs = [{"seed": k, "split_seed": k} for k in range(4)]
    alone = [system.fit(toys, out=tmp_path / f"alone-{k}", **run) for k, run in enumerate(runs)]
    told = [{**run, "out": tmp_path / f"{k}"} for k, run in enumerate(runs)]
    together = system.fit_together(toys, told)
    for k, (one, other) in enumerate(zip(together, alone, strict=True)):
        assert one.metrics == pytest.approx(dict(other.metrics), abs=0.05)
        assert one.history.metrics[0]["valid_score"] == pytest.approx(
            other.history.metrics[0]["valid_score"], abs=0.02
        )
        assert one.record["seed"] == k
        assert (tmp_path / f"{k}" / "result.json").is_file()
    assert len({run.history.metrics[0]["valid_score"] for run in together}) > 1


def test_a_run_that_ends_early_is_not_waited_for(toys, tmp_path):
    system = SAME(SAME.Config(**{**SMALL, "epochs": 1}))
    system.fit(toys, seed=0, out=tmp_path / "0")
    longer = SAME(SAME.Config(**SMALL))
    runs = [{"seed": k, "out": tmp_path / f"{k}", "resume": k == 0} for k in range(3)]
    steps = [result.record["steps"] for result in longer.fit_together(toys, runs)]
    epochs = [RunFolder(tmp_path / f"{k}").read_result()["epochs"] for k in range(3)]
    each = steps[1] // epochs[1]
    assert min(epochs) >= 2
    assert steps == [epochs_of * each for epochs_of in epochs]


def test_one_that_fails_leaves_the_others_to_go_on(toys, tmp_path):
    system = SAME(SAME.Config(**SMALL))
    (tmp_path / "file").touch()
    runs = [{"seed": 0}, {"seed": 1, "out": tmp_path / "file" / "below"}, {"seed": 2}]
    first, second, third = system.fit_together(toys, runs)
    assert isinstance(second, DataError)
    assert min(first.history.epochs, third.history.epochs) >= 2


def test_a_step_that_fails_ends_all_of_them(toys, monkeypatch):
    def fail(*_):
        raise ArithmeticError("no")

    monkeypatch.setattr("dglmeta.systems.parts.same.together.merge_episodes", fail)
    outcomes = SAME(SAME.Config(**SMALL)).fit_together(toys, [{"seed": 0}, {"seed": 1}])
    assert [type(o) for o in outcomes] == [RuntimeError] * 2
    assert isinstance(outcomes[0].__cause__, ArithmeticError)


def test_wide_encoders_are_trained_one_after_another():
    assert SAME(SAME.Config(d=64)).runs_at_once > 1
    assert SAME(SAME.Config(d=256)).runs_at_once == 1
    assert SAME(SAME.Config(d=64, batch=48)).runs_at_once == 1


def test_a_running_mean_is_kept_of_each_run(toys):
    system, states, draws = begun(toys, 2, averaging=0.5)
    for state in states:
        state.averaged.double()
    alone = copy.deepcopy(states)
    for episodes in zip(*(drawn[:3] for drawn in draws), strict=True):
        step_together(system, states, episodes)
    for state, other, drawn in zip(states, alone, draws, strict=True):
        seen = []
        for episode in drawn[:3]:
            system.step(other, episode)
            seen.append(other.model.state_dict()["encoder.weight_0"].clone())
        expected = (seen[0] + seen[1]) / 4 + seen[2] / 2  # torch begins with the first
        for one in (state, other):
            torch.testing.assert_close(one.judged.state_dict()["encoder.weight_0"], expected)
        assert not torch.equal(state.judged.state_dict()["encoder.weight_0"], seen[2])


@pytest.mark.parametrize("variant", ["isame", "esame"])
def test_on_a_gpu_a_step_of_several_is_that_on_the_processor(toys, on_cuda, variant):
    moved = []
    for device in ("cpu", "cuda"):
        system, states, draws = begun(toys, 2, variant=variant)
        for state in states:
            state.device = device
            state.model.to(on_cuda if device == "cuda" else "cpu")
        step_together(system, states, [drawn[0] for drawn in draws])
        moved.append([{k: p.cpu() for k, p in s.model.state_dict().items()} for s in states])
    for here, there in zip(*moved, strict=True):
        for name, p in here.items():
            torch.testing.assert_close(there[name], p, rtol=1e-6, atol=1e-8)
