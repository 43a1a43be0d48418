"""Rows are cut into pieces that cover them, once for each ``indptr``."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from dglmeta.kernels.gpu import rows
from dglmeta.kernels.gpu.device import running_on


@pytest.fixture
def put(host_device):
    with running_on(host_device):
        yield host_device.xp.array


def test_pieces_cover_heavy_rows_and_runs_know_their_rows(put):
    degree = np.array([0, 256, 257, 3, 1000, 0])
    indptr = np.append(0, degree.cumsum())
    plan = rows.plan_rows(put(indptr))
    heavy, pieces = plan.heavy.get(), plan.pieces.get()
    assert plan.n_edges == 1516
    assert heavy.tolist() == [[2, 0, 2], [4, 2, 6]]
    for row, first, last in heavy:
        own = pieces[first:last]
        assert (own[:, 0] == row).all()
        assert own[0, 1] == indptr[row]
        assert own[-1, 2] == indptr[row + 1]
        assert np.array_equal(own[1:, 1], own[:-1, 2])
        assert (own[:, 2] - own[:, 1] <= rows.PIECE_EDGES).all()
    starts = np.arange(0, 1516, rows.RUN_EDGES)
    row_of = np.repeat(np.arange(6), degree)
    assert plan.run_rows.get().tolist() == [*row_of[starts], 5]


def test_a_plan_is_made_once_and_forgotten_with_its_array(put):
    indptr = put(np.array([0, 2, 3]))
    plan, key = rows.plan_rows(indptr), id(indptr)
    assert rows.plan_rows(indptr) is plan
    assert rows.plan_rows(put(np.array([0, 2, 3]))) is not plan
    del indptr
    gc.collect()
    assert key not in rows._plans
