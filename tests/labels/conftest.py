"""Small graphs to label, the pairs their paths join, and what a folder holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.kernels.cpu import pool

RATED, HAS = ("user", "rated", "item"), ("item", "has", "tag")


def random_graph(n_users: int = 40, n_items: int = 30, n_tags: int = 8) -> HeteroCSR:
    """Users, items and tags with parallel edges, and nodes without edges."""
    rng = np.random.default_rng(0)
    edges = {
        RATED: (rng.integers(0, n_users - 3, 90), rng.integers(0, n_items - 2, 90)),
        HAS: (rng.integers(0, n_items, 25), rng.integers(0, n_tags, 25)),
    }
    return HeteroCSR.from_edges(edges, {"user": n_users, "item": n_items, "tag": n_tags})


@pytest.fixture(scope="session")
def hg() -> HeteroCSR:
    return random_graph()


@pytest.fixture(scope="session")
def other() -> HeteroCSR:
    """A graph of the same schema with other edges."""
    return random_graph(n_items=31)


@pytest.fixture(scope="session")
def instances() -> Callable[[HeteroCSR, MetaPath], np.ndarray]:
    """``instances(hg, path)``: a dense matrix of the path's instances, by multiplication."""

    def count(hg: HeteroCSR, path: MetaPath) -> np.ndarray:
        matrices = []
        for triple, forward in path.steps:
            src, dst = hg.adjacency(triple).coo()
            matrix = np.zeros((hg.n_nodes[triple[0]], hg.n_nodes[triple[2]]), np.int64)
            np.add.at(matrix, (src, dst), 1)
            matrices.append(matrix if forward else matrix.T)
        return reduce(np.matmul, matrices)

    return count


@st.composite
def _labelled_cases(draw: st.DrawFn) -> tuple[HeteroCSR, MetaPath]:
    """A graph with parallel edges, self loops and nodes without edges, and one of its paths."""
    n_nodes = {"a": draw(st.integers(1, 5)), "b": draw(st.integers(1, 5))}
    edges = {}
    for triple in (("a", "x", "b"), ("a", "self", "a")):
        ends = st.tuples(
            st.integers(0, n_nodes[triple[0]] - 1), st.integers(0, n_nodes[triple[2]] - 1)
        )
        drawn = draw(st.lists(ends, min_size=1, max_size=8))
        edges[triple] = tuple(np.array(drawn, np.int64).T)
    hg = HeteroCSR.from_edges(edges, n_nodes)
    texts = ("a-[x]-b", "a-[x]-b-[~x]-a", "a-[self]-a-[x]-b", "b-[~x]-a-[self]-a-[x]-b")
    return hg, MetaPath.parse(draw(st.sampled_from(texts)), hg.schema)


@pytest.fixture(scope="session")
def labelled_cases() -> Callable[[], st.SearchStrategy[tuple[HeteroCSR, MetaPath]]]:
    return _labelled_cases


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """``threads(n)``: kernels use n threads from now on, however small their work."""
    serial_below = pool.SERIAL_BELOW_NS

    def use(n_threads: int) -> None:
        pool.set_num_threads(n_threads)
        pool.SERIAL_BELOW_NS = 0

    yield use
    pool.set_num_threads(None)
    pool.SERIAL_BELOW_NS = serial_below


@pytest.fixture(scope="session")
def content() -> Callable[[Path], dict[str, str]]:
    """``content(folder)``: sha256 of every file, by its name within the folder."""

    def read(folder: Path) -> dict[str, str]:
        return {
            str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }

    return read
