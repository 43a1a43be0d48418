"""Walks follow edges, take each equally often, and stop at dead ends."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.walk import random_walks


@given(data=st.data(), seed=st.integers(-(2**63), 2**64), length=st.integers(0, 4))
def test_walks_equal_the_oracle(twin, structures, data, seed, length):
    n_first = n = data.draw(st.integers(0, 5))
    steps = []
    for _ in range(length):
        g = data.draw(structures(n_rows=n, ids=False))
        steps.append((g.indptr, g.indices))
        n = g.n_cols
    start = st.integers(0, max(n_first - 1, 0))
    starts = np.array(data.draw(st.lists(start, max_size=6)) if n_first else [], np.int64)
    walks = twin("walk").random_walks(steps, starts, seed)
    assert np.array_equal(walks, reference.random_walks(steps, starts, seed))
    assert walks.shape == (len(starts), length + 1)


def test_large_walks_are_those_of_the_cpu(twin, large):
    back = np.sort(np.random.default_rng(0).integers(0, large.n_rows, (large.n_cols, 4)), axis=1)
    steps = [(large.indptr, large.indices), (np.arange(large.n_cols + 1) * 4, back.ravel())]
    starts = np.arange(large.n_rows)
    walks = twin("walk").random_walks(steps, starts, 9)
    assert np.array_equal(walks, random_walks(steps, starts, 9))


def test_each_edge_is_taken_equally_often_at_every_step():
    ring = np.arange(6) * 3, np.array([0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 0, 4, 0, 1])
    walks = random_walks([ring] * 3, np.repeat(np.arange(5), 6000), seed=2)
    for step in range(3):
        taken = np.bincount(walks[:, step] * 5 + walks[:, step + 1], minlength=25)
        assert stats.chisquare(taken[taken > 0]).pvalue > 1e-3
        assert np.count_nonzero(taken) == 15


def test_walks_are_the_same_in_any_number_of_threads(large, in_threads):
    back = np.sort(np.random.default_rng(0).integers(0, large.n_rows, (large.n_cols, 4)), axis=1)
    there = (large.indptr, large.indices)
    steps = [there, (np.arange(large.n_cols + 1) * 4, back.ravel()), there]
    starts = np.tile(np.arange(large.n_rows), 3)
    one, two = (in_threads(n, lambda: random_walks(steps, starts, 9)) for n in (1, 2))
    assert np.array_equal(one, two)
    assert (one[starts % 10 == 0, 1:] == -1).all()
