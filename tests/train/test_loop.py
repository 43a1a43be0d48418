"""The loop stops early, restores the best state, and resumes exactly."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from dglmeta.errors import ConfigError, DataError
from dglmeta.train import RunFolder, fit, load_checkpoint, restore, save_checkpoint

SETTINGS = ({"system": "parabola", "seed": 0}, {"lr": 0.1, "epochs": 9, "metapaths": ("a", "b")})


class Parabola:
    """Walks noisily along a value that peaks at 3; its metric is the height there."""

    def __init__(self, stop_at=None):
        self.w = torch.zeros(())
        self.stop_at = stop_at

    def train_epoch(self, epoch):
        rng = np.random.default_rng([7, epoch])
        for _ in range(4):
            self.w = self.w + 0.1 + 0.01 * rng.standard_normal()
            yield
        if epoch == self.stop_at:
            raise KeyboardInterrupt

    def validate(self):
        return {"valid_height": 9 - float((self.w - 3) ** 2)}

    def log(self):
        return {"w": float(self.w)}

    def state_dict(self):
        return {"w": self.w}

    def load_state_dict(self, state):
        self.w = state["w"].clone()


def run_fit(trainable, **options):
    return fit(trainable, monitor="valid_height", **{"epochs": 30, "patience": 3} | options)


def test_training_stops_after_patience_and_restores_the_best_state():
    trainable = Parabola()
    history = run_fit(trainable)
    assert history.epochs == history.best_epoch + 4 < 30
    assert history.steps == 4 * history.epochs
    assert trainable.validate()["valid_height"] == history.best_value
    assert history.best_value == max(m["valid_height"] for m in history.metrics)


def test_an_interrupted_run_resumes_to_exactly_the_same_end(tmp_path):
    whole = Parabola()
    expected = run_fit(whole, run=RunFolder(tmp_path / "whole"))
    run = RunFolder(tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        run_fit(Parabola(stop_at=4), run=run)
    resumed = Parabola()
    history = run_fit(resumed, run=run, resume=True)
    assert torch.equal(resumed.w, whole.w)
    assert history.metrics == expected.metrics
    assert run.metrics.read_text() == RunFolder(tmp_path / "whole").metrics.read_text()


def test_a_killed_run_resumes_to_exactly_the_same_end(tmp_path):
    script = textwrap.dedent(f"""
        import os, signal, sys
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from test_loop import Parabola, run_fit
        from dglmeta.train import RunFolder
        class Killed(Parabola):
            def train_epoch(self, epoch):
                yield from super().train_epoch(epoch)
                if epoch == 5:
                    os.kill(os.getpid(), signal.SIGKILL)
        run_fit(Killed(), run=RunFolder({str(tmp_path)!r}))
    """)  # noqa: PTH120
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    resumed, whole = Parabola(), Parabola()
    history = run_fit(resumed, run=RunFolder(tmp_path), resume=True)
    assert history.metrics == run_fit(whole).metrics
    assert torch.equal(resumed.w, whole.w)


def test_a_finished_run_resumed_changes_nothing(tmp_path):
    run = RunFolder(tmp_path)
    first = run_fit(Parabola(), run=run)
    again = Parabola()
    second = run_fit(again, run=run, resume=True)
    assert second.metrics == first.metrics
    assert again.validate()["valid_height"] == first.best_value


def test_restore_puts_the_best_state_back(tmp_path):
    run = RunFolder(tmp_path)
    history = run_fit(Parabola(), run=run)
    fresh = Parabola()
    restore(fresh, run)
    assert fresh.validate()["valid_height"] == history.best_value


def test_one_line_of_metrics_an_epoch(tmp_path):
    run = RunFolder(tmp_path)
    history = run_fit(Parabola(), run=run)
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(history.epochs))


def test_a_metric_that_is_not_a_number_ends_training_with_a_clear_error():
    class Diverging(Parabola):
        def validate(self):
            return {"valid_height": float("nan")}

    with pytest.raises(DataError, match="finite valid_height, got nan"):
        run_fit(Diverging())


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint"])
def test_a_corrupt_checkpoint_is_named(tmp_path, damage):
    run = RunFolder(tmp_path)
    run.checkpoint.write_bytes(damage)
    with pytest.raises(DataError, match=r"damaged file .*checkpoint\.pt"):
        run_fit(Parabola(), run=run, resume=True)


def test_a_truncated_checkpoint_is_named(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"state": {"w": torch.arange(1000.0)}})
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match="damaged file"):
        load_checkpoint(path)


def test_a_checkpoint_of_a_newer_format_is_refused(tmp_path):
    torch.save({"format": 99}, tmp_path / "c.pt")
    with pytest.raises(DataError, match="format 1 or older, got 99"):
        load_checkpoint(tmp_path / "c.pt")


def test_no_epochs_are_refused():
    with pytest.raises(ConfigError, match="got 0 and 3"):
        run_fit(Parabola(), epochs=0)
