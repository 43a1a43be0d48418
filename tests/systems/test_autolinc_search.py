"""AutoLINC's search: the same from the same seed, whatever stopped it on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import dglmeta as dm
from dglmeta.errors import ConfigError, DataError
from dglmeta.systems import AutoLINC
from dglmeta.systems.parts.autolinc import finals
from dglmeta.systems.parts.autolinc.config import Config
from dglmeta.systems.parts.autolinc.finals import rank_in_full
from dglmeta.systems.parts.autolinc.search import search_loss
from dglmeta.systems.parts.autolinc.setup import pose, pose_draws
from dglmeta.tasks.expression import PUBLISHED_FOR, named_loss, parse_expression
from dglmeta.train import RunFolder

SMALL = {
    "d": 8,
    "epochs": 6,
    "candidates": 12,
    "time_budget": "1h",
    "round": 16,
    "proxy_epochs": 12,
    "proxy_d": 8,
    "proxy_features": 0,
    "draws": 3,
    "finalists": 3,
}


@pytest.fixture(scope="module")
def citations():
    return dm.load_dataset("toy-citations")


@pytest.fixture(scope="module")
def search(citations):
    def run(seed=0, out=None, resume=False, split_seed=0, **settings):
        config = Config(**{**SMALL, **settings})
        return search_loss(
            config, citations, seed=seed, split_seed=split_seed, out=out, resume=resume
        )

    return run


def fit(ds, out=None, *, seed=0, resume=False, **settings):
    system = AutoLINC(AutoLINC.Config(**{**SMALL, **settings}))
    return system.fit(ds, seed=seed, out=out, resume=resume)


def journal(folder):
    """What was asked and found, without the time."""
    header, *rounds = (json.loads(x) for x in (folder / "search.jsonl").read_text().splitlines())
    for entry in rounds:
        for outcome in entry["outcomes"]:
            del outcome["at"]
    return header, rounds


def told(found):
    """What must not depend on the time."""
    rises = [{k: v for k, v in rise.items() if k != "seconds"} for rise in found.record["rises"]]
    kept = {k: found.record[k] for k in ("loss", "latex", "score", "bacc", "counts", "finalists")}
    return found.loss, rises, kept


# What is found


def test_the_same_seed_finds_the_same_and_another_seed_another(search, tmp_path):
    first, again = (search(out=tmp_path / name) for name in "ab")
    assert told(again) == told(first) == told(search())
    assert journal(tmp_path / "a") == journal(tmp_path / "b")
    other = search(seed=1, out=tmp_path / "c")
    assert told(other) != told(first)
    assert journal(tmp_path / "c")[1] != journal(tmp_path / "a")[1]


def test_the_record_tells_how_the_loss_was_found(search):
    found = search()
    record = found.record
    ranking = record["finalists"]
    assert found.loss == record["loss"] == ranking[0]["loss"]
    assert named_loss(f"autolinc:{found.loss}").latex == record["latex"]
    order = [(r["draws"], r["bacc"]) for r in ranking]
    assert order == sorted(order, reverse=True)
    assert 1 <= len(ranking) <= 3
    assert record["seconds"] > 0
    counts = dict(record["counts"])
    assert counts.pop("trained") >= 12
    assert counts.pop("asked") == sum(counts.values())
    assert [r["reward"] for r in record["rises"]] == sorted(r["reward"] for r in record["rises"])
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize("encoder", ["gat", "sage"])
def test_every_encoder_is_searched_for(search, encoder):
    assert {*"uyn"} <= {*named_loss(f"autolinc:{search(encoder=encoder).loss}").tokens}


@pytest.mark.parametrize("searcher", ["tree", "evolution", "random"])
@pytest.mark.parametrize("masked", [True, False])
def test_every_searcher_finds_a_loss(search, searcher, masked):
    found = search(searcher=searcher, masked=masked, candidates=2)
    assert {*"uyn"} <= {*named_loss(f"autolinc:{found.loss}").tokens}
    assert ("incomplete" in found.record["counts"]) == (not masked)


def test_without_checks_all_that_is_asked_is_trained(search):
    counts = search(checks=()).record["counts"]
    assert counts == {"asked": 16, "trained": 16, "finished": 16}


def test_the_search_ends_with_its_time(search):
    begun = time.perf_counter()
    found = search(candidates=0, time_budget="0.3s")
    assert time.perf_counter() - begun > 0.3
    assert found.record["seconds"] > 0.3


def test_a_search_that_can_train_nothing_says_so(search):
    with pytest.raises(DataError, match=r"toy-citations: expected a candidate .* among \d+\. Sea"):
        search(length=5)


def test_a_length_without_a_complete_formula_is_refused(search):
    with pytest.raises(ConfigError, match="max_length"):
        search(length=4)


# Finals


def test_finalists_train_as_the_system_would(citations):
    config = Config(**SMALL | {"dropout": 0.0, "epochs": 8})
    losses = [named_loss(name) for name in "BDM"]
    ranking = rank_in_full(config, [pose(config, citations, 0)], losses, 0)
    scores = {entry["loss"]: entry["score"] for entry in ranking}
    for loss in losses:
        result = fit(citations, loss=f"autolinc:{loss.infix}", dropout=0.0, epochs=8)
        assert scores[loss.infix] == pytest.approx(result.metrics["valid_score"], abs=1e-6)


def test_finalists_are_ranked_by_the_mean_of_draws(citations):
    config = Config(**SMALL | {"epochs": 5})
    losses = [named_loss(name) for name in "BDM"]
    draws = pose_draws(config, citations, 0, 2)
    first, second = (
        {entry["loss"]: entry for entry in rank_in_full(config, [draw], losses, seed)}
        for seed, draw in enumerate(draws)
    )
    ranking = rank_in_full(config, draws, losses, 0)
    going = [entry for entry in ranking if entry["draws"] == 2]
    for entry in going:
        for name in ("score", "bacc"):
            both = [found[entry["loss"]][name] for found in (first, second)]
            assert entry[name] == pytest.approx(sum(both) / 2)
    assert [e["bacc"] for e in going] == sorted((e["bacc"] for e in going), reverse=True)


def test_the_better_half_of_the_finalists_goes_on(citations):
    config = Config(**SMALL | {"epochs": 5})
    losses = [named_loss(name) for name in "ABDEM"]
    draws = pose_draws(config, citations, 0, 5)
    ranking = rank_in_full(config, draws, losses, 0)
    assert [entry["draws"] for entry in ranking] == [5, 5, 3, 2, 2]
    assert {entry["loss"] for entry in ranking} == {loss.infix for loss in losses}
    early = rank_in_full(config, draws[:1], losses, 0)  # alone, all train on it
    assert [entry["draws"] for entry in early] == [1] * 5
    on_two = rank_in_full(config, draws[:2], losses, 0)
    best = {entry["loss"] for entry in on_two if entry["draws"] == 2}
    assert len(best) == 3


def test_finals_end_when_no_finalist_gets_better(citations, monkeypatch):
    losses = [named_loss(name) for name in "BD"]
    steps = []
    genuine = finals._Training.step
    monkeypatch.setattr(finals._Training, "step", lambda self: (steps.append(1), genuine(self))[1])
    config = Config(**SMALL | {"epochs": 300, "patience": 4})
    rank_in_full(config, [pose(config, citations, 0)], losses, 0)
    assert 4 < len(steps) < 300


def test_a_finalist_that_overflows_comes_last(citations):
    config = Config(**SMALL | {"epochs": 40})
    losses = [parse_expression("exp(exp(n*n*u*u)) + y"), named_loss("B")]
    ranking = rank_in_full(config, [pose(config, citations, 0)], losses, 0)
    assert [entry["loss"] for entry in ranking] == ["(y - n*u)^2", losses[0].infix]
    assert (ranking[1]["score"], ranking[1]["bacc"]) == (0, 0)
    assert ranking[0]["bacc"] > 0.25


# Interrupted


@pytest.fixture(scope="module")
def whole(citations, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return fit(citations, folder), folder


KILLED = """
import os, signal, sys, torch
import dglmeta as dm
from dglmeta.systems import AutoLINC
from dglmeta.systems.parts.autolinc.proxy import _Batch

