"""A run that is killed or interrupted ends, once resumed, as if nothing had happened."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import pytest

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
