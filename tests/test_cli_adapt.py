"""``dglmeta adapt`` writes the likeliest links of a new graph, and refuses what it cannot do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from dglmeta.cli import main
from dglmeta.data import load_dataset
from dglmeta.data.graph_dataset import LINK

SMALL = ("--epochs", "1", "--passes", "1", "--d-hidden", "6", "--d", "4", "--adapt-steps", "5")
TRAIN = ("train", "meta-graph", "--data", "toy-graphs", *SMALL)
COLUMNS = ["src", "dst", "logit", "probability"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run on toy graphs."""
    folder = tmp_path_factory.mktemp("runs") / "toys"
    assert main([*TRAIN, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def own_folder(tmp_path):
    """A user's own graph of people who know each other, with three features."""
    folder = tmp_path / "town"
    folder.mkdir()
    (folder / "schema.toml").write_text(
        '[nodes.person]\nfile = "people.csv"\nid = "name"\n'
        '[edges.knows]\nfile = "knows.csv"\nsource = "person"\ntarget = "person"\n'
    )
    rows = [f"{name},{k % 2},{k % 3},1" for k, name in enumerate("abcdefgh")]
    (folder / "people.csv").write_text("\n".join(["name,old,far,one", *rows]) + "\n")
    knows = ["src,dst", "a,b", "b,a", "b,c", "c,c", "d,e", "e,f", "f,g", "a,h"]
    (folder / "knows.csv").write_text("\n".join(knows) + "\n")
    return folder


def run(*argv):
    assert main([str(a) for a in argv]) == 0


def test_csv_and_parquet_hold_the_same_links_the_likeliest_first(trained, tmp_path, capsys):
    asked = ("adapt", trained, "--data", "toy-graphs", "--graph", 3, "--steps", 2, "--top", 25)
    run(*asked, "--out", tmp_path / "links.parquet")
    printed = capsys.readouterr().out
    assert "graph 3 of toy-graphs: 2 steps, then the best 25 pairs without an edge\n" in printed
    assert f"wrote {tmp_path / 'links.parquet'}\n" in printed
    run(*asked, "--out", tmp_path / "links.csv")
    table = pq.read_table(tmp_path / "links.parquet")
    text = pyarrow.csv.read_csv(tmp_path / "links.csv")
    assert (tmp_path / "links.csv").read_text().startswith("src,dst,logit,probability\n")
    assert table.column_names == text.column_names == COLUMNS
    src, dst, logit, probability = (table[name].to_numpy() for name in COLUMNS)
    assert len(src) == 25
    assert (np.diff(logit) <= 0).all()
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-logit.astype(float))), rtol=1e-5)
    linked = load_dataset("toy-graphs").graphs[3].adjacencies[LINK].to_scipy().toarray()
    assert not linked[src, dst].any()
    assert (src < dst).all()
    for name in ("src", "dst"):
        assert text[name].to_pylist() == table[name].to_pylist()
    np.testing.assert_allclose(text["logit"].to_numpy(), logit, rtol=1e-6)


def test_by_default_the_first_graph_the_usual_steps_and_ten_links_a_node(trained, tmp_path, capsys):
    run("adapt", trained, "--data", "toy-graphs", "--out", tmp_path / "links.csv")
    chosen = json.loads((trained / "result.json").read_text())["adaptation"]["chosen_step"]
    (n,) = load_dataset("toy-graphs").graphs[0].n_nodes.values()
    told = f"graph 0 of toy-graphs: {int(np.median(chosen))} steps, then the best {10 * n} pairs"
    assert told in capsys.readouterr().out


def test_the_ids_of_the_users_own_tables_are_written(trained, own_folder, tmp_path, capsys):
    for name in ("links.csv", "links.parquet"):
        run("adapt", trained, "--data", own_folder, "--steps", 0, "--out", tmp_path / name)
    assert f"{own_folder}: 0 steps, then the best 22 pairs" in capsys.readouterr().out
    text = pyarrow.csv.read_csv(tmp_path / "links.csv")
    table = pq.read_table(tmp_path / "links.parquet")
    assert text.cast(table.schema).equals(table)
    pairs = {frozenset(p) for p in zip(*(text[n].to_pylist() for n in COLUMNS[:2]), strict=True)}
    known = {"ab", "bc", "de", "ef", "fg", "ah"}
    people = "abcdefgh"
    every = {frozenset((p, q)) for p in people for q in people if p < q}
    assert pairs == every - {frozenset(edge) for edge in known}


def test_the_data_the_run_was_trained_on_need_not_be_there(trained, own_folder, tmp_path):
    copied = Path(shutil.copytree(trained, tmp_path / "run"))
    config = copied / "config.toml"
    config.write_text(config.read_text().replace('"toy-graphs"', '"data-that-is-gone"'))
    run("adapt", copied, "--data", own_folder, "--out", tmp_path / "links.csv")
    assert (tmp_path / "links.csv").is_file()


