"""A run that is killed or interrupted ends, once resumed, as if nothing had happened."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from dglmeta.systems import SELAR

EPOCHS = 60
COMMAND = [sys.executable, "-m", "dglmeta", "train", "selar", "--data", "toy"]
COMMAND += ["--strategy", "selar", "--batch", "8", "--weighter-hidden", "50"]
COMMAND += ["--epochs", str(EPOCHS), "--patience", str(EPOCHS), "--seed", "1"]


def start(folder, *flags):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*COMMAND, "--out", str(folder), *flags]
    # A shell hands background jobs an ignored Ctrl-C, which the command would inherit.
    heed_interrupts = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )


def finish(folder, *flags):
    command = start(folder, *flags)
    assert command.communicate(timeout=120)[1] == ""
    assert command.returncode == 0


def epochs_written(folder):
    file = folder / "metrics.jsonl"
    return file.read_text().count("\n") if file.is_file() else 0


def outcome(folder):
    """Everything of a run that must not depend on how often it was stopped."""
    result = json.loads((folder / "result.json").read_text())
    kept = ("metrics", "best_epoch", "epochs", "steps", "config", "seed")
    return (folder / "metrics.jsonl").read_text(), {k: result[k] for k in kept}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    finish(folder)
    return outcome(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "code", "told"),
    [(signal.SIGKILL, -signal.SIGKILL, ""), (signal.SIGINT, 130, "continues with --resume")],
    ids=["kill -9", "Ctrl-C"],
)
def test_a_stopped_run_resumes_to_exactly_the_uninterrupted_one(
    tmp_path, uninterrupted, stop, code, told
):
    command = start(tmp_path)
    give_up = time.monotonic() + 60
    while epochs_written(tmp_path) < 3 and time.monotonic() < give_up:
        time.sleep(0.01)
    command.send_signal(stop)
    complaint = command.communicate(timeout=60)[1]
    assert command.returncode == code
    assert told in complaint
    assert 2 <= epochs_written(tmp_path) < EPOCHS
    assert not (tmp_path / "result.json").exists()
    finish(tmp_path, "--resume")
    assert outcome(tmp_path) == uninterrupted


# In one process, whatever there is to remember

HINTS = {"strategy": "selar+hint", "attenuation": 0.5}
RUNS = {
    "hint, dropout": ("toy", HINTS | {"dropout": 0.3}),
    "sampled": ("toy", {"fanouts": (2, 2), "weight_decay": 0.01}),
    "sampled hint, dropout": ("toy", HINTS | {"fanouts": (2, 2), "dropout": 0.3}),
    "adam look-ahead": ("toy", {"look_ahead": "adam"}),
    "not averaged": ("toy", {"averaging": 0.0}),
    "pairs": ("toy", {"negatives": "drawn"}),
    "paper": ("toy", HINTS | {"protocol": "paper", "fanouts": (2, 2)}),
    "nodes": ("labelled", HINTS | {"dropout": 0.3, "auxiliary": ("metapath", "degree")}),
    "features, sampled": ("described", {"fanouts": (2, 2), "dropout": 0.3}),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_in_two_parts_is_the_run_in_one(name, tmp_path, request):
    data, settings = RUNS[name]
    ds = request.getfixturevalue(data)

    def run(folder, epochs, **options):
        given = {"batch": 6, "d": 4, "weighter_hidden": 10, **settings}
        config = SELAR.Config(**given, epochs=epochs, patience=5)
        return SELAR(config).fit(ds, seed=1, out=tmp_path / folder, **options)

    whole = run("whole", 5)
    run("parts", 2)
    resumed = run("parts", 5, resume=True)
    assert resumed.history.metrics == whole.history.metrics
    assert resumed.metrics == whole.metrics
    for node_type, z in whole.embed().items():
        assert np.array_equal(resumed.embed()[node_type], z)
    saved = [
        torch.load(tmp_path / f / "checkpoint.pt", weights_only=True) for f in ("whole", "parts")
    ]
    assert flat(saved[0]["state"]) == flat(saved[1]["state"])


def flat(value, at=""):
    """Every number of a checkpoint by where it lies."""
    if isinstance(value, dict):
        return {k: v for key, part in value.items() for k, v in flat(part, f"{at}/{key}").items()}
    if isinstance(value, list | tuple):
        return flat(dict(enumerate(value)), at)
    return {at: value.tolist() if isinstance(value, torch.Tensor) else value}
