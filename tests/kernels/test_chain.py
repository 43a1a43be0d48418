"""A chain of structures is read through the addresses of its arrays."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from dglmeta.kernels.cpu.chain import (
    addresses,
    column,
    entry,
    link,
    prefetch_columns,
    prefetch_row,
    row,
)
from dglmeta.kernels.gpu import chain as gpu_chain
from dglmeta.kernels.gpu.device import running_on


@njit
def read_all(table, kind, step, node):
    prefetch_row(table, step, node)
    prefetch_columns(table, step, node, kind)
    begin, end = row(table, step, node)
    return [column(table[step, 1], position, kind) for position in range(begin, end)]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_rows_are_read_as_they_are(dtype):
    big = np.iinfo(dtype).max
    first = np.array([0, 1, 3]), np.array([2, 0, big], dtype)
    second = np.array([0, 0, 2, 2]), np.array([5, 5], dtype)
    chain = link([first, second])
    read = [[read_all(chain.table, chain.kind, s, n) for n in range(2)] for s in range(2)]
    assert read == [[[2], [0, big]], [[], [5, 5]]]


def test_columns_of_two_dtypes_become_the_wider():
    narrow, wide = np.array([0], np.int32), np.array([2**40])
    chain = link([(np.array([0, 1]), narrow), (np.array([0, 1]), wide)])
    assert read_all(chain.table, chain.kind, 0, 0) == [0]
    assert read_all(chain.table, chain.kind, 1, 0) == [2**40]


def test_nothing_is_copied_that_need_not_be():
    indptr, indices = np.array([0, 1]), np.array([0], np.int32)
    indptr.flags.writeable = False
    chain = link([(indptr, indices)] * 2)
    assert all(np.shares_memory(indptr, part) for part in chain.indptr)
    assert all(np.shares_memory(indices, part) for part in chain.indices)


def test_a_chain_may_be_empty():
    assert link([]).table.shape == (0, 2)


def test_entries_are_those_of_the_array():
    arrays = [np.array([3, 2**62]), np.array([7])]
    places = addresses(arrays)
    assert [entry(places[0], 0), entry(places[0], 1), entry(places[1], 0)] == [3, 2**62, 7]


def test_a_chain_on_a_device_holds_its_addresses(host_device):
    with running_on(host_device):
        xp = host_device.xp
        narrow, wide = xp.asarray(np.array([0], np.int32)), xp.asarray(np.array([2**40]))
        indptr = xp.asarray(np.array([0, 1]))
        chain = gpu_chain.link([(indptr, narrow), (indptr, wide)])
        assert gpu_chain.link([]).table.shape == (0, 2)
    table = chain.table.get()
    assert table[:, 0].tolist() == [a.ctypes.data for a in chain.indptr]
    assert table[:, 1].tolist() == [a.ctypes.data for a in chain.indices]
    assert [a.dtype for a in chain.indices] == [np.int64, np.int64]
    assert read_all(table, chain.kind, 1, 0) == [2**40]