def test_help_tells_what_is_written(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["adapt", "--help"])
    assert stop.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    for told in ("FILE.csv or FILE.parquet", "src, dst, logit and probability", "--steps K"):
        assert told in printed


def test_training_names_the_method_and_for_meta_graph_the_variant(capsys):
    run(*TRAIN, "--variant", "gating")
    assert "meta-graph gating clean on toy-graphs, seed 0" in capsys.readouterr().out
    run(*TRAIN, "--method", "maml")
    assert "meta-graph maml clean on toy-graphs, seed 0" in capsys.readouterr().out


def test_training_takes_the_settings_packaged_for_its_method(tmp_path, monkeypatch, capsys):
    (tmp_path / "meta-graph-toy-graphs.toml").write_text(
        "[config]\nd = 5\nfolds = 2\n[method.maml]\nfolds = 3\n"
    )
    monkeypatch.setattr("dglmeta.train.config.resources.files", lambda package: tmp_path)
    for method, folds in (("meta-graph", 2), ("maml", 3)):
        run(*TRAIN, "--method", method, "--out", tmp_path / method)
        settings = json.loads((tmp_path / method / "result.json").read_text())["config"]
        assert (settings["d"], settings["folds"]) == (4, folds)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("adapt",), "required: RUN, --data, --out"),
        (("adapt", "no-run", "--data", "toy-graphs", "--out", "l.csv"), "got no-run, which is not"),
        (("adapt", "RUN", "--data", "toy-graphs", "--out", "l.txt"),
         "links: expected a file that ends in .csv or .parquet, got l.txt"),
        (("adapt", "RUN", "--data", "toy-graphs", "--out", "gone/l.csv"), "a folder at gone"),
        (("adapt", "RUN", "--data", "toy-graphs", "--out", "l.csv", "--graph", "12"),
         "toy-graphs: expected the number of a graph, 0 to 11, got 12"),
        (("adapt", "RUN", "--data", "toy-graphs", "--out", "l.csv", "--graph", "-1"),
         "--graph: expected a whole number from 0"),
        (("adapt", "RUN", "--data", "toy-graphs", "--out", "l.csv", "--top", "0"),
         "--top: expected a whole number from 1"),
        (("adapt", "RUN", "--data", "toy-graphs", "--out", "l.csv", "--steps", "few"),
         "--steps: expected a whole number from 0"),
        (("adapt", "RUN", "--data", "toy", "--out", "l.csv"), "of one node type and one edge type"),
        (("adapt", "RUN", "--data", "tyo", "--out", "l.csv"), "Did you mean 'toy'?"),
        (("adapt", "RUN", "--data", "toy-graphs", "--out", "l.csv", "--lr", "1"), "unknown --lr 1"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_refused_in_one_line(
    complaint, trained, tmp_path, monkeypatch, argv, told
):
    monkeypatch.chdir(tmp_path)
    assert told in complaint(*(trained if word == "RUN" else word for word in argv))
    assert not any(tmp_path.iterdir())


def test_features_of_another_width_are_refused(complaint, trained, own_folder, tmp_path):
    schema = own_folder / "schema.toml"
    features = 'id = "name"\nfeatures = ["old", "far"]'
    schema.write_text(schema.read_text().replace('id = "name"', features))
    told = complaint("adapt", trained, "--data", own_folder, "--out", tmp_path / "l.csv")
    assert f"{own_folder}: expected nodes with 3 features" in told
    assert "got 2" in told
    assert not (tmp_path / "l.csv").exists()


def test_a_run_that_cannot_adapt_is_refused(complaint, trained, tmp_path, capsys):
    ask = ("--data", "toy-graphs", "--out", tmp_path / "l.csv")
    selar = tmp_path / "selar"
    run("train", "selar", "--data", "toy", "--batch", 8, "--epochs", 1, "--out", selar)
    heuristic = tmp_path / "heuristic"
    run(*TRAIN, "--method", "adamic-adar", "--out", heuristic)
    unfinished = Path(shutil.copytree(trained, tmp_path / "unfinished"))
    (unfinished / "result.json").unlink()
    damaged = Path(shutil.copytree(trained, tmp_path / "damaged"))
    (damaged / "checkpoint.pt").write_bytes(b"none")
    capsys.readouterr()
    for folder, told in (
        (selar, "expected a run of meta-graph, got one of selar"),
        (heuristic, "whose method has an encoder, got 'adamic-adar'"),
        (unfinished, "expected a finished run's"),
        (damaged, "damaged file"),
    ):
        assert told in complaint("adapt", folder, *ask)
    assert not (tmp_path / "l.csv").exists()
