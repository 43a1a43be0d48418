"""Reproducing a table, mostly with a runner that trains nothing."""

from __future__ import annotations

import dataclasses
import json

import pytest

import dglmeta as dm
from dglmeta.errors import ConfigError
from dglmeta.reproduce import TABLES
from dglmeta.reproduce.command import find_table, reproduce
from dglmeta.train import RunFolder


def folders(table, row):
    return [run.path.as_posix() for c in table.columns for run in table.runs(row, c, 2)]


def test_a_first_call_runs_everything_and_a_second_nothing(table, tmp_path, fake_runner):
    first, second, lines = fake_runner(), fake_runner(), []
    one = reproduce(table, out=tmp_path, runner=first)
    two = reproduce(table, out=tmp_path, runner=second, say=lines.append)
    every = [*folders(table, "toy/gcn"), *folders(table, "toy/wide")]
    assert first.calls == [(path, False) for path in every]
    assert second.calls == []
    assert lines[0] == "small-table: 8 runs, 8 finished before, 0 to resume, 0 to begin"
    assert str(one) == str(two)


def test_what_was_begun_is_resumed_and_what_is_missing_begun(table, tmp_path, fake_runner):
    begun, done, *_ = table.runs("toy/gcn", "vanilla", 2)
    settings = dataclasses.asdict(begun.config)
    RunFolder(tmp_path / "runs" / begun.path).begin(begun.what, settings, resume=False)
    fake_runner()(done, tmp_path / "runs" / done.path, False)
    runner, lines = fake_runner(), []
    reproduce(table, rows=["toy/gcn"], out=tmp_path, runner=runner, say=lines.append)
    missing = folders(table, "toy/gcn")[2:]
    assert runner.calls == [(begun.path.as_posix(), True), *((path, False) for path in missing)]
    assert lines[0] == "small-table: 4 runs, 1 finished before, 1 to resume, 2 to begin"


@pytest.fixture
def packaged(monkeypatch):
    """Settings as if they were packaged with dglmeta."""
    settings = {}
    monkeypatch.setattr(
        "dglmeta.reproduce.table.packaged_config", lambda *_args, **_options: settings
    )
    return settings


def test_changed_settings_are_told_and_run_anew(table, tmp_path, fake_runner, packaged):
    packaged["lr"] = 0.5
    reproduce(table, out=tmp_path, runner=fake_runner())
    packaged["lr"] = 0.25
    runner, lines = fake_runner(), []
    reproduce(table, rows=["toy/gcn"], out=tmp_path, runner=runner, say=lines.append)
    assert runner.calls == [(path, False) for path in folders(table, "toy/gcn")]
    told = [line for line in lines if "run anew" in line]
    assert len(told) == 4
    assert all("lr: 0.5 -> 0.25" in line for line in told)


def test_a_row_of_other_settings_does_not_stay_in_the_table(table, tmp_path, fake_runner, packaged):
    reproduce(table, out=tmp_path, runner=fake_runner())
    packaged["lr"] = 0.25
    report = reproduce(table, rows=["toy/gcn"], out=tmp_path, runner=fake_runner())
    assert [v["row"] for v in report.facts["verdicts"]] == ["toy/gcn"]


