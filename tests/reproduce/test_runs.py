"""Which runs are there, and what they came to."""

from __future__ import annotations

import dataclasses

import pytest

from dglmeta.errors import DataError
from dglmeta.reproduce.runs import Run, read_finished, stand
from dglmeta.systems import AutoLINC
from dglmeta.train import RunFolder


@pytest.fixture
def run(table):
    (run, _) = table.runs("toy/gcn", "selar", 2)
    return run


def with_config(run, **changes):
    return dataclasses.replace(run, config=dataclasses.replace(run.config, **changes))


def begin(run, folder):
    settings = dataclasses.asdict(run.config)
    RunFolder(folder).begin(run.what, settings, resume=False)


def test_an_empty_folder_is_absent_a_begun_run_begun_and_a_run_with_a_result_finished(
    run, tmp_path, write_run
):
    assert stand(run, tmp_path).state == "absent"
    begin(run, tmp_path)
    assert stand(run, tmp_path).state == "begun"
    write_run(run, tmp_path)
    assert stand(run, tmp_path).state == "finished"


@pytest.mark.parametrize("finished", [True, False])
def test_another_setting_is_a_change_and_named(run, tmp_path, write_run, finished):
    (write_run if finished else begin)(run, tmp_path)
    standing = stand(with_config(run, batch=16), tmp_path)
    assert standing.state == "changed"
    assert "batch: 8 -> 16" in standing.why


def test_a_finished_run_from_before_a_setting_there_was_has_its_default(run, tmp_path, write_run):
    write_run(run, tmp_path)
    file = tmp_path / "config.toml"
    lines = file.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("negatives =")]
    assert len(kept) == len(lines) - 1
    file.write_text("\n".join(kept))
    assert stand(run, tmp_path).state == "finished"
    assert stand(with_config(run, negatives="drawn"), tmp_path).state == "changed"
    (tmp_path / "result.json").unlink()
    assert stand(run, tmp_path).state == "changed"


@pytest.mark.parametrize(("loss", "state"), [("cross-entropy", "finished"), ("search", "changed")])
def test_a_finished_run_may_have_other_settings_that_had_no_part_in_it(
    tmp_path, write_run, loss, state
):
    run = Run(AutoLINC, "autolinc", "toy-citations", AutoLINC.Config(loss=loss), 0)
    others = with_config(run, draws=7, time_budget="2h", exploration=0.5)
    begin(run, tmp_path)
    assert stand(others, tmp_path).state == "changed"
    write_run(run, tmp_path)
    assert stand(others, tmp_path).state == state
    assert stand(with_config(others, lr=0.5), tmp_path).state == "changed"


def test_another_seed_in_the_folder_is_a_change(run, tmp_path, write_run):
    write_run(run, tmp_path)
    assert stand(dataclasses.replace(run, seed=7), tmp_path).state == "changed"


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("length", ["epochs", "patience"])
def test_a_longer_training_continues_and_a_shorter_one_begins_anew(
    run, tmp_path, write_run, length, finished
):
    (write_run if finished else begin)(run, tmp_path)
    now = getattr(run.config, length)
    assert stand(with_config(run, **{length: now + 1}), tmp_path).state == "begun"
    assert stand(with_config(run, **{length: now - 1}), tmp_path).state == "changed"


def test_tuples_are_the_lists_that_toml_gives_back(run, tmp_path, write_run):
    run = with_config(run, metapaths=("user-item-user",))
    write_run(run, tmp_path)
    assert stand(run, tmp_path).state == "finished"


def test_a_damaged_config_is_a_change_and_a_damaged_result_unfinished(run, tmp_path, write_run):
    write_run(run, tmp_path)
    (tmp_path / "result.json").write_text('{"metrics": {')
    assert stand(run, tmp_path).state == "begun"
    (tmp_path / "config.toml").write_text("[config")
    assert stand(run, tmp_path).state == "changed"


def test_the_weights_are_those_of_the_best_epoch(run, tmp_path, write_run):
    write_run(run, tmp_path, weights={"u-i-u": 0.25})
    assert read_finished(tmp_path).metrics["weight of u-i-u"] == 0.25


def test_an_unfinished_run_came_to_nothing(run, tmp_path):
    begin(run, tmp_path)
    with pytest.raises(DataError, match="finished"):
        read_finished(tmp_path)
