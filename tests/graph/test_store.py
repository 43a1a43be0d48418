"""A graph in a folder: whole or absent, mapped, and refused when damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dglmeta.errors import DataError
from dglmeta.graph import HeteroCSR


@settings(max_examples=40)
@given(st.data(), st.booleans())
def test_a_saved_graph_opens_as_it_was(heterographs, assert_same, data, mmap):
    hg = data.draw(heterographs())
    with TemporaryDirectory() as folder:
        place = Path(folder) / "graph"
        hg.save(place)
        again = HeteroCSR.open(place, mmap=mmap, verify=True)
        assert_same(again, hg)
        assert again.schema == hg.schema
        fresh = HeteroCSR(again.schema, again.n_nodes, again.adjacencies)
        assert fresh.content_hash == hg.content_hash  # not only the recorded one


def test_mapped_arrays_are_plain_and_writing_to_them_leaves_the_file_alone(toy, tmp_path):
    toy.save(tmp_path / "g")
    hg = HeteroCSR.open(tmp_path / "g")
    age = hg.node_data["user"]["age"]
    assert type(age) is np.ndarray
    assert isinstance(age.base, np.memmap)
    age[0] = -1
    assert HeteroCSR.open(tmp_path / "g", verify=True).node_data["user"]["age"][0] == 30


def test_opening_does_not_hash_again(toy, tmp_path):
    toy.save(tmp_path / "g")
    assert HeteroCSR.open(tmp_path / "g").__dict__["content_hash"] == toy.content_hash


def test_saving_replaces_a_saved_graph_even_the_one_it_was_opened_from(toy, tmp_path, assert_same):
    toy.save(tmp_path / "g")
    other = HeteroCSR.open(tmp_path / "g").without_edges("rated", [0])
    other.save(tmp_path / "g")
    assert_same(HeteroCSR.open(tmp_path / "g"), toy.without_edges("rated", [0]))
    assert [p.name for p in tmp_path.iterdir()] == ["g"]


def test_an_empty_folder_is_taken_and_missing_parents_are_made(toy, tmp_path):
    (tmp_path / "empty").mkdir()
    toy.save(tmp_path / "empty")
    toy.save(str(tmp_path / "a" / "b"))
    assert HeteroCSR.open(tmp_path / "empty").content_hash == toy.content_hash
    assert HeteroCSR.open(tmp_path / "a" / "b").content_hash == toy.content_hash


@pytest.mark.parametrize("content", ["notes.txt", "graph.json"])
def test_a_folder_that_is_no_saved_graph_is_never_overwritten(toy, tmp_path, content):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / content).write_text("[1]")
    with pytest.raises(DataError, match="expected a new folder or one that holds a saved graph"):
        toy.save(tmp_path / "mine")
    assert (tmp_path / "mine" / content).read_text() == "[1]"
    with pytest.raises(DataError, match="expected a new folder"):
        toy.save(tmp_path / "mine" / content)


def test_a_save_that_fails_leaves_the_old_graph_and_no_rubbish(
    toy, tmp_path, monkeypatch, assert_same
):
    toy.save(tmp_path / "g")
    words = np.array(["a", None, "c"], object)
    with pytest.raises(DataError, match=r"got objects in node_data\['user'\]\['name'\]"):
        replace(toy, node_data={"user": {"name": words}}).save(tmp_path / "g")

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DataError, match="No space left on device"):
        toy.without_edges("rated", [0]).save(tmp_path / "g")
    assert_same(HeteroCSR.open(tmp_path / "g", verify=True), toy)
    assert [p.name for p in tmp_path.iterdir()] == ["g"]


def test_a_place_that_cannot_be_written_is_a_data_error(toy, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="expected a place to write to"):
        toy.save(tmp_path / "file" / "g")


def _edit_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "graph.json").read_text())
    (folder / "graph.json").write_text(json.dumps({**manifest, **changes}))


def _flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda g: (g / "graph.json").unlink(),
            "No such file .* Give a folder that HeteroCSR.save",
        ),
        (lambda g: (g / "graph.json").write_text('{"form'), "a graph.json that is no JSON"),
        (lambda g: (g / "graph.json").write_text("{}"), "another file of that name"),
        (
            lambda g: _edit_manifest(g, version=2),
            "expected format version 1, got 2. Upgrade dglmeta",
        ),
        (lambda g: _edit_manifest(g, node_types=[{}]), "a graph.json without 'name'"),
        (lambda g: _edit_manifest(g, arrays=[]), "a graph.json without"),
        (lambda g: (g / "0001.npy").unlink(), "no 0001.npy. Save it again"),
        (lambda g: (g / "0001.npy").write_bytes(b""), "0001.npy with 0 bytes instead of"),
        (
            lambda g: (g / "0001.npy").write_bytes((g / "0001.npy").read_bytes()[:-4]),
            "with 140 bytes",
        ),
        (
            lambda g: (g / "0001.npy").write_bytes(b"x" * (g / "0001.npy").stat().st_size),
            "0001.npy that does not load",
        ),
    ],
)
@pytest.mark.parametrize("mmap", [True, False])
def test_a_damaged_folder_is_refused_with_what_is_wrong(toy, tmp_path, damage, message, mmap):
    toy.save(tmp_path / "g")
    damage(tmp_path / "g")
    with pytest.raises(DataError, match=message):
        HeteroCSR.open(tmp_path / "g", mmap=mmap)


def test_verify_finds_a_changed_byte(toy, tmp_path):
    toy.save(tmp_path / "g")
    _flip_a_byte(tmp_path / "g" / "0005.npy")
    with pytest.raises(DataError, match="0005.npy with another sha256"):
        HeteroCSR.open(tmp_path / "g", verify=True)


def test_a_missing_folder_says_what_to_give(tmp_path):
    with pytest.raises(DataError, match="No such file or directory. Give a folder"):
        HeteroCSR.open(tmp_path / "nowhere")


def test_another_process_opens_the_folder_without_torch(toy, tmp_path):
    toy.save(tmp_path / "g")
    script = (
        "import sys; from dglmeta.graph import HeteroCSR\n"
        f"print(HeteroCSR.open({str(tmp_path / 'g')!r}).content_hash, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [toy.content_hash, "False"]
