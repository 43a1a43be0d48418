"""Data sets by name: found, fetched, checked, or refused with what to do."""

from __future__ import annotations

import gzip
import hashlib
import logging
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import dglmeta as dm
from dglmeta.data import DATASETS, Dataset, GraphDataset, load_dataset
from dglmeta.data import files as files_module
from dglmeta.data.catalogue.graphs import tu_entry
from dglmeta.data.files import DataFile, locate, verify
from dglmeta.data.formats.tables import find_file
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import HeteroCSR

CONTENT = {"a.txt": b"1\t2\n", "b.txt": b"3\t4\n"}


def data_files(base: str) -> list[DataFile]:
    return [
        DataFile(name, f"{base}/{name}", hashlib.sha256(content).hexdigest())
        for name, content in CONTENT.items()
    ]


def fill(folder: Path, names: tuple[str, ...] = ("a.txt", "b.txt")) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(CONTENT[name])
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, no data folder in the environment, and no proxy."""
    monkeypatch.setattr(files_module, "_cache", lambda: tmp_path / "cache")
    monkeypatch.delenv("DGLMETA_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def origin(tmp_path):
    """A web server on this machine with the files of ``tmp_path / "origin"``, and its address."""
    fill(tmp_path / "origin")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            """Say nothing."""

    handler = partial(Quiet, directory=str(tmp_path / "origin"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once


def test_the_given_root_comes_before_the_environment_before_the_cache(cache, tmp_path, monkeypatch):
    files = data_files(NOWHERE)
    fill(cache / "set")
    assert locate("set", files) == cache / "set"
    monkeypatch.setenv("DGLMETA_DATA", str(tmp_path / "env"))
    assert locate("set", files) == cache / "set"  # not there yet
    fill(tmp_path / "env" / "set")
    assert locate("set", files) == tmp_path / "env" / "set"
    fill(tmp_path / "root" / "set")
    assert locate("set", files, tmp_path / "root") == tmp_path / "root" / "set"


def test_an_incomplete_folder_is_passed_over(cache, tmp_path):
    fill(tmp_path / "root" / "set", ("a.txt",))
    fill(cache / "set")
    assert locate("set", data_files(NOWHERE), tmp_path / "root") == cache / "set"


def test_a_gzipped_file_does_as_well(cache):
    folder = fill(cache / "set", ("a.txt",))
    (folder / "b.txt.gz").write_bytes(gzip.compress(CONTENT["b.txt"]))
    files = data_files(NOWHERE)
    assert locate("set", files) == folder
    verify(folder, files)  # the checksum is of the unpacked content


def test_what_is_missing_is_fetched_into_the_cache(cache, origin):
    logging.getLogger("pooch").setLevel(logging.WARNING)
    fill(cache / "set", ("a.txt",))
    folder = locate("set", data_files(origin))
    assert folder == cache / "set"
    assert (folder / "b.txt").read_bytes() == CONTENT["b.txt"]


def test_a_fetched_file_of_another_content_is_refused_and_not_kept(cache, origin, tmp_path):
    (tmp_path / "origin" / "b.txt").write_bytes(b"something else\n")
    with pytest.raises(DataError, match=r"b.txt could not be fetched \(SHA256 hash of downloaded"):
        locate("set", data_files(origin))
    assert not (cache / "set" / "b.txt").exists()


def test_what_cannot_be_fetched_is_refused_with_where_to_put_it(cache, tmp_path):
    (tmp_path / "root").mkdir()
    with pytest.raises(DataError) as caught:
        locate("set", data_files(NOWHERE), tmp_path / "root")
    message = str(caught.value)
    assert "expected a.txt or a.txt.gz in one of" in message
    assert f"put it in {tmp_path / 'root' / 'set'}" in message
    assert "\n" not in message


def test_a_folder_that_lacks_one_file_is_told_which(cache, tmp_path):
    folder = fill(tmp_path / "root" / "set", ("a.txt",))
    with pytest.raises(DataError, match=r"expected b\.txt or") as caught:
        locate("set", data_files(NOWHERE), tmp_path / "root")
    assert f"put it in {folder}" in str(caught.value)


def test_a_file_served_nowhere_is_refused_with_how_to_make_it(cache, tmp_path):
    (tmp_path / "root").mkdir()
    with pytest.raises(DataError) as caught:
        load_dataset("acm", tmp_path / "root")
    message = str(caught.value)
    assert message.startswith("gtn-acm: expected gtn-acm.npz or gtn-acm.npz.gz in one of")
    assert "Write the content of gtn-acm.zip of github.com/cenyk1230/gtn-data as" in message
    assert message.endswith(f"and put it in {tmp_path / 'root' / 'gtn-acm'}.")


def test_verify_says_how_to_make_a_file_served_nowhere(tmp_path):
    (tmp_path / "gtn-imdb").mkdir()
    (tmp_path / "gtn-imdb" / "gtn-imdb.npz").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"expected content of sha256 .* Write the content of gtn-"):
        load_dataset("imdb", tmp_path, verify=True)


def test_a_root_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(
        DataError, match="--data-dir: expected a folder of data sets, got .*nowhere"
    ):
        load_dataset("lastfm", root=tmp_path / "nowhere")


def test_verify_names_the_file_that_differs_or_is_missing(tmp_path):
    folder = fill(tmp_path / "set", ("a.txt",))
    files = data_files(NOWHERE)
    with pytest.raises(DataError, match=r"expected b.txt or b.txt.gz, got neither"):
        verify(folder, files)
    (folder / "b.txt").write_bytes(b"3\t5\n")
    with pytest.raises(DataError, match=r"b.txt: expected content of sha256 .*, got "):
        verify(folder, files)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("lastfn", "Did you mean 'lastfm'"),
        ("book_crossing", "Did you mean 'book-crossing'"),
        ("zzz", "one of toy, planted, lastfm, .*, amazon-computers-egos, got 'zzz'. Give one"),
    ],
)
def test_an_unknown_name_is_refused_with_the_names_there_are(name, says):
    with pytest.raises(DataError, match=says):
        load_dataset(name)


TINY = {"A": "1, 2\n2, 1\n", "graph_indicator": "1\n1\n2\n", "graph_labels": "-1\n1\n"}


def tiny_zip(folder: Path, name: str = "TINY-1.x") -> Path:
    """A set in the public format as ``folder/NAME.zip``."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
        for part, text in TINY.items():
            archive.writestr(f"{name}/{name}_{part}.txt", text)
    return folder / f"{name}.zip"


