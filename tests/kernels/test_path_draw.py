"""Drawn targets are of the right kind and uniform, whatever finds them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.chain import Chain, link
from dglmeta.kernels.cpu.membership import connected_pairs
from dglmeta.kernels.cpu.path_draw import NONE, UNDECIDED, draw_targets
from dglmeta.kernels.cpu.path_try import onward_counts


class Ring(NamedTuple):
    forward: Chain
    backward: Chain
    n_nodes: tuple[int, ...]


@pytest.fixture(scope="module")
def ring():
    """``ring(length, n, k)``: steps from i to i, i + 1, ..., i + k - 1, the first edge twice."""

    def build(length, n, copies):
        to = np.sort((np.arange(n)[:, None] + np.append(0, np.arange(copies))) % n, axis=1)
        back = np.sort((np.arange(n)[:, None] - np.append(0, np.arange(copies))) % n, axis=1)
        indptr = np.arange(n + 1) * (copies + 1)
        forward, backward = (
            link([(indptr, half.ravel().astype(np.int32))] * length) for half in (to, back)
        )
        return Ring(forward, backward, (n,) * (length + 1))

    return build


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


def repeated(g, copies):
    """The same chain with every edge of the first step so many times."""
    halves = []
    for half in (g.forward, g.backward):
        steps = list(zip(half.indptr, half.indices, strict=True))
        steps[0] = steps[0][0] * copies, np.repeat(steps[0][1], copies)
        halves.append(link(steps))
    return Ring(*halves, g.n_nodes)


def draw(g, sources, per_source, seed=0, middle=1, joined=True, most_edges=10**9):
    args = (sources, per_source, seed, middle)
    return draw_targets(*g, onward_of(g), *args, joined=joined, most_edges=most_edges)


@given(
    data=st.data(),
    seed=st.integers(-(2**63), 2**64),
    joined=st.booleans(),
    per_source=st.sampled_from([1, 3, 40]),
    most_edges=st.sampled_from([1, 150, 1000, 10**9]),
)
def test_draws_are_those_of_the_cpu(twin, walkways, data, seed, joined, per_source, most_edges):
    g = data.draw(walkways())
    copies = data.draw(st.sampled_from([1, 150]))  # of every first edge: more than a try costs
    g = repeated(g, copies)
    sources = np.arange(g.n_nodes[0])
    middle = data.draw(st.integers(max(1, len(g.n_nodes) - 3), len(g.n_nodes) - 1))
    args = (*g, onward_of(g), sources, per_source, seed, middle)
    limits = {"joined": joined, "most_edges": most_edges}
    ours, theirs = twin("path_draw").draw_targets(*args, **limits), draw_targets(*args, **limits)
    assert np.array_equal(ours.targets, theirs.targets)
    assert np.array_equal(ours.n_tries, theirs.n_tries)


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("middle", [1, 2, 3])
@pytest.mark.parametrize("most_edges", [700, 4000])
def test_many_draws_are_those_of_the_cpu(twin, large_walkway, joined, middle, most_edges):
    g = large_walkway
    sources = np.append(7, np.random.default_rng(1).permutation(g.n_nodes[0])[:20])
    args = (*g, onward_of(g), sources, 4, 3, middle)
    limits = {"joined": joined, "most_edges": most_edges}
    ours, theirs = twin("path_draw").draw_targets(*args, **limits), draw_targets(*args, **limits)
    assert np.array_equal(ours.targets, theirs.targets)
    assert np.array_equal(ours.n_tries, theirs.n_tries)
    assert (theirs.n_tries > 0).any()


@pytest.mark.parametrize(
    ("length", "n", "copies", "middle"),
    [(2, 400, 16, 1), (2, 400, 16, 2), (2, 5100, 70, 1), (3, 2000, 8, 1), (3, 2000, 8, 2),
     (3, 2000, 8, 3), (4, 3000, 5, 2), (4, 3000, 5, 3)],
)  # fmt: skip
def test_paths_drawn_are_those_of_the_cpu(twin, ring, length, n, copies, middle):
    g = ring(length, n, copies)
    args = (*g, onward_of(g), np.arange(0, n, n // 9), 2, 1, middle)
    for most_edges in (150, 10**6):
        limits = {"joined": True, "most_edges": most_edges}
        ours, theirs = (
            twin("path_draw").draw_targets(*args, **limits),
            draw_targets(*args, **limits),
        )
        assert np.array_equal(ours.targets, theirs.targets)
        assert np.array_equal(ours.n_tries, theirs.n_tries)
        assert (theirs.n_tries > 0).all()
        assert most_edges > 150 or (theirs.targets == UNDECIDED).any()


@given(data=st.data(), seed=st.integers(-(2**63), 2**64), joined=st.booleans())
def test_targets_are_of_the_right_kind_or_there_is_none(walkways, data, seed, joined):
    g = data.draw(walkways())
    sources = np.arange(g.n_nodes[0])
    middle = data.draw(st.integers(max(1, len(g.n_nodes) - 3), len(g.n_nodes) - 1))
    targets = draw(g, sources, 3, seed, middle, joined).targets
    fitting = joined_to(g) == joined
    for source in sources:
        if fitting[source].any():
            assert fitting[source, targets[source]].all()
        else:
            assert (targets[source] == NONE).all()


@pytest.mark.parametrize(
    ("length", "n", "copies", "per_source", "is_listed"),
    [
        pytest.param(2, 400, 16, 2, False, id="paths"),
        pytest.param(4, 12_000, 5, 2, False, id="paths of four steps"),
        pytest.param(3, 90, 8, 2, False, id="nodes"),
        pytest.param(2, 40, 2, 100, True, id="list"),
    ],
)
@pytest.mark.parametrize("joined", [True, False])
def test_targets_are_uniform_whatever_is_tried(
    ring, length, n, copies, per_source, is_listed, joined
):
    g = ring(length, n, copies)
    sources = np.arange(n)
    n_reached = length * (copies - 1) + 1
    counts = np.zeros(n, np.int64)
    for seed in range(8000 // n + 2):
        found = draw(g, sources, per_source, seed, (length + 1) // 2, joined)
        assert bool((found.n_tries == 0).all()) is is_listed
        counts += np.bincount(((found.targets - sources[:, None]) % n).ravel(), minlength=n)
    reached, others = counts[:n_reached], counts[n_reached:]
    fitting = reached if joined else others
    assert counts.sum() == fitting.sum()
    assert stats.chisquare(fitting).pvalue > 1e-3


@pytest.mark.parametrize("joined", [True, False])
def test_a_source_draws_the_same_alone_and_in_any_number_of_threads(
    large_walkway, in_threads, joined
):
    g = large_walkway
    sources = np.random.default_rng(1).permutation(g.n_nodes[0])[:600]
    one, three = (in_threads(n, lambda: draw(g, sources, 4, 3, 2, joined).targets) for n in (1, 3))
    assert np.array_equal(one, three)
    assert np.array_equal(one[100:103], draw(g, sources[100:103], 4, 3, 2, joined).targets)
    assert not np.array_equal(one, draw(g, sources, 4, 4, 2, joined).targets)
    fitting = one[:, 0] >= 0
    src, dst = np.repeat(sources[fitting], 4), one[fitting].ravel()
    assert fitting.any()
    assert (connected_pairs(*g, src, dst, 1) == joined).all()


def test_a_source_is_given_up_when_its_targets_are_too_rare(ring):
    g = ring(3, 90, 30)  # joined to 88 of 90, by 31 ** 3 paths
    assert (draw(g, np.arange(90), 1, joined=False).targets >= 0).all()
    given_up = draw(g, np.arange(90), 1, joined=False, most_edges=300)
    assert (given_up.targets == UNDECIDED).any()
    assert (given_up.n_tries > 0).all()
