"""The bench of AutoLINC's search counts what its searches did."""

import dataclasses
import json
import sys

import pytest

import dglmeta as dm
from dglmeta.bench.systems import bench_autolinc_search as bench
from dglmeta.systems.parts.autolinc.config import CHECKS, Config
from dglmeta.systems.parts.autolinc.setup import pose_draws
from dglmeta.tasks.expression import named_loss

SMALL = Config(time_budget="60s", proxy_epochs=4, proxy_d=8, candidates=20, round=16)


@pytest.fixture(scope="module")
def problems():
    return pose_draws(SMALL, dm.load_dataset("toy-citations"), 0, SMALL.draws)


def run(capsys, monkeypatch, *arguments):
    given = ["--data", "toy-citations", "--seconds", "0.01", "--threads", "1", *arguments]
    monkeypatch.setattr(sys, "argv", ["bench", *given])
    monkeypatch.setattr(bench, "Config", lambda **kw: dataclasses.replace(SMALL, round=64, **kw))
    monkeypatch.setattr(bench, "ROUNDS", (1, 16))
    bench.main()
    return capsys.readouterr().out.splitlines()


def test_the_whole_search_alone_is_one_row(capsys, monkeypatch):
    lines = run(capsys, monkeypatch, "--whole", "--draws", "1")
    assert lines[-1].startswith(bench.WHOLE)
    assert len(lines) == 4


def test_rates_are_those_of_the_counters(problems):
    found = bench.measure(SMALL, problems, 0)
    counts = dict(found["counts"])
    n_asked, n_trained = counts.pop("asked"), counts.pop("trained")
    assert n_asked == sum(counts.values()) >= n_trained >= 20
    assert found["asked"] * found["seconds"] == pytest.approx(n_asked)
    assert found["trained"] * found["seconds"] == pytest.approx(n_trained)
    assert 0 < found["ended"] * found["seconds"] <= counts["finished"] + 1e-9
    spent = found["training_ms"] * n_trained + found["finding_ms"] * n_asked
    assert spent == pytest.approx(1e3 * found["seconds"])


@pytest.mark.parametrize("name", [name for name, _ in bench.variants(SMALL)])
def test_a_variant_is_the_search_but_for_what_it_is_named_after(name):
    changed = {
        key: value
        for key, value in dataclasses.asdict(dict(bench.variants(SMALL))[name]).items()
        if value != getattr(SMALL, key)
    }
    what = name.split()[-1]
    if name.startswith("rounds"):
        assert changed == ({} if what == "16" else {"round": int(what)})
    elif what in CHECKS:
        assert changed == {"checks": tuple(check for check in CHECKS if check != what)}
    else:
        assert changed == ({"masked": False} if what == "masks" else {})


def test_without_a_check_nothing_fails_it(problems):
    for name, config in bench.variants(SMALL):
        check = name.removeprefix("without ")
        if check in CHECKS:
            assert check not in bench.measure(config, problems, 0)["counts"]


def test_losses_of_one_gradient_count_once():
    losses = [named_loss(f"autolinc:{text}") for text in ("u*y/n", "2*u*y/n + n", "u*y*n")]
    assert bench.count_different([loss.tokens for loss in losses]) == 2
    endless = [named_loss(f"autolinc:{text}").tokens for text in ("exp(exp(exp(u*n)))", "y*n")]
    assert bench.count_different([*endless, *endless]) == 2


def test_it_prints_the_counters_a_row_a_variant_and_what_checks_are_worth(capsys, monkeypatch):
    lines = run(capsys, monkeypatch)
    assert "entered training a second" in lines[0]
    assert " asked " in lines[1]
    assert " trained " in lines[1]
    names = [name for name, _ in bench.variants(SMALL)]
    begin = lines.index(next(line for line in lines if line.startswith(bench.WHOLE)))
    assert [line[:22].strip() for line in lines[begin : begin + len(names)]] == names
    assert [line.split(":")[0] for line in lines[-len(CHECKS) :]] == list(CHECKS)
    assert all(float(line.split()[1][:-1]) > 0 for line in lines[-len(CHECKS) :])


def test_as_json_it_prints_each_search(capsys, monkeypatch):
    found = [json.loads(line) for line in run(capsys, monkeypatch, "--json", "--repeats", "2")]
    names = [name for name, _ in bench.variants(SMALL)]
    assert [(f["variant"], f["seed"]) for f in found] == [(n, s) for s in (0, 1) for n in names]
