"""Membership equals the product's, in blocks of any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dglmeta.errors import DataError, SchemaError
from dglmeta.paths import metapath_connected, stream
from dglmeta.paths.connected import count_instances


@given(data=st.data(), most=st.sampled_from([1, 7, 1 << 22]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_connected_and_counts_are_entries_of_the_product(
    heterographs, paths, dense_counts, monkeypatch, data, most
):
    monkeypatch.setattr(stream, "BLOCK_ENTRIES", most)
    hg = data.draw(heterographs())
    path = data.draw(paths(hg))
    counts = dense_counts(hg, path)
    pair = st.tuples(*(st.integers(0, max(n - 1, 0)) for n in counts.shape))
    pairs = data.draw(st.lists(pair, max_size=12)) if counts.size else []
    src, dst = np.array(pairs, np.int64).reshape(-1, 2).T
    connected = metapath_connected(hg, path, src, dst)
    assert connected.dtype == np.bool_
    assert np.array_equal(connected, counts[src, dst] > 0)
    assert np.array_equal(count_instances(hg, path, src, dst), counts[src, dst])


def test_threads_do_not_change_the_answer(bipartite, in_threads):
    hg = bipartite(300, 200, 900)
    src, dst = np.random.default_rng(0).integers(0, 300, (2, 5000))
    one, three = (
        in_threads(n, lambda: metapath_connected(hg, "user-item-user", src, dst)) for n in (1, 3)
    )
    assert np.array_equal(one, three)
    assert 0 < one.sum() < len(one)


def test_bad_arguments_are_named(bipartite):
    hg = bipartite(3, 2, 4)
    with pytest.raises(DataError, match=r"'item' ids in \[0, 2\), got 2"):
        metapath_connected(hg, "user-item", [0], [2])
    with pytest.raises(DataError, match="as many sources as targets, got 2 and 1"):
        metapath_connected(hg, "user-item", [0, 1], [0])
    with pytest.raises(SchemaError, match="no edge type"):
        metapath_connected(hg, "user-[likes]-item", [0], [0])
