"""The commands do what they say, and wrong input ends in one line and exit code 2."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import dglmeta
from dglmeta.cli import main
from dglmeta.systems import SELAR

TRAIN_TOY = ("train", "selar", "--data", "toy", "--batch", "8", "--epochs", "2")
TRAIN_LASTFM = ("train", "selar", "--data", "lastfm", "--batch", "8", "--epochs", "1")

RELATIONS = (
    "film.actor.film",
    "film.person_or_entity_appearing_in_film.film",
    "music.artist.origin",
    "music.musician.instruments_played",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run on toy."""
    folder = tmp_path_factory.mktemp("runs") / "toy"
    assert main([*TRAIN_TOY, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def run_folder(finished, tmp_path):
    """A finished run to be spoiled."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def lastfm(tmp_path, monkeypatch):
    """A small data set in the format of Last-FM; nothing is found elsewhere, nothing fetched."""

    def refuse(*args, **kwargs):
        raise OSError("no network in tests")

    monkeypatch.setattr("pooch.retrieve", refuse)
    monkeypatch.delenv("DGLMETA_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "lastfm-music"
    folder.mkdir()
    items = [f"{100 + i}\t{i}" for i in range(12)]
    plays = [f"{u}\t{100 + (u + 3 * k * k) % 12}\t5" for u in range(12) for k in range(5)]
    triples = [
        f"{i}\t{r}\t{20 + 3 * k + i % 3}" for k, r in enumerate(RELATIONS) for i in range(12)
    ]
    write(folder / "item_index2entity_id.txt", items)
    write(folder / "user_artists.dat", ["userID\tartistID\tweight", *plays])
    write(folder / "kg.txt", triples)
    return folder


@pytest.fixture
def own_folder(tmp_path):
    """A user's own tables."""
    folder = tmp_path / "shop"
    folder.mkdir()
    schema = """
        target = "bought"
        [nodes.customer]
        file = "customers.csv"
        [nodes.product]
        count = 6
        [edges.bought]
        file = "bought.csv"
        source = "customer"
        target = "product"
    """
    write(folder / "schema.toml", schema.splitlines())
    write(folder / "customers.csv", ["id,age", *(f"{c},{20 + c}" for c in range(8))])
    bought = [f"{c},{(c + k) % 6}" for c in range(8) for k in range(3)]
    write(folder / "bought.csv", ["src,dst", *bought])
    return folder


def write(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def replace_line(path, number, text):
    """Line ``number`` of a file, counted from 1, becomes ``text``."""
    lines = path.read_text().splitlines()
    lines[number - 1] = text
    write(path, lines)


# What the commands do


def test_a_search_for_a_loss_prints_what_it_found_and_a_given_loss_is_named(tmp_path, capsys):
    run, small = tmp_path / "search", ["--d", "8", "--epochs", "3", "--proxy-d", "8"]
    train = ["train", "autolinc", "--data", "toy-citations", *small, "--proxy-epochs", "8"]
    assert main([*train, "--candidates", "5", "--checks", "finite", "--out", str(run)]) == 0
    said = capsys.readouterr().out
    found = json.loads((run / "result.json").read_text())["found"]
    assert f"loss {found['loss']}\n" in said
    asked, trained = (f"{found['counts'][name]:,}" for name in ("asked", "trained"))
    assert f"among {asked} formulas, {trained} trained" in said
    assert main([*train, "--loss", f"found:{run}"]) == 0
    assert f"loss {found['loss']}\n" in capsys.readouterr().out
    assert main([*train, "--loss", "tam", "--encoder", "sage"]) == 0
    assert "loss tam\n" in capsys.readouterr().out


def test_training_prints_the_metrics_and_writes_them(tmp_path, capsys):
    assert main([*TRAIN_TOY, "--out", str(tmp_path), "--seed", "3"]) == 0
    printed = capsys.readouterr().out
    result = json.loads((tmp_path / "result.json").read_text())
    assert f"test_auc     {result['metrics']['test_auc']:.4f}" in printed
    assert "selar gcn selar clean on toy, seed 3" in printed
    assert result["seed"] == 3


def test_a_public_format_trains_from_a_data_folder(lastfm, capsys):
    assert main([*TRAIN_LASTFM, "--data-dir", str(lastfm.parent)]) == 0
    assert "on lastfm" in capsys.readouterr().out


def test_a_folder_of_tables_trains(own_folder, capsys):
    command = ["train", "selar", "--data", str(own_folder), "--batch", "8", "--epochs", "1"]
    assert main([*command, "--strategy", "vanilla"]) == 0
    assert f"on {own_folder}" in capsys.readouterr().out


def test_flags_override_the_config_file_which_overrides_the_defaults(tmp_path, capsys):
    config = tmp_path / "c.toml"
    write(config, ["d = 4", "n_layers = 1", 'metapaths = ["user-item-tag-item"]'])
    assert main([*TRAIN_TOY, "--config", str(config), "--d=6", "--out", str(tmp_path / "r")]) == 0
    settings = json.loads((tmp_path / "r" / "result.json").read_text())["config"]
    assert (settings["d"], settings["n_layers"], settings["folds"]) == (6, 1, 3)
    assert settings["metapaths"] == ["user-item-tag-item"]


def test_several_metapaths_follow_one_flag(tmp_path, capsys):
    paths = ["user-item-tag-item", "user-item-user-item"]
    assert main([*TRAIN_TOY, "--metapaths", *paths, "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "result.json").read_text())["config"]["metapaths"] == paths


def test_several_numbers_follow_one_flag_and_may_be_negative(tmp_path, capsys):
    assert main([*TRAIN_TOY, "--fanouts", "-1", "3", "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "result.json").read_text())["config"]["fanouts"] == [-1, 3]


@pytest.mark.parametrize("split", ["test", "valid"])
def test_evaluate_gives_what_training_found(finished, split, capsys):
    assert main(["evaluate", str(finished), "--split", split, "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    recorded = json.loads((finished / "result.json").read_text())["metrics"]
    assert metrics == {k: v for k, v in recorded.items() if k.startswith(split)}
    assert main(["evaluate", str(finished), "--split", split]) == 0
    assert f"{split}_auc" in capsys.readouterr().out


def test_embed_writes_the_same_numbers_as_npz_and_as_parquet(finished, tmp_path, capsys):
    for name in ("z.npz", "z.parquet"):
        assert main(["embed", str(finished), "--out", str(tmp_path / name)]) == 0
        assert "user 8 x 16, item 8 x 16, tag 4 x 16" in capsys.readouterr().out
    table = pq.read_table(tmp_path / "z.parquet").to_pylist()
    with np.load(tmp_path / "z.npz") as arrays:
        assert list(arrays) == ["user", "item", "tag"]
        for row in table:
            assert arrays[row["type"]][row["id"]].tolist() == row["embedding"]
    assert len(table) == 20


def test_info_counts_and_estimates(capsys):
    assert main(["info", "toy", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["node_types"] == {"user": 8, "item": 8, "tag": 4}
    assert facts["edge_types"][0]["edges"] == 24
    assert [p["metapath"] for p in facts["metapaths"]] == [
        "user-[rated]-item-[has]-tag-[~has]-item",
        "user-[rated]-item-[~rated]-user-[rated]-item",
    ]
    assert main(["info", "toy"]) == 0
    assert "toy: 20 nodes, 36 edges" in capsys.readouterr().out


def test_info_of_many_graphs_tells_their_sizes(capsys):
    assert main(["info", "toy-graphs", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["n_graphs"], facts["n_nodes"], facts["n_edges"]) == (12, 518, 1863)
    assert set(facts["sizes"]["nodes"]) == {"least", "median", "most"}
    assert main(["info", "toy-graphs"]) == 0
    assert "toy-graphs: 12 graphs, 518 nodes, 1,863 edges" in capsys.readouterr().out


def test_doctor_finds_this_installation_sound(capsys):
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["self_test"]["passed"]
    assert facts["torch"] == torch.__version__
    assert main(["doctor"]) == 0
    assert "self_test" in capsys.readouterr().out


def test_doctor_tells_what_is_broken_and_what_to_type(monkeypatch, capsys):
    def broken(device):
        raise RuntimeError("no such symbol")

    monkeypatch.setattr("dglmeta.report.doctor._self_test", broken)
    assert main(["doctor"]) == 2
    printed = capsys.readouterr().out
    assert "RuntimeError: no such symbol" in printed
    assert "pip install" in printed


def test_help_lists_the_settings_of_the_system(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "selar", "--help"])
    assert stop.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "--data-dir" in printed
    strategies = '{"vanilla", "weights-only", "multi-task", "selar", "selar+hint"}'
    assert f"--strategy STRATEGY {strategies}" in printed
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "dglmeta train SYSTEM --help" in capsys.readouterr().out


# What they refuse


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ((), "COMMAND"),
        (("trian",), "invalid choice: 'trian'"),
        (("info", "toy", "--jsno"), "unknown --jsno. Type: dglmeta info --help"),
        (("info", "lastfn"), "Did you mean 'lastfm'?"),
        (("train", "selar"), "required: --data"),
        (("train", "celar", "--data", "toy"), "FILE.py:CLASS for your own, got 'celar'"),
        ((*TRAIN_TOY, "--seed", "-1"), "--seed: expected a whole number from 0 to"),
        (("demo", "--seeds", "0"), "--seeds: expected a whole number from 1 to"),
        ((*TRAIN_TOY, "--resume"), "--resume needs --out"),
        ((*TRAIN_TOY, "--lrr", "1"), "unrecognized arguments: --lrr 1"),
        ((*TRAIN_TOY, "stray"), "unrecognized arguments: stray"),
        ((*TRAIN_TOY, "--lr", "fast"), "--lr: invalid float value: 'fast'"),
        ((*TRAIN_TOY, "--d", "1.5"), "--d: invalid int value: '1.5'"),
        ((*TRAIN_TOY, "--lr"), "--lr: expected one argument"),
        ((*TRAIN_TOY, "--fanouts", "2", "few"), "--fanouts: invalid int value: 'few'"),
        ((*TRAIN_TOY, "--fanouts", "0"), "expected fanouts of -1 or at least 1, got (0,)"),
        ((*TRAIN_TOY, "--auxiliary", "degrees"), "expected auxiliary among"),
        ((*TRAIN_TOY, "--lr", "0"), "expected lr > 0, got 0.0"),
        ((*TRAIN_TOY, "--strategy", "best"), "expected strategy among"),
        ((*TRAIN_TOY, "--metapaths", "user-itm-user"), "unknown node type 'itm'"),
        ((*TRAIN_TOY, "--batch", "2"), "batch of at least 3"),
        (("train", "selar", "--data", "toy-graphs"), "of a single graph, got one of 12"),
        (("train", "meta-graph", "--data", "toy"), "of many graphs for meta-graph, got a single"),
        (
            ("labels", "toy-graphs", "--metapath", "a-b", "--out", "x"),
            "single graph, got one of 12",
        ),
        ((*TRAIN_TOY, "--config", "no-such.toml"), "no-such.toml"),
        ((*TRAIN_TOY, "--device", "tpu"), "invalid choice: 'tpu'"),
        (("evaluate", "no-such-run"), "got no-such-run, which is not there"),
        (("embed", "no-such-run", "--out", "z.txt"), "ends in .npz or .parquet, got z.txt"),
        (("embed", "no-such-run", "--out", "no-such-folder/z.npz"), "expected a folder at"),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_line(complaint, argv, told):
    assert told in complaint(*argv)


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_read(complaint, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(dglmeta, "load_dataset", lambda *a, **k: pytest.fail("read the data"))
    assert "expected a CUDA GPU" in complaint(*TRAIN_TOY, "--device", "cuda")
    assert "expected a CUDA GPU" in complaint("evaluate", "any", "--device", "cuda")


def test_a_missing_file_is_named_with_where_to_put_it(complaint, lastfm):
    (lastfm / "user_artists.dat").unlink()
    told = complaint(*TRAIN_LASTFM, "--data-dir", lastfm.parent)
    assert "expected user_artists.dat or user_artists.dat.gz" in told
    assert f"put it in {lastfm}" in told


def test_a_data_folder_that_is_not_there_is_named(complaint, tmp_path):
    assert "--data-dir: expected" in complaint(*TRAIN_LASTFM, "--data-dir", tmp_path / "none")


def test_a_truncated_gzip_is_named(complaint, lastfm):
    plain = lastfm / "kg.txt"
    packed = gzip.compress(plain.read_bytes())
    (lastfm / "kg.txt.gz").write_bytes(packed[:-20])
    plain.unlink()
    told = complaint(*TRAIN_LASTFM, "--data-dir", lastfm.parent)
    assert "kg.txt.gz: expected a whole gzip file" in told


@pytest.mark.parametrize(
    ("line", "text", "told"),
    [
        (5, "1\tmany\t3", "user_artists.dat, line 5: expected a whole number as artistID"),
        (5, "-1\t101\t3", "line 5: expected an id >= 0 as userID, got -1"),
        (5, "1\t101\tnan", "line 5: expected a finite number as weight, got nan"),
        (5, "1\t101", "line 5: expected 3 columns"),
        (1, "a\tb\tc", "line 1: expected the header userID artistID weight"),
    ],
)
def test_a_wrong_line_of_ratings_is_named(complaint, lastfm, line, text, told):
    replace_line(lastfm / "user_artists.dat", line, text)
    assert told in complaint(*TRAIN_LASTFM, "--data-dir", lastfm.parent)


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("bought.csv", "src,dst\n0,6\n", "'6'"),
        ("bought.csv", "src,dst\n99,0\n", "'99'"),
        ("bought.csv", "src,dst\n", "bought.csv: expected at least one row"),
        ("customers.csv", "id,age\n0,nan\n1,3\n", "row 1: expected a finite float32"),
        ("customers.csv", "id,age\n0,1\n1,inf\n", "row 2: expected a finite float32"),
        ("schema.toml", "target = = 1", "expected TOML"),
    ],
    ids=["id out of range", "unknown id", "no target edges", "NaN", "infinite", "not TOML"],
)
def test_a_wrong_table_of_ones_own_is_named(complaint, own_folder, file, text, told):
    (own_folder / file).write_text(text)
    complained = complaint("train", "selar", "--data", own_folder)
    assert told in complained
    assert file in complained


def test_a_folder_without_a_target_cannot_be_trained_on(complaint, own_folder):
    schema = own_folder / "schema.toml"
    schema.write_text(schema.read_text().replace('target = "bought"', ""))
    assert "with a target link" in complaint("train", "selar", "--data", own_folder)


@pytest.mark.parametrize("text", ["lr = 'fast'", "speed = 1", "a = = 1", "config = 3"])
def test_a_wrong_config_file_is_refused(complaint, tmp_path, text):
    (tmp_path / "c.toml").write_text(text)
    complaint(*TRAIN_TOY, "--config", tmp_path / "c.toml")


def test_an_unwritable_run_folder_is_refused_before_training(complaint, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(SELAR, "init", lambda *a, **k: pytest.fail("began to train"))
    told = complaint(*TRAIN_TOY, "--out", tmp_path / "file" / "run")
    assert "expected a folder that can be written" in told


def test_a_refused_command_leaves_an_earlier_run_alone(complaint, run_folder):
    before = {p.name: p.read_bytes() for p in run_folder.iterdir()}
    complaint(*TRAIN_TOY, "--out", run_folder, "--metapaths", "user-itm-user")
    complaint(*TRAIN_TOY, "--out", run_folder, "--resume", "--d", "32")
    assert {p.name: p.read_bytes() for p in run_folder.iterdir()} == before


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", None], ids=["empty", "other", "cut"])
def test_a_corrupt_checkpoint_is_named(complaint, run_folder, damage):
    checkpoint = run_folder / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100] if damage is None else damage)
    for argv in (
        (*TRAIN_TOY, "--out", run_folder, "--resume"),
        ("evaluate", run_folder),
        ("embed", run_folder, "--out", run_folder / "z.npz"),
    ):
        assert f"damaged file {checkpoint}" in complaint(*argv)


def test_a_checkpoint_of_something_else_is_refused(complaint, run_folder):
    torch.save({"format": 1, "weights": torch.ones(2)}, run_folder / "checkpoint.pt")
    assert "to fit this configuration" in complaint("evaluate", run_folder)
    assert "to fit this configuration" in complaint(*TRAIN_TOY, "--out", run_folder, "--resume")


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("config.toml", "d = 4", "none of its system, data, config"),
        ("config.toml", 'system = "gone"\ndata = "toy"\n[config]', "got one of 'gone'"),
        ("config.toml", 'system = "selar"\ndata = "toy"\n[config]\nx = 1', "unknown fields ['x']"),
        ("config.toml", 'system = "selar"\ndata = "toy-graphs"\n[config]', "got one of 12"),
        ("result.json", "[1", "expected a finished run's"),
        ("result.json", None, "expected a finished run's"),
    ],
)
def test_a_damaged_run_is_refused(complaint, run_folder, file, text, told):
    (run_folder / file).unlink()
    if text is not None:
        (run_folder / file).write_text(text)
    assert told in complaint("evaluate", run_folder)
    assert told in complaint("embed", run_folder, "--out", run_folder / "z.npz")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("file", ["checkpoint.part", "metrics.jsonl"])
def test_a_full_disk_ends_training_in_one_line(complaint, tmp_path, monkeypatch, file):
    monkeypatch.setattr(
        "dglmeta.train.RunFolder.begin", lambda *a, **k: (tmp_path / file).symlink_to("/dev/full")
    )
    assert "No space left on device" in complaint(*TRAIN_TOY, "--out", tmp_path)


def test_an_interrupted_command_answers_130(monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(SELAR, "epoch", interrupted)
    assert main(list(TRAIN_TOY)) == 130
    assert "--resume" in capsys.readouterr().err


def test_an_interrupted_table_is_continued_by_the_same_command(monkeypatch, capsys, tmp_path):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("dglmeta.reproduce.command.reproduce", interrupted)
    assert main(["reproduce", "selar-table2", "--out", str(tmp_path)]) == 130
    assert "The same command continues" in capsys.readouterr().err


# The same from a shell

SHELL = {
    "env": {**os.environ, "OMP_NUM_THREADS": "1"},
    "stdout": subprocess.PIPE,
    "stderr": subprocess.PIPE,
    "text": True,
}


@pytest.mark.slow
def test_the_commands_work_as_a_user_types_them(tmp_path):
    def dglmeta_(*argv):
        command = [sys.executable, "-m", "dglmeta", *argv]
        done = subprocess.run(command, cwd=tmp_path, check=True, **SHELL)
        assert done.stderr == ""
        return done.stdout

    assert dglmeta_("--version").strip() == f"dglmeta {dglmeta.__version__}"
    assert "wrote run" in dglmeta_(*TRAIN_TOY, "--out", "run")
    assert "test_auc" in json.loads(dglmeta_("evaluate", "run", "--json"))
    for file in ("z.npz", "z.parquet"):
        assert f"wrote {file}" in dglmeta_("embed", "run", "--out", file)
    assert json.loads(dglmeta_("info", "toy", "--json"))["n_nodes"] == 20
    assert json.loads(dglmeta_("doctor", "--json"))["self_test"]["passed"]


def test_a_reader_that_has_enough_is_no_error():
    command = subprocess.Popen([sys.executable, "-m", "dglmeta", "info", "toy"], **SHELL)
    command.stdout.close()
    assert command.stderr.read() == ""
    assert command.wait() == 0
    command.stderr.close()
