"""Zip files of others: what is unpacked, and what is refused before it does harm."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dglmeta.data import read_tu
from dglmeta.data.formats import archives
from dglmeta.data.formats.archives import unzip
from dglmeta.errors import DataError

WANTED = ["a.txt", "b.txt"]


@pytest.fixture
def pack(tmp_path):
    """``pack((name, content), ...)``: an archive; a name may be a ZipInfo."""

    def make(*members, method=zipfile.ZIP_DEFLATED) -> Path:
        path = tmp_path / "set.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return path

    return make


def patched(path: Path, was: bytes, now: bytes) -> Path:
    """The same file with every ``was`` another, of one length; both headers of a member change."""
    content = path.read_bytes()
    assert len(was) == len(now)
    assert content.count(was) == 2
    path.write_bytes(content.replace(was, now))
    return path


def refused(path: Path, says: str) -> None:
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(DataError, match=says) as caught:
        unzip(path, WANTED)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert sorted(path.parent.rglob("*")) == before


def test_what_is_wanted_is_found_in_any_folder_and_nothing_else_is_read(pack, monkeypatch):
    path = pack(("x//a.txt", b"1"), ("deep/er/b.txt", b"2"), ("x/c.txt", b"3"), ("../d", b"4"))
    read = []
    whole = archives._unpacked
    monkeypatch.setattr(archives, "_unpacked", lambda z, m: read.append(m.filename) or whole(z, m))
    assert unzip(path, WANTED) == {"a.txt": b"1", "b.txt": b"2"}
    assert read == ["x//a.txt", "deep/er/b.txt"]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "name", ["../a.txt", "x/../../a.txt", "/a.txt", "/etc/a.txt", "C:/x/a.txt", "x/../a.txt"]
)
def test_a_name_that_leads_out_of_the_archive_is_refused(pack, name):
    refused(pack((name, b"1")), "expected plain files, .* which leads out of the archive")


def test_a_link_is_refused(pack):
    link = zipfile.ZipInfo("x/a.txt")
    link.create_system = 3
    link.external_attr = 0o120777 << 16
    refused(pack((link, b"/etc/hostname")), "got 'x/a.txt', which is a link")


def test_a_file_that_is_there_twice_is_refused(pack):
    refused(pack(("x/a.txt", b"1"), ("y/a.txt", b"2")), "got 'y/a.txt', which is there twice")
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = pack(("a.txt", b"1"), ("a.txt", b"2"))
    refused(path, "got 'a.txt', which is there twice")


def test_an_encrypted_file_is_refused(pack):
    path = pack(("a.txt", b"1" * 50))
    content = bytearray(path.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flags] |= 1
    path.write_bytes(content)
    refused(path, "got 'a.txt', which is encrypted")


@pytest.mark.parametrize(("method", "number"), [(zipfile.ZIP_BZIP2, 12), (zipfile.ZIP_LZMA, 14)])
def test_methods_that_unpack_without_bounds_are_refused(pack, method, number):
    refused(pack(("a.txt", b"1" * 50), method=method), f"packed by method {number}, neither")


def test_a_bomb_is_refused_before_it_is_unpacked(pack, monkeypatch):
    monkeypatch.setattr(archives, "_unpacked", lambda *_: pytest.fail("unpacked"))
    path = pack(("a.txt", bytes(2**20)), ("b.txt", bytes(2**10)))
    packed = f"{path.stat().st_size:,}"
    refused(path, f"at most 1,048,576 bytes unpacked from {packed}, got 1,049,600")


def test_a_large_archive_may_unpack_to_more_but_not_to_any_size(pack, monkeypatch):
    noise = np.random.default_rng(0).bytes(2**15)
    path = pack(("a.txt", bytes(2**21)), ("noise", noise))
    assert unzip(path, WANTED)["a.txt"] == bytes(2**21)
    monkeypatch.setattr(archives, "MOST_UNPACKED", 2**21 - 1)
    refused(path, "at most 2,097,151 bytes unpacked")


def test_a_file_longer_than_it_says_is_refused_and_its_rest_not_unpacked(pack):
    long, short = 2**26, 2**10
    path = pack(("a.txt", bytes(long)))
    patched(path, long.to_bytes(4, "little"), short.to_bytes(4, "little"))
    tracemalloc.start()
    refused(path, "expected a whole zip file, got a damaged one .*CRC")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_a_file_shorter_than_it_says_is_refused(pack):
    path = pack(("a.txt", b"1" * 1000))
    patched(path, (1000).to_bytes(4, "little"), (1001).to_bytes(4, "little"))
    refused(path, "a.txt ends early")


def test_no_byte_of_an_archive_can_be_changed_to_crash_the_reader(tmp_path):
    texts = {"A": "1, 2\n2, 1\n", "graph_indicator": "1\n1\n2\n", "graph_labels": "1\n-1\n"}
    path = tmp_path / "T.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, text in texts.items():
            archive.writestr(f"T/T_{part}.txt", text)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    n_refused = 0
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            ds = read_tu(tmp_path, "T")
        except DataError:
            n_refused += 1
        else:
            assert ds.counts["nodes"] == 3
    assert n_refused > len(whole) // 4
