"""Random heterographs with paths through them, dense oracles, and a fixed number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from dglmeta.graph import Adjacency, HeteroCSR, MetaPath
from dglmeta.kernels.cpu import pool

TRIPLES = (("a", "x", "b"), ("b", "y", "c"), ("a", "self", "a"), ("b", "z", "a"))


@st.composite
def _heterographs(draw: st.DrawFn) -> HeteroCSR:
    """Three node types, some empty; four edge types, one of them from a type to itself."""
    n_nodes = {t: draw(st.integers(0, 5)) for t in "abc"}
    edges = {}
    for source, relation, target in TRIPLES:
        ends = st.tuples(
            st.integers(0, max(n_nodes[source] - 1, 0)), st.integers(0, max(n_nodes[target] - 1, 0))
        )
        drawn = draw(st.lists(ends, max_size=8)) if n_nodes[source] and n_nodes[target] else []
        src, dst = np.array(drawn, np.int64).reshape(-1, 2).T
        edges[source, relation, target] = src, dst
    return HeteroCSR.from_edges(edges, n_nodes)


@st.composite
def _paths(draw: st.DrawFn, hg: HeteroCSR, max_length: int = 4) -> MetaPath:
    """Any meta-path of at most ``max_length`` steps, along and against edges."""
    steps = []
    at = draw(st.sampled_from(hg.schema.node_types))
    for _ in range(draw(st.integers(1, max_length))):
        onward = [s for t in hg.schema.node_types for s in hg.schema.between(at, t)]
        steps.append(draw(st.sampled_from(onward)))
        at = steps[-1].target
    return MetaPath(tuple(steps))


@pytest.fixture(scope="session")
def heterographs() -> Callable[..., st.SearchStrategy[HeteroCSR]]:
    return _heterographs


@pytest.fixture(scope="session")
def paths() -> Callable[..., st.SearchStrategy[MetaPath]]:
    return _paths


@pytest.fixture(scope="session")
def dense_steps() -> Callable[[HeteroCSR, MetaPath], list[np.ndarray]]:
    """``dense_steps(hg, path)``: for each step, the number of edges between every two nodes."""

    def steps(hg: HeteroCSR, path: MetaPath) -> list[np.ndarray]:
        matrices = []
        for triple, forward in path.steps:
            src, dst = hg.adjacency(triple).coo()
            matrix = np.zeros((hg.n_nodes[triple[0]], hg.n_nodes[triple[2]]), np.int64)
            np.add.at(matrix, (src, dst), 1)
            matrices.append(matrix if forward else matrix.T)
        return matrices

    return steps


@pytest.fixture(scope="session")
def dense_counts(dense_steps: Callable) -> Callable[[HeteroCSR, MetaPath], np.ndarray]:
    """``dense_counts(hg, path)``: instances of the path between every two nodes."""
    return lambda hg, path: reduce(np.matmul, dense_steps(hg, path))


@pytest.fixture
def bipartite() -> Callable[..., HeteroCSR]:
    """``bipartite(n_users, n_items, n_edges)``: users who rated items, drawn independently."""

    def build(n_users: int, n_items: int, n_edges: int, seed: int = 0) -> HeteroCSR:
        rng = np.random.default_rng(seed)
        ends = rng.integers(0, n_users, n_edges), rng.integers(0, n_items, n_edges)
        return HeteroCSR.from_edges(
            {("user", "rated", "item"): ends}, {"user": n_users, "item": n_items}
        )

    return build


@pytest.fixture(scope="session")
def same_on_device() -> Callable[[object, object], None]:
    """``same_on_device(a, b)``: arrays in a lie on the device and equal those in b, on the host.

    Arrays are looked for in tuples, lists, dicts, adjacencies and graphs; the rest must be equal.
    """

    def check(here: Any, expected: Any) -> None:
        if isinstance(expected, np.ndarray):
            assert hasattr(here, "__cuda_array_interface__")
            assert not hasattr(expected, "__cuda_array_interface__")
            assert here.dtype == expected.dtype
            assert np.array_equal(here.get(), expected)
        elif isinstance(expected, Adjacency):
            check(*([adj.indptr, adj.indices, adj.edge_ids, adj.n_dst] for adj in (here, expected)))
        elif isinstance(expected, HeteroCSR):
            assert here.schema == expected.schema
            check(*([hg.n_nodes, hg.adjacencies] for hg in (here, expected)))
        elif isinstance(expected, dict):
            assert list(here) == list(expected)
            check(*(list(each.values()) for each in (here, expected)))
        elif isinstance(expected, tuple | list):
            assert len(here) == len(expected)
            for one, other in zip(here, expected, strict=True):
                check(one, other)
        else:
            assert here == expected

    return check


@pytest.fixture
def in_threads() -> Iterator[Callable[[int, Callable[[], object]], object]]:
    """``in_threads(n, f)``: what ``f()`` returns with n threads, in blocks whatever its size."""
    serial_below = pool.SERIAL_BELOW_NS

    def call(n_threads: int, compute: Callable[[], object]) -> object:
        pool.set_num_threads(n_threads)
        pool.SERIAL_BELOW_NS = 0
        return compute()

    yield call
    pool.set_num_threads(None)
    pool.SERIAL_BELOW_NS = serial_below
