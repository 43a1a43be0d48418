"""``dglmeta labels`` writes label stores, and refuses in one line what it cannot do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dglmeta.cli import main
from dglmeta.flags import size
from dglmeta.labels import LabelStore

TOY = ("labels", "toy", "--metapath", "user-item-user", "--metapath", "user-item-tag-item")


def run(*argv):
    assert main([str(a) for a in argv]) == 0


def test_drawn_labels_are_written_and_counted(tmp_path, capsys):
    run(*TOY, "--out", tmp_path, "--positives", 40, "--negative-ratio", 0.5, "--seed", 3)
    printed = capsys.readouterr().out
    assert "user-[rated]-item-[~rated]-user: 40 positives, 20 negatives\n" in printed
    assert f"wrote {tmp_path}\n" in printed
    store = LabelStore(tmp_path)
    assert store.n_rows == (60, 60)
    assert store.manifest.request.seed == 3


def test_all_positives_are_written_when_no_number_is_given(tmp_path, capsys):
    run(*TOY, "--out", tmp_path, "--negative-ratio", 0)
    labels = LabelStore(tmp_path).read(0)
    assert len(set(zip(labels.src.tolist(), labels.dst.tolist(), strict=True))) == len(labels.src)
    assert labels.label.all()


def test_a_dry_run_says_what_to_expect_and_writes_nothing(tmp_path, capsys):
    run(*TOY, "--out", tmp_path / "none", "--positives", 1000, "--dry-run")
    printed = capsys.readouterr().out
    assert "in all: 4,000 labels, " in printed
    assert "memory: at most " in printed
    assert not (tmp_path / "none").exists()


def test_a_store_is_resumed_with_the_same_flags(tmp_path, capsys):
    asked = (*TOY, "--out", tmp_path, "--positives", 40)
    run(*asked)
    part = tmp_path / "metapath=0" / "part-00000.parquet"
    before = part.read_bytes()
    part.unlink()
    run(*asked, "--resume")
    assert part.read_bytes() == before


@pytest.mark.dist
def test_processes_and_a_cluster_write_what_one_process_writes(tmp_path, capsys):
    distributed = pytest.importorskip("distributed")
    asked = (*TOY, "--positives", 40)
    run(*asked, "--out", tmp_path / "one")
    run(*asked, "--out", tmp_path / "two", "--workers", 1, "--memory-budget", "1GiB")
    with distributed.LocalCluster(
        n_workers=1, processes=False, dashboard_address=None, silence_logs=50
    ) as cluster:
        run(*asked, "--out", tmp_path / "three", "--scheduler", cluster.scheduler_address)
    digests = [
        [p["sha256"] for p in json.loads((tmp_path / n / "manifest.json").read_text())["parts"]]
        for n in ("one", "two", "three")
    ]
    assert digests[0] == digests[1] == digests[2]


def test_a_folder_of_tables_is_labelled(tmp_path, capsys):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "schema.toml").write_text(
        "[nodes.customer]\ncount = 3\n[nodes.product]\ncount = 2\n"
        '[edges.bought]\nfile = "bought.csv"\nsource = "customer"\ntarget = "product"\n'
    )
    (folder / "bought.csv").write_text("src,dst\n0,0\n1,0\n2,1\n")
    path = "customer-product-customer"
    run("labels", folder, "--metapath", path, "--out", tmp_path / "out", "--negative-ratio", 0)
    labels = LabelStore(tmp_path / "out").read(0)
    order = np.lexsort([labels.dst, labels.src])
    assert labels.src[order].tolist() == [0, 0, 1, 1, 2]
    assert labels.dst[order].tolist() == [0, 1, 0, 1, 2]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("labels", "toy", "--out", "x"), "required: --metapath"),
        (TOY, "required: --out"),
        ((*TOY, "--out", "x", "--positives", "0"), "a whole number from 1 to"),
        ((*TOY, "--out", "x", "--negative-ratio", "-1"), "negative ratio >= 0, got -1.0"),
        ((*TOY, "--out", "x", "--negative-ratio", "nan"), "finite negative ratio"),
        ((*TOY, "--out", "x", "--memory-budget", "lots"), "a size such as 1GiB or 500MB"),
        ((*TOY, "--out", "x", "--memory-budget", "1KiB"), "memory budget of 1 KiB a process"),
        ((*TOY, "--out", "x", "--workers", "0"), "--workers: expected a whole number from 1"),
        ((*TOY, "--out", "x", "--workers", "2", "--scheduler", "tcp://a:1"), "not allowed with"),
        ((*TOY, "--out", "x", "--device", "tpu"), "invalid choice: 'tpu'"),
        (("labels", "toy", "--metapath", "user-user", "--out", "x"), "no edge type joins 'user'"),
        (("labels", "lastfn", "--metapath", "a-b", "--out", "x"), "Did you mean 'lastfm'?"),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_line(complaint, tmp_path, monkeypatch, argv, says):
    monkeypatch.chdir(tmp_path)
    assert says in complaint(*argv)
    assert not any(tmp_path.iterdir())


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_written(
    complaint, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dglmeta.kernels.gpu.device.why_not", lambda: "no GPU")
    assert "expected CuPy with a CUDA GPU for 'cuda', got no GPU" in complaint(
        *TOY, "--out", "x", "--device", "cuda"
    )
    assert not any(tmp_path.iterdir())


def test_folders_that_cannot_serve_are_refused_in_one_line(complaint, tmp_path, capsys):
    run(*TOY, "--out", tmp_path / "store", "--positives", 40)
    capsys.readouterr()
    again = (*TOY, "--out", tmp_path / "store", "--positives", 40)
    assert "Go on with resume=True (--resume)" in complaint(*again)
    assert "with seed = 1, got one with 0" in complaint(*again, "--resume", "--seed", 1)
    (tmp_path / "file").touch()
    assert "expected to write a label store" in complaint(*TOY, "--out", tmp_path / "file" / "x")


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("2048", 2048), ("1GiB", 1 << 30), ("1.5 MiB", 3 << 19), ("500MB", 500_000_000), ("2k", 2000)],
)
def test_sizes_are_read_with_their_units(text, n_bytes):
    assert size(text) == n_bytes
