"""Pictures show all that was logged, in plots that can be read."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest

from dglmeta.report import draw
from dglmeta.report.plots import plot_comparison, plot_run

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


def pixels(picture):
    with Image.open(io.BytesIO(picture.png)) as image:
        return np.asarray(image.convert("RGB"))


def has_colour(picture, colour):
    """Whether enough pixels for a line are within rounding of a colour."""
    wanted = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return int((np.abs(pixels(picture).astype(int) - wanted).max(-1) <= 6).sum()) > 100


def weights(tasks, n_epochs=3):
    return [{"epoch": e, "task_weights": {t: 1 + 0.1 * e * k for k, t in enumerate(tasks)}}
            for e in range(n_epochs)]  # fmt: skip


def test_nothing_logged_is_nothing_drawn():
    assert all(pictures == [] for pictures in plot_run([], None).values())
    assert all(pictures == [] for pictures in plot_run([{"epoch": 0}], 0).values())


def test_a_metric_has_its_own_plot_which_names_the_best_epoch():
    epochs = [
        {"epoch": e, "valid_auc": 0.5 + e / 10, "valid_recall_at_10": e / 9} for e in range(3)
    ]
    auc, recall = plot_run(epochs, 1)["validation"]
    assert (auc.name, recall.name) == ("validation-auc", "validation-recall-at-10")
    assert auc.alt == "Validation AUC. AUC over epoch. AUC: 0.5 at 0, 0.7 at 2. Best epoch: 1."
    assert "recall@10" in recall.alt


def test_a_single_epoch_is_a_dot_that_can_be_seen():
    (picture,) = plot_run([{"epoch": 0, "valid_auc": 0.5}], None)["validation"]
    assert has_colour(picture, draw.COLOURS[0])


def test_every_task_is_a_line_in_a_colour_of_its_own():
    (picture,) = plot_run(weights("abcd"), 1)["task_weights"]
    assert all(has_colour(picture, colour) for colour in draw.COLOURS[:4])
    assert not any(has_colour(picture, colour) for colour in draw.COLOURS[4:6])


def test_a_task_keeps_its_colour_in_all_plots_of_a_run():
    epochs = [{"epoch": e, "train_loss": {"a": 1.0 + e, "b": 2.0}, "hint_weights": {"b": 0.5}}
              for e in range(2)]  # fmt: skip
    (picture,) = plot_run(epochs, None)["hint_weights"]
    assert picture.alt.startswith("Hints of b.")
    assert has_colour(picture, draw.COLOURS[1])
    assert not has_colour(picture, draw.COLOURS[0])


@pytest.mark.parametrize(("n_tasks", "n_plots"), [(8, 1), (9, 2), (17, 3)])
def test_more_than_eight_tasks_are_spread_over_plots(n_tasks, n_plots):
    tasks = [f"task {k}" for k in range(n_tasks)]
    pictures = plot_run(weights(tasks), None)["task_weights"]
    assert len({p.name for p in pictures}) == len(pictures) == n_plots
    told = [[t for t in tasks if f"{t}: " in p.alt] for p in pictures]
    assert sorted(t for part in told for t in part) == sorted(tasks)
    assert max(map(len, told)) <= 8


def test_long_names_go_below_the_axes_and_make_the_picture_taller():
    (short,) = plot_run(weights(["a", "b"]), None)["task_weights"]
    (long,) = plot_run(weights(["a" * 200, "b " * 60]), None)["task_weights"]
    assert pixels(long).shape[0] > pixels(short).shape[0]
    assert pixels(long).shape[1] == pixels(short).shape[1]


@pytest.mark.parametrize("name", ["_hidden", "$x_$ and $", "a\\b", "<&>", "漢字", "", "{x} %s"])
def test_any_name_can_be_drawn(name):
    curves = {"loss": [0.0, 1.0], "curves": {name: {"1": [0.1, 0.2]}}}
    epochs = [{"epoch": 0, "task_weights": {name: 1.0, "b" * 30: 2.0}, "weighting": curves}]
    drawn = plot_run(epochs, 0)
    assert [len(drawn[kind]) for kind in ("task_weights", "weighting")] == [1, 1]


def test_weighting_is_drawn_by_label_at_first_best_and_last_epoch():
    epochs = [
        {"epoch": e, "weighting": {"loss": [0.0, 5.0], "curves": {
            "links": {"0": [0.5, 0.1 * e], "1": [0.5, 0.6]}, "classes": {"1": [0.3, 0.4]}}}}
        for e in range(5)
    ]  # fmt: skip
    links, classes = plot_run(epochs, 2)["weighting"]
    for told in (
        "label 0: first, epoch 0: 0.5 at 0, 0 at 5",
        "label 0: best, epoch 2: 0.5 at 0, 0.2 at 5",
        "label 1: last, epoch 4: 0.5 at 0, 0.6 at 5",
    ):
        assert told in links.alt
    assert "epoch 1" not in links.alt
    assert "label" not in classes.alt
    assert has_colour(links, draw.COLOURS[1])
    assert not has_colour(classes, draw.COLOURS[1])


def test_a_group_is_told_by_the_mean_over_epochs_that_all_its_runs_reached():
    short = [{"epoch": e, "valid_auc": 0.5 + 0.1 * e} for e in range(2)]
    long = [{"epoch": e, "valid_auc": 0.7 + 0.1 * e} for e in range(4)]
    (picture,) = plot_comparison("data", {"both": [(short, 1), (long, 3)], "one": [(long, 3)]})
    assert "both: 0.6 at 0, 0.7 at 1; one: 0.7 at 0, 1 at 3." in picture.alt


def test_runs_without_an_epoch_in_common_are_still_drawn():
    early, late = ([{"epoch": e, "valid_auc": 0.5}] for e in (0, 1))
    (picture,) = plot_comparison("data", {"both": [(early, 0), (late, 1)]})
    assert has_colour(picture, draw.COLOURS[0])


def test_names_at_lines_that_end_together_are_moved_apart():
    places = draw._apart([0.5, 0.5, 0.98, 0.99, 0.1], 0.1)
    assert sorted(places)[-1] <= 1.0
    assert np.diff(sorted(places)).min() >= 0.1 - 1e-12
    assert places[4] == 0.1
    assert places[2] < places[3]


def test_the_same_log_gives_the_same_bytes():
    first, second = (plot_run(weights("ab"), 1)["task_weights"][0].png for _ in range(2))
    assert first == second


def test_drawing_opens_no_window_and_changes_no_setting():
    # The setting "backend" is left out: to read it loads pyplot.
    code = (
        "import sys, matplotlib\n"
        "from dglmeta.report.plots import plot_run\n"
        "def settings(): return {k: matplotlib.rcParams[k] for k in matplotlib.rcParams "
        "if k != 'backend'}\n"
        "before = settings()\n"
        "plot_run([{'epoch': 0, 'valid_auc': 0.5}], 0)\n"
        "print(settings() == before, 'matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
