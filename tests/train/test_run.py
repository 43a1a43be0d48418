"""The run folder keeps what it is given, and says what is wrong."""

import os
from dataclasses import dataclass

import pytest

from dglmeta.errors import ConfigError, DataError
from dglmeta.train import RunFolder, config_from_dict, read_config_file
from dglmeta.train.config import packaged_config

WHAT = {"system": "selar", "data": "lastfm", "seed": 0}
SETTINGS = {"lr": 0.01, "epochs": 9, "both": True, "paths": ("a-[x]-b", 'say "b"')}


@dataclass(frozen=True)
class Settings:
    """A stand-in for a system's config."""

    lr: float = 0.1
    epochs: int = 5
    name: str = "x"
    paths: tuple[str, ...] = ()


def test_config_toml_gives_back_what_was_written(tmp_path):
    run = RunFolder(tmp_path)
    run.begin(WHAT, SETTINGS, resume=False)
    expected = {**SETTINGS, "paths": list(SETTINGS["paths"])}
    assert run.read_config() == {**WHAT, "config": expected}
    assert read_config_file(tmp_path / "config.toml") == expected


def test_beginning_afresh_clears_an_earlier_run(tmp_path):
    run = RunFolder(tmp_path)
    run.append_metrics({"epoch": 0})
    run.write_result({"x": 1})
    run.begin(WHAT, SETTINGS, resume=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.toml"]


def test_resuming_with_other_settings_is_refused_by_name(tmp_path):
    run = RunFolder(tmp_path)
    run.begin(WHAT, SETTINGS, resume=False)
    run.begin(WHAT, {**SETTINGS, "epochs": 20}, resume=True)
    with pytest.raises(ConfigError, match=r"config\.lr: 0\.01 -> 0\.5"):
        run.begin(WHAT, {**SETTINGS, "lr": 0.5}, resume=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="no permission to write"):
        RunFolder(tmp_path)


def test_a_file_in_the_folders_place_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(DataError, match="can be written at .*taken"):
        RunFolder(tmp_path / "taken")


def test_an_unfinished_run_has_no_result(tmp_path):
    with pytest.raises(DataError, match="--resume"):
        RunFolder(tmp_path).read_result()


def test_config_from_dict_converts_and_checks():
    assert config_from_dict(Settings, {"lr": 1, "paths": ["a"]}) == Settings(lr=1.0, paths=("a",))
    with pytest.raises(ConfigError, match=r"unknown fields \['rate'\]"):
        config_from_dict(Settings, {"rate": 1})
    with pytest.raises(ConfigError, match="expected epochs as int, got 'many'"):
        config_from_dict(Settings, {"epochs": "many"})


def test_a_config_file_that_is_not_toml_is_named(tmp_path):
    (tmp_path / "c.toml").write_text("a = = 1")
    with pytest.raises(DataError, match=r"c\.toml"):
        read_config_file(tmp_path / "c.toml")


def test_a_data_set_without_tuned_settings_has_none():
    assert packaged_config("selar", "no-such-data") == {}


PACKAGED = """
[config]
lr = 0.1
d = 16
batch = 8
epochs = 5
[encoder.gat]
d = 32
batch = 9
epochs = 6
[strategy.selar]
batch = 10
epochs = 7
[encoder.gat.strategy.selar]
epochs = 8
"""


@pytest.mark.parametrize(
    ("strategy", "encoder", "expected"),
    [
        ("", "", (16, 8, 5)),
        ("selar", "", (16, 10, 7)),
        ("", "gat", (32, 9, 6)),
        ("selar", "gat", (32, 10, 8)),
        ("vanilla", "gin", (16, 8, 5)),
    ],
)
def test_tables_of_an_encoder_and_a_strategy_override_in_rising_order(
    tmp_path, monkeypatch, strategy, encoder, expected
):
    (tmp_path / "selar-some.toml").write_text(PACKAGED)
    monkeypatch.setattr("dglmeta.train.config.resources.files", lambda package: tmp_path)
    found = packaged_config("selar", "some", strategy, encoder)
    assert found == {"lr": 0.1, **dict(zip(("d", "batch", "epochs"), expected, strict=True))}


def test_a_list_of_numbers_is_read_as_a_tuple(tmp_path):
    @dataclass(frozen=True)
    class Sampled:
        fanouts: tuple[int, ...] = ()

    (tmp_path / "c.toml").write_text("fanouts = [8, -1]")
    assert config_from_dict(Sampled, read_config_file(tmp_path / "c.toml")) == Sampled((8, -1))


def test_a_folder_to_be_read_must_be_there_and_is_not_made(tmp_path):
    with pytest.raises(DataError, match="got .*gone, which is not there"):
        RunFolder(tmp_path / "gone", write=False)
    assert not (tmp_path / "gone").exists()
    assert RunFolder(tmp_path, write=False).path == tmp_path


def test_settings_are_compared_with_those_of_the_run_in_the_folder_if_any(tmp_path):
    run = RunFolder(tmp_path)
    run.check_same(WHAT, SETTINGS)
    run.begin(WHAT, SETTINGS, resume=False)
    run.check_same(WHAT, {**SETTINGS, "epochs": 20})
    with pytest.raises(ConfigError, match="seed: 0 -> 1"):
        run.check_same({**WHAT, "seed": 1}, SETTINGS)


def test_a_config_that_no_run_wrote_is_refused(tmp_path):
    (tmp_path / "config.toml").write_text("lr = 0.1")
    with pytest.raises(DataError, match="none of its system, data, config"):
        RunFolder(tmp_path).read_config()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"config = 3"])
def test_a_config_file_of_another_kind_is_named(tmp_path, content):
    (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(DataError, match=r"c\.toml"):
        read_config_file(tmp_path / "c.toml")