genuine, calls = _Batch.advance, []

def advance(batch, quarter):
    calls.append(quarter)
    if len(calls) == 21:  # four for each draw, to compare them, then nine
        os.kill(os.getpid(), signal.SIGKILL)
    genuine(batch, quarter)

_Batch.advance = advance
torch.set_num_threads(1)
config = AutoLINC.Config(**{settings})
AutoLINC(config).fit(dm.load_dataset("toy-citations"), out=sys.argv[1])
"""
"""A search that is killed while it trains candidates."""


def test_a_search_that_is_killed_ends_once_resumed_as_if_it_had_not_been(
    citations, whole, tmp_path
):
    result, folder = whole
    script = KILLED.replace("{settings}", repr(SMALL))
    command = [sys.executable, "-c", script, str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert {p.name for p in tmp_path.iterdir()} == {"search.jsonl"}
    assert 1 < lines(tmp_path / "search.jsonl") < lines(folder / "search.jsonl")
    resumed = fit(citations, tmp_path, resume=True)
    assert journal(tmp_path) == journal(folder)
    assert resumed.record["loss"] == result.record["loss"]
    assert resumed.metrics == result.metrics


def lines(file):
    return file.read_bytes().count(b"\n")


@pytest.mark.parametrize("kept", [1, 2, 4])
def test_a_search_resumes_from_any_round_even_a_half_written_one(citations, whole, tmp_path, kept):
    result, folder = whole
    written = (folder / "search.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "search.jsonl").write_bytes(b"".join(written[:kept]) + written[kept][:-9])
    resumed = fit(citations, tmp_path, resume=True)
    assert journal(tmp_path) == journal(folder)
    assert resumed.record["loss"] == result.record["loss"]
    assert resumed.record["found"]["finalists"] == result.record["found"]["finalists"]
    assert resumed.record["found"]["counts"] == result.record["found"]["counts"]
    assert resumed.history.metrics == result.history.metrics


def test_a_search_may_go_on_for_longer(search, tmp_path):
    search(out=tmp_path / "parts", candidates=4)
    found = search(out=tmp_path / "parts", resume=True)
    assert told(found) == told(search(out=tmp_path / "whole"))
    assert journal(tmp_path / "parts") == journal(tmp_path / "whole")


def test_a_search_that_is_over_is_not_searched_again(search, tmp_path):
    first = search(out=tmp_path, candidates=0, time_budget="0.2s")
    size = (tmp_path / "search.jsonl").stat().st_size
    again = search(out=tmp_path, candidates=0, time_budget="0.2s", resume=True)
    assert (tmp_path / "search.jsonl").stat().st_size == size
    assert told(again) == told(first)
    assert again.record["seconds"] >= 0.2


@pytest.mark.parametrize(
    "changed",
    [{"seed": 1}, {"split_seed": 1}, {"length": 9}, {"proxy_lr": 0.1}, {"checks": ("finite",)}],
    ids=str,
)
def test_a_search_is_not_resumed_with_other_settings(search, tmp_path, changed):
    search(out=tmp_path, candidates=4)
    with pytest.raises(ConfigError, match=next(iter(changed))):
        search(out=tmp_path, candidates=4, resume=True, **changed)


def test_without_resume_a_search_begins_anew_and_clears_the_earlier_run_away(
    citations, tmp_path, monkeypatch
):
    fit(citations, tmp_path, seed=1)

    def stop(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dglmeta.systems.parts.autolinc.search.rank_in_full", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(citations, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"search.jsonl"}
    resumed = fit(citations, tmp_path, resume=True)
    assert resumed.metrics == fit(citations).metrics


def test_a_run_resumed_in_training_keeps_the_loss_it_found(citations, tmp_path, monkeypatch):
    fit(citations, tmp_path, epochs=3)
    monkeypatch.setattr("dglmeta.systems.autolinc.search_loss", None)
    saved = json.loads((tmp_path / "result.json").read_text())
    (tmp_path / "result.json").unlink()
    resumed = fit(citations, tmp_path, resume=True, epochs=6)
    assert resumed.record["loss"] == saved["loss"]
    assert resumed.record["found"] == saved["found"]
    assert resumed.history.epochs == 6
    plain = fit(citations, loss=saved["loss"], epochs=6)
    assert resumed.history.metrics == plain.history.metrics


def test_a_checkpoint_of_another_loss_is_refused(citations, tmp_path, whole):
    result, folder = whole
    for name in ("checkpoint.pt", "config.toml"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    record = json.loads((folder / "result.json").read_text())
    record["found"]["loss"] = "u - y/n"
    (tmp_path / "result.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"the loss .* in the place of 'u - y/n'"):
        AutoLINC(AutoLINC.Config(**SMALL)).load(citations, RunFolder(tmp_path, write=False))


# Used again


def test_a_loaded_run_has_the_loss_that_was_found(citations, whole):
    result, folder = whole
    system = AutoLINC(AutoLINC.Config(**SMALL))
    loaded = system.load(citations, RunFolder(folder, write=False))
    assert system.loss == result.record["loss"] == f"autolinc:{result.record['found']['loss']}"
    assert loaded.evaluate("test") == result.evaluate("test")
    for name, z in result.embed().items():
        assert np.array_equal(loaded.embed()[name], z)


def test_a_found_loss_trains_as_its_formula_with_any_encoder(citations, whole):
    result, folder = whole
    borrowed = fit(citations, loss=f"found:{folder}", encoder="sage")
    given = fit(citations, loss=result.record["loss"], encoder="sage")
    assert borrowed.metrics == given.metrics
    assert borrowed.record["loss"] == given.record["loss"]
    assert borrowed.record["found"] == {**result.record["found"], "from": str(folder)}
    assert "found" not in given.record
    assert fit(citations, loss=f"found:{folder}").metrics == result.metrics


def test_a_found_loss_is_seen_from_the_run_that_borrows_it_and_kept(citations, whole, tmp_path):
    result, folder = whole
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "result.json").write_bytes((folder / "result.json").read_bytes())
    out = tmp_path / "runs" / "one"
    borrowed = fit(citations, out, loss="found:../../search", epochs=2)
    assert borrowed.record["loss"] == result.record["loss"]
    (tmp_path / "search" / "result.json").unlink()
    resumed = fit(citations, out, loss="found:../../search", epochs=6, resume=True)
    assert resumed.metrics == result.metrics


def test_a_run_that_found_nothing_cannot_be_borrowed_from(citations, tmp_path):
    with pytest.raises(DataError, match="which is not there"):
        fit(citations, loss=f"found:{tmp_path / 'nowhere'}")
    with pytest.raises(DataError, match="finished run"):
        fit(citations, loss=f"found:{tmp_path}")
    fit(citations, tmp_path, loss="autolinc:D")
    with pytest.raises(ConfigError, match="expected a run in .* that searched for its loss"):
        fit(citations, loss=f"found:{tmp_path}")


def test_the_published_loss_is_that_of_the_data_and_encoder(citations, monkeypatch):
    with pytest.raises(ConfigError, match="toy-citations with gcn. There are: cora with gcn"):
        fit(citations, loss="published")
    known = {**PUBLISHED_FOR, ("toy-citations", "sage"): "G"}
    monkeypatch.setattr("dglmeta.systems.parts.autolinc.found.PUBLISHED_FOR", known)
    result = fit(citations, loss="published", encoder="sage")
    assert result.record["found"]["published"] == "G"
    assert result.metrics == fit(citations, loss="autolinc:G", encoder="sage").metrics
