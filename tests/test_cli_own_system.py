"""A system in a user's own file has the whole command line, and a run folder imports nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dglmeta.cli import main

OWN = f"{Path(__file__).parents[1] / 'examples' / 'own_system.py'}:HDGI"
TRAIN = ("train", OWN, "--data", "toy-papers", "--d", "4")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "own"
    assert main([*TRAIN, "--epochs", "3", "--out", str(folder)]) == 0
    return folder


def test_it_is_trained_judged_and_embedded_like_ours(trained, tmp_path, capsys):
    record = json.loads((trained / "result.json").read_text())
    assert (record["system"], record["config"]["d"], record["steps"]) == ("hdgi", 4, 3)
    assert main(["evaluate", str(trained), "--system", OWN, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {k: v for k, v in record["metrics"].items() if k.startswith("test_")}
    out = tmp_path / "z.npz"
    assert main(["embed", str(trained), "--system", OWN, "--out", str(out)]) == 0
    assert np.load(out)["paper"].shape == (90, 4)


def test_it_is_resumed_to_the_same_numbers(trained, tmp_path):
    part = tmp_path / "part"
    assert main([*TRAIN, "--epochs", "2", "--out", str(part)]) == 0
    assert main([*TRAIN, "--epochs", "3", "--out", str(part), "--resume"]) == 0
    one, two = (json.loads((run / "result.json").read_text()) for run in (trained, part))
    assert one["metrics"] == two["metrics"]


def test_its_settings_are_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["train", OWN, "--help"])
    assert "--patience PATIENCE" in capsys.readouterr().out


def test_a_folder_does_not_say_what_is_imported(trained, complaint):
    assert "say where its class is: --system FILE.py:CLASS" in complaint("evaluate", trained)
    assert "expected a run of 'selar', got one of 'hdgi'" in complaint(
        "evaluate", trained, "--system", "selar"
    )


@pytest.mark.parametrize(
    ("system", "told"),
    [
        ("none.py:Own", "expected a Python file at"),
        ("no_such:Own", "expected an installed module 'no_such'"),
        (OWN.replace("HDGI", "Other"), "a subclass of dglmeta.systems.System called 'Other' in"),
        (OWN.replace("HDGI", "dm"), "a subclass of dglmeta.systems.System called 'dm' in"),
        ("dglmeta.systems:SELAR", "a name of its own, got 'selar'"),
        (":SELAR", "or FILE.py:CLASS for your own, got ':SELAR'"),
    ],
)
def test_what_is_no_system_is_refused(complaint, system, told):
    assert told in complaint("train", system, "--data", "toy-papers")


def test_what_a_file_of_ones_own_lacks_is_told_as_python_tells_it(tmp_path):
    (tmp_path / "mine.py").write_text("import no_such_module\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        main(["train", f"{tmp_path / 'mine.py'}:Mine", "--data", "toy-papers"])
