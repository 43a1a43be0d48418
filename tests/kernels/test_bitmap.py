"""Bitmaps hold the columns of rows, and give them back in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels.cpu import bitmap


def packed(columns, n_cols):
    flags = np.zeros(64 * bitmap.words_for(n_cols), np.uint8)
    flags[list(columns)] = 1
    return np.packbits(flags, bitorder="little").view(np.uint64)


@given(
    columns=st.sets(st.integers(0, 199)),
    many=st.booleans(),
    dtype=st.sampled_from([np.int32, np.int64]),
)
def test_marks_are_taken_in_order_and_cleared(columns, many, dtype):
    marks = packed(columns, 200)
    found = np.full(len(columns) + 10, -1, dtype)
    n = bitmap.take_marks(marks, many, found, np.uint64(2))
    assert found[:2].tolist() == [-1, -1]
    assert found[2:n].tolist() == sorted(columns)
    assert not marks.any()


@pytest.mark.parametrize("n_cols", [1, 64, 65, 700])
def test_long_rows_and_no_others_get_a_bitmap(n_cols, in_threads):
    rng = np.random.default_rng(0)
    degrees = np.array([0, 1, 3, 4, 5, 6, 300]).clip(max=n_cols)
    rows = [np.sort(rng.permutation(n_cols)[:d]) for d in degrees]
    indptr, indices = np.append(0, degrees.cumsum()), np.concatenate(rows)
    for n_threads in (1, 3):
        place, bitmaps = in_threads(n_threads, lambda: bitmap.find_hubs(indptr, indices, n_cols))
        bitmaps = bitmaps.reshape(-1, bitmap.words_for(n_cols))
        assert ((place >= 0) == (degrees >= bitmap.hub_degree(n_cols))).all()
        for row, at in zip(rows, place, strict=True):
            if at >= 0:
                assert np.array_equal(bitmaps[at], packed(row, n_cols))


def test_no_columns_need_no_words():
    assert bitmap.words_for(0) == 0
    place, bitmaps = bitmap.find_hubs(np.zeros(3, np.int64), np.zeros(0, np.int32), 0)
    assert place.tolist() == [-1, -1]
    assert bitmaps.size == 0
