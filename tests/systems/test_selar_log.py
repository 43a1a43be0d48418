"""What an epoch says of itself is what plots read."""

import json

import numpy as np
import pytest

from dglmeta.systems import SELAR
from dglmeta.systems.parts.selar.log import LOSSES

CLASSES = ("metapath", "degree", "distance", "pagerank", "partition")
PATHS = ["user-[rated]-item-[has]-tag-[~has]-item", "user-[rated]-item-[~rated]-user-[rated]-item"]
TASKS = ["rated", *PATHS, "degree", "distance", "pagerank", "partition"]


def epochs_of(ds, **settings):
    given = {"batch": 8, "d": 4, "weighter_hidden": 10, "epochs": 2, **settings}
    epochs = SELAR(SELAR.Config(**given)).fit(ds).history.metrics
    assert json.loads(json.dumps(epochs)) == epochs
    return epochs


@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_all_is_logged_by_task_and_the_primary_one_comes_first(toy, protocol):
    for epoch in epochs_of(toy, strategy="selar+hint", auxiliary=CLASSES, protocol=protocol):
        assert list(epoch["train_loss"]) == TASKS
        assert all(loss > 0 for loss in epoch["train_loss"].values())
        assert list(epoch["task_weights"]) == TASKS
        assert epoch["task_weights"]["rated"] == 1
        assert list(epoch["hint_weights"]) == PATHS
        assert all(0 < c < 1 for c in epoch["hint_weights"].values())


def test_curves_are_of_v_over_losses_by_task_and_label(toy):
    for epoch in epochs_of(toy, auxiliary=CLASSES):
        assert epoch["weighting"]["loss"] == LOSSES
        curves = epoch["weighting"]["curves"]
        for task in TASKS[:3]:
            assert set(curves[task]) == {"0", "1"}
        for task in TASKS[3:]:
            assert set(curves[task]) == {"1"}
        every = [curve for of_task in curves.values() for curve in of_task.values()]
        assert all(len(curve) == len(LOSSES) for curve in every)
        assert all(0 < v < 1 for curve in every for v in curve)


def test_curves_are_what_v_gives_there(begin):
    selar, state, _ = begin(auxiliary=("metapath", "degree"))
    list(selar.epoch(state, np.random.default_rng(0)))
    curves = selar.log(state)["weighting"]["curves"]
    v = state.weighing.weighter
    xi = np.zeros((2, 5), np.float32)
    xi[:, 0], xi[:, -1] = LOSSES[4], 1
    xi[1, 3] = 1  # the third auxiliary task
    expected = v(v.weight_in.new_tensor(xi)).tolist()
    assert curves["rated"]["1"][4] == pytest.approx(expected[0], abs=1e-4)
    assert curves["degree"]["1"][4] == pytest.approx(expected[1], abs=1e-4)


@pytest.mark.parametrize(
    ("strategy", "logged"),
    [
        ("vanilla", {"train_loss"}),
        ("multi-task", {"train_loss"}),
        ("weights-only", {"train_loss", "task_weights", "weighting"}),
        ("selar", {"train_loss", "task_weights", "weighting"}),
        ("selar+hint", {"train_loss", "task_weights", "weighting", "hint_weights"}),
    ],
)
def test_a_strategy_logs_what_it_has(toy, strategy, logged):
    for epoch in epochs_of(toy, strategy=strategy):
        said = {name for name in epoch if name != "epoch" and not name.startswith("valid_")}
        assert said == logged


def test_plots_draw_all_of_it(labelled):
    pytest.importorskip("matplotlib")
    pytest.importorskip("PIL.Image")
    from dglmeta.report.plots import plot_run

    settings = {"strategy": "selar+hint", "auxiliary": ("metapath", "degree"), "epochs": 2}
    drawn = plot_run(epochs_of(labelled, **settings), best=1)
    assert {kind: len(pictures) for kind, pictures in drawn.items()} == {
        "validation": 2,
        "train_loss": 1,
        "task_weights": 1,
        "hint_weights": 1,
        "weighting": 4,
    }
