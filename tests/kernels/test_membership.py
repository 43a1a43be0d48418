"""Membership and counts equal those of the product, wherever the two halves meet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.membership import connected_pairs, count_pairs


@pytest.mark.parametrize("name", ["connected_pairs", "count_pairs"])
@given(data=st.data())
def test_pairs_equal_the_oracle(twin, name, walkways, data):
    g = data.draw(walkways())
    ends = (st.integers(0, max(n - 1, 0)) for n in (g.n_nodes[0], g.n_nodes[-1]))
    some = g.n_nodes[0] and g.n_nodes[-1]
    pairs = data.draw(st.lists(st.tuples(*ends), max_size=20)) if some else []
    sources, targets = np.array(pairs, np.int64).reshape(-1, 2).T
    middle = data.draw(st.integers(max(1, len(g.n_nodes) - 3), len(g.n_nodes) - 1))
    got = getattr(twin("membership"), name)(*g, sources, targets, middle)
    assert np.array_equal(got, getattr(reference, name)(*g, sources, targets))


@pytest.mark.parametrize(
    ("name", "compute"), [("connected_pairs", connected_pairs), ("count_pairs", count_pairs)]
)
@pytest.mark.parametrize("middle", [1, 2, 3])
def test_many_pairs_are_those_of_the_cpu(twin, name, compute, middle, large_walkway):
    rng = np.random.default_rng(0)
    g = large_walkway
    sources, targets = (rng.integers(0, n, 150) for n in (g.n_nodes[0], g.n_nodes[-1]))
    sources[:20] = 7  # the heavy row
    got = getattr(twin("membership"), name)(*g, sources, targets, middle)
    assert np.array_equal(got, compute(*g, sources, targets, middle))


def test_sources_are_taken_in_batches_where_scratch_is_short(twin, walkways, monkeypatch):
    monkeypatch.setattr("dglmeta.kernels.gpu.reach.SCRATCH_BYTES", 1)

    @given(data=st.data())
    def check(data):
        g = data.draw(walkways(min_length=3))
        n, m = g.n_nodes[0], g.n_nodes[-1]
        sources, targets = np.divmod(np.arange(n * m), max(m, 1))
        for name in ("connected_pairs", "count_pairs"):
            got = getattr(twin("membership"), name)(*g, sources, targets, len(g.n_nodes) - 2)
            assert np.array_equal(got, getattr(reference, name)(*g, sources, targets))

    check()


@given(
    keys=st.lists(st.integers(0, 9), max_size=40),
    n_more=st.sampled_from([0, 1000]),
    in_order=st.booleans(),
)
def test_grouping_is_a_stable_sort(twin, keys, n_more, in_order):
    keys = np.array(sorted(keys) if in_order else keys, np.int64)
    order = twin("membership").group_by_key(keys, 10 + n_more)
    if order is None:
        assert np.all(np.diff(keys) >= 0)
    else:
        assert np.array_equal(order, reference.group_by_key(keys, 10 + n_more))


@pytest.mark.parametrize("compute", [connected_pairs, count_pairs])
@pytest.mark.parametrize("middle", [1, 2, 3])
def test_pairs_are_the_same_in_any_number_of_threads(compute, middle, large_walkway, in_threads):
    rng = np.random.default_rng(0)
    g = large_walkway
    sources, targets = (rng.integers(0, n, 2000) for n in (g.n_nodes[0], g.n_nodes[-1]))
    one, three = (in_threads(n, lambda: compute(*g, sources, targets, middle)) for n in (1, 3))
    assert np.array_equal(one, three)
    assert np.array_equal(one > 0, connected_pairs(*g, sources, targets, 1))
    assert 0 < np.count_nonzero(one) < len(one)
