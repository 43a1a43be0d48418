"""The bench of SAME's step replays what a step does."""

import json
import sys

import numpy as np
import pytest
import torch

import dglmeta as dm
from dglmeta.bench.systems import bench_same_episode as bench
from dglmeta.systems import SAME


def run(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["bench", "--data", "toy-graphs", "--rounds", "1", *arguments])
    bench.main()
    return capsys.readouterr().out.splitlines()


def test_every_product_of_a_step_is_written_down():
    system = SAME(SAME.Config(variant="classical", tasks=("nc",), d=4, batch=8, layers=2))
    state = system.init(dm.load_dataset("toy-graphs"), 0, 0)
    episode = state.episodes.draw(state.split.train, np.random.default_rng(0))[0]
    with bench.Recorder() as recorder:
        system.step(state, episode)
    products = [args for func, args, _ in recorder.calls if func in bench.PRODUCTS]
    # Forward three, backward a weight's each and all inputs' but the first's.
    assert len(products) == 3 + 3 + 2
    assert {func for func, _, _ in recorder.calls} & {torch.ops.aten.relu.default}
    assert bench.replay(recorder.calls) > 0


@pytest.mark.parametrize("splits", ["1", "2"])
def test_it_prints_a_line_for_each_variant_and_width(capsys, monkeypatch, splits):
    options = ["--variants", "isame", "esame", "--widths", "4", "--splits", splits]
    lines = run(capsys, monkeypatch, *options)
    assert [line.split()[0] for line in lines] == ["isame", "esame"]
    assert all("ms" in line for line in lines)
    found = [json.loads(line) for line in run(capsys, monkeypatch, *options, "--json")]
    assert [f["d"] for f in found] == [4, 4]
    assert all(f["ratio"] > 0 for f in found)
