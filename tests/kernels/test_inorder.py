"""Entries of unknown number stand in the order of rows, whoever computed them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dglmeta.kernels.cpu import inorder


def count_up(lengths):
    """Row i has ``lengths[i]`` entries i, found with some scratch."""

    def compute(begin, end, scratch, buffers):
        scratch[0] += 1
        entries = np.repeat(np.arange(begin, end), lengths[begin:end])
        for buffer in buffers:
            buffer[: len(entries)] = entries
        return len(entries)

    return compute


@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=30),
    spare=st.integers(0, 3),
    entries=st.integers(1, 20),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_blocks_stand_side_by_side(in_threads, monkeypatch, lengths, spare, entries):
    monkeypatch.setattr(inorder, "BLOCK_ENTRIES", entries)
    lengths = np.array(lengths)
    most = lengths + spare
    expected = np.repeat(np.arange(len(lengths)), lengths)
    for n_threads in (1, 3):
        columns, values = in_threads(
            n_threads,
            lambda: inorder.write_in_order(
                count_up(lengths),
                lambda: [0],
                inorder.blocks_of(most, most),
                most,
                [np.int32, np.float64],
            ),
        )
        assert columns.dtype == np.int32
        assert np.array_equal(columns, expected)
        assert np.array_equal(values, expected)


@pytest.mark.parametrize("blocks", [(0, 2), (0, 1, 2)])
def test_where_there_is_no_room_for_the_bound_entries_are_counted(blocks, monkeypatch):
    asked = []
    empty = np.empty

    def refuse(n, dtype):
        asked.append(n)
        if len(asked) == 1:
            raise MemoryError
        return empty(n, dtype)

    monkeypatch.setattr(np, "empty", refuse)
    lengths, most = np.array([2, 1]), np.array([500, 500])
    arguments = (count_up(lengths), lambda: [0], blocks, most, [np.int32])
    (columns,) = inorder.write_in_order(*arguments, lambda: 3)
    assert columns.tolist() == [0, 0, 1]
    assert asked[:2] == [1000 + inorder.PAD, 3 + 500 + inorder.PAD]


def test_an_error_in_one_block_reaches_the_caller_and_nobody_waits_for_ever(in_threads):
    def compute(begin, end, scratch, buffers):
        if begin == 0:
            raise ValueError("in the first")
        return 0

    most = np.full(100, 3)
    arguments = (compute, lambda: None, tuple(range(101)), most, [np.int32])
    with pytest.raises((ValueError, RuntimeError)) as failed:
        in_threads(3, lambda: inorder.write_in_order(*arguments))
    assert "in the first" in f"{failed.value} {failed.value.__cause__}"


def test_stamps_are_higher_than_all_before_until_they_start_again():
    stamps = inorder.Stamps(3, 10)
    first = stamps.take(10)
    stamps.array[:] = first + 9
    assert stamps.take(1) == first + 10
    stamps.next = np.iinfo(np.int32).max - 5
    stamps.array[:] = stamps.next - 1
    assert (stamps.array < stamps.take(10)).all()
    assert inorder.Stamps(3, 2**31).array.dtype == np.int64
