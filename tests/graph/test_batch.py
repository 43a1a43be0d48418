"""GraphBatch: graphs side by side, and apart again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from dglmeta.errors import DataError, SchemaError
from dglmeta.graph import GraphBatch, HeteroCSR

KNOWS = ("person", "knows", "person")


@st.composite
def graphs(draw) -> HeteroCSR:
    """Small graphs of one schema, with features, some without nodes or edges."""
    n = {"person": draw(st.integers(0, 4)), "city": draw(st.integers(0, 2))}
    edges = {}
    for triple in (KNOWS, ("person", "in", "city")):
        n_src, n_dst = n[triple[0]], n[triple[2]]
        ends = st.tuples(st.integers(0, max(0, n_src - 1)), st.integers(0, max(0, n_dst - 1)))
        pairs = draw(st.lists(ends, max_size=6)) if n_src and n_dst else []
        edges[triple] = np.array(pairs, np.int64).reshape(-1, 2).T
    return HeteroCSR.from_edges(
        edges,
        n,
        {"person": {"x": np.random.default_rng(n["person"]).random((n["person"], 3))}},
        {KNOWS: {"year": np.arange(edges[KNOWS].shape[1])}},
    )


@given(st.lists(graphs(), min_size=1, max_size=5))
def test_unbatch_gives_the_graphs_back(assert_same, several):
    batch = GraphBatch.from_graphs(several)
    assert len(batch) == len(several)
    for got, wanted in zip(batch.unbatch(), several, strict=True):
        assert_same(got, wanted)


@given(st.lists(graphs(), min_size=1, max_size=5))
def test_the_union_has_each_graph_as_a_block_on_its_diagonal(several):
    batch = GraphBatch.from_graphs(several)
    for triple, edge_ptr in batch.edge_ptr.items():
        ends = batch.graph.adjacency(triple).coo()
        for b, graph in enumerate(several):
            here = slice(edge_ptr[b], edge_ptr[b + 1])
            for t, got, wanted in zip(
                triple[::2], ends, graph.adjacency(triple).coo(), strict=True
            ):
                assert_array_equal(got[here], wanted + batch.node_ptr[t][b])


@given(st.lists(graphs(), min_size=1, max_size=5))
def test_the_union_is_compressed_as_if_built_from_its_edges(several):
    union = GraphBatch.from_graphs(several).graph
    for triple, adj in union.adjacencies.items():
        n_nodes = union.n_nodes[triple[0]], union.n_nodes[triple[2]]
        built = type(adj).from_coo(*adj.coo(), n_nodes)
        assert_array_equal(adj.indptr, built.indptr)
        assert_array_equal(adj.indices, built.indices)
        assert (adj.indptr.dtype, adj.indices.dtype) == (built.indptr.dtype, built.indices.dtype)


@given(st.lists(graphs(), min_size=1, max_size=5))
def test_graph_ids_tell_the_graph_of_every_node(several):
    batch = GraphBatch.from_graphs(several)
    expected = [b for b, graph in enumerate(several) for _ in range(graph.n_nodes["person"])]
    assert_array_equal(batch.graph_ids("person"), expected)
    with pytest.raises(SchemaError, match=r"expected a node type of .*, got 'dog'"):
        batch.graph_ids("dog")


def test_repr_counts_the_graphs():
    pair = HeteroCSR.from_edges({KNOWS: ([0], [1])}, {"person": 2})
    batch = GraphBatch.from_graphs([pair, pair])
    assert repr(batch) == "GraphBatch(2 graphs: HeteroCSR(person: 4; 2 edges of 1 types))"


def _one(x: np.ndarray | None = None, relation: str = "knows") -> HeteroCSR:
    data = {} if x is None else {"person": {"x": x}}
    return HeteroCSR.from_edges({("person", relation, "person"): ([0], [1])}, {"person": 2}, data)


@pytest.mark.parametrize(
    ("several", "error", "message"),
    [
        ([], DataError, "at least one graph"),
        ([_one(), _one(relation="met")], SchemaError, "the schema of the first.* at 1"),
        ([_one(np.zeros(2)), _one()], DataError, r"features \['x'\] of 'person'.*got \[\] at 1"),
        (
            [_one(np.zeros(2)), _one(np.zeros((2, 3)))],
            DataError,
            "rows of one shape in feature 'x'",
        ),
    ],
)
def test_graphs_that_do_not_fit_together_are_refused(several, error, message):
    with pytest.raises(error, match=message):
        GraphBatch.from_graphs(several)
