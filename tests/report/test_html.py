"""The page shows every run, says what is not there, and needs nothing but itself."""

from __future__ import annotations

import base64
import json
import math
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dglmeta.errors import DataError, DglmetaError
from dglmeta.report.html import write_report
from dglmeta.report.runs import Run, group_runs
from dglmeta.train import RunFolder

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

TASKS = ("rated", "user-[likes]-item-[~likes]-user", 'a<b & "c" $x_$')
PNG = b"\x89PNG\r\n\x1a\n"
VOID = {"meta", "img", "br", "hr", "link"}


def a_log(epochs: int, *, weighted: bool, shift: float = 0.0) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl whose best epoch is the last but one."""
    lines: list[dict[str, Any]] = []
    for e in range(epochs):
        auc = 0.6 + 0.02 * e + shift - (0.05 if e == epochs - 1 else 0)
        line: dict[str, Any] = {"epoch": e, "valid_auc": auc, "valid_ap": auc - 0.1}
        line["train_loss"] = {t: 0.7 / (1 + e + k) for k, t in enumerate(TASKS)}
        if weighted:
            line["task_weights"] = {t: 1 + 0.1 * k * e for k, t in enumerate(TASKS)}
            curves = {t: {"0": [0.5, 0.4], "1": [0.5, 0.6 + 0.01 * e]} for t in TASKS[:2]}
            curves[TASKS[2]] = {"1": [0.2, 0.3]}
            line["weighting"] = {"loss": [0.0, 5.0], "curves": curves}
        lines.append(line)
    return lines


def a_run(
    path: Path,
    strategy: str = "selar",
    seed: int = 0,
    *,
    data: str = "planted",
    finished: bool = True,
    lines: list[dict[str, Any]] | None = None,
    **settings: Any,
) -> Path:
    """A run's folder, written by what writes it in training."""
    folder = RunFolder(path)
    config = {"encoder": "gcn", "strategy": strategy, "lr": 0.01, "bias": True, "labels": "",
              **settings}  # fmt: skip
    what = {"system": "selar", "data": data, "seed": seed, "split_seed": 0}
    folder.begin(what, config, resume=False)
    if lines is None:
        lines = a_log(5, weighted=strategy == "selar", shift=0.01 * seed)
    folder.rewrite_metrics(lines)
    if finished:
        best = max(lines, key=lambda e: e["valid_auc"])
        metrics = {"test_auc": 0.8 + 0.02 * seed, "valid_auc": best["valid_auc"]}
        folder.write_result(
            {**what, "metrics": metrics, "best_epoch": best["epoch"], "epochs": len(lines),
             "steps": 1234, "seconds_per_step": {"median": 0.0177, "p10": 0.015, "p90": 0.021},
             "seconds_total": 95.3, "peak_rss_mib": 1610.2, "config": config,
             "versions": {"torch": "2.13.0"}, "commit": "f" * 40}
        )  # fmt: skip
    return path


