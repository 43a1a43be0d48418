"""A journal gives back what was safely written, whatever became of the rest."""

import math
import os

import pytest

from dglmeta.errors import ConfigError, DataError
from dglmeta.train import Journal

HEADER = {"seed": 0, "shape": (1, 2)}
ENTRIES = [{"round": i, "reward": 0.1 * i} for i in range(3)]


@pytest.fixture
def path(tmp_path):
    """A journal with three entries."""
    journal = Journal(tmp_path / "journal.jsonl", HEADER)
    for entry in ENTRIES:
        journal.append(entry)
    return journal.path


def test_it_gives_back_what_was_appended_before_it_was_opened(path):
    journal = Journal(path, HEADER)
    journal.append({"round": 3})
    assert list(journal.entries) == ENTRIES
    assert list(journal.entries) == ENTRIES
    assert list(Journal(path, HEADER).entries) == [*ENTRIES, {"round": 3}]


def test_an_entry_is_returned_as_it_will_be_read(path):
    entry = {"pair": (1, 2), 3: math.inf, "nan": math.nan}
    returned = Journal(path, HEADER).append(entry)
    assert returned == {"pair": [1, 2], "3": math.inf, "nan": pytest.approx(math.nan, nan_ok=True)}
    assert str(list(Journal(path, HEADER).entries)[-1]) == str(returned)


def test_it_survives_a_cut_at_any_byte(path):
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        journal = Journal(path, HEADER)
        n_entries = max(sum(end <= cut for end in ends) - 1, 0)
        assert list(journal.entries) == ENTRIES[:n_entries]
        for entry in ENTRIES[n_entries:]:
            journal.append(entry)
        assert path.read_bytes() == whole


@pytest.mark.parametrize("tail", [b"\0\0\0\0", b'{"round": }\n', b"[1]\n", b"\xff\n", b"\n"])
def test_a_damaged_last_line_is_cut_off(path, tail):
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert list(Journal(path, HEADER).entries) == ENTRIES
    assert path.read_bytes() == whole


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_damaged_line_elsewhere_is_an_error_and_stays(path, number):
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = lines[number - 1][:5] + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(DataError, match=f"in line {number} of .*, got b'"):
        Journal(path, HEADER)
    assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("content", [b"some text of mine", b"some text of mine\n", b"[]\n"])
def test_a_file_that_is_no_journal_is_an_error_and_stays(tmp_path, content):
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(DataError, match="in line 1 of"):
        Journal(path, HEADER)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ({"seed": 1, "shape": [1, 2]}, r"got seed: 0 -> 1\. Resume"),
        ({"seed": 0}, r"got shape: \[1, 2\] -> None\. Resume"),
        ({"seed": 0, "shape": [2, 2], "c": None}, r"got c: None -> None, shape: \[1, 2\] -> \[2"),
        ({"seed": False, "shape": [1, 2]}, "got seed: 0 -> False"),
    ],
)
def test_another_header_is_refused_by_what_differs_and_nothing_is_cut(path, header, named):
    path.write_bytes(path.read_bytes() + b'{"rou')
    with pytest.raises(ConfigError, match=named):
        Journal(path, header)
    assert path.read_bytes().endswith(b'{"rou')


def test_the_order_of_the_header_does_not_matter(path):
    assert list(Journal(path, {"shape": [1, 2], "seed": 0}).entries) == ENTRIES


def test_what_json_cannot_say_is_refused_and_nothing_is_written(path):
    before = path.read_bytes()
    with pytest.raises(DataError, match="expected what JSON can say, got: .*set"):
        Journal(path, HEADER).append({"x": {1, 2}})
    assert path.read_bytes() == before


def test_an_append_that_failed_half_way_leaves_no_trace_in_the_next(path, monkeypatch):
    journal = Journal(path, HEADER)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match="No space left"):
            journal.append({"round": "lost, and longer than the next"})
    journal.append({"round": 3})
    assert path.read_bytes().endswith(b'\n{"round": 3}\n')
    assert list(Journal(path, HEADER).entries) == [*ENTRIES, {"round": 3}]


def test_every_append_is_on_disk_before_it_returns(path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(path.read_bytes()))
    Journal(path, HEADER).append({"round": 3})
    assert synced == [path.read_bytes()]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="expected a file that can be written at .*absent"):
        Journal(tmp_path / "absent" / "journal.jsonl", HEADER)


def test_a_journal_changed_under_its_reader_is_an_error(path):
    journal = Journal(path, HEADER)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match="as it was when opened"):
        list(journal.entries)
