"""Runs that an earlier page tells of are not run again."""

from __future__ import annotations

import json

import pytest

from dglmeta.errors import DataError
from dglmeta.reproduce.command import reproduce


def numbers(report):
    return report.facts["grids"], report.facts["verdicts"]


def test_runs_of_a_page_give_the_same_table_elsewhere(table, tmp_path, fake_runner):
    one = reproduce(table, out=tmp_path / "here", runner=fake_runner())
    again, lines = fake_runner(), []
    page = tmp_path / "here" / "small-table.json"
    two = reproduce(table, out=tmp_path / "there", runner=again, known=page, say=lines.append)
    assert again.calls == []
    assert lines[0] == f"small-table: 8 runs taken over from {page}"
    assert numbers(two) == numbers(one)
    third = reproduce(table, out=tmp_path / "there", runner=again, known=page, say=lines.append)
    assert numbers(third) == numbers(one)  # what is there stays
    assert f"small-table: 0 runs taken over from {page}" in lines


def test_what_a_page_lacks_or_has_otherwise_is_run(table, tmp_path, fake_runner):
    reproduce(table, out=tmp_path / "here", runner=fake_runner(), rows=["toy/gcn"])
    page = tmp_path / "here" / "small-table.json"
    told = json.loads(page.read_text())
    cell = told["cells"][0]
    cell["config"]["lr"] = 0.123
    failed = told["cells"][1]["runs"][0]
    failed.pop("metrics")
    failed["failed"] = "out of memory"
    page.write_text(json.dumps(told))
    runner = fake_runner()
    reproduce(table, out=tmp_path / "there", runner=runner, rows=["toy/gcn"], known=page)
    anew = [run["folder"].removeprefix("runs/") for run in [*cell["runs"], failed]]
    assert [path for path, _ in runner.calls] == anew


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": [{}]}', '{"cells": [{"runs": [1]}]}'])
def test_a_file_that_is_no_page_is_refused(table, tmp_path, fake_runner, text):
    page = tmp_path / "page.json"
    page.write_text(text)
    runner = fake_runner()
    with pytest.raises(DataError, match="expected the JSON that reproduce writes in .*page.json"):
        reproduce(table, out=tmp_path, runner=runner, known=page)
    with pytest.raises(DataError, match="expected a page's JSON in .*none.json"):
        reproduce(table, out=tmp_path, runner=runner, known=tmp_path / "none.json")
    assert runner.calls == []