def tiny_folder(folder: Path, name: str = "TINY-1.x") -> None:
    """The same set, its nodes in one graph, as a folder ``folder/NAME``."""
    (folder / name).mkdir(parents=True)
    one_graph = {"graph_indicator": "1\n1\n1\n", "graph_labels": "1\n"}
    for part, text in (TINY | one_graph).items():
        (folder / name / f"{name}_{part}.txt").write_text(text)


def test_any_set_of_tudataset_is_found_by_its_name(cache, tmp_path, monkeypatch):
    tiny_zip(tmp_path / "env" / "tudataset")
    monkeypatch.setenv("DGLMETA_DATA", str(tmp_path / "env"))
    ds = load_dataset("tu/TINY-1.x", verify=True)
    assert (ds.name, ds.card.title) == ("tu/TINY-1.x", "TINY-1.x of TUDataset")
    assert ds.card.source == "https://www.chrsmrrs.com/graphkerneldatasets/TINY-1.x.zip"
    assert ds.counts == {"graphs": 2, "nodes": 3, "edges": 1, "features": 0, "classes": 2}
    tiny_zip(tmp_path / "root" / "tudataset", "OTHER")
    assert len(load_dataset("tu/OTHER", tmp_path / "root")) == 2


def test_a_set_of_tudataset_may_be_a_folder_but_its_archive_comes_first(cache, tmp_path):
    place = tmp_path / "root" / "tudataset"
    tiny_folder(place)
    assert len(load_dataset("tu/TINY-1.x", tmp_path / "root")) == 1
    tiny_zip(place)
    assert len(load_dataset("tu/TINY-1.x", tmp_path / "root")) == 2


def test_a_set_of_tudataset_that_is_missing_is_refused_with_its_origin_and_place(cache, tmp_path):
    (tmp_path / "root").mkdir()
    with pytest.raises(DataError) as caught:
        load_dataset("tu/TINY", tmp_path / "root")
    message = str(caught.value)
    put = tmp_path / "root" / "tudataset"
    assert message.startswith(f"tudataset: expected TINY.zip or TINY.zip.gz in one of {put}, ")
    assert "Fetch https://www.chrsmrrs.com/graphkerneldatasets/TINY.zip, of which no" in message
    assert message.endswith(f" and put it in {put}.")
    assert "\n" not in message


@pytest.mark.parametrize("name", ["tu/", "tu/../x", "tu/a/b", "tu//x", "tu/..", "tu/a b", "tu/é"])
def test_a_set_of_tudataset_has_a_plain_name(cache, tmp_path, name):
    tiny_zip(tmp_path / "root", "x")
    (tmp_path / "root" / "tudataset").mkdir()
    with pytest.raises(DataError, match="TUDataset: expected a plain name"):
        load_dataset(name, tmp_path / "root")


