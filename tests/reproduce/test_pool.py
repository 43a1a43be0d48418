"""Training many runs."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os

import pytest

from dglmeta.reproduce.pool import THREADS, execute
from dglmeta.reproduce.runs import Trainer, read_finished, stand

HELPERS = """
import json, os, time
from pathlib import Path

def tell_threads(run, folder, resume):
    import torch
    threads = [torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]]
    (folder / "threads.json").write_text(json.dumps(threads))

def die_at_seed_0(run, folder, resume):
    if run.seed == 0:
        os._exit(1)
    (folder / "here").touch()

def sleep_at_seed_1(run, folder, resume):
    if run.seed == 1:
        (folder / "asleep").touch()
        time.sleep(100)
    else:
        while not (folder.parent / "seed-1" / "asleep").is_file():
            time.sleep(0.05)
    (folder / "here").touch()
"""


@pytest.fixture
def helpers(tmp_path, monkeypatch):
    """Runners that a process started anew can import."""
    (tmp_path / "pool_helpers.py").write_text(HELPERS)
    monkeypatch.syspath_prepend(tmp_path)
    import pool_helpers

    return pool_helpers


@pytest.fixture
def todo(table):
    return [(run, False) for run in table.runs("toy/gcn", "selar", 3)]


def collect():
    outcomes = {}
    return outcomes, lambda run, error: outcomes.__setitem__(run.seed, error)


def test_one_that_fails_does_not_stop_the_others(todo, tmp_path, fake_runner):
    failure = ZeroDivisionError("no")
    runner = fake_runner(fail={todo[0][0].path.as_posix(): failure})
    outcomes, done = collect()
    execute(todo, tmp_path, runner, jobs=1, done=done)
    assert outcomes == {0: failure, 1: None, 2: None}


def test_a_run_that_another_process_trains_is_left_alone(todo, tmp_path, fake_runner):
    runner, (outcomes, done) = fake_runner(), collect()
    inner, inner_done = collect()

    def nested(run, folder, resume):
        execute([(run, resume)], tmp_path, runner, jobs=1, done=inner_done)

    execute(todo[:1], tmp_path, nested, jobs=1, done=done)
    assert outcomes == {0: None}
    assert "another process" in str(inner[0])
    assert runner.calls == []


@pytest.mark.slow
@pytest.mark.dist
def test_processes_give_what_one_gives(todo, tmp_path):
    for jobs in (1, 2):
        outcomes, done = collect()
        execute(todo, tmp_path / str(jobs), Trainer(), jobs=jobs, done=done)
        assert outcomes == dict.fromkeys(range(3))
    for run, _ in todo:
        one, two = (read_finished(tmp_path / str(jobs) / run.path) for jobs in (1, 2))
        assert one.metrics == two.metrics
        assert stand(run, tmp_path / "2" / run.path).state == "finished"


@pytest.mark.dist
def test_a_process_has_one_thread_and_ours_keeps_its_environment(todo, tmp_path, helpers):
    before = {name: os.environ.get(name) for name in THREADS}
    outcomes, done = collect()
    execute(todo[:1], tmp_path, helpers.tell_threads, jobs=2, done=done)
    assert outcomes == {0: None}
    assert (tmp_path / todo[0][0].path / "threads.json").read_text() == '[1, "1"]'
    assert {name: os.environ.get(name) for name in THREADS} == before


@pytest.mark.slow
@pytest.mark.dist
def test_after_a_process_dies_the_rest_is_still_run(todo, tmp_path, helpers):
    todo = [*todo, *[(dataclasses.replace(r, name="other"), x) for r, x in todo]]
    seen = []
    execute(todo, tmp_path, helpers.die_at_seed_0, jobs=2, done=lambda *a: seen.append(a))
    assert sorted(str(run.path) for run, _ in seen) == sorted(str(r.path) for r, _ in todo)
    failed = {run for run, error in seen if error is not None}
    assert {run for run, _ in todo if run.seed == 0} <= failed
    assert all((tmp_path / run.path / "here").is_file() for run, error in seen if error is None)
    assert len(failed) < len(todo)


@pytest.mark.dist
def test_an_interruption_ends_the_processes(todo, tmp_path, helpers):
    def interrupt(_run, _error):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(todo, tmp_path, helpers.sleep_at_seed_1, jobs=2, done=interrupt)
    assert not (tmp_path / todo[1][0].path / "here").exists()
    assert not [c for c in multiprocessing.active_children() if "Spawn" in type(c).__name__]


class Together:
    """A runner that notes what it is given at once."""

    def __init__(self):
        self.given = []

    def __call__(self, run, folder, resume):
        self.given.append([run.seed])

    def together(self, runs):
        self.given.append([run.seed for run, _, _ in runs])
        return [ZeroDivisionError("no") if run.seed == 1 else None for run, _, _ in runs]


def test_runs_of_a_cell_are_trained_together_where_that_pays(todo, tmp_path, monkeypatch):
    outcomes, done = collect()
    execute(todo, tmp_path / "apart", apart := Together(), jobs=1, done=done)
    monkeypatch.setattr(todo[0][0].system, "runs_at_once", 2)
    execute(todo, tmp_path / "both", both := Together(), jobs=1, done=done)
    assert apart.given == [[0], [1], [2]]
    assert both.given == [[0, 1], [2]]
    assert [type(outcomes[k]) for k in range(3)] == [type(None), ZeroDivisionError, type(None)]


def test_one_of_several_that_another_process_trains_is_left_to_it(todo, tmp_path, monkeypatch):
    monkeypatch.setattr(todo[0][0].system, "runs_at_once", 3)
    outcomes, done = collect()

    class Nested(Together):
        def together(self, runs):
            execute(todo[:1], tmp_path, Together(), jobs=1, done=done)
            return super().together(runs)

    execute(todo, tmp_path, runner := Nested(), jobs=1, done=lambda run, error: None)
    assert "another process" in str(outcomes[0])
    assert runner.given == [[0, 1, 2]]
