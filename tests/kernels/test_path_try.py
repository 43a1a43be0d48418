"""Paths are counted; of those that join a pair exactly one is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.path_try import MOST_PATHS, onward_counts, try_paths


def onward_of(g):
    counts = []
    for step in range(len(g.n_nodes) - 2, 0, -1):
        arrays = g.forward.indptr[step], g.forward.indices[step]
        counts.insert(0, onward_counts(*arrays, counts[0] if counts else None))
    return counts


def joined_to(g):
    """(n_sources, n_targets) bool: the product in full."""
    src, dst = np.divmod(np.arange(g.n_nodes[0] * g.n_nodes[-1]), max(g.n_nodes[-1], 1))
    return reference.connected_pairs(*g, src, dst).reshape(g.n_nodes[0], g.n_nodes[-1])


@given(data=st.data(), onward=st.booleans(), some=st.booleans())
def test_onward_counts_equal_the_oracle(twin, structures, data, onward, some):
    g = data.draw(structures(ids=False))
    weight = st.integers(0, MOST_PATHS)
    weights = data.draw(st.lists(weight, min_size=g.n_cols, max_size=g.n_cols))
    row = st.integers(0, max(g.n_rows - 1, 0))
    rows = np.array(data.draw(st.lists(row, max_size=6)) if g.n_rows else [], np.int64)
    args = (
        g.indptr,
        g.indices,
        np.array(weights, np.int64) if onward else None,
        rows if some else None,
    )
    got = twin("path_try").onward_counts(*args)
    assert np.array_equal(got, reference.onward_counts(*args))


def test_onward_counts_of_long_rows_are_those_of_the_cpu(twin, large):
    weights = np.random.default_rng(0).integers(0, MOST_PATHS >> 10, large.n_cols)
    counts = onward_counts(large.indptr, large.indices, weights)
    assert np.array_equal(
        twin("path_try").onward_counts(large.indptr, large.indices, weights), counts
    )
    assert counts[7] == MOST_PATHS
    rows = np.array([8, 7, 0, 7])
    got = twin("path_try").onward_counts(large.indptr, large.indices, weights, rows)
    assert np.array_equal(got, counts[rows])


@given(data=st.data())
def test_tried_paths_equal_the_oracle_and_every_pair_has_one(twin, walkways, data):
    g = data.draw(walkways(max_length=4))
    source = st.integers(0, max(g.n_nodes[0] - 1, 0))
    sources = data.draw(st.lists(source, max_size=4, unique=True)) if g.n_nodes[0] else []
    sources = np.array(sources, np.int64)
    onward = onward_of(g)
    first_step = g.forward.indptr[0], g.forward.indices[0]
    n_paths = onward_counts(*first_step, onward[0] if onward else None, sources)
    before = np.append(0, np.cumsum(n_paths))
    numbers = np.arange(before[-1])
    middle = data.draw(st.integers(max(1, len(g.n_nodes) - 3), len(g.n_nodes) - 1))
    got = twin("path_try").try_paths(*g, onward, sources, before, numbers, middle)
    for ours, theirs in zip(got, reference.try_paths(g.forward, sources, numbers), strict=True):
        assert np.array_equal(ours, theirs)
    src, dst, chosen = got
    drawn = np.zeros((g.n_nodes[0], g.n_nodes[-1]), np.int64)
    np.add.at(drawn, (src[chosen], dst[chosen]), 1)
    assert np.array_equal(drawn[sources], joined_to(g)[sources])


@pytest.mark.parametrize("middle", [1, 2])
def test_many_tries_are_those_of_the_cpu(twin, large_walkway, middle):
    g = large_walkway
    onward = onward_of(g)
    n_paths = onward_counts(g.forward.indptr[0], g.forward.indices[0], onward[0])
    before = np.append(0, np.cumsum(n_paths))
    numbers = np.sort(np.random.default_rng(0).integers(0, before[-1], 300))
    args = (*g, onward, np.arange(g.n_nodes[0]), before, numbers, middle)
    for ours, theirs in zip(twin("path_try").try_paths(*args), try_paths(*args), strict=True):
        assert np.array_equal(ours, theirs)


def test_tries_are_the_same_in_any_number_of_threads(large_walkway, in_threads):
    g = large_walkway
    onward = onward_of(g)
    n_paths = onward_counts(g.forward.indptr[0], g.forward.indices[0], onward[0])
    before = np.append(0, np.cumsum(n_paths))
    numbers = np.sort(np.random.default_rng(0).integers(0, before[-1], 2000))
    args = (*g, onward, np.arange(g.n_nodes[0]), before, numbers, 2)
    one, three = (in_threads(n, lambda: try_paths(*args)) for n in (1, 3))
    for ours, theirs in zip(one, three, strict=True):
        assert np.array_equal(ours, theirs)
    assert 0 < np.count_nonzero(one[2]) < 2000
