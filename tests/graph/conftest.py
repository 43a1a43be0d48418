"""Random heterographs, and what it means that two graphs are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dglmeta.graph import HeteroCSR

TYPES = ("user", "item", "tv-show")
RELATIONS = ("rated", "made by", "x")
NUMBERS = (np.float64, np.float32, np.int64, np.int8, np.bool_)


@st.composite
def _features(draw, n: int, text: bool) -> dict[str, np.ndarray]:
    features = {}
    for name in draw(st.lists(st.sampled_from(("h", "w", "label")), unique=True, max_size=2)):
        shape = (n, *draw(st.sampled_from(((), (1,), (3,)))))
        dtypes = [hnp.from_dtype(np.dtype(t), allow_nan=True) for t in NUMBERS]
        kinds = [hnp.arrays(t, shape, elements=e) for t, e in zip(NUMBERS, dtypes, strict=True)]
        if text:
            words = st.text("abcé ", max_size=4)
            kinds.append(hnp.arrays("<U4", shape, elements=words))
        features[name] = draw(st.one_of(kinds))
    return features


@st.composite
def _heterographs(draw, *, text: bool = True, min_edge_types: int = 0) -> HeteroCSR:
    """Up to three node types, some empty; loops, parallel edges and isolated nodes; features."""
    types = draw(st.lists(st.sampled_from(TYPES), unique=True, min_size=1))
    n_nodes = {t: draw(st.integers(0, 5)) for t in types}
    a_type = st.sampled_from(types)
    triples = draw(
        st.lists(
            st.tuples(a_type, st.sampled_from(RELATIONS), a_type),
            unique=True,
            min_size=min_edge_types,
            max_size=4,
        )
    )
    edges = {}
    for source, relation, target in triples:
        most = 8 if n_nodes[source] and n_nodes[target] else 0
        n = draw(st.integers(0, most))
        ids = [
            draw(hnp.arrays(np.int64, n, elements=st.integers(0, max(0, n_nodes[t] - 1))))
            for t in (source, target)
        ]
        edges[source, relation, target] = ids[0], ids[1]
    return HeteroCSR.from_edges(
        edges,
        n_nodes,
        {t: draw(_features(n, text)) for t, n in n_nodes.items()},
        {e: draw(_features(len(src), text)) for e, (src, _) in edges.items()},
    )


def _assert_features(got: Mapping, wanted: Mapping, owners: Mapping, ignore: tuple) -> None:
    for owner in owners:
        here = {k: x for k, x in got.get(owner, {}).items() if k not in ignore}
        there = {k: x for k, x in wanted.get(owner, {}).items() if k not in ignore}
        assert set(here) == set(there)
        for name, values in there.items():
            assert type(here[name]) is np.ndarray
            if values.dtype.kind == "U":  # the width of text follows the longest
                assert here[name].dtype.kind == "U"
            else:
                assert here[name].dtype == values.dtype
            np.testing.assert_array_equal(here[name], values)


def _assert_same(
    got: HeteroCSR, wanted: HeteroCSR, *, ignore: tuple = (), empty_features: bool = True
) -> None:
    """Same types, counts, edges by id, and features by id, whatever the order of types."""
    assert dict(got.n_nodes) == dict(wanted.n_nodes)
    assert set(got.adjacencies) == set(wanted.adjacencies)
    for triple, adj in wanted.adjacencies.items():
        for here, there in zip(got.adjacency(triple).coo(), adj.coo(), strict=True):
            np.testing.assert_array_equal(here, there)
    assert got.content_hash == wanted.content_hash
    nodes = {t for t, n in wanted.n_nodes.items() if n or empty_features}
    edges = {e for e, n in wanted.n_edges.items() if n or empty_features}
    _assert_features(got.node_data, wanted.node_data, nodes, ignore)
    _assert_features(got.edge_data, wanted.edge_data, edges, ignore)


@pytest.fixture(scope="session")
def heterographs() -> Callable[..., st.SearchStrategy[HeteroCSR]]:
    return _heterographs


@pytest.fixture(scope="session")
def assert_same() -> Callable[..., None]:
    return _assert_same


@pytest.fixture
def toy() -> HeteroCSR:
    """Three users, two items, one unused type; edges out of order, two of them parallel."""
    rated, knows = ("user", "rated", "item"), ("user", "knows", "user")
    return HeteroCSR.from_edges(
        {rated: ([2, 0, 2, 0], [1, 1, 1, 0]), knows: ([], [])},
        {"user": 3, "item": 2, "shop": 0},
        {"user": {"age": np.array([30.0, 40.0, 50.0])}},
        {rated: {"stars": np.array([5, 4, 3, 2], np.int8)}},
    )
