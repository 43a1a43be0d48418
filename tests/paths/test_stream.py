"""Blocks of rows together are the product, and none is larger than it may be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dglmeta.graph import MetaPath
from dglmeta.paths import stream
from dglmeta.paths.chain import chain_of
from dglmeta.paths.product import to_scipy


@given(data=st.data(), most=st.integers(1, 12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_blocks_are_the_rows_of_the_product_in_order(
    heterographs, paths, dense_counts, monkeypatch, data, most
):
    monkeypatch.setattr(stream, "BLOCK_ENTRIES", most)
    hg = data.draw(heterographs())
    path = data.draw(paths(hg))
    expected = dense_counts(hg, path)
    next_row = 0
    for first, block in stream.product_blocks(chain_of(hg, path, "count"), "count"):
        assert first == next_row
        next_row += block.n_rows
        rows = to_scipy(block)
        assert np.array_equal(rows.toarray(), expected[first:next_row])
        assert rows.has_sorted_indices
        assert rows.nnz <= most or block.n_rows == 1
    assert next_row == len(expected)


@pytest.mark.parametrize("most", [1 << 22, 50])
def test_blocks_are_as_large_as_they_may_be(bipartite, monkeypatch, most):
    monkeypatch.setattr(stream, "BLOCK_ENTRIES", most)
    hg = bipartite(200, 100, 400)
    path = hg.schema.between("user", "item")
    chain = chain_of(hg, MetaPath(path), "reach")
    n_blocks = sum(1 for _ in stream.product_blocks(chain, "reach"))
    assert n_blocks <= 1 + 2 * 400 // most
