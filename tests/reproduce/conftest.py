"""A small table, and runners that write what training would, without any."""

from __future__ import annotations

import dataclasses

import pytest

from dglmeta.reproduce.runs import Finished, Run
from dglmeta.reproduce.table import Grid, Measured, PaperTable, Row, at_least
from dglmeta.systems import SELAR
from dglmeta.train import RunFolder

SETTINGS = {"encoder": "gcn", "batch": 8, "epochs": 3, "d": 4, "weighter_hidden": 10}
PRINTED = {"toy/gcn": 0.5, "toy/wide": 0.6}


def _write_run(run, folder, *, resume=False, metrics=None, weights=None):
    """What a finished run leaves."""
    files = RunFolder(folder)
    settings = dataclasses.asdict(run.config)
    files.begin(run.what, settings, resume=resume)
    epochs = [{"epoch": 0, "task_weights": {}}, {"epoch": 1, "task_weights": weights or {}}]
    files.rewrite_metrics(epochs)
    files.write_result(
        {
            **run.what,
            "metrics": metrics or {"test_auc": 0.5, "valid_auc": 0.5},
            "best_epoch": 1,
            "epochs": 2,
            "seconds_total": 1.0,
            "config": run.settings,
            "commit": "c0ffee",
            "versions": {"torch": "2"},
        }
    )


class _FakeRunner:
    """Finishes runs with given AUCs, and remembers which and whether they were resumed."""

    def __init__(self, auc=None, fail=None):
        self.auc, self.fail = auc or {}, fail or {}
        self.calls = []

    def __call__(self, run, folder, resume):
        self.calls.append((run.path.as_posix(), resume))
        if run.path.as_posix() in self.fail:
            raise self.fail[run.path.as_posix()]
        value = self.auc.get(run.path.as_posix(), 0.5)
        metrics = {"test_auc": value, "valid_auc": value / 2}
        _write_run(run, folder, resume=resume, metrics=metrics)


def _small_grids(measured):
    lines = [
        (row, [measured.entry(row, c, "test_auc", PRINTED[row]) for c in measured.table.columns])
        for row in measured.rows
    ]
    return [Grid("Test AUC", ("", *measured.table.columns), lines)]


def _small_judge(measured):
    return [
        at_least("vanilla at least as printed", row, measured.mean(row, "vanilla", "test_auc"), 0.5)
        for row in measured.rows
    ]


@pytest.fixture
def table():
    """Two rows and two columns on toy, two seeds each: eight runs."""
    return PaperTable(
        name="small-table",
        title="A small table",
        system=SELAR,
        rows={
            "toy/gcn": Row("toy", SETTINGS, 2),
            "toy/wide": Row("toy", {**SETTINGS, "d": 6}, 2),
        },
        columns={"vanilla": {"strategy": "vanilla"}, "selar": {"strategy": "selar"}},
        metric="auc",
        grids=_small_grids,
        judge=_small_judge,
        notes=("A footnote.",),
    )


@pytest.fixture
def write_run():
    return _write_run


@pytest.fixture
def fake_runner():
    return _FakeRunner


@pytest.fixture
def measured_of():
    """``measured_of(table, {(row, column): [metrics of a seed, ...]})``; a str has failed."""

    def measured(table, figures):
        runs, outcomes = {}, {}
        for (row, column), seeds in figures.items():
            name = f"{row}-{column}".replace("/", "-")
            group = [
                Run(SELAR, name, table.rows[row].data, SELAR.Config(), s) for s in range(len(seeds))
            ]
            runs[row, column] = group
            for run, of_seed in zip(group, seeds, strict=True):
                outcomes[run.path] = of_seed if isinstance(of_seed, str) else Finished(of_seed, {})
        return Measured(table, runs, outcomes)

    return measured
