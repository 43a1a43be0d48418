"""Random sparse structures and a fixed number of threads, for the tests of the kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st

from dglmeta.kernels.cpu import pool
from dglmeta.kernels.cpu.chain import Chain, link


class Structure(NamedTuple):
    indptr: np.ndarray
    indices: np.ndarray
    edge_ids: np.ndarray | None
    n_cols: int

    @property
    def n_rows(self) -> int:
        return len(self.indptr) - 1

    @property
    def n_edges(self) -> int:
        return len(self.indices)


def compress(edges: list[tuple[int, int]], n_rows: int, n_cols: int, dtype: type) -> Structure:
    """Rows and columns sorted, ids the positions."""
    row, col = np.array(sorted(edges), np.int64).reshape(-1, 2).T
    indptr = np.append(0, np.bincount(row, minlength=n_rows).cumsum())
    return Structure(indptr, col.astype(dtype), None, n_cols)


@pytest.fixture(scope="session")
def structures() -> Callable[..., st.SearchStrategy[Structure]]:
    """Strategy of small structures: empty rows, parallel edges, self loops, both dtypes."""

    @st.composite
    def strategy(
        draw: st.DrawFn,
        *,
        n_rows: int | None = None,
        n_cols: int | None = None,
        ids: bool = True,
        dtype: type | None = None,
    ) -> Structure:
        rows = draw(st.integers(0, 6)) if n_rows is None else n_rows
        cols = draw(st.integers(0, 6)) if n_cols is None else n_cols
        pair = st.tuples(st.integers(0, max(rows - 1, 0)), st.integers(0, max(cols - 1, 0)))
        edges = draw(st.lists(pair, max_size=20)) if rows and cols else []
        index = dtype or draw(st.sampled_from([np.int32, np.int64]))
        plain = compress(edges, rows, cols, index)
        if not ids or draw(st.booleans()):
            return plain
        return plain._replace(edge_ids=np.array(draw(st.permutations(range(len(edges)))), np.int64))

    return strategy


class Walkway(NamedTuple):
    """A chain of steps in both directions."""

    forward: Chain
    backward: Chain
    n_nodes: tuple[int, ...]


def walkway(steps: list[Structure]) -> Walkway:
    """The chain of some structures, the columns of each the rows of the next."""
    back = []
    for step in steps:
        row = np.repeat(np.arange(step.n_rows), np.diff(step.indptr))
        turned = list(zip(step.indices.tolist(), row.tolist(), strict=True))
        back.append(compress(turned, step.n_cols, step.n_rows, step.indices.dtype.type))
    n_nodes = (steps[0].n_rows, *(step.n_cols for step in steps))
    forward, backward = (link([(s.indptr, s.indices) for s in half]) for half in (steps, back))
    return Walkway(forward, backward, n_nodes)


@pytest.fixture(scope="session")
def walkways(structures: Callable) -> Callable[..., st.SearchStrategy[Walkway]]:
    """Strategy of chains of one to five small structures: empty levels, parallel edges."""

    @st.composite
    def strategy(draw: st.DrawFn, *, min_length: int = 1, max_length: int = 5) -> Walkway:
        dtype = draw(st.sampled_from([np.int32, np.int64]))
        steps: list[Structure] = []
        for _ in range(draw(st.integers(min_length, max_length))):
            n_rows = steps[-1].n_cols if steps else None
            steps.append(draw(structures(n_rows=n_rows, ids=False, dtype=dtype)))
        return walkway(steps)

    return strategy


@pytest.fixture(scope="session")
def large_walkway(large: Structure) -> Walkway:
    """From the rows of ``large`` to its columns, back, and to the columns again."""
    there = large._replace(edge_ids=None)
    row = np.repeat(np.arange(large.n_rows), np.diff(large.indptr))
    turned = list(zip(large.indices.tolist(), row.tolist(), strict=True))
    back = compress(turned, large.n_cols, large.n_rows, np.int32)
    return walkway([there, back, there])


@pytest.fixture(scope="session")
def large() -> Iterator[Structure]:
    """Work for several threads: one heavy row, some empty ones, parallel edges. Never written."""
    rng = np.random.default_rng(0)
    row = np.append(rng.integers(0, 3000, 60_000), np.full(20_000, 7))
    pairs = np.stack([row, (2000 * rng.random(80_000) ** 2).astype(np.int64)], axis=1)
    plain = compress([(r, c) for r, c in pairs.tolist() if r % 10], 3000, 2000, np.int32)
    arrays = (plain.indptr, plain.indices, rng.permutation(plain.n_edges))
    before = [array.copy() for array in arrays]
    yield Structure(*arrays, plain.n_cols)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))


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
