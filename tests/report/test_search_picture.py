"""Pictures of a search and of losses say what result.json and the formula say."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from dglmeta.errors import DataError
from dglmeta.report import draw
from dglmeta.report.html import write_report
from dglmeta.report.runs import Run, group_runs
from dglmeta.report.search_picture import (
    WIDE,
    _least,
    _stairs,
    _values,
    plot_loss,
    plot_search,
    read_loss,
    read_search,
)
from dglmeta.tasks.expression import NAMED_LOSSES, named_loss
from dglmeta.train import RunFolder

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

FOUND = {
    "loss": "(y - n*u)^2",
    "latex": "",
    "score": 0.5,
    "bacc": 0.6,
    "seconds": 12.0,
    "counts": {"asked": 1000, "equality": 700, "trained": 40, "performance": 10, "odd": 2},
    "rises": [
        {"seconds": 1.0, "trained": 3, "reward": 0.3, "loss": "u*(y + n)"},
        {"seconds": 4.5, "trained": 20, "reward": 0.6, "loss": "(y - n*u)^2"},
    ],
    "finalists": [
        {"loss": "(y - n*u)^2", "latex": "", "score": 0.5, "bacc": 0.6},
        {"loss": "(u - y/n)^2", "latex": "", "score": 0.41, "bacc": 0.62},
    ],
}


def a_run(path, loss="search", *, finished=True, found=None):
    folder = RunFolder(path)
    config = {"loss": loss, "encoder": "gcn", "rho": 10.0}
    what = {"system": "autolinc", "data": "toys", "seed": 0, "split_seed": 0}
    folder.begin(what, config, resume=False)
    folder.rewrite_metrics([{"epoch": e, "valid_bacc": 0.6 + e / 10} for e in range(2)])
    if finished:
        metrics = {"test_bacc": 0.7, "valid_bacc": 0.7}
        told = {"metrics": metrics, "best_epoch": 1, "epochs": 2, "config": config, "loss": loss}
        folder.write_result({**what, **told, **({} if found is None else {"found": found})})
    return path


def text_of(path):
    return " ".join(path.read_text(encoding="utf-8").split())


def test_the_best_so_far_is_a_stair_to_the_end_of_the_search():
    assert _stairs([1.0, 4.0], [0.3, 0.6], 12.0) == ([1, 4, 4, 12], [0.3, 0.3, 0.6, 0.6])
    assert _stairs([1.0], [0.3], 0.5) == ([1, 1], [0.3, 0.3])
    seconds, trained = plot_search(read_search({"found": FOUND}))
    assert (seconds.name, trained.name) == ("search-seconds", "search-candidates")
    assert "best: 0.3 at 1, 0.6 at 12" in seconds.alt
    assert "best: 0.3 at 3, 0.6 at 40" in trained.alt


def test_a_search_that_found_nothing_better_than_nothing_has_no_picture():
    assert plot_search(read_search({"found": {**FOUND, "rises": []}})) == []


@pytest.mark.parametrize("result", [None, {}, {"found": {"loss": "u*y*n", "published": "A"}}])
def test_a_run_that_did_not_search_has_no_course(result):
    assert read_search(result) is None


@pytest.mark.parametrize("damage", ["seconds", "counts", "rises", "finalists"])
def test_a_record_of_another_form_is_refused(damage):
    found = copy.deepcopy(FOUND)
    found[damage] = [{"reward": 1}] if damage in ("rises", "finalists") else "many"
    with pytest.raises(DataError, match="expected found in result.json as autolinc writes it"):
        read_search({"found": found})


def test_what_became_of_candidates_is_told_in_the_order_of_a_search():
    assert read_search({"found": FOUND}).counted == [
        ("Candidates", "1,000"),
        ("Equal to a known one", "700"),
        ("Trained", "40"),
        ("Given up: far behind", "10"),
        ("odd", "2"),
    ]


@pytest.mark.parametrize(
    ("config", "result", "infix"),
    [
        ({"loss": "search"}, {"loss": "autolinc:(y - n*u)^2"}, "(y - n*u)^2"),
        ({"loss": "autolinc:D"}, None, "tanh(u - y/n)^2"),
        ({"loss": "search"}, None, None),
        ({"loss": "tam"}, {"loss": "tam"}, None),
    ],
)
def test_the_loss_is_the_results_or_else_the_configured_one(config, result, infix):
    found = read_loss({"system": "autolinc", "config": config}, result)
    assert (found and found.infix) == infix
    assert read_loss({"system": "selar", "config": config}, result) is None


def test_a_loss_that_is_no_formula_is_refused():
    config = {"system": "autolinc", "config": {"loss": "search"}}
    with pytest.raises(DataError, match="expected loss in result.json"):
        read_loss(config, {"loss": "autolinc:u +"})


@pytest.mark.parametrize(
    ("name", "least"),
    [  # for y = 1 and n = 20 and 2, then y = 0
        ("D", (0.05, 0.5, 0.0, 0.0)),
        ("C", (-0.45, 0.0, -0.5, -0.5)),
        ("H", (0.05, 0.58, -0.13, -0.04)),
        ("J", (7.63, 25.63, -22.62, -4.62)),
        ("M", (0.0, 0.07, -1.0, -0.93)),
    ],
)
def test_losses_are_least_where_their_formulas_are(name, least):
    alt = plot_loss(named_loss(name), 10.0).alt
    for (y, n), at in zip([(1, 20), (1, 2), (0, 20), (0, 2)], least, strict=True):
        assert f"y = {y}, N = {n}: least at {at:g}: " in alt


def test_what_has_no_least_value_is_said():
    value = np.where(np.abs(WIDE) < 2, np.nan, WIDE)
    assert _least(WIDE) == _least(-WIDE) == (None, "least nowhere")
    assert _least(np.where(WIDE > 3, WIDE, np.nan)) == (None, "least nowhere")
    assert _least(np.full_like(WIDE, 2.0)) == _least(value * np.nan) == (None, "flat")
    loss = named_loss("autolinc:n*y*exp(u)")
    assert _least(_values(loss, WIDE, 0, 2)) == (None, "flat")


def test_of_a_balanced_task_there_is_one_count():
    alt = plot_loss(named_loss("D"), 1.0).alt
    assert alt.count("N = 20") == 2
    assert "N = 2:" not in alt


def test_values_that_are_not_finite_are_left_out():
    assert "nan" not in plot_loss(named_loss("table12-gat-pubmed"), 10.0).alt


def test_every_published_formula_can_be_read():
    from matplotlib.mathtext import MathTextParser

    parser = MathTextParser("path")
    assert all(parser.parse(f"${named_loss(name).latex}$").width > 0 for name in NAMED_LOSSES)


LONGEST = sorted(NAMED_LOSSES, key=lambda name: named_loss(name).length)[-2:]


@pytest.mark.parametrize("name", ["A", *LONGEST])
def test_a_formula_is_the_title_and_fits(name, monkeypatch):
    heads = []
    drawn = draw._png

    def kept(figure):
        png = drawn(figure)
        box = figure._suptitle.get_window_extent(figure.canvas.get_renderer())
        heads.append((figure._suptitle.get_text(), box.x0, box.x1, figure.bbox.width))
        return png

    monkeypatch.setattr(draw, "_png", kept)
    plot_loss(named_loss(name), 10.0)
    ((text, left, right, width),) = heads
    assert text == f"${named_loss(name).latex}$"
    assert 0 <= left < right <= width


def test_a_formula_that_cannot_be_read_leaves_the_title(monkeypatch):
    titles = []
    monkeypatch.setattr(draw, "_png", lambda f: titles.append(f._suptitle.get_text()) or b"")
    axes = draw.Axes("logit", "loss")
    draw.picture("p", "Loss u", [draw.Line("", [0, 1], [0, 1])], axes, formula=r"\nothing{u")
    assert titles == ["Loss u"]


def test_the_page_tells_the_loss_its_search_and_the_finalists(tmp_path):
    run = a_run(tmp_path / "run", found=FOUND, loss="autolinc:(y - n*u)^2")
    written = write_report([run], tmp_path / "page.html")
    text = text_of(tmp_path / "page.html")
    names = {path.name for path in written}
    assert {"loss.png", "search-seconds.png", "search-candidates.png"} <= names
    assert "The mean over nodes and classes of (y - n*u)^2" in text
    assert "<dd>12 s</dd>" in text
    assert '(u - y/n)^2</th><td class="number">0.4100</td><td class="number">0.6200' in text
    assert "balanced accuracy" in text
    assert "Not in this run" not in text


def test_a_search_of_another_run_is_told_to_be(tmp_path):
    run = a_run(tmp_path / "run", loss="autolinc:(y - n*u)^2", found={**FOUND, "from": "runs/far"})
    write_report([run], tmp_path / "page.html")
    assert "<dt>Found in</dt><dd>runs/far</dd>" in text_of(tmp_path / "page.html")


def test_a_run_with_a_given_loss_has_its_picture_only(tmp_path):
    run = a_run(tmp_path / "run", "autolinc:D", finished=False)
    written = write_report([run], tmp_path / "page.html")
    assert {path.name for path in written[1:]} == {"validation-bacc.png", "loss.png"}
    assert "<h3>Search</h3>" not in text_of(tmp_path / "page.html")


def test_a_baseline_is_said_to_have_no_such_picture(tmp_path):
    run = a_run(tmp_path / "run", "tam")
    write_report([run], tmp_path / "page.html")
    text = text_of(tmp_path / "page.html")
    assert "No picture of its loss: only a loss that is a formula of one logit has one." in text
    assert "No course of a search: only a finished run whose loss was searched for" in text


def test_runs_are_told_apart_by_their_loss(tmp_path):
    runs = [Run.read(a_run(tmp_path / loss, loss)) for loss in ("tam", "renode")]
    assert [group.name for group in group_runs(runs)] == ["tam", "renode"]
    assert runs[0].title == "autolinc gcn tam on toys, seed 0"