class Page(HTMLParser):
    """Elements with their attributes, the visible text, and whether every tag is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.raw = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.pieces: list[str] = []
        self.feed(self.raw)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, list[Path], list[Path]]:
    """Page, runs and written files of a report on runs of all sorts."""
    root = tmp_path_factory.mktemp("runs")
    runs = [
        a_run(root / "s0", "selar", 0),
        a_run(root / "s1", "selar", 1),
        a_run(root / "v0", "vanilla", 0),
        a_run(root / "open", "selar", 2, finished=False),
        a_run(root / "odd", "selar", 0, data="<i>mine</i> & 'yours'"),
    ]
    written = write_report(runs, root / "report.html")
    return Page(root / "report.html"), runs, written


@pytest.fixture(scope="module")
def page(several: tuple[Page, list[Path], list[Path]]) -> Page:
    return several[0]


def test_the_page_is_well_formed_and_says_its_title_and_language(page):
    assert page.open == []
    assert page.raw.lstrip().startswith("<!DOCTYPE html>")
    assert page.of("html") == [{"lang": "en"}]
    assert "5 training runs" in page.text
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_nothing_is_fetched_and_no_script_runs(page):
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") for name in attributes)
        assert "srcset" not in attributes
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in page.raw
    assert "@import" not in page.raw
    assert "//" not in page.raw.partition("<body>")[0]


def test_every_link_leads_to_a_part_of_the_page(page):
    ids = {a["id"] for _, a in page.elements if "id" in a}
    links = {(a["href"] or "")[1:] for a in page.of("a")}
    assert links == ids == {"comparison", *(f"run-{k}" for k in range(1, 6))}


def test_every_picture_is_a_png_and_is_told_in_words(page):
    assert len(page.of("img")) == len(page.of("figure")) > 20
    for image in page.of("img"):
        kind, _, data = (image["src"] or "").partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(PNG)
        assert len(image["alt"] or "") > 40


def test_names_of_data_and_tasks_are_text_and_never_markup(page):
    assert "<i>" not in page.raw
    assert "<i>mine</i> & 'yours'" in page.text
    assert all(task in page.text for task in TASKS)
    assert any(TASKS[2] in (image["alt"] or "") for image in page.of("img"))


def test_every_run_is_shown_with_its_folder(several):
    page, runs, _ = several
    assert all(str(run) in page.text for run in runs)
    assert len(page.of("article")) == len(runs)
    for title in ("selar vanilla gcn on planted, seed 0", "selar gcn on planted, seed 1"):
        assert title in page.text


def test_headline_cost_settings_and_versions_are_written_for_people(page):
    assert "AUC 0.8000 validation 0.6600" in page.text
    assert "With the state of epoch 3, the best of 5" in page.text
    for told in ("17.7 ms", "15 ms to 21 ms", "1,234", "1 min 35 s", "1.57 GiB", "torch 2.13.0"):
        assert told in page.text
    assert "lr 0.01" in page.text
    assert "bias yes" in page.text
    assert "labels none" in page.text
    assert "f" * 12 in page.text
    assert "f" * 13 not in page.text


def test_task_weights_are_a_table_of_first_best_and_last_epoch(page):
    assert "Task first, epoch 0 best, epoch 3 last, epoch 4" in page.text
    assert f"{TASKS[1]} 1.0000 1.3000 1.4000" in page.text


def test_runs_that_differ_by_seed_only_are_averaged_and_unfinished_ones_do_not_count(page):
    spread = math.sqrt(2) * 0.01
    assert f"selar planted 0, 1 0.8100 ± {spread:.4f}" in page.text
    assert "vanilla planted 0 0.8000" in page.text
    assert "selar gcn 2 not finished" in page.text


def test_validation_of_runs_on_one_data_set_is_drawn_together(page):
    alts = [image["alt"] or "" for image in page.of("img")]
    (planted,) = (a for a in alts if a.startswith("Validation AUC, planted."))
    assert "selar: " in planted
    assert "vanilla: " in planted
    assert not any("<i>mine</i>" in a for a in alts)  # a lone run there has nothing beside it


def test_what_was_not_logged_is_said_with_the_reason(page):
    why = "only a strategy that learns sample weights logs them; its strategy is vanilla."
    assert f"No task weights: {why}" in page.text
    assert f"No weighting curves: {why}" in page.text
    assert page.text.count("No hint weights: only a strategy with hints logs them") == 5
    assert "No losses by task" not in page.text


def test_pictures_are_written_beside_each_run_and_named(several):
    page, runs, written = several
    assert written[0].name == "report.html"
    assert {p.parent for p in written[1:]} == {run / "plots" for run in runs}
    assert all(p.read_bytes().startswith(PNG) and p.stat().st_size > 3000 for p in written[1:])
    names = {p.name for p in (runs[0] / "plots").iterdir()}
    assert {"validation-auc.png", "train-loss.png", "task-weights.png"} <= names
    assert sum(name.startswith("weighting-") for name in names) == len(TASKS)
    assert not any(
        name.startswith("weighting-") for name in map(str, (runs[2] / "plots").iterdir())
    )


def test_an_unfinished_run_shows_its_curves_and_the_best_epoch_so_far(tmp_path):
    run = a_run(tmp_path / "run", finished=False)
    write_report([run], tmp_path / "page.html")
    page = Page(tmp_path / "page.html")
    assert "seed 0, not finished" in page.text
    assert "This run is not finished: it has no result.json" in page.text
    assert any("Best epoch: 3." in (image["alt"] or "") for image in page.of("img"))
    assert "Comparison" not in page.text


def test_a_cut_off_last_line_is_left_out_and_noted(tmp_path):
    run = a_run(tmp_path / "run", finished=False)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 5, "valid_a')
    read = Run.read(run)
    assert len(read.epochs) == 5
    assert "last line of metrics.jsonl, number 6, is damaged" in read.notes[0]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"epoch": 1, "val', "in line 2: "),
        ("[1, 2]", "in line 2: no object with a whole number as epoch"),
        ('{"epoch": 1, "task_weights": [1.0]}', "task_weights: expected an object, got list"),
        ('{"epoch": 1, "valid_auc": "high"}', "valid_auc: expected a number, got 'high'"),
        ('{"epoch": 1, "weighting": {"loss": [0], "curves": {"t": {"1": [1, 2]}}}}',
         "weighting: expected 1 values a curve"),
    ],
)  # fmt: skip
def test_other_damage_is_refused_by_file_and_line(tmp_path, line, told):
    run = a_run(tmp_path / "run")
    first = json.dumps({"epoch": 0})
    (run / "metrics.jsonl").write_text(f"{first}\n{line}\n{json.dumps({'epoch': 2})}\n")
    with pytest.raises(DataError) as caught:
        write_report([run], tmp_path / "page.html")
    assert told in str(caught.value)
    assert str(run / "metrics.jsonl") in str(caught.value)
    assert not (tmp_path / "page.html").exists()


def test_a_run_that_logged_nothing_still_has_a_page(tmp_path):
    run = a_run(tmp_path / "run", "vanilla", finished=False, lines=[])
    written = write_report([run], tmp_path / "page.html")
    page = Page(tmp_path / "page.html")
    assert written == [tmp_path / "page.html"]
    assert page.of("img") == []
    assert "No validation metrics: no epoch was finished." in page.text
    assert "No losses by task: the system that wrote this run does not log them." in page.text


def test_values_that_are_no_number_leave_a_gap(tmp_path):
    lines = [{"epoch": 0, "valid_auc": None}, {"epoch": 1, "valid_auc": 0.7},
             {"epoch": 2, "valid_auc": math.nan}]  # fmt: skip
    run = a_run(tmp_path / "run", finished=False, lines=lines)
    write_report([run], tmp_path / "page.html")
    (image,) = Page(tmp_path / "page.html").of("img")
    assert "AUC: 0.7 at 1, 0.7 at 1. Best epoch: 1." in (image["alt"] or "")


def test_a_result_about_other_epochs_than_were_logged_is_noted(tmp_path):
    run = a_run(tmp_path / "run")
    RunFolder(run).append_metrics({"epoch": 5, "valid_auc": 0.7})
    assert "metrics.jsonl has 6 epochs and result.json is about 5" in Run.read(run).notes[0]


@pytest.mark.parametrize("text", ['{"metr', "[]", "{}"])
def test_a_damaged_result_is_refused(tmp_path, text):
    run = a_run(tmp_path / "run", lines=[{"epoch": 0, "valid_auc": 0.5}])
    (run / "result.json").write_text(text)
    with pytest.raises(DataError, match=r"expected .*result\.json"):
        write_report([run], tmp_path / "page.html")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected a run's folder, got .*gone"):
        write_report([tmp_path / "gone"], tmp_path / "page.html")
    with pytest.raises(DataError, match=r"expected a run's config at .*config\.toml"):
        write_report([tmp_path], tmp_path / "page.html")
    with pytest.raises(DataError, match="at least one run's folder"):
        write_report([], tmp_path / "page.html")


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    run = a_run(tmp_path / "run", lines=[{"epoch": 0, "valid_auc": 0.5}])
    with pytest.raises(DataError, match="expected a folder at .*nowhere"):
        write_report([run], tmp_path / "nowhere" / "page.html")
    (tmp_path / "page.html").mkdir()
    with pytest.raises(DataError, match=r"expected to write .*page\.html"):
        write_report([run], tmp_path / "page.html")


def test_pictures_that_cannot_be_written_are_noted_and_still_on_the_page(tmp_path):
    run = a_run(tmp_path / "run", lines=[{"epoch": 0, "valid_auc": 0.5}])
    (run / "plots").write_text("a file where the folder should be")
    assert write_report([run], tmp_path / "page.html") == [tmp_path / "page.html"]
    page = Page(tmp_path / "page.html")
    assert "Its pictures could not be written beside it" in page.text
    assert len(page.of("img")) == 1


def test_a_run_given_twice_counts_once(tmp_path, monkeypatch):
    run = a_run(tmp_path / "run", lines=[{"epoch": 0, "valid_auc": 0.5}])
    monkeypatch.chdir(tmp_path)
    write_report([run, Path("run")], tmp_path / "page.html")
    assert len(Page(tmp_path / "page.html").of("article")) == 1


def test_a_missing_extra_says_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(DglmetaError, match=r"found no jinja2\. Type: pip install 'dglmeta\[report"):
        write_report([tmp_path], tmp_path / "page.html")


def test_groups_are_named_by_what_sets_them_apart(tmp_path):
    options = [{}, {"seed": 1}, {"lr": 0.5}, {"encoder": "gat"}, {"data": "other"}]
    folders = [a_run(tmp_path / str(k), lines=[], finished=False, **o)
               for k, o in enumerate(options)]  # fmt: skip
    groups = group_runs([Run.read(folder) for folder in folders])
    assert [(g.name, g.data, len(g.runs)) for g in groups] == [
        ("gcn, lr 0.01", "planted", 2),
        ("gcn, lr 0.5", "planted", 1),
        ("gat", "planted", 1),
        ("gcn", "other", 1),
    ]


def test_a_run_of_another_system_is_not_said_to_lack_what_selar_has(tmp_path):
    from dglmeta.data import load_dataset
    from dglmeta.systems import SAME

    config = SAME.Config(variant="esame", epochs=1, passes=1, d=4, batch=8)
    SAME(config).fit(load_dataset("toy-graphs"), out=tmp_path / "run")
    write_report([tmp_path / "run"], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "GC accuracy" in text
    assert "hint weights" not in text
    assert "signatures" not in text