@pytest.mark.parametrize(("name", "file"), [("enzymes", "ENZYMES"), ("firstmm", "FIRSTMM_DB")])
def test_a_registered_set_of_tudataset_is_the_same_by_both_names(name, file):
    assert tu_entry(file) is DATASETS[name]


def test_a_set_of_tudataset_takes_no_options(tmp_path):
    path = tiny_zip(tmp_path / "tudataset")
    for name in ("tu/TINY-1.x", path):
        with pytest.raises(ConfigError, match=r"expected options among \[\], got \['seed'\]"):
            load_dataset(name, tmp_path, seed=1)


def test_an_archive_of_tudataset_is_read_from_where_it_lies(tmp_path):
    path = tiny_zip(tmp_path / "anywhere")
    for name in (path, str(path)):
        ds = load_dataset(name)
        assert (ds.name, len(ds)) == (str(path), 2)
    with pytest.raises(DataError, match="expected a folder with schema.toml, a NAME.zip of TUData"):
        load_dataset(tmp_path / "OTHER.zip")


def test_an_unknown_option_is_refused_with_the_options_there_are():
    with pytest.raises(ConfigError, match=r"'planted'\): expected options among \['n_users'"):
        load_dataset("planted", users=3)


def test_options_reach_the_generator_and_the_reader(data_dir):
    assert load_dataset("planted", n_users=70).csr.n_nodes["user"] == 70
    one, other = (load_dataset("lastfm", data_dir, seed=s).candidates for s in (1, 2))
    assert (one != other).any()


@pytest.mark.parametrize("name", ["toy", "planted", "toy-papers", "toy-citations", "toy-graphs"])
def test_a_data_set_that_is_made_up_needs_no_files(name):
    ds = load_dataset(name)
    assert ds.name == name
    assert ds.card.title


def of_files(name: str, data_dir: Path) -> Dataset | GraphDataset:
    """A data set, its files verified; the test is skipped where they are not at hand."""
    entry = DATASETS[name]
    folder = data_dir / entry.folder
    lacking = [file.name for file in entry.files if find_file(folder, file.name) is None]
    if lacking:
        pytest.skip(f"needs {lacking[0]} in {folder}")
    return load_dataset(name, root=data_dir, verify=True)


@pytest.mark.parametrize("name", [name for name, entry in DATASETS.items() if entry.folder])
def test_a_data_set_of_files_knows_its_origin(name, data_dir):
    ds = of_files(name, data_dir)
    assert ds.name == name
    assert all((ds.card.title, ds.card.source, ds.card.licence, ds.card.citation, ds.card.note))
    if isinstance(ds, GraphDataset):
        assert ds.counts["graphs"] == len(ds.graph_names)
        return
    if ds.target:
        assert ds.counts["positives"] == ds.csr.n_edges[ds.target]
    else:
        assert ds.counts["labelled"] == len(ds.node_split)
        assert not {"positives", "negatives"} & set(ds.counts)
    for text in ds.metapaths:
        dm.MetaPath.parse(text, ds.csr.schema)


def test_every_file_of_a_data_set_can_be_fetched_or_says_how_to_come_by_it():
    for entry in DATASETS.values():
        for file in entry.files:
            assert bool(file.url) != bool(file.origin)
            assert file.sha256 or not file.url


def test_files_of_unknown_checksum_are_not_compared(tmp_path):
    folder = tmp_path / "ppi"
    folder.mkdir()
    for file in DATASETS["ppi"].files:
        (folder / file.name).write_bytes(b"no graph")
    with pytest.raises(DataError, match="expected a graph in the node-link form"):
        load_dataset("ppi", tmp_path, verify=True)


def test_the_environment_names_the_data_folder(data_dir, monkeypatch):
    monkeypatch.setenv("DGLMETA_DATA", str(data_dir))
    assert load_dataset("lastfm").counts["user"] == 1872


def test_the_dgl_graph_has_the_same_edges_and_ids(data_dir):
    ds = load_dataset("lastfm", root=data_dir)
    assert ds.graph is ds.graph
    assert HeteroCSR.from_dgl(ds.graph).n_edges == ds.csr.n_edges
    back = HeteroCSR.from_dgl(ds.graph).adjacency(ds.target)
    assert (back.indices == ds.csr.adjacency(ds.target).indices).all()


def test_text_ids_stay_behind_in_the_dgl_graph(data_dir):
    ds = load_dataset("book-crossing", root=data_dir)
    assert "id" not in ds.graph.nodes["item"].data


def test_a_data_set_with_neither_target_link_nor_labels_cannot_be_split():
    hg = HeteroCSR.from_edges({("a", "to", "b"): ([0], [0])}, {"a": 1, "b": 1})
    with pytest.raises(DataError, match="mine: expected a data set with a target link or labelled"):
        dm.data.Dataset("mine", hg).splits()