def test_an_interruption_is_passed_on_and_the_next_call_goes_on(table, tmp_path, fake_runner):
    first, *rest = folders(table, "toy/gcn")
    lines = []
    stopped = fake_runner(fail={rest[0]: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        reproduce(table, rows=["toy/gcn"], out=tmp_path, runner=stopped, say=lines.append)
    assert lines[-1] == "small-table: interrupted with 3 runs left."
    assert not (tmp_path / "small-table.json").exists()
    again = fake_runner()
    reproduce(table, rows=["toy/gcn"], out=tmp_path, runner=again)
    assert [path for path, _ in again.calls] == rest
    assert stopped.calls == [(first, False), (rest[0], False)]


def test_rows_choose_what_is_run_and_shown(table, tmp_path, fake_runner):
    runner = fake_runner()
    report = reproduce(table, rows=["toy/wide"], out=tmp_path, runner=runner)
    assert {path for path, _ in runner.calls} == set(folders(table, "toy/wide"))
    assert {cell["row"] for cell in report.facts["cells"]} == {"toy/wide"}
    assert "toy/gcn" not in str(report)


def test_a_row_completed_before_stays_in_the_table(table, tmp_path, fake_runner):
    reproduce(table, rows=["toy/wide"], out=tmp_path, runner=fake_runner())
    report = reproduce(table, rows=["toy/gcn"], out=tmp_path, runner=fake_runner())
    assert [v["row"] for v in report.facts["verdicts"]] == ["toy/gcn", "toy/wide"]


def test_seeds_override_those_of_the_table(table, tmp_path, fake_runner):
    runner = fake_runner()
    reproduce(table, rows=["toy/gcn"], seeds=1, out=tmp_path, runner=runner)
    assert all(path.endswith("seed-0") for path, _ in runner.calls)
    assert len(runner.calls) == 2


def test_columns_choose_what_is_run_and_others_stay_that_were_finished(
    table, tmp_path, fake_runner
):
    runner = fake_runner()
    report = reproduce(table, columns=["selar"], out=tmp_path, runner=runner)
    assert len(runner.calls) == 4
    assert {cell["column"] for cell in report.facts["cells"]} == {"selar"}
    assert all(verdict["holds"] is None for verdict in report.facts["verdicts"])
    rows = ["toy/wide"]
    report = reproduce(table, rows=rows, columns=["vanilla"], out=tmp_path, runner=fake_runner())
    cells = [(cell["row"], cell["column"]) for cell in report.facts["cells"]]
    assert cells == [("toy/wide", "vanilla"), ("toy/wide", "selar")]
    assert "--rows toy/wide --columns vanilla" in str(report)
    with pytest.raises(ConfigError, match="expected columns among vanilla, selar, got hints"):
        reproduce(table, columns=["hints"], out=tmp_path, runner=fake_runner())


def test_a_quick_run_lies_apart_and_says_what_it_is(table, tmp_path, fake_runner):
    full = reproduce(table, out=tmp_path, runner=fake_runner())
    before = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    runner = fake_runner()
    report = reproduce(table, quick=True, out=tmp_path, runner=runner)
    assert len(runner.calls) == 4  # one seed a place, and nothing taken over from the full runs
    assert report.facts["quick"]
    assert "SMOKE RUN" in str(report)
    assert "SMOKE RUN" not in str(full)
    added = {p for p in tmp_path.rglob("*") if p.is_file()} - set(before)
    assert all(p.is_relative_to(tmp_path / "quick") for p in added)
    assert (tmp_path / "small-table.md").read_text() == str(full) + "\n"


def test_a_failure_is_shown_and_reported_and_leaves_the_rest(table, tmp_path, fake_runner):
    broken = folders(table, "toy/gcn")[0]
    runner = fake_runner(fail={broken: RuntimeError("no\nmemory")})
    lines = []
    report = reproduce(table, rows=["toy/gcn"], out=tmp_path, runner=runner, say=lines.append)
    assert report.failures == ("toy/gcn vanilla, seed 0: RuntimeError: no memory",)
    assert "failed (1 of 2 seeds): RuntimeError: no memory" in str(report)
    assert "undecided" in str(report)
    assert lines[1].endswith("failed: RuntimeError: no memory; 3 left")
    facts = json.loads((tmp_path / "small-table.json").read_text())
    assert facts["cells"][0]["runs"][0]["failed"] == "RuntimeError: no memory"
    assert facts["verdicts"][0]["holds"] is None
    assert not reproduce(table, rows=["toy/gcn"], out=tmp_path, runner=fake_runner()).failures


def test_a_runner_that_leaves_no_result_has_failed(table, tmp_path):
    report = reproduce(table, out=tmp_path, runner=lambda *_: None)
    assert len(report.failures) == 8
    assert all("result.json" in line for line in report.failures)


def test_json_and_markdown_hold_figures_and_where_they_come_from(table, tmp_path, fake_runner):
    auc = dict(zip(folders(table, "toy/gcn"), (0.5, 0.52, 0.7, 0.74), strict=True))
    report = reproduce(table, rows=["toy/gcn"], out=tmp_path, runner=fake_runner(auc))
    text = (tmp_path / "small-table.md").read_text()
    assert text == f"{report}\n"
    assert "0.5100 ± 0.0141 / *0.5000*" in text
    assert "0.7200 ± 0.0283 / *0.5000*" in text
    assert "`dglmeta reproduce small-table --rows toy/gcn`" in text
    assert "- vanilla at least as printed: 1 of 1" in text
    assert "Seeds: 2 for toy/gcn." in text
    assert "Source commit: c0ffee." in text
    assert "A footnote." in text
    facts = json.loads((tmp_path / "small-table.json").read_text())
    assert facts == report.facts
    entry = facts["grids"][0]["rows"][0]["entries"][1]
    assert entry["values"] == [0.7, 0.74]
    assert entry["mean"] == pytest.approx(0.72)
    assert entry["printed"] == 0.5
    cell = facts["cells"][1]
    assert (cell["row"], cell["column"], cell["data"]) == ("toy/gcn", "selar", "toy")
    assert cell["config"]["strategy"] == "selar"
    assert len(cell["config_hash"]) == 12
    assert [run["metrics"]["test_auc"] for run in cell["runs"]] == [0.7, 0.74]
    assert cell["runs"][1]["commit"] == "c0ffee"
    assert (tmp_path / cell["runs"][1]["folder"] / "result.json").is_file()


def test_no_file_is_left_half_written(table, tmp_path, fake_runner):
    reproduce(table, out=tmp_path, runner=fake_runner())
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("name", ["seeds", "jobs"])
def test_fewer_than_one_is_refused(table, tmp_path, name):
    with pytest.raises(ConfigError, match=name):
        reproduce(table, out=tmp_path, **{name: 0})


def test_an_unknown_table_lists_those_there_are(tmp_path):
    with pytest.raises(ConfigError, match=f"{', '.join(TABLES)}, got 'selar-table1'"):
        reproduce("selar-table1", out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_real_table_trains_is_judged_and_is_not_trained_again(table, tmp_path):
    loaded = []

    def load(name, root=None):
        loaded.append((name, root))
        return dm.load_dataset(name)

    report = reproduce(table, rows=["toy/gcn"], out=tmp_path, data_dir=tmp_path, load=load)
    assert report.failures == ()
    assert loaded == [("toy", tmp_path)]
    values = report.facts["grids"][0]["rows"][0]["entries"][0]["values"]
    assert len(values) == 2
    assert all(0 <= value <= 1 for value in values)
    assert report.facts["verdicts"][0]["holds"] is (sum(values) / 2 >= 0.5)
    again = reproduce(table, rows=["toy/gcn"], out=tmp_path, load=load)
    assert str(again) == str(report)
    assert len(loaded) == 1


def test_a_real_run_that_is_to_be_longer_goes_on_where_it_stopped(table, tmp_path, packaged):
    rows = {
        name: row._replace(settings={k: v for k, v in row.settings.items() if k != "epochs"})
        for name, row in table.rows.items()
    }
    table = dataclasses.replace(table, rows=rows)
    packaged["epochs"] = 3
    reproduce(table, rows=["toy/gcn"], out=tmp_path / "a")
    packaged["epochs"] = 5
    lines = []
    gone_on = reproduce(table, rows=["toy/gcn"], out=tmp_path / "a", say=lines.append)
    fresh = reproduce(table, rows=["toy/gcn"], out=tmp_path / "b")
    assert "4 to resume" in lines[0]
    assert gone_on.facts["grids"] == fresh.facts["grids"]


@pytest.mark.parametrize("name", TABLES)
def test_every_run_of_every_table_has_settings_and_a_place(name):
    table = find_table(name)
    assert table.name == name
    runs = [
        run
        for row in table.rows
        for column in table.columns
        for run in table.runs(row, column, table.rows[row].seeds)
    ]
    assert len({run.path for run in runs}) == len(set(runs)) == len(runs)
