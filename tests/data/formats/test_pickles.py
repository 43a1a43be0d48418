"""Pickles of Python 2: what is read of them, and what is refused before it does harm."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from dglmeta.data.formats.pickles import Pickle, read_packed
from dglmeta.errors import DataError

HERE = Path("ind.set.part")


def refused(data: bytes, says: str, form: str = "array") -> None:
    with pytest.raises(DataError, match=says) as caught:
        getattr(Pickle.loads(HERE, data), form)()
    assert str(caught.value).startswith(f"{HERE}: expected ")
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", ["<f4", ">f8", "<i4", ">i8", "|u1", "|i1", "|b1", "<f2", "<u8"])
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 3), (2, 0), (2, 1, 3), ()])
def test_arrays_are_read_as_they_were(python2, number, shape):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, shape).astype(number) * 100
    for order in "CF":
        given = np.asarray(values, order=order).astype(number)
        found = Pickle.loads(HERE, python2(given)).array()
        assert found.shape == shape
        assert found.dtype == np.dtype(number).newbyteorder("=")
        assert (found == given).all()


@pytest.mark.parametrize("shape", [(4, 7), (0, 3), (3, 0), (5, 2)])
def test_sparse_rows_are_read_as_they_were(python2, shape):
    dense = np.random.default_rng(0).integers(0, 3, shape) * 0.5
    found = Pickle.loads(HERE, python2(csr_matrix(dense.astype(np.float32)))).rows()
    assert found.shape == shape
    assert (found.toarray() == dense).all()


def test_lists_of_neighbours_become_edges(python2):
    lists = defaultdict(list, {3: [1, 1], 0: [], 1: [3, 700]})
    for value in (lists, dict(lists)):
        src, dst = Pickle.loads(HERE, python2(value)).neighbours()
        assert src.tolist() == [3, 3, 1, 1]
        assert dst.tolist() == [1, 1, 3, 700]
    src, dst = Pickle.loads(HERE, python2({})).neighbours()
    assert (len(src), len(dst), src.dtype) == (0, 0, np.int64)


class Attack:
    """What runs a command where a pickle is loaded without care."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_nothing_that_a_pickle_names_is_run(python2, tmp_path):
    mark = tmp_path / "mark"
    refused(python2([Attack(f"touch {mark}")]), r"got one that names 'posix\.system', which is not")
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    ["os system", "__builtin__ eval", "builtins list", "copy_reg _reconstructor", "numpy load",
     "numpy.core.multiarray scalar", "dglmeta.data.formats.pickles Pickle", "numpy ndarray.tofile",
     "collections OrderedDict", "scipy.sparse.csr csr_array", f"os {'x' * 1000}"],
)  # fmt: skip
def test_a_name_that_is_not_needed_is_refused(name):
    module, _, what = name.partition(" ")
    shown = f"{module}.{what}"[:100]
    refused(f"c{module}\n{what}\n.".encode(), f"that names '{shown}', which is not loaded")


def test_names_that_are_needed_stand_for_no_more_than_a_record(tmp_path):
    source = b"cnumpy\nndarray\n(I3\ntR."
    value = Pickle.loads(HERE, source).value
    assert type(value).__module__ == "dglmeta.data.formats.pickles"
    assert value.args == (3,)


@pytest.mark.parametrize("state", [b"(dS'args'\nI1\ns", b"(N(dS'args'\nI1\nst"])
@pytest.mark.parametrize("name", ["numpy\ndtype", "collections\ndefaultdict", "__builtin__\nlist"])
def test_no_state_can_be_set_on_what_stands_for_a_name(name, state, python2):
    refused(b"c" + name.encode() + b"\n" + state + b"b.", "expected a whole pickle, got a damaged")
    assert (Pickle.loads(HERE, python2(np.arange(3))).array() == np.arange(3)).all()


