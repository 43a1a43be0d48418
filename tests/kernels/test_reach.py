"""Marks are what the product reaches; searches stop at the first chain of nodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.reach import (
    clear,
    first_nodes,
    is_marked,
    reach,
    scratch,
    search,
    trace,
)
from dglmeta.kernels.gpu import chain as gpu_chain
from dglmeta.kernels.gpu import reach as gpu_reach
from dglmeta.kernels.gpu.device import running_on


def product(walkway, begin, end):
    """Paths over the steps begin..end-1, in full."""
    matrix = np.eye(walkway.n_nodes[begin], dtype=np.int64)
    for step in range(begin, end):
        indptr, indices = walkway.forward.indptr[step], walkway.forward.indices[step]
        matrix = matrix @ reference.dense(indptr, indices, None, walkway.n_nodes[step + 1])
    return matrix


def marked(walkway, first, marks, level):
    return [
        node
        for node in range(walkway.n_nodes[level])
        if is_marked(marks, first[level] + np.uint64(node))
    ]


@given(data=st.data())
def test_reached_nodes_are_marked_listed_once_and_cleared(walkways, data):
    g = data.draw(walkways())
    if g.n_nodes[0] == 0:
        return
    source = data.draw(st.integers(0, g.n_nodes[0] - 1))
    n_steps = len(g.n_nodes) - 1
    part = data.draw(st.integers(0, n_steps))
    first = first_nodes(g.n_nodes)
    marks, nodes = scratch(first)
    n_found = np.zeros(n_steps + 1, np.int64)
    n_edges = 0
    for begin, depth in ((0, part), (part, n_steps)):
        args = (g.forward.table, g.forward.kind, source, begin, depth)
        n_edges += reach(*args, first, marks, nodes, n_found)
    followed = 0
    for level in range(1, n_steps + 1):
        expected = np.flatnonzero(product(g, 0, level)[source]).tolist()
        begin = int(first[level])
        assert marked(g, first, marks, level) == expected
        assert sorted(nodes[begin : begin + n_found[level]].tolist()) == expected
        before = np.flatnonzero(product(g, 0, level - 1)[source])
        followed += np.diff(g.forward.indptr[level - 1])[before].sum()
    assert n_edges == followed
    clear(n_steps, first, marks, nodes, n_found)
    assert not marks.any()


@given(data=st.data())
def test_a_search_finds_the_chain_that_comes_first_read_backwards(walkways, data):
    g = data.draw(walkways())
    if not all(g.n_nodes):
        return
    n_steps = len(g.n_nodes) - 1
    source = data.draw(st.integers(0, g.n_nodes[0] - 1))
    target = data.draw(st.integers(0, g.n_nodes[-1] - 1))
    middle = data.draw(st.integers(max(1, n_steps - 2), n_steps))
    first = first_nodes(g.n_nodes)
    marks, nodes = scratch(first)
    n_found, trail = np.zeros(n_steps + 1, np.int64), np.zeros(n_steps + 1, np.uint64)
    reach(g.forward.table, g.forward.kind, source, 0, middle, first, marks, nodes, n_found)
    back = g.backward.table, g.backward.kind
    found, _ = search(*back, target, middle, first[middle], marks, trail)
    joining = [p[::-1] for p, _ in reference._paths(g.forward, source) if p[-1] == target]
    assert found == bool(joining)
    if found:
        trace(*back, middle, first, marks, trail)
        assert tuple(trail[1:].tolist())[::-1] == min(joining)[:-1]


@given(data=st.data(), count=st.booleans(), at_once=st.sampled_from([1, 1 << 20]))
def test_batches_on_a_device_hold_what_is_reached(host_device, walkways, data, count, at_once):
    g = data.draw(walkways(min_length=2))
    middle = data.draw(st.integers(2, len(g.n_nodes) - 1))
    first = first_nodes(g.n_nodes).astype(int)
    sources = np.arange(g.n_nodes[0])
    with running_on(host_device), pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_reach, "SCRATCH_BYTES", at_once)
        xp = host_device.xp
        steps = zip(g.forward.indptr, g.forward.indices, strict=True)
        forward = gpu_chain.link([(xp.asarray(p), xp.asarray(i)) for p, i in steps])
        batches = gpu_reach.reach_in_batches(
            forward, g.n_nodes, xp.asarray(sources), middle, count=count
        )
        rows = [batch.reached.get() for batch in batches]
    reached = (
        np.concatenate(rows) if rows else np.zeros((0, first[middle + 1] - first[2]), np.uint8)
    )
    if not count:
        reached = np.unpackbits(reached.view(np.uint8), axis=1, bitorder="little")
    for level in range(2, middle + 1):
        begin, full = first[level] - first[2], product(g, 0, level)
        here = reached[:, begin : begin + g.n_nodes[level]]
        assert np.array_equal(here, full if count else full > 0)
