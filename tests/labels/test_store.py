"""A store is read as it was written, or says what is wrong with it."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from dglmeta.errors import DataError, LabelStoreError
from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.labels import LabelStore, generate
from dglmeta.labels import store as store_module

PATHS = ("user-item-user", "user-item-tag-item")


@pytest.fixture(scope="module")
def made(hg, tmp_path_factory):
    """A store of two meta-paths, nine parts each."""
    folder = tmp_path_factory.mktemp("labels") / "store"
    return generate(hg, PATHS, folder, positives=400, part_rows=90)


@pytest.fixture
def spoiled(made, tmp_path):
    """A copy of it to be spoiled."""
    return LabelStore(shutil.copytree(made.folder, tmp_path / "store"))


def stacked(batches):
    return [np.concatenate(columns) for columns in zip(*batches, strict=True)]


def as_rows(labels):
    return sorted(zip(*(column.tolist() for column in labels), strict=True))


def test_a_store_counts_its_labels(made):
    assert made.n_rows == (800, 800)
    assert made.n_positives == (400, 400)
    assert repr(made).endswith("item-[has]-tag-[~has]-item: 800)")


@pytest.mark.parametrize("n", [1, "user-item-tag-item", None])
def test_a_metapath_is_named_by_number_text_or_itself(made, hg, n):
    named = MetaPath.parse(PATHS[1], hg.schema) if n is None else n
    for column, expected in zip(made.read(named), made.read(str(made.metapaths[1])), strict=True):
        np.testing.assert_array_equal(column, expected)


def test_an_unknown_metapath_is_refused_with_those_there_are(made):
    for name in ("user-item-item", 2, -1):
        with pytest.raises(DataError, match=r"expected one of \['user-\[rated\]-item-\[~rated\]"):
            made.read(name)


@pytest.mark.parametrize("n_rows", [1, 7, 100, 800, 5_000])
def test_an_epoch_has_every_label_once_in_batches_of_one_size(made, n_rows, monkeypatch):
    monkeypatch.setattr(store_module, "GROUPS_AT_ONCE", 2)
    batches = list(made.batches(0, n_rows))
    sizes = [len(batch.label) for batch in batches]
    assert set(sizes[:-1]) <= {n_rows}
    assert 0 < sizes[-1] <= n_rows
    assert as_rows(stacked(batches)) == as_rows(made.read(0))


def test_an_epoch_depends_on_its_seed_alone(made):
    first, again, other = (stacked(made.batches(0, 64, seed=s)) for s in (1, 1, 2))
    for column, expected in zip(first, again, strict=True):
        np.testing.assert_array_equal(column, expected)
    assert (first[0] != other[0]).any()
    assert (first[0] != made.read(0).src).any()


def test_a_batch_needs_a_row(made):
    with pytest.raises(DataError, match="n_rows >= 1, got 0"):
        made.batches(0, 0)


def test_mapped_labels_are_those_read_and_are_written_once(spoiled, tmp_path):
    for cache in (None, tmp_path / "elsewhere"):
        for column, expected in zip(spoiled.mapped(1, cache=cache), spoiled.read(1), strict=True):
            assert isinstance(column, np.memmap)
            np.testing.assert_array_equal(column, expected)
            assert column.dtype == expected.dtype
    shutil.rmtree(spoiled.folder / "metapath=1")
    assert len(spoiled.mapped(1).label) == 800
    assert len(list((spoiled.folder / ".cache").iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_refused(made, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LabelStoreError, match="expected a place to write 800 labels to"):
        made.mapped(0, cache=tmp_path / "file")


def test_verify_finds_nothing_wrong_with_a_whole_store(made):
    assert made.verify() == ()


def test_verify_names_every_part_that_is_missing_cut_or_changed(spoiled):
    first, second, third = (part.file(spoiled.folder) for part in spoiled.manifest.parts[:3])
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    data = bytearray(third.read_bytes())
    data[len(data) // 2] ^= 1
    third.write_bytes(data)
    broken = {fault.file: fault.reason for fault in spoiled.verify()}
    assert list(broken) == [first, second, third]
    assert "No such file" in broken[first]
    assert re.fullmatch(r"\d+ bytes instead of \d+", broken[second])
    assert "sha256 differs" in broken[third]


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_reading_a_damaged_part_names_it_and_says_what_to_do(spoiled, damage):
    file = spoiled.manifest.parts[0].file(spoiled.folder)
    data = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(data[:-9] if damage == "cut" else b"no Parquet at all")
    for read in (spoiled.read, spoiled.mapped, lambda k: list(spoiled.batches(k, 8))):
        with pytest.raises(LabelStoreError, match="part-00000.parquet: .*resume=True") as caught:
            read(0)
        assert "\n" not in str(caught.value)
    assert len(spoiled.read(1).label) == 800


def test_a_folder_without_a_store_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(LabelStoreError, match="expected a label store, got a folder without"):
            LabelStore(folder)


def test_a_store_of_another_graph_is_refused(made, hg, other):
    assert LabelStore(made.folder, hg).n_rows == (800, 800)
    with pytest.raises(LabelStoreError, match="got those of another"):
        LabelStore(made.folder, other)


def test_a_manifest_of_a_newer_version_is_refused_by_reader_and_writer(spoiled, hg, content):
    file = spoiled.folder / "manifest.json"
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "version": 2, "blocks": "in another form"}))
    before = content(spoiled.folder)
    with pytest.raises(LabelStoreError, match="format version 1, got 2. Upgrade dglmeta"):
        LabelStore(spoiled.folder)
    with pytest.raises(LabelStoreError, match="Upgrade dglmeta"):
        generate(hg, PATHS, spoiled.folder, positives=400, part_rows=90, resume=True)
    assert content(spoiled.folder) == before


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": "dglmeta-labels", "version": 1}']
)
def test_a_damaged_manifest_is_refused(spoiled, text):
    (spoiled.folder / "manifest.json").write_text(text)
    with pytest.raises(LabelStoreError, match="manifest.json: expected the description of a label"):
        LabelStore(spoiled.folder)


def test_the_manifest_tells_what_the_store_is_made_from(made, hg):
    document = json.loads((made.folder / "manifest.json").read_text())
    assert document["graph"] == hg.content_hash
    assert document["schema"]["node_types"] == {"user": 40, "item": 30, "tag": 8}
    assert document["request"]["metapaths"][0] == [
        [["user", "rated", "item"], True],
        [["user", "rated", "item"], False],
    ]
    assert document["request"]["seed"] == 0
    assert "does not join" in document["rules"]["negatives"]
    assert {"positives", "negatives", "bytes", "sha256"} <= set(document["parts"][0])


def test_a_part_without_labels_is_a_part_like_any_other(tmp_path):
    hg = HeteroCSR.from_edges({("a", "x", "b"): ([0, 0], [0, 2])}, {"a": 2, "b": 3})
    store = generate(hg, "a-b", tmp_path / "store", part_rows=1)
    assert [part.positives for part in store.manifest.parts] == [2, 0]
    assert store.verify() == ()
    for labels in (store.read(0), stacked(store.batches(0, 3)), store.mapped(0)):
        assert [row for row in as_rows(labels) if row[3]] == [(0, 0, 1, 1), (0, 2, 1, 1)]
        assert len(as_rows(labels)) == 4