@pytest.mark.parametrize(
    ("value", "form", "says"),
    [
        (np.array([1, None], object), "array", "an array of numbers, got an object of type Array"),
        (np.array(["a", "bc"]), "array", "an array of numbers"),
        (np.zeros(2, [("a", "i4")]), "array", "an array of numbers"),
        ({0: [1]}, "array", "an array of numbers, got an object of type dict"),
        (np.arange(3), "rows", "a sparse matrix in compressed rows, got an object of type Array"),
        (np.arange(3), "neighbours", "a dict of lists, got an object of type Array"),
        ({0: (1, 2)}, "neighbours", "a dict of lists, got an object of type dict"),
        ({0: [-1]}, "neighbours", "nodes as integers from 0"),
        ({0: ["1"]}, "neighbours", "nodes as integers from 0"),
        ({"0": [1]}, "neighbours", "nodes as integers from 0"),
        ({0: [True]}, "neighbours", "nodes as integers from 0"),
        ({0: [2**40]}, "neighbours", "nodes as integers from 0"),
    ],
)
def test_another_form_is_refused(python2, value, form, says):
    refused(python2(value), says, form)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"indices": np.array([0, 9, 1], np.int32)}, "a sparse matrix in compressed rows, got a w"),
        ({"indices": np.array([0, -1, 1], np.int32)}, "in compressed rows, got a wrong one"),
        ({"indptr": np.array([0, 2, 1, 3], np.int32)}, "in compressed rows, got a wrong one"),
        ({"indptr": np.array([0, 3], np.int32)}, "in compressed rows, got a wrong one"),
        ({"indptr": np.array([0, 1, 2, 300], np.int32)}, "in compressed rows, got a wrong one"),
        ({"indices": np.array([0.0, 1, 1])}, "integers as column ids and starts"),
        ({"data": "no array"}, "an array of numbers, got an object of type str"),
        ({"_shape": (3,)}, "in compressed rows"),
        ({"_shape": (3, "x")}, "in compressed rows"),
        ({"_shape": (2**70, 2)}, "in compressed rows"),
    ],
)
def test_wrong_sparse_rows_are_refused(python2, changed, says):
    matrix = csr_matrix(np.array([[1.0, 0], [0, 2], [0, 3]]))
    vars(matrix).update(changed)
    refused(python2(matrix), says, "rows")


def test_an_array_has_the_numbers_its_shape_says(python2):
    data = python2(np.arange(5, dtype=np.int32))
    assert data.count(b"K\x05") == 1
    refused(data.replace(b"K\x05", b"K\x06"), "as many numbers as the array's shape says")


def test_what_is_remembered_under_a_giant_number_is_refused():
    for put in (b"r\xff\xff\xff\x7f", b"p2000000000\n"):
        tracemalloc.start()
        refused(b"\x80\x02]" + put + b".", "object number .* in")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**22


def test_one_list_for_many_nodes_is_refused(python2):
    shared = list(range(300))
    refused(python2(dict.fromkeys(range(300), shared)), "a list of its own", "neighbours")


def test_no_byte_of_a_pickle_can_be_changed_to_crash_the_reader(python2):
    rng = np.random.default_rng(0)
    values = {
        "array": np.arange(4, dtype=np.int32),
        "rows": csr_matrix(np.eye(2)),
        "neighbours": defaultdict(list, {0: [1, 2], 300: [0]}),
    }
    n_refused = 0
    for form, value in values.items():
        whole = python2(value)
        for place in range(len(whole)):
            for byte in rng.integers(1, 256, 8).tolist():
                changed = bytearray(whole)
                changed[place] ^= byte
                try:
                    getattr(Pickle.loads(HERE, bytes(changed)), form)()
                except DataError:
                    n_refused += 1
        for end in range(len(whole)):
            refused(whole[:end], "expected ", form)
    assert n_refused > 1000


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_a_file_may_be_packed(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"content") if name.endswith("gz") else b"content")
    assert read_packed(path) == b"content"


def test_a_bomb_is_refused_and_not_unpacked_whole(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(2**26)))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"at most 6,\d+,\d+ bytes unpacked from 6\d,\d+, got more"):
        read_packed(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**25


def test_a_damaged_gzip_file_is_refused(tmp_path):
    whole = gzip.compress(np.random.default_rng(0).bytes(1000))
    for data in (whole[:500], b"no gzip", whole[:20] + b"\xff" * 100 + whole[120:]):
        path = tmp_path / "a.gz"
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"a.gz: expected a whole gzip file, got a damaged one"):
            read_packed(path)
